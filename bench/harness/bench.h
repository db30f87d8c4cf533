// What a bench file registers and what the harness gives it.
//
// One operation is one bench_op: its points, how many bytes a point moves at least, and six
// functions. The harness copies the arrays of a point into the memory of a backend, several times
// over where a cold cache needs it, checks the results and takes the times.
#ifndef MERIT_BENCH_H
#define MERIT_BENCH_H

#include <stdbool.h>

#include <merit/merit.h>

enum {
    BENCH_MAX_AXES = 6,
    BENCH_MAX_VALUES = 8,
    BENCH_MAX_ARRAYS = 8,
    BENCH_TEXT = 256, // characters of a reason or a label
    BENCH_CALL_BYTES = 2048 // descriptor and io of one call
};

// One dimension of the points. Values with labels count from 1: labels[value - 1].
typedef struct bench_axis {
    const char *name;
    const char *const *labels; // NULL: the values are numbers
} bench_axis;

enum {
    BENCH_QUICK = 1, // belongs to --quick
    BENCH_FULL = 4, // only of --full
    BENCH_DEVICE = 8, // too much for a CPU: skipped where there is no CUDA device
    BENCH_EACH_ISA = 2 // also one row per instruction set, on one thread
};

// A small product of values, one list per axis. A list ends at its first 0.
typedef struct bench_sweep {
    int64_t values[BENCH_MAX_AXES][BENCH_MAX_VALUES];
    unsigned flags; // BENCH_QUICK ...
} bench_sweep;

typedef struct bench_op bench_op;

typedef struct bench_point {
    const bench_op *op;
    int64_t v[BENCH_MAX_AXES]; // one value per axis
    unsigned flags; // of its sweep
} bench_point;

// The least that a call can do: every input read once, every output written once.
typedef struct bench_work {
    double items;
    double bytes_read;
    double bytes_written;
} bench_work;

typedef struct bench_array {
    void *host; // inputs: their values; outputs: NULL
    size_t bytes;
    bool output;
} bench_array;

typedef struct bench_case {
    bench_point point;
    uint64_t seed;
    const char *data_dir; // folder of real data, NULL = none
    char data[BENCH_TEXT]; // what the inputs are: "generated" or "real (...)"
    char reason[BENCH_TEXT]; // why setup did not make a case
    bench_array arrays[BENCH_MAX_ARRAYS];
    int num_arrays;
} bench_case;

// One set of buffers in the memory of a backend, in the order of the arrays.
typedef struct bench_buffers {
    void *array[BENCH_MAX_ARRAYS];
} bench_buffers;

// Arguments of one public call, filled by bind. An operation keeps its own struct in here.
typedef struct bench_call {
    _Alignas(16) unsigned char bytes[BENCH_CALL_BYTES];
} bench_call;

typedef struct bench_error {
    double max_ulp; // of the output type
    double max_abs;
    char text[BENCH_TEXT]; // the first element beyond its limit, or ""
} bench_error;

struct bench_op {
    const char *name; // as in merit_<name>
    const char *item; // what items/s counts
    const char *model; // the bytes of work in words
    const char *dtype; // of the largest input where no axis "dtype" says it; NULL: f32
    const bench_axis *axes; // ends with a NULL name
    const bench_sweep *sweeps; // ends with an empty first list
    bool
        across_ranks; // ranks are CPU threads that yield to one another: no rows on CUDA, each calls on one thread
    bench_work (*work)(bench_point point);

    // Bytes of the arrays of a point, where they are more than what a call must move. NULL: as work says.
    double (*memory)(bench_point point);

    // Adds the arrays with bench_add_input and bench_add_output and fills the inputs. False with
    // c->reason: the point is skipped.
    bool (*setup)(bench_case *c);

    // Fills the arguments of a call over one set of buffers, but the workspace.
    merit_status (*bind)(const bench_case *c, const bench_buffers *buffers, bench_call *call);
    merit_status (*workspace)(merit_context *ctx, const bench_call *call, size_t *bytes);

    // The public call.
    merit_status (*run)(merit_context *ctx, const bench_call *call, void *workspace,
                        size_t workspace_bytes, merit_stream stream);

    // Compares outputs in host memory with an independent computation. False: they are wrong, and
    // error->text says where.
    bool (*check)(const bench_case *c, const bench_buffers *buffers, bench_error *error);

    // The same work as a plain C loop, on host memory. NULL: no peer.
    void (*peer)(const bench_case *c, const bench_buffers *buffers, int num_threads);

    // Releases what setup made beyond the arrays. NULL: nothing.
    void (*teardown)(bench_case *c);
};

// For setup: both return the number of the array. *host is memory of `bytes` to fill; host may be NULL.
int bench_add_input(bench_case *c, size_t bytes, void **host);
int bench_add_output(bench_case *c, size_t bytes);

// Points --------------------------------------------------------------------------------------------

// "uniform 4096x8 grpo": labels and numbers in the order of the axes.
void bench_point_name(const bench_point *point, char name[BENCH_TEXT]);

// Point i of an operation, counting through its sweeps; false past the last.
bool bench_point_at(const bench_op *op, int i, bench_point *point);

// Whether the name of a point contains `filter`, or, where the filter is "axis=value,axis=value",
// whether these values are the point's. NULL matches everything.
bool bench_point_matches(const bench_point *point, const char *filter);

// Type of the largest input of a point: "bf16", "f32".
const char *bench_point_dtype(const bench_point *point);

#endif
