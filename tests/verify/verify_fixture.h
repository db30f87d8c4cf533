// What the tests of merit_verify share: cases built in place, the program run on them.
#ifndef MERIT_VERIFY_FIXTURE_H
#define MERIT_VERIFY_FIXTURE_H

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "case_run.h"
#include "tk.h"

// Bytes of a file in memory.
typedef struct vf_bytes {
    unsigned char *data;
    size_t size;
} vf_bytes;

// Length word, header text, `data_bytes` zeros.
vf_bytes vf_raw(const char *header, size_t data_bytes);

// A case of one group 0,0,1,1 under population STD with eps 0, so that A = -1,-1,1,1. `metadata`
// and `tensors` are spliced into the objects ("" or ,"key":...); `expected` are four F32.
vf_bytes vf_case(const char *metadata, const float *expected);

void vf_free(vf_bytes *bytes);

// A folder of its own, removed by vf_done. Paths below it.
const char *vf_folder(void);
const char *vf_path(const char *name); // valid until the fourth call after
void vf_done(void);

// Writes bytes to vf_path(name) and gives the path.
const char *vf_write(const char *name, vf_bytes bytes);
vf_bytes vf_read(const char *path);

// Runs merit_verify with the arguments (shell words); its exit status, stdout and stderr.
typedef struct vf_result {
    int status; // exit status, 128 + number when a signal ended it
    char *out, *err;
} vf_result;

vf_result vf_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
void vf_result_free(vf_result *result);

#define VF_CONTAINS(text, part) \
    cr_assert(strstr(text, part) != NULL, "no \"%s\" in: %s", part, text)

#endif
