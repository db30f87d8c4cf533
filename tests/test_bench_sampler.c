// The stopping rule of merit_bench on a device whose clock is scripted, the roof that fits a bytes
// model, and the reader of real data on files that are wrong.
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "random.h"
#include "real_data.h"
#include "roofs.h"
#include "sampler.h"
#include "scratch.h"

// A clock that says what the test wants: each call takes 1 ms times 1 + noise * uniform.
static double noise;
static uint64_t num_times;
static int64_t next_expected; // number of the next call of the first arm

static void no_calls(void *state, int64_t first, int64_t n)
{
    int64_t *const next = state;
    if (next == NULL) return;
    cr_expect(first == *next, "call %d follows, expected %d", (int)first, (int)*next);
    *next = first + n;
}

static double scripted_time(bench_calls *calls, void *state, int64_t first, int64_t n)
{
    calls(state, first, n);
    return 1e-3 * (double)n * (1 + noise * bench_uniform(5, num_times++));
}

static const bench_device scripted = {.name = "scripted", .time = scripted_time};

static const bench_limits limits = {.warm_up = 0.01,
                                    .min_time = 0.1,
                                    .max_time = 2,
                                    .sample_time = 1e-4,
                                    .min_samples = 10,
                                    .precision = 0.01};

Test(bench_sampler, a_steady_clock_stops_after_the_least_time)
{
    const bench_arm arm = {&scripted, no_calls, &next_expected, 0, false};
    bench_timing timing;
    bench_sample(&arm, 1, &limits, &timing);
    cr_expect(!timing.ambiguous && timing.seconds.median == 1e-3);
    cr_expect(timing.seconds.count >= 100 && timing.seconds.count <= 115, "%d samples",
              (int)timing.seconds.count);
    cr_expect(timing.calls_per_sample == 1);
}

// Uniform on [1, 2] ms: the median's interval is within 1 % of 1.5 ms after some 4000 samples, so
// not within 2 s, and within 20 s.
Test(bench_sampler, a_noisy_clock_is_ambiguous_at_the_limit)
{
    const bench_arm arm = {&scripted, no_calls, NULL, 0, false};
    bench_timing timing;
    noise = 1;
    bench_sample(&arm, 1, &limits, &timing);
    cr_expect(timing.ambiguous);
    cr_expect(strstr(timing.reason, "wide at the time limit") != NULL, "%s", timing.reason);
    cr_expect(timing.seconds.count > 1000 && timing.seconds.count < 2000, "%d samples",
              (int)timing.seconds.count);
    bench_limits hurried = limits;
    hurried.max_time = hurried.min_time;
    hurried.hurried = true;
    bench_sample(&arm, 1, &hurried, &timing);
    cr_expect(strstr(timing.reason, "behind its budget") != NULL, "%s", timing.reason);
    cr_expect(timing.seconds.count < 100, "%d samples", (int)timing.seconds.count);
    hurried.max_time = 0;
    bench_sample(&arm, 1, &hurried, &timing);
    cr_expect(strstr(timing.reason, "too few samples") != NULL, "%s", timing.reason);
    bench_limits patient = limits;
    patient.max_time = 20;
    bench_sample(&arm, 1, &patient, &timing);
    cr_expect(!timing.ambiguous && timing.reason[0] == '\0', "%d samples",
              (int)timing.seconds.count);
    cr_expect(bench_relative_error(&timing.seconds) <= 0.01);
    cr_expect(timing.seconds.count > 1500);
}

Test(bench_sampler, short_calls_are_timed_in_rows)
{
    bench_limits coarse = limits;
    coarse.sample_time = 0.016; // 16 calls of 1 ms
    const bench_arm arm = {&scripted, no_calls, &next_expected, 0, false};
    bench_timing timing;
    bench_sample(&arm, 1, &coarse, &timing);
    cr_expect(timing.calls_per_sample == 16, "%d", (int)timing.calls_per_sample);
    cr_expect(timing.seconds.median == 1e-3, "median %g", timing.seconds.median);
}

Test(bench_sampler, arms_take_turns_and_keep_their_own_count)
{
    int64_t next[2] = {0, 500};
    const bench_arm arms[2] = {{&scripted, no_calls, &next[0], 0, false},
                               {&scripted, no_calls, &next[1], 500, false}};
    bench_timing timings[2];
    bench_sample(arms, 2, &limits, timings);
    const int64_t difference = timings[0].seconds.count - timings[1].seconds.count;
    cr_expect(difference >= 0 && difference <= 3, "%d samples more", (int)difference);
}

