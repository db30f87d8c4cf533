#include "sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "interrupt.h"

enum { MAX_ARMS = 4, FEWEST_SAMPLES = 3 };

typedef struct sampled_arm {
    int64_t next_call;
    int64_t calls_per_sample;
    double *samples;
    int64_t count;
    int64_t capacity;
    double spent;
    long preemptions;
} sampled_arm;

// Of all threads since the start.
static long count_preemptions(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_nivcsw : 0;
}

bench_limits bench_limits_of(double min_time)
{
    return (bench_limits){
        .warm_up = min_time / 2,
        .min_time = min_time,
        .max_time = 8 * min_time,
        .sample_time = fmin(1e-4, min_time / 10),
        .min_samples = 10,
        .precision = 0.01,
    };
}

// Runs until the warm-up time has passed, at least twice, and sets the calls of one sample.
static void warm_up(const bench_arm *arm, const bench_limits *limits, sampled_arm *s)
{
    double spent = 0;
    double fastest = HUGE_VAL;
    int64_t n = 1;
    s->next_call = arm->first_call;
    for (int round = 0; round < 2 || spent < limits->warm_up; round++) {
        const double seconds = arm->device->time(arm->calls, arm->state, s->next_call, n);
        s->next_call += n;
        spent += seconds;
        fastest = fmin(fastest, seconds / (double)n);
        if (seconds < limits->sample_time) n *= 2;
    }
    const double calls = ceil(limits->sample_time / fmax(fastest, 1e-9));
    s->calls_per_sample = calls > 1 ? (int64_t)calls : 1;
}

static void add_sample(const bench_arm *arm, sampled_arm *s)
{
    if (s->count == s->capacity) {
        s->capacity = s->capacity > 0 ? 2 * s->capacity : 64;
        s->samples = realloc(s->samples, (size_t)s->capacity * sizeof *s->samples);
        if (s->samples == NULL) bench_die("no memory for %lld samples", (long long)s->capacity);
    }
    const long before = count_preemptions();
    const double seconds =
        arm->device->time(arm->calls, arm->state, s->next_call, s->calls_per_sample);
    s->preemptions += count_preemptions() - before;
    s->next_call += s->calls_per_sample;
    s->spent += seconds;
    s->samples[s->count++] = seconds / (double)s->calls_per_sample;
}

// The summary sorts: it works on a copy, so that samples stay in the order of time.
static bench_summary summary_of(const sampled_arm *s)
{
    double *const copy = malloc((size_t)s->count * sizeof *copy);
    if (copy == NULL) bench_die("no memory for %lld samples", (long long)s->count);
    memcpy(copy, s->samples, (size_t)s->count * sizeof *copy);
    const bench_summary summary = bench_summarize(copy, s->count);
    free(copy);
    return summary;
}

const char bench_disturbed[] = "other programs took the cores";

// A waiting thread loses its core now and then on an idle machine too; short samples between two such losses are good.
static bool is_disturbed(const bench_arm *arm, const sampled_arm *s)
{
    const double lost = (double)s->preemptions;
    const bool on_cpu = strcmp(arm->device->name, "cpu") == 0;
    return on_cpu && !arm->gives_way && lost > 50 * s->spent && lost > 0.25 * (double)s->count;
}

static const char *reason_of(const bench_limits *limits, const sampled_arm *s, bool disturbed)
{
    if (bench_interrupted()) return "interrupted";
    if (disturbed) return bench_disturbed;
    if (bench_median_rank(s->count) < 0) return "too few samples for an interval of the median";
    if (s->count < limits->min_samples) {
        return limits->hurried ? "fewer than 10 samples, and the run behind its budget"
                               : "fewer than 10 samples at the time limit";
    }
    return limits->hurried ? "the interval of the median is wide, and the run behind its budget"
                           : "the interval of the median is wide at the time limit";
}

void bench_sample(const bench_arm *arms, int num_arms, const bench_limits *limits,
                  bench_timing *timings)
{
    sampled_arm state[MAX_ARMS] = {{0}};
    if (num_arms > MAX_ARMS) bench_die("%d arms, at most %d", num_arms, MAX_ARMS);
    for (int a = 0; a < num_arms; a++)
        warm_up(&arms[a], limits, &state[a]);

    sampled_arm *const main_arm = &state[0];
    bool precise = false;
    int64_t next_check = limits->min_samples;
    while (!precise && !bench_interrupted() &&
           (main_arm->spent < limits->max_time || main_arm->count < FEWEST_SAMPLES)) {
        add_sample(&arms[0], main_arm);
        for (int a = 1; a < num_arms; a++) { // slow peers get fewer samples, not more time
            if (state[a].count < FEWEST_SAMPLES || state[a].spent < main_arm->spent) {
                add_sample(&arms[a], &state[a]);
            }
        }
        if (main_arm->count >= next_check && main_arm->spent >= limits->min_time) {
            const bench_summary summary = summary_of(main_arm);
            precise = bench_relative_error(&summary) <= limits->precision;
            next_check = main_arm->count + main_arm->count / 8 + 1;
        }
    }
    for (int a = 0; a < num_arms; a++) { // of an interrupted run too
        while (state[a].count < FEWEST_SAMPLES)
            add_sample(&arms[a], &state[a]);
    }
    if (!bench_interrupted() && main_arm->count >= limits->min_samples) { // the last ones too
        const bench_summary summary = summary_of(main_arm);
        precise = bench_relative_error(&summary) <= limits->precision;
    }
    const bool disturbed = is_disturbed(&arms[0], main_arm);
    const bool ambiguous = !precise || disturbed;
    for (int a = 0; a < num_arms; a++) {
        timings[a] = (bench_timing){
            .seconds = summary_of(&state[a]),
            .calls_per_sample = state[a].calls_per_sample,
            .preemptions = arms[a].gives_way ? NAN : (double)state[a].preemptions / state[a].spent,
            .ambiguous = a == 0 && ambiguous,
            .reason = a == 0 && ambiguous ? reason_of(limits, &state[a], disturbed) : "",
        };
        free(state[a].samples);
    }
}
