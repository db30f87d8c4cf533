#include "fields.h"

#include <math.h>
#include <merit/merit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const field_value dtype_values[] = {{"f32", MERIT_DTYPE_F32},
                                    {"f64", MERIT_DTYPE_F64},
                                    {"bf16", MERIT_DTYPE_BF16},
                                    {"f16", MERIT_DTYPE_F16},
                                    {"i32", MERIT_DTYPE_I32},
                                    {"i64", MERIT_DTYPE_I64},
                                    {NULL, 0}};

const field groups_fields[] = {FIELD_OF(merit_groups, I64, num_groups),
                               FIELD_OF(merit_groups, I64, group_size),
                               FIELD_OF(merit_groups, I64, group_stride),
                               FIELD_OF(merit_groups, I64, max_size),
                               {0}};

enum { MAX_LIST = 1 << 20 };

void field_memory_free(field_memory *memory)
{
    for (int i = 0; i < memory->num_blocks; i++) {
        free(memory->blocks[i]);
    }
    free(memory->blocks);
    *memory = (field_memory){0};
}

static void *take(field_memory *memory, size_t count, size_t bytes)
{
    void **const grown = realloc(memory->blocks, sizeof(void *) * (size_t)(memory->num_blocks + 1));
    if (grown == NULL) return NULL;
    memory->blocks = grown;
    void *const block = calloc(count + 1, bytes);
    if (block != NULL) memory->blocks[memory->num_blocks++] = block;
    return block;
}

size_t field_bytes(const field *f)
{
    switch (f->type) {
    case FIELD_I64:
    case FIELD_F64: return 8;
    case FIELD_U8: return 1;
    case FIELD_LIST: return sizeof(void *);
    case FIELD_OBJECT: return f->element_bytes;
    case FIELD_ARRAY: return f->element_bytes * (size_t)f->length;
    default: return 4;
    }
}

// Scalars -----------------------------------------------------------------------------------------

static bool number_of(json_t *value, double *number)
{
    const char *const text = json_string_value(value);
    if (json_is_number(value)) {
        *number = json_number_value(value);
        return true;
    }
    if (text == NULL) return false;
    if (strcmp(text, "inf") == 0) {
        *number = INFINITY;
    } else if (strcmp(text, "-inf") == 0) {
        *number = -INFINITY;
    } else if (strcmp(text, "nan") == 0) {
        *number = NAN;
    } else {
        return false;
    }
    return true;
}

static bool set_float(const field *f, json_t *value, void *at, const char *key, case_error *error)
{
    double number;
    if (!number_of(value, &number)) {
        return case_fail(error, "%s is no number, expected one or \"inf\", \"-inf\", \"nan\"", key);
    }
    if (f->type == FIELD_F64) {
        memcpy(at, &number, sizeof number);
        return true;
    }
    const float narrow = (float)number;
    if (isinf(narrow) && !isinf(number)) {
        return case_fail(error, "%s is %g, which no 32-bit float holds", key, number);
    }
    memcpy(at, &narrow, sizeof narrow);
    return true;
}

static bool set_integer(const field *f, json_t *value, void *at, const char *key, case_error *error)
{
    if (!json_is_integer(value)) return case_fail(error, "%s is no integer, expected one", key);
    const int64_t number = json_integer_value(value);
    if (f->type == FIELD_I64) {
        memcpy(at, &number, sizeof number);
        return true;
    }
    if (number < INT32_MIN || number > INT32_MAX) {
        return case_fail(error, "%s is %lld, expected a 32-bit integer", key, (long long)number);
    }
    const int32_t narrow = (int32_t)number;
    memcpy(at, &narrow, sizeof narrow);
    return true;
}

static bool set_bool(json_t *value, void *at, const char *key, case_error *error)
{
    if (!json_is_boolean(value)) return case_fail(error, "%s is not true or false", key);
    const int32_t number = json_is_true(value);
    memcpy(at, &number, sizeof number);
    return true;
}

