#include "roofs.h"

#include <math.h>
#include <string.h>

#include "interrupt.h"

// Per byte of the arrays.
static const double bytes_moved[BENCH_NUM_TRAFFIC] = {1, 1, 2, 1.5};

typedef struct roof_state {
    const bench_mover *mover;
    bench_stream_buffers buffers;
} roof_state;

static void move_calls(void *state, int64_t first, int64_t n)
{
    const roof_state *const s = state;
    (void)first;
    for (int64_t i = 0; i < n; i++)
        s->mover->move(&s->buffers);
}

// At least 256 MiB and 5 caches in all, at most an eighth of the free memory.
static size_t array_bytes(const bench_device *device)
{
    size_t bytes = (size_t)256 << 20;
    if (bytes < 5 * device->cache_bytes) bytes = 5 * device->cache_bytes;
    if (bytes > device->memory_bytes / 8) bytes = device->memory_bytes / 8;
    return bytes & ~(size_t)0xfffff;
}

void bench_measure_roofs(const bench_device *device, int num_threads, double min_time,
                         bench_roofs *roofs)
{
    const size_t bytes = array_bytes(device);
    void *const from = device->alloc(bytes);
    void *const to = device->alloc(bytes);
    if (from == NULL || to == NULL) bench_die("no memory for roofs, 2 x %zu bytes", bytes);
    *roofs = (bench_roofs){.device = device, .num_threads = num_threads, .bytes = bytes};

    const bench_limits limits = {
        .warm_up = 0, .min_time = min_time, .max_time = min_time, .min_samples = 6};
    for (int touch = 0; touch < 2; touch++) { // pages come from the threads that will use them
        for (const bench_mover *mover = device->movers; mover->name != NULL; mover++) {
            if (mover->traffic != BENCH_WRITE) continue;
            mover->move(&(bench_stream_buffers){
                .to = touch ? to : from, .bytes = bytes, .num_threads = num_threads});
            break;
        }
    }
    for (const bench_mover *mover = device->movers; mover->name != NULL; mover++) {
        if (mover->available != NULL && !mover->available()) continue;
        if (bench_interrupted()) break;
        roof_state state = {mover,
                            {.to = to, .from = from, .bytes = bytes, .num_threads = num_threads}};
        const bench_arm arm = {device, move_calls, &state, 0, false};
        bench_timing timing;
        bench_sample(&arm, 1, &limits, &timing);
        const double moved = (double)bytes * bytes_moved[mover->traffic];
        const double rate = moved / timing.seconds.median;
        bench_roof *const roof = &roofs->roof[mover->traffic];
        if (rate > roof->bytes_per_second) {
            roof->bytes_per_second = rate;
            roof->method = mover->name;
            roof->disturbed = strcmp(timing.reason, bench_disturbed) == 0;
        }
        const bool streaming = strstr(mover->name, "streaming") != NULL;
        if (!streaming && rate > roof->ordinary) roof->ordinary = rate;
    }
    for (int t = 0; t < BENCH_NUM_TRAFFIC; t++)
        roofs->disturbed |= roofs->roof[t].disturbed;
    device->release(from, bytes);
    device->release(to, bytes);
    roofs->launch = HUGE_VAL;
    for (int i = 0; i < 5; i++)
        roofs->launch = fmin(roofs->launch, device->launch(num_threads));
}

bench_traffic bench_matched_traffic(const bench_work *work)
{
    const double bytes = work->bytes_read + work->bytes_written;
    if (work->bytes_written < 0.1 * bytes) return BENCH_READ;
    if (work->bytes_read < 0.1 * bytes) return BENCH_WRITE;
    return work->bytes_read >= 0.6 * bytes ? BENCH_2R1W : BENCH_COPY;
}

const char *bench_traffic_name(bench_traffic traffic)
{
    static const char *const names[] = {"read", "write", "copy", "2r1w"};
    return names[traffic];
}
