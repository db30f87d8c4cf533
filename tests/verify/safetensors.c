#include "safetensors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// Limits of this reader, not of the format: far above any case, and they bound what a hostile file
// can make it allocate.
enum { MAX_HEADER_BYTES = 16 << 20, MAX_TENSORS = 65536 };
#define MAX_DATA_BYTES ((uint64_t)16 << 30)

static const struct {
    const char *name;
    size_t bytes;
} dtypes[ST_NUM_DTYPES] = {
    [ST_BOOL] = {"BOOL", 1}, [ST_U8] = {"U8", 1},   [ST_I8] = {"I8", 1},     [ST_U16] = {"U16", 2},
    [ST_I16] = {"I16", 2},   [ST_F16] = {"F16", 2}, [ST_BF16] = {"BF16", 2}, [ST_U32] = {"U32", 4},
    [ST_I32] = {"I32", 4},   [ST_F32] = {"F32", 4}, [ST_U64] = {"U64", 8},   [ST_I64] = {"I64", 8},
    [ST_F64] = {"F64", 8},
};

const char *st_dtype_name(st_dtype dtype)
{
    return dtypes[dtype].name;
}

size_t st_dtype_bytes(st_dtype dtype)
{
    return dtypes[dtype].bytes;
}

const st_tensor *st_find(const st_file *file, const char *name)
{
    for (int i = 0; i < file->num_tensors; i++) {
        if (strcmp(file->tensors[i].name, name) == 0) return &file->tensors[i];
    }
    return NULL;
}

void st_free(st_file *file)
{
    json_decref(file->header);
    free(file->tensors);
    free(file->storage);
    *file = (st_file){0};
}

// Header ------------------------------------------------------------------------------------------

static bool parse_dtype(st_tensor *t, json_t *value, case_error *error)
{
    const char *const name = json_string_value(value);
    if (name == NULL) return case_fail(error, "tensor \"%.80s\" has no dtype", t->name);
    for (int i = 0; i < ST_NUM_DTYPES; i++) {
        if (strcmp(dtypes[i].name, name) == 0) {
            t->dtype = (st_dtype)i;
            return true;
        }
    }
    return case_fail(error, "tensor \"%.80s\" has dtype \"%.40s\", which this reader does not know",
                     t->name, name);
}

static bool parse_shape(st_tensor *t, json_t *value, case_error *error)
{
    if (!json_is_array(value)) return case_fail(error, "tensor \"%.80s\" has no shape", t->name);
    if (json_array_size(value) > ST_MAX_RANK) {
        return case_fail(error, "tensor \"%.80s\" has %zu dimensions, at most %d are read", t->name,
                         json_array_size(value), ST_MAX_RANK);
    }
    t->rank = (int)json_array_size(value);
    uint64_t bytes = st_dtype_bytes(t->dtype);
    bool empty = false;
    for (int d = 0; d < t->rank; d++) {
        json_t *const dim = json_array_get(value, (size_t)d);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0) {
            return case_fail(error, "tensor \"%.80s\": dimension %d is not an integer >= 0",
                             t->name, d);
        }
        t->shape[d] = json_integer_value(dim);
        empty = empty || t->shape[d] == 0;
    }
    for (int d = 0; d < t->rank && !empty; d++) {
        if (__builtin_mul_overflow(bytes, (uint64_t)t->shape[d], &bytes) ||
            bytes > MAX_DATA_BYTES) {
            return case_fail(error, "tensor \"%.80s\" is larger than %llu bytes", t->name,
                             (unsigned long long)MAX_DATA_BYTES);
        }
    }
    t->bytes = empty ? 0 : (size_t)bytes;
    t->count = (int64_t)(t->bytes / st_dtype_bytes(t->dtype));
    return true;
}

