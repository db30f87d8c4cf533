#include "tk_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tk_require_data(void)
{
    if (getenv("MERIT_DATA_DIR") == NULL) cr_skip_test("MERIT_DATA_DIR is not set");
}

static char *data_path(const char *name, char *path, size_t size)
{
    const char *const dir = getenv("MERIT_DATA_DIR");
    cr_assert(dir != NULL, "MERIT_DATA_DIR is not set");
    snprintf(path, size, "%s/%s", dir, name);
    return path;
}

// The value of a key of the header, a Python dict literal.
static const char *header_value(const char *header, const char *key, const char *name)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s':", key);
    const char *const at = strstr(header, quoted);
    cr_assert(at != NULL, "%s: no %s in the header", name, key);
    return at + strlen(quoted) + strspn(at + strlen(quoted), " ");
}

static double element(const unsigned char *p, char type, int bytes)
{
    float f;
    double d;
    uint64_t u = 0;
    for (int i = 0; i < bytes; i++) {
        u |= (uint64_t)p[i] << (8 * i);
    }
    if (type == 'u') return (double)u;
    if (type == 'i') return bytes == 4 ? (double)(int32_t)u : (double)(int64_t)u;
    if (bytes == 8) {
        memcpy(&d, &u, sizeof d);
        return d;
    }
    const uint32_t low = (uint32_t)u;
    memcpy(&f, &low, sizeof f);
    return (double)f;
}

tk_npy tk_npy_read(const char *name)
{
    char path[4096], header[4096] = "";
    unsigned char start[10];
    tk_npy array = {.count = 1};
    FILE *const file = fopen(data_path(name, path, sizeof path), "rb");
    cr_assert(file != NULL, "cannot open %s", path);
    cr_assert(fread(start, 1, sizeof start, file) == sizeof start &&
                  memcmp(start, "\x93NUMPY\x01", 7) == 0,
              "%s is no .npy file of version 1", path);
    const size_t length = start[8] | (size_t)start[9] << 8;
    cr_assert(length < sizeof header && fread(header, 1, length, file) == length, "%s: header",
              path);
    cr_assert(strncmp(header_value(header, "fortran_order", name), "False", 5) == 0, "%s: order",
              name);
    const char *const descr = header_value(header, "descr", name); // '<f8'
    const char type = descr[2];
    const int bytes = descr[3] - '0';
    cr_assert((descr[1] == '<' || descr[1] == '|') && strchr("uif", type) != NULL &&
                  (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8),
              "%s: type %.5s", name, descr);
    const char *shape = header_value(header, "shape", name) + 1; // (660, 4)
    while (*shape >= '0' && *shape <= '9' && array.num_dims < TK_NPY_MAX_DIMS) {
        char *end;
        array.dims[array.num_dims] = strtoll(shape, &end, 10);
        array.count *= array.dims[array.num_dims++];
        shape = end + strspn(end, ", ");
    }
    const size_t total = (size_t)array.count * (size_t)bytes;
    unsigned char *const raw = malloc(total + 1);
    array.values = malloc(((size_t)array.count + 1) * sizeof *array.values);
    cr_assert(raw != NULL && array.values != NULL && fread(raw, 1, total, file) == total,
              "%s: data", name);
    for (int64_t i = 0; i < array.count; i++) {
        array.values[i] = element(raw + (size_t)i * (size_t)bytes, type, bytes);
    }
    free(raw);
    fclose(file);
    return array;
}

void tk_npy_free(tk_npy *array)
{
    free(array->values);
    array->values = NULL;
}

json_t *tk_json_read(const char *name)
{
    char path[4096];
    json_error_t error;
    json_t *const root = json_load_file(data_path(name, path, sizeof path), 0, &error);
    cr_assert(root != NULL, "%s: %s", path, error.text);
    return root;
}

json_t *tk_json_at(json_t *root, const char *path)
{
    json_t *at = root;
    const char *rest = path;
    while (*rest != '\0') {
        const size_t length = strcspn(rest, "/");
        char key[128];
        snprintf(key, sizeof key, "%.*s", (int)length, rest);
        at = json_is_array(at) ? json_array_get(at, (size_t)strtoull(key, NULL, 10))
                               : json_object_get(at, key);
        cr_assert(at != NULL, "no %s (at %s)", path, key);
        rest += length + (rest[length] == '/');
    }
    return at;
}

double tk_json_number(json_t *root, const char *path)
{
    json_t *const at = tk_json_at(root, path);
    cr_assert(json_is_number(at), "%s is no number", path);
    return json_number_value(at);
}
