// The operations that cases can name. A family is one table file; nothing else knows its fields.
#ifndef MERIT_CASE_OPS_H
#define MERIT_CASE_OPS_H

#include <merit/merit.h>

#include "fields.h"
#include "safetensors.h"

enum { CASE_MAX_RANK = 4, CASE_MAX_ARRAYS = 48 };

#define CASE_DTYPE(d) (1u << (d))
#define CASE_F32 CASE_DTYPE(ST_F32)
#define CASE_F64 CASE_DTYPE(ST_F64)
#define CASE_BF16 CASE_DTYPE(ST_BF16)
#define CASE_F16 CASE_DTYPE(ST_F16)
#define CASE_I32 CASE_DTYPE(ST_I32)
#define CASE_I64 CASE_DTYPE(ST_I64)
#define CASE_U32 CASE_DTYPE(ST_U32)
#define CASE_U8 CASE_DTYPE(ST_U8)
#define CASE_I8 CASE_DTYPE(ST_I8)

// A size of the operation, one capital letter in the shapes below. It is taken from the tensors,
// else from its field.
typedef struct case_size {
    char symbol; // '\0' ends the table
    field_type type; // FIELD_I32 or FIELD_I64
    const char
        *name; // path in merit.desc, "groups.num_groups"; NULL: the field lies in the io struct
    size_t offset;
} case_size;

// A pointer of the call.
typedef struct case_array {
    const char *name; // the C parameter; NULL ends the table
    size_t offset; // of the pointer in the io struct, or in the descriptor
    bool output;
    bool in_desc;
    bool always; // an output that the call cannot do without
    bool (*allowed)(const void *desc); // whether the options take this output; NULL: always
    unsigned dtypes; // those it may have
    size_t dtype_offset; // merit_dtype field of the descriptor that says which; 0: there is none
    // Dimensions: a symbol, "N+1", or a number. "?" marks one that a tensor may leave out when it
    // is 1.
    const char *shape;
    size_t strides[CASE_MAX_RANK]; // int64 fields of the descriptor, elements; 0 or value 0: dense
} case_array;

// Uniform groups tie two sizes: num_groups = rows / stride.
typedef struct case_groups {
    char groups, rows; // symbols; '\0': the operation has no groups
    size_t offset; // of the merit_groups in the descriptor
    const char *name;
} case_groups;

typedef int64_t case_sizes[26]; // by symbol - 'A'

typedef struct case_op {
    const char *name;
    size_t desc_bytes, io_bytes, diagnostics_offset;
    const field *fields;
    const case_size *sizes;
    const case_array *arrays;
    case_groups groups;
    void (*derive)(const void *desc, case_sizes sizes); // sizes that follow from others, or NULL
    merit_status (*desc_init)(void *desc, size_t size);
    merit_status (*preset)(const char *name, void *desc); // NULL: none
    const char *(*preset_name)(int32_t i);
    merit_status (*workspace)(merit_context *ctx, const void *desc, size_t *bytes);
    merit_status (*call)(merit_context *ctx, const void *desc, const void *io, void *workspace,
                         size_t workspace_bytes);
} case_op;

const case_op *case_op_at(int i); // NULL past the last
const case_op *case_op_by_name(const char *name); // NULL when absent

// The typed functions of an operation behind the untyped ones of case_op.
#define CASE_OP_CALLS(op)                                                                        \
    static merit_status op##_desc_init(void *desc, size_t size)                                  \
    {                                                                                            \
        return merit_##op##_desc_init(desc, size);                                               \
    }                                                                                            \
    static merit_status op##_workspace(merit_context *ctx, const void *desc, size_t *bytes)      \
    {                                                                                            \
        return merit_##op##_workspace(ctx, desc, bytes);                                         \
    }                                                                                            \
    static merit_status op##_call(merit_context *ctx, const void *desc, const void *io, void *w, \
                                  size_t n)                                                      \
    {                                                                                            \
        return merit_##op(ctx, desc, io, w, n, NULL);                                            \
    }
#define CASE_OP_PRESETS(op)                                       \
    static merit_status op##_preset(const char *name, void *desc) \
    {                                                             \
        return merit_##op##_preset(name, desc);                   \
    }

#define CASE_OP_COMMON(op)                                                                     \
    .name = #op, .desc_bytes = sizeof(merit_##op##_desc), .io_bytes = sizeof(merit_##op##_io), \
    .diagnostics_offset = offsetof(merit_##op##_io, diagnostics), .fields = op##_fields,       \
    .sizes = op##_sizes, .arrays = op##_arrays, .desc_init = op##_desc_init,                   \
    .workspace = op##_workspace, .call = op##_call

#endif