// Sets t->data to the offset for now: data NULL + begin is never formed, begin is kept apart.
static bool parse_offsets(const st_tensor *t, json_t *value, uint64_t data_bytes, uint64_t *begin,
                          case_error *error)
{
    json_t *const first = json_array_get(value, 0), *const last = json_array_get(value, 1);
    if (json_array_size(value) != 2 || !json_is_integer(first) || !json_is_integer(last)) {
        return case_fail(error, "tensor \"%.80s\": data_offsets are not two integers", t->name);
    }
    const json_int_t a = json_integer_value(first), b = json_integer_value(last);
    if (a < 0 || b < a || (uint64_t)b > data_bytes) {
        return case_fail(error,
                         "tensor \"%.80s\": data_offsets %lld, %lld do not lie in the %llu data "
                         "bytes of the file",
                         t->name, (long long)a, (long long)b, (unsigned long long)data_bytes);
    }
    if ((uint64_t)(b - a) != t->bytes) {
        return case_fail(error,
                         "tensor \"%.80s\": data_offsets span %lld bytes, dtype and shape say %zu",
                         t->name, (long long)(b - a), t->bytes);
    }
    *begin = (uint64_t)a;
    return true;
}

typedef struct placed {
    st_tensor tensor;
    uint64_t begin;
} placed;

static int by_offset(const void *x, const void *y)
{
    const placed *const a = x, *const b = y;
    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    if (a->tensor.bytes != b->tensor.bytes) return a->tensor.bytes < b->tensor.bytes ? -1 : 1;
    return strcmp(a->tensor.name, b->tensor.name);
}

static bool parse_tensor(placed *p, const char *name, json_t *entry, uint64_t data_bytes,
                         case_error *error)
{
    p->tensor.name = name;
    if (!json_is_object(entry)) return case_fail(error, "tensor \"%.80s\" is no object", name);
    const char *key;
    json_t *value;
    json_object_foreach(entry, key, value)
    {
        if (strcmp(key, "dtype") != 0 && strcmp(key, "shape") != 0 &&
            strcmp(key, "data_offsets") != 0) {
            return case_fail(error, "tensor \"%.80s\" has the unknown key \"%.80s\"", name, key);
        }
    }
    return parse_dtype(&p->tensor, json_object_get(entry, "dtype"), error) &&
           parse_shape(&p->tensor, json_object_get(entry, "shape"), error) &&
           parse_offsets(&p->tensor, json_object_get(entry, "data_offsets"), data_bytes, &p->begin,
                         error);
}

static bool parse_metadata(st_file *file, case_error *error)
{
    file->metadata = json_object_get(file->header, "__metadata__");
    if (file->metadata == NULL) return true;
    if (!json_is_object(file->metadata)) return case_fail(error, "__metadata__ is no object");
    const char *key;
    json_t *value;
    json_object_foreach(file->metadata, key, value)
    {
        if (!json_is_string(value)) {
            return case_fail(error, "__metadata__ \"%.80s\" is no string", key);
        }
    }
    return true;
}

// Every byte of the data belongs to exactly one tensor.
static bool place(st_file *file, placed *all, int n, uint64_t data_bytes, const unsigned char *data,
                  case_error *error)
{
    qsort(all, (size_t)n, sizeof *all, by_offset);
    uint64_t end = 0;
    for (int i = 0; i < n; i++) {
        if (all[i].begin != end) {
            return case_fail(error, "tensor \"%.80s\" begins at byte %llu of the data, %s at %llu",
                             all[i].tensor.name, (unsigned long long)all[i].begin,
                             all[i].begin < end ? "inside another that ends" : "after a gap",
                             (unsigned long long)end);
        }
        end += all[i].tensor.bytes;
        file->tensors[i] = all[i].tensor;
        file->tensors[i].data = data + all[i].begin;
    }
    if (end != data_bytes) {
        return case_fail(error, "the tensors end at byte %llu of %llu data bytes",
                         (unsigned long long)end, (unsigned long long)data_bytes);
    }
    file->num_tensors = n;
    return true;
}

static bool parse_tensors(st_file *file, const unsigned char *data, uint64_t data_bytes,
                          case_error *error)
{
    const size_t n = json_object_size(file->header) - (file->metadata != NULL);
    if (n > MAX_TENSORS)
        return case_fail(error, "%zu tensors, at most %d are read", n, MAX_TENSORS);
    placed *const all = calloc(n + 1, sizeof *all);
    file->tensors = calloc(n + 1, sizeof *file->tensors);
    bool good = all != NULL && file->tensors != NULL;
    if (!good) case_fail(error, "no memory for %zu tensors", n);
    int i = 0;
    const char *key;
    json_t *value;
    json_object_foreach(file->header, key, value)
    {
        if (!good || strcmp(key, "__metadata__") == 0) continue;
        good = parse_tensor(&all[i++], key, value, data_bytes, error);
    }
    good = good && place(file, all, i, data_bytes, data, error);
    free(all);
    return good;
}

