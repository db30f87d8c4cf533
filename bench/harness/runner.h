// One point: inputs, checks, times.
#ifndef MERIT_BENCH_RUNNER_H
#define MERIT_BENCH_RUNNER_H

#include "call_counters.h"
#include "nvml.h"
#include "options.h"
#include "peers.h"
#include "roofs.h"
#include "sampler.h"

typedef enum bench_status { BENCH_OK, BENCH_SKIPPED, BENCH_WRONG } bench_status;

// One line of the report. After SKIPPED and WRONG only the names and the reason count.
typedef struct bench_row {
    const bench_op *op;
    bench_point point;
    char shape[BENCH_TEXT];
    char backend[16];
    int num_threads;
    char data[BENCH_TEXT];
    bench_status status;
    char reason[BENCH_TEXT];
    bench_work work;
    bench_timing cold; // over rotating sets of buffers
    int num_sets;
    bool cache_cold; // the sets fill several caches, or one set does
    bench_timing hot; // one set again and again
    bool has_hot; // a set fits half the cache
    bench_timing host; // of the host's part of a call; CUDA only
    double graph_node; // seconds of a call as a node of a CUDA graph; 0: not measured
    bench_clocks clocks; // behind the last sample; CUDA only
    bench_timing peer;
    bool has_peer;
    bench_peer peers[BENCH_MAX_PEERS]; // other libraries, with --peers
    int num_peers;
    bench_traffic traffic;
    double roof; // bytes per second of the matched traffic
    double launch_floor; // seconds that launching alone takes
    bench_error error;
    int bit_comparisons; // runs that gave the same bits
    bench_counts counts; // of one call
} bench_row;

typedef void bench_emit(void *state, const bench_row *row);

typedef struct bench_session {
    const bench_options *options;
    bench_roofs roofs[BENCH_MAX_VARIANTS]; // one per device and number of threads
    int num_roofs;
    bench_peers *peers; // NULL: none asked for, or none here
    double start; // of the run, by bench_now
    bool behind; // its budget: the least sampling must do
    bench_emit *emit; // gets every row
    void *emit_state;
} bench_session;

// What bounds a row from below, and by how much: "memory" or "launch" by the roofs; "issue" where the
// call takes half as long again, so that the instructions or their latencies decide.
typedef struct bench_limit {
    const char *by;
    double seconds; // the larger of the two floors
} bench_limit;

bench_limit bench_limit_of(const bench_row *row);

// Runs a point on every backend asked for. False when a result was wrong: then there is one row,
// without times.
bool bench_run_point(const bench_session *session, const bench_point *point);

// The roofs that fit a variant; NULL when none were measured.
const bench_roofs *bench_roofs_of(const bench_session *session, const char *device,
                                  int num_threads);

#endif
