// Times of calls: warm-up, alternating samples, and when there are enough.
#ifndef MERIT_BENCH_SAMPLER_H
#define MERIT_BENCH_SAMPLER_H

#include "device.h"
#include "statistics.h"

typedef struct bench_limits {
    double warm_up; // seconds
    double min_time; // seconds of samples at least
    double max_time; // seconds of samples at most
    double sample_time; // seconds that one sample should last: short calls are timed in rows
    int min_samples;
    double precision; // wanted half width of the confidence interval over the median
    bool hurried; // max_time is short because the run is behind its budget
} bench_limits;

// Limits from the option --min-time.
bench_limits bench_limits_of(double min_time);

// One of several things timed in turns. The first arm decides when there are enough samples.
typedef struct bench_arm {
    const bench_device *device;
    bench_calls *calls;
    void *state;
    int64_t first_call; // number of its first call: arms that rotate buffers start apart
    bool gives_way; // its threads yield to one another, which looks as if other programs ran
} bench_arm;

// The reason of a time on a CPU during which other programs ran on its cores: a median that all samples agree on
// may be that of the scheduler.
extern const char bench_disturbed[];

typedef struct bench_timing {
    bench_summary seconds; // of one call
    int64_t calls_per_sample;
    double preemptions; // per second of samples: how often another program got the core of a thread
    // NaN: not known where threads give way
    bool ambiguous; // the time limit came before the precision, or the cores were not its own
    const char *reason; // why it is ambiguous, or ""
} bench_timing;

// Samples the arms in turns, so that a change of the machine's speed meets all of them.
void bench_sample(const bench_arm *arms, int num_arms, const bench_limits *limits,
                  bench_timing *timings);

#endif