// The length word and the header of a file of `file_bytes` bytes, of which `have` are at hand.
static bool header_length(const unsigned char *bytes, uint64_t have, uint64_t file_bytes,
                          uint64_t *length, case_error *error)
{
    if (have < 8) {
        return case_fail(error, "no safetensors file: %llu bytes, expected at least 8",
                         (unsigned long long)have);
    }
    *length = 0;
    for (int i = 7; i >= 0; i--) {
        *length = *length << 8 | bytes[i];
    }
    if (*length > file_bytes - 8) {
        return case_fail(error, "no safetensors file: the header has %llu bytes, the file %llu",
                         (unsigned long long)*length, (unsigned long long)file_bytes);
    }
    if (*length > MAX_HEADER_BYTES) {
        return case_fail(error, "the header has %llu bytes, at most %d are read",
                         (unsigned long long)*length, MAX_HEADER_BYTES);
    }
    if (file_bytes - 8 - *length > MAX_DATA_BYTES) {
        return case_fail(error, "the data has %llu bytes, at most %llu are read",
                         (unsigned long long)(file_bytes - 8 - *length),
                         (unsigned long long)MAX_DATA_BYTES);
    }
    return true;
}

static bool parse_header(st_file *file, const unsigned char *text, size_t length, case_error *error)
{
    json_error_t at;
    if (length == 0 || text[0] != '{') {
        return case_fail(error, "no safetensors file: the header does not begin with {");
    }
    file->header = json_loadb((const char *)text, length, JSON_REJECT_DUPLICATES, &at);
    if (file->header == NULL) {
        return case_fail(error, "the header is no valid JSON: %.120s at byte %d", at.text,
                         at.position);
    }
    return parse_metadata(file, error);
}

bool st_parse(st_file *file, const void *bytes, size_t size, case_error *error)
{
    *file = (st_file){0};
    const unsigned char *const all = bytes;
    uint64_t length = 0;
    if (header_length(all, size, size, &length, error) &&
        parse_header(file, all + 8, (size_t)length, error) &&
        parse_tensors(file, all + 8 + length, size - 8 - length, error)) {
        return true;
    }
    st_free(file);
    return false;
}

// Files -------------------------------------------------------------------------------------------

static bool read_from(st_file *file, FILE *stream, uint64_t file_bytes, case_error *error)
{
    unsigned char word[8];
    uint64_t length = 0;
    const size_t have = fread(word, 1, sizeof word, stream);
    if (!header_length(word, have, file_bytes, &length, error)) return false;
    unsigned char *const text = malloc((size_t)length + 1);
    if (text == NULL) return case_fail(error, "no memory for the header");
    const bool good = fread(text, 1, (size_t)length, stream) == length
                          ? parse_header(file, text, (size_t)length, error)
                          : case_fail(error, "the file ends inside its header");
    free(text);
    if (!good) return false;
    const uint64_t data_bytes = file_bytes - 8 - length;
    file->storage = malloc((size_t)data_bytes + 1);
    if (file->storage == NULL) {
        return case_fail(error, "no memory for %llu data bytes", (unsigned long long)data_bytes);
    }
    // Checked before the data is read: a wrong header costs nothing.
    if (!parse_tensors(file, file->storage, data_bytes, error)) return false;
    if (fread(file->storage, 1, (size_t)data_bytes, stream) != data_bytes) {
        return case_fail(error, "the file ends inside its data");
    }
    return true;
}

bool st_read(st_file *file, const char *path, case_error *error)
{
    *file = (st_file){0};
    FILE *const stream = fopen(path, "rb");
    if (stream == NULL) return case_fail(error, "cannot be opened: %s", strerror(errno));
    struct stat info;
    const bool good = fstat(fileno(stream), &info) == 0 && S_ISREG(info.st_mode)
                          ? read_from(file, stream, (uint64_t)info.st_size, error)
                          : case_fail(error, "is no regular file");
    fclose(stream);
    if (!good) st_free(file);
    return good;
}
