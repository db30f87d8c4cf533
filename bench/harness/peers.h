// Other libraries on the same point: bench/peers/driver.py, a program of its own, runs what is installed.
#ifndef MERIT_BENCH_PEERS_H
#define MERIT_BENCH_PEERS_H

#include "sampler.h"
#include "sets.h"

enum { BENCH_MAX_PEERS = 6 };

typedef struct bench_peer {
    char name[48]; // "torch eager"
    char version[48];
    char computes[BENCH_TEXT]; // in words
    bool same_work; // all that merit computes here: only then is a ratio given
    double bytes_read; // the least that what it computes moves
    double bytes_written;
    char reason[BENCH_TEXT]; // why there is no time, or ""
    bench_timing timing;
    bench_error
        error; // of what it computes; text: where the check of the operation would call it wrong
} bench_peer;

typedef struct bench_peers bench_peers;

// Starts the driver under a Python. NULL with the reason, which is also that torch is not installed there.
bench_peers *bench_start_peers(const char *python, char reason[BENCH_TEXT]);
void bench_stop_peers(bench_peers *peers);

// Runs the peers of a point on a device, over as many sets of buffers as merit's call had. Outputs that a peer does
// not compute are taken from `golden` for the check. Returns their number; 0 also when the driver failed, and then
// *reason says why.
int bench_run_peers(bench_peers *peers, const bench_case *c, const bench_buffers *golden,
                    const bench_device *device, int num_sets, int num_threads,
                    const bench_limits *limits, bench_peer found[BENCH_MAX_PEERS],
                    char reason[BENCH_TEXT]);

#endif
