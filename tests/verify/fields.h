// JSON to a C descriptor, by a table of its fields.
#ifndef MERIT_CASE_FIELDS_H
#define MERIT_CASE_FIELDS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "case_error.h"

typedef enum field_type {
    FIELD_I32,
    FIELD_I64,
    FIELD_U8,
    FIELD_F32, // a number, or "inf", "-inf", "nan"
    FIELD_F64,
    FIELD_BOOL, // int32_t: true or false
    FIELD_ENUM, // int32_t: a name of `values`, or an integer, taken as it is
    FIELD_OBJECT, // a struct in place
    FIELD_ARRAY, // `length` elements in place
    FIELD_LIST // pointer to any number of elements; their number goes to count_offset, if that is not 0
} field_type;

typedef struct field_value {
    const char *name;
    int32_t value;
} field_value;

typedef struct field {
    const char *name; // NULL ends a table
    field_type type;
    size_t offset;
    const field_value *values; // ENUM; a NULL name ends it
    const struct field *inner; // OBJECT: its fields; ARRAY, LIST: one field, the element
    size_t element_bytes; // ARRAY, LIST
    int32_t length; // ARRAY; LIST: elements that there is room for, zeros behind those given
    size_t count_offset; // LIST: int32_t; 0: nowhere
} field;

#define FIELD_OF(type_, kind, member)                                            \
    {                                                                            \
        .name = #member, .type = FIELD_##kind, .offset = offsetof(type_, member) \
    }
#define FIELD_NAMED(type_, table, member)                                                         \
    {                                                                                             \
        .name = #member, .type = FIELD_ENUM, .offset = offsetof(type_, member), .values = (table) \
    }

extern const field_value dtype_values[]; // merit_dtype
extern const field groups_fields[]; // the sizes of a merit_groups

// What lists point to; freed together.
typedef struct field_memory {
    void **blocks;
    int num_blocks;
} field_memory;

void field_memory_free(field_memory *memory);

// Sets the fields that `object` names and leaves the others. `where` opens the keys in sentences
// ("merit.desc").
bool fields_set(const field *fields, json_t *object, void *base, const char *where,
                field_memory *memory, case_error *error);

// Bytes that a field takes in its struct.
size_t field_bytes(const field *f);

#endif