static bool set_enum(const field *f, json_t *value, void *at, const char *key, case_error *error)
{
    // A number that names nothing lets a case state how it must be rejected.
    if (json_is_integer(value)) return set_integer(f, value, at, key, error);
    const char *const text = json_string_value(value);
    for (const field_value *v = f->values; text != NULL && v->name != NULL; v++) {
        if (strcmp(v->name, text) == 0) {
            memcpy(at, &v->value, sizeof v->value);
            return true;
        }
    }
    case_fail(error, "%s is %s%.80s%s, expected one of", key, text != NULL ? "\"" : "",
              text != NULL ? text : "no string", text != NULL ? "\"" : "");
    for (const field_value *v = f->values; v->name != NULL; v++) {
        case_append(error, "%s %s", v == f->values ? "" : ",", v->name);
    }
    return false;
}

// Compounds ---------------------------------------------------------------------------------------

static bool set_field(const field *f, json_t *value, void *at, const char *key,
                      field_memory *memory, case_error *error);

static bool set_elements(const field *f, json_t *value, void *at, const char *key,
                         field_memory *memory, case_error *error)
{
    for (size_t i = 0; i < json_array_size(value); i++) {
        char inner[256];
        snprintf(inner, sizeof inner, "%.200s[%zu]", key, i);
        if (!set_field(f->inner, json_array_get(value, i),
                       (unsigned char *)at + i * f->element_bytes, inner, memory, error)) {
            return false;
        }
    }
    return true;
}

static bool set_byte(json_t *value, void *at, const char *key, case_error *error)
{
    const json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || number > 255) {
        return case_fail(error, "%s is not an integer from 0 to 255", key);
    }
    *(unsigned char *)at = (unsigned char)number;
    return true;
}

static bool set_array(const field *f, json_t *value, void *at, const char *key,
                      field_memory *memory, case_error *error)
{
    if (!json_is_array(value) || json_array_size(value) != (size_t)f->length) {
        return case_fail(error, "%s is not an array of %d", key, (int)f->length);
    }
    return set_elements(f, value, at, key, memory, error);
}

static bool set_list(const field *f, json_t *value, void *base, const char *key,
                     field_memory *memory, case_error *error)
{
    const size_t n = json_array_size(value);
    if (!json_is_array(value) || n > MAX_LIST) {
        return case_fail(error, "%s is not an array of at most %d", key, MAX_LIST);
    }
    // Room for as many as the operation may read, whatever the sizes say.
    const size_t room = n > (size_t)f->length ? n : (size_t)f->length;
    void *const list = take(memory, room, f->element_bytes);
    if (list == NULL) return case_fail(error, "no memory for %s", key);
    const int32_t count = (int32_t)n;
    memcpy((unsigned char *)base + f->offset, &list, sizeof list);
    if (f->count_offset != 0) {
        memcpy((unsigned char *)base + f->count_offset, &count, sizeof count);
    }
    return set_elements(f, value, list, key, memory, error);
}

static bool set_field(const field *f, json_t *value, void *at, const char *key,
                      field_memory *memory, case_error *error)
{
    switch (f->type) {
    case FIELD_I32:
    case FIELD_I64: return set_integer(f, value, at, key, error);
    case FIELD_F32:
    case FIELD_F64: return set_float(f, value, at, key, error);
    case FIELD_BOOL: return set_bool(value, at, key, error);
    case FIELD_U8: return set_byte(value, at, key, error);
    case FIELD_ENUM: return set_enum(f, value, at, key, error);
    case FIELD_OBJECT: return fields_set(f->inner, value, at, key, memory, error);
    case FIELD_ARRAY: return set_array(f, value, at, key, memory, error);
    case FIELD_LIST: break; // needs the whole struct: fields_set
    }
    return case_fail(error, "%s has a type that cannot be set here", key);
}

bool fields_set(const field *fields, json_t *object, void *base, const char *where,
                field_memory *memory, case_error *error)
{
    if (!json_is_object(object)) return case_fail(error, "%s is no JSON object", where);
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        const field *f = fields;
        while (f->name != NULL && strcmp(f->name, name) != 0) {
            f++;
        }
        if (f->name == NULL) {
            case_fail(error, "%s has the unknown field \"%.80s\", expected one of", where, name);
            for (f = fields; f->name != NULL; f++) {
                case_append(error, "%s %s", f == fields ? "" : ",", f->name);
            }
            return false;
        }
        char key[256];
        snprintf(key, sizeof key, "%.160s.%.80s", where, name);
        const bool good =
            f->type == FIELD_LIST
                ? set_list(f, value, base, key, memory, error)
                : set_field(f, value, (unsigned char *)base + f->offset, key, memory, error);
        if (!good) return false;
    }
    return true;
}