Test(bench_sampler, matched_roof_follows_the_bytes)
{
    cr_expect(bench_matched_traffic(&(bench_work){1, 4, 4}) == BENCH_COPY);
    cr_expect(bench_matched_traffic(&(bench_work){1, 100, 1}) == BENCH_READ);
    cr_expect(bench_matched_traffic(&(bench_work){1, 1, 100}) == BENCH_WRITE);
    cr_expect(bench_matched_traffic(&(bench_work){1, 1, 4}) == BENCH_COPY);
}

// Real data -------------------------------------------------------------------------------------------

static char folder[SCRATCH_PATH];

// Writes folder/a.npy: the magic, a header of this length field and text, and the values.
static void write_file(const char *magic, const char *header, size_t num_values)
{
    char path[SCRATCH_PATH + 8];
    snprintf(path, sizeof path, "%s/a.npy", folder);
    FILE *const file = fopen(path, "wb");
    cr_assert(file != NULL);
    const size_t length = strlen(header);
    fwrite(magic, 1, 8, file);
    fputc((int)(length & 0xff), file);
    fputc((int)(length >> 8), file);
    fwrite(header, 1, length, file);
    for (size_t i = 0; i < num_values; i++)
        fputc((int)i, file);
    fclose(file);
}

static bool read_file(bench_bytes *bytes, char reason[BENCH_TEXT])
{
    reason[0] = '\0';
    return bench_read_bytes(folder, "a.npy", bytes, reason);
}

Test(bench_sampler, data_files_are_read_or_rejected_with_a_reason)
{
    static const char magic[] = "\x93NUMPY\x01\x00";
    static const char good[] = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }\n";
    bench_bytes bytes;
    char reason[BENCH_TEXT];
    cr_assert(scratch_folder(folder) == 0);
    write_file(magic, good, 6);
    cr_assert(read_file(&bytes, reason), "%s", reason);
    cr_expect(bytes.rows == 2 && bytes.columns == 3 && bytes.values[5] == 5);
    free(bytes.values);

    const struct {
        const char *magic, *header;
        size_t values;
    } bad[] = {
        {"\x93NUMPY\x02\x00", good, 6},
        {"plain text", good, 6},
        {magic, good, 5},
        {magic, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 24},
        {magic, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n", 6},
        {magic, "{'descr': '|u1', 'fortran_order': False, 'shape': (6,), }\n", 6},
        {magic, "{'descr': '|u1', 'fortran_order': False, 'shape': (-2, -3), }\n", 6},
        {magic, "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999, 1), }\n", 6},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_file(bad[i].magic, bad[i].header, bad[i].values);
        cr_expect(!read_file(&bytes, reason), "file %d was read", (int)i);
        cr_expect(strstr(reason, "a.npy") != NULL);
    }
    char path[SCRATCH_PATH + 8];
    snprintf(path, sizeof path, "%s/a.npy", folder);
    remove(path);
    cr_expect(!read_file(&bytes, reason) && strstr(reason, "is not in the data folder") != NULL);
    rmdir(folder);
}

// Threads that yield to one another on one core ------------------------------------------------------

static _Atomic bool has_stopped;

static void *yield_until_stopped(void *state)
{
    while (!atomic_load(&has_stopped))
        sched_yield();
    return state;
}

static void yielding_calls(void *state, int64_t first, int64_t n)
{
    (void)state, (void)first, (void)n;
    for (int i = 0; i < 4; i++)
        sched_yield();
}

Test(bench_sampler, what_other_programs_took_is_counted_unless_threads_give_way)
{
    static const bench_device cpu = {.name = "cpu", .time = scripted_time};
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    cr_assert(sched_setaffinity(0, sizeof one, &one) == 0);
    pthread_t other;
    cr_assert(pthread_create(&other, NULL, yield_until_stopped, NULL) == 0);
    bench_arm arm = {&cpu, yielding_calls, NULL, 0, false};
    bench_timing timing;
    bench_sample(&arm, 1, &limits, &timing);
    cr_expect(timing.ambiguous && strcmp(timing.reason, bench_disturbed) == 0, "%s", timing.reason);
    cr_expect(timing.preemptions > 1000, "%g per second", timing.preemptions);
    arm.gives_way = true;
    bench_sample(&arm, 1, &limits, &timing);
    cr_expect(!timing.ambiguous && isnan(timing.preemptions), "%s", timing.reason);
    atomic_store(&has_stopped, true);
    pthread_join(other, NULL);
}
