// Reading data sets: .npy arrays and JSON numbers under MERIT_DATA_DIR.
#ifndef MERIT_TESTS_TK_DATA_H
#define MERIT_TESTS_TK_DATA_H

#include <jansson.h>

#include "tk.h"

enum { TK_NPY_MAX_DIMS = 8 };

// Widened to binary64 when read.
typedef struct tk_npy {
    double *values;
    int64_t count;
    int num_dims;
    int64_t dims[TK_NPY_MAX_DIMS];
} tk_npy;

// Skips the test, loudly, when MERIT_DATA_DIR is not set; a file that is missing below it fails.
void tk_require_data(void);

// name is a path below MERIT_DATA_DIR. Little-endian u1, u2, u4, i4, i8, f4, f8 in C order.
tk_npy tk_npy_read(const char *name);
void tk_npy_free(tk_npy *array);

json_t *tk_json_read(const char *name); // json_decref when done

// The value at a path of keys separated by '/'; keys of arrays are indices. Fails when absent.
json_t *tk_json_at(json_t *root, const char *path);
double tk_json_number(json_t *root, const char *path);

#endif
