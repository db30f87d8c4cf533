// Kernels with one planted bug each, and their sound twins.
#ifndef MERIT_SIMT_PLANTED_H
#define MERIT_SIMT_PLANTED_H

#ifdef __cplusplus
extern "C" {
#endif

enum { PLANTED_THREADS = 256, PLANTED_BLOCKS = 5, PLANTED_GROUPS = 12 };

typedef struct planted_args {
    const float *in; // [count]
    float *out; // [count]
    const int *offsets; // [PLANTED_GROUPS + 1], the last is count
    double *partials; // [PLANTED_BLOCKS]
    unsigned *ticket; // 0 between launches
    int count;
    int one; // 1: what the compiler must not know
} planted_args;

typedef struct planted_bug {
    const char *name;
    int (*launch)(const planted_args *args, int sound);
} planted_bug;

extern const planted_bug planted_bugs[];
extern const int num_planted_bugs;

#ifdef __cplusplus
}
#endif

#endif
