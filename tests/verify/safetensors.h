// Reader and writer of safetensors files. The reader trusts nothing: whatever the bytes are, it
// gives tensors that lie inside them, or one sentence that says what is wrong.
#ifndef MERIT_SAFETENSORS_H
#define MERIT_SAFETENSORS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "case_error.h"

typedef enum st_dtype {
    ST_BOOL,
    ST_U8,
    ST_I8,
    ST_U16,
    ST_I16,
    ST_F16,
    ST_BF16,
    ST_U32,
    ST_I32,
    ST_F32,
    ST_U64,
    ST_I64,
    ST_F64,
    ST_NUM_DTYPES
} st_dtype;

enum { ST_MAX_RANK = 8 };

typedef struct st_tensor {
    const char *name;
    st_dtype dtype;
    int rank;
    int64_t shape[ST_MAX_RANK];
    int64_t count; // product of shape
    size_t bytes; // count * st_dtype_bytes
    const unsigned char *data; // little endian, row-major, at any alignment
} st_tensor;

typedef struct st_file {
    json_t *header; // owns names and metadata
    json_t *metadata; // inside header: an object of strings; NULL when there is none
    st_tensor *tensors; // in the order of the data
    int num_tensors;
    unsigned char *storage; // the data when the file was read from a path
} st_file;

const char *st_dtype_name(st_dtype dtype);
size_t st_dtype_bytes(st_dtype dtype);
const st_tensor *st_find(const st_file *file, const char *name); // NULL when absent

// A view of `size` bytes, which must outlive it. On failure nothing is held.
bool st_parse(st_file *file, const void *bytes, size_t size, case_error *error);
bool st_read(st_file *file, const char *path, case_error *error);
void st_free(st_file *file);

// Writes through a temporary file beside `path`, so that there is never half a file. The data is
// ordered by element size, then as given.
bool st_write(const char *path, json_t *metadata, const st_tensor *tensors, int num_tensors,
              case_error *error);

#endif
