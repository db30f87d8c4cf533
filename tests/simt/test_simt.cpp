// What the emulated device computes, and how it treats launches, errors and seeds. A plain program: it
// also runs under ThreadSanitizer. One line per case, exit status 1 if any failed.
#include "semantics.h"
#include "simt_control.h"
#include "simt_runtime.h"

#include <algorithm>
#include <functional>
#include <set>
#include <stdio.h>
#include <string.h>
#include <string>
#include <thread>
#include <vector>

static int failures;
static const char *current_case;

static void expect(bool holds, const char *what, int line)
{
    if (holds) return;
    failures++;
    printf("FAIL %s, line %d: %s\n", current_case, line, what);
}
#define EXPECT(condition) expect(condition, #condition, __LINE__)

struct buffers {
    std::vector<double> out = std::vector<double>(SEMANTICS_SLOTS * SEMANTICS_THREADS, -1.0);
    std::vector<unsigned> words = std::vector<unsigned>(64, 0);
    std::vector<int> order = std::vector<int>(1 << 14, -1);
    semantics_args args()
    {
        return {out.data(), words.data(), order.data(), 0};
    }
};

// The slot of `out` against f(thread), for each thread.
static bool slot_is(const buffers &b, int slot, const std::function<double(int)> &f)
{
    for (int t = 0; t < SEMANTICS_THREADS; t++) {
        const double actual = b.out[(size_t)(slot * SEMANTICS_THREADS + t)];
        if (actual == f(t)) continue;
        printf("     slot %d, thread %d: %.17g, expected %.17g\n", slot, t, actual, f(t));
        return false;
    }
    return true;
}

// What the operations compute ---------------------------------------------------------------------

static void shuffles_follow_width_and_mask()
{
    buffers b;
    EXPECT(semantics_shuffles(b.args()) == cudaSuccess);
    EXPECT(slot_is(b, 0, [](int t) { return 100 + t / 32 * 32 + 3; }));
    EXPECT(slot_is(b, 1, [](int t) { return 100 + t / 8 * 8 + 3; }));
    EXPECT(slot_is(b, 2, [](int t) { return -1e12 - (t ^ 6); }));
    EXPECT(slot_is(b, 3, [](int t) { return 0x1p44 + (t % 16 < 5 ? t : t - 5); }));
    EXPECT(slot_is(b, 4, [](int t) { return 0.5 + (t % 16 > 10 ? t : t + 5); }));
    EXPECT(slot_is(b, 5, [](int t) { return 0.1 + (t ^ 16); }));
    // Earlier groups can be read, later ones give the own value.
    EXPECT(slot_is(b, 6, [](int t) { return (t ^ 9) / 8 > t / 8 ? t : t ^ 9; }));
    EXPECT(slot_is(b, 7, [](int t) {
        const int step = t % 32 < 16 ? 1 : 2;
        return t % 16 + step > 15 ? t : t + step;
    }));
    EXPECT(slot_is(b, 8, [](int t) { return t % 32 == 0 ? t : t - 1; }));
}

static void votes_name_lanes()
{
    buffers b;
    EXPECT(semantics_votes(b.args()) == cudaSuccess);
    const auto lanes = [](int t, const std::function<bool(int)> &f) {
        double mask = 0;
        for (int lane = 0; lane < 32; lane++) {
            if (f(t / 32 * 32 + lane)) mask += (double)(1ll << lane);
        }
        return mask;
    };
    EXPECT(slot_is(b, 0, [&](int t) { return lanes(t, [](int u) { return u % 3 == 0; }); }));
    EXPECT(slot_is(b, 1, [](int t) { return t >= 32; }));
    EXPECT(slot_is(b, 2, [](int t) { return t < 32; }));
    EXPECT(slot_is(b, 3, [&](int t) { return lanes(t, [t](int u) { return u / 5 == t / 5; }); }));
    EXPECT(slot_is(b, 4, [&](int t) { return lanes(t, [t](int u) { return (u - t) % 2 == 0; }); }));
    EXPECT(slot_is(b, 5, [](int t) { return t % 2 == 0 ? -1.0 : (double)0xaaaaaa00u; }));
    EXPECT(slot_is(b, 6, [](int) { return 1; }));
}

static void reductions_keep_signs()
{
    buffers b;
    EXPECT(semantics_reductions(b.args()) == cudaSuccess);
    EXPECT(slot_is(b, 0, [](int t) { return t < 32 ? -496 : -1520; }));
    EXPECT(slot_is(b, 1, [](int t) { return t < 32 ? 496 : 1520; }));
    EXPECT(slot_is(b, 2, [](int t) { return t < 32 ? -26 : -58; }));
    EXPECT(slot_is(b, 3, [](int t) { return t < 32 ? -69 : -37; }));
    EXPECT(slot_is(b, 4, [](int t) { return t < 32 ? 0 : 29; }));
    EXPECT(slot_is(b, 5, [](int t) { return t < 32 ? 4294967295.0 : 60; }));
    EXPECT(slot_is(b, 6, [](int) { return 0xf0; }));
    EXPECT(slot_is(b, 7, [](int) { return 0x7f; }));
    EXPECT(slot_is(b, 8, [](int) { return 0; })); // 0 ^ 1 ^ ... ^ 31, and the next 32
}

static void barriers_combine_predicates()
{
    buffers b;
    EXPECT(semantics_barriers(b.args()) == cudaSuccess);
    const double expected[] = {1, 0, 1, 0, 48};
    for (int slot = 0; slot < 5; slot++) {
        EXPECT(slot_is(b, slot, [&](int) { return expected[slot]; }));
    }
}

static void atomics_lose_nothing()
{
    for (uint64_t seed = 0; seed < 8; seed++) {
        buffers b;
        b.words = {0, 100, 3, 0, 0xffffffffu, 0, 0, 1000, 5, 0, 0};
        simt_set_seed(seed);
        EXPECT(semantics_atomics(b.args()) == cudaSuccess);
        EXPECT(slot_is(b, 0, [](int) { return 0x1p40 + 2016; }));
        EXPECT(slot_is(b, 1, [](int) { return -63; }));
        EXPECT(slot_is(b, 2, [](int) { return 3; }));
        const unsigned expected[] = {64, 0, 63, 0x1ff, 0xfffffe00u, 0, 4, 872, 197};
        for (size_t i = 0; i < 9; i++) {
            EXPECT(b.words[i] == expected[i]);
        }
        EXPECT(b.words[9] + b.words[10] == 64 * 65 / 2);
    }
}

static void bits_are_counted()
{
    buffers b;
    for (unsigned i = 0; i < 64; i++) {
        b.words[i] = i * i;
    }
    EXPECT(semantics_bits(b.args()) == cudaSuccess);
    const auto low = [](int t) {
        int i = 1;
        for (; t != 0 && t % 2 == 0; i++) {
            t /= 2;
        }
        return t == 0 ? 0 : i;
    };
    const auto length = [](int t) {
        int n = 0;
        for (; t != 0; t /= 2) {
            n++;
        }
        return n;
    };
    EXPECT(slot_is(b, 0, [](int t) {
        return 8 + 100 * (t <= 16 ? 32 - t : t <= 48 ? 16 : 64 - t);
    }));
    EXPECT(slot_is(b, 1, [&](int t) { return low(t) + 100 * (t == 0 ? 0 : low(t) + 32); }));
    EXPECT(slot_is(b, 2, [&](int t) { return 32 - length(t) + 100 * (64 - length(t)); }));
    EXPECT(slot_is(b, 3, [](int t) {
        double reversed = 0;
        for (int i = 0; i < 32; i++) {
            reversed = reversed * 2 + (t >> i & 1);
        }
        return reversed;
    }));
    EXPECT(slot_is(b, 4, [](int t) { return t < 7 ? t + 7000 : 7 + 1000 * t; }));
    EXPECT(slot_is(b, 5, [](int) { return 0; }));
    EXPECT(slot_is(b, 6, [](int t) { return 3 * t * t; }));
    EXPECT(slot_is(b, 7, [](int t) { return t; }));
}

static void shapes_have_three_dimensions()
{
    buffers b;
    simt_reset_counters();
    EXPECT(semantics_shape(b.args()) == cudaSuccess);
    bool right = true;
    for (int block = 0; block < 12; block++) {
        for (int t = 0; t < 64; t++) {
            right = right && b.out[(size_t)(block * 64 + t)] == block * 1000 + t;
        }
    }
    EXPECT(right);
    EXPECT(simt_block_count() == 12);
}

static void shared_memory_is_fresh_in_each_block()
{
    buffers b;
    EXPECT(semantics_fresh_shared(b.args(), 5) == cudaSuccess);
    EXPECT(b.words[0] == 0);
    EXPECT(b.words[1] == 0);
    EXPECT(simt_max_dynamic_smem() == 64 * sizeof(unsigned));
}

// Seeds -------------------------------------------------------------------------------------------

static std::vector<int> order_of(uint64_t seed)
{
    enum { BLOCKS = 4, THREADS = 256 };
    buffers b;
    simt_set_seed(seed);
    EXPECT(semantics_order(b.args(), BLOCKS, THREADS) == cudaSuccess);
    b.order.resize(2 * BLOCKS * THREADS);
    std::vector<int> sorted = b.order;
    std::sort(sorted.begin(), sorted.end());
    bool complete = true;
    for (int i = 0; i < 2 * BLOCKS * THREADS; i++) {
        complete = complete && sorted[(size_t)i] == i / 2;
    }
    EXPECT(complete); // everybody ran once before and once after the barrier
    return b.order;
}

static void a_seed_repeats_its_order()
{
    std::set<std::vector<int>> orders;
    for (uint64_t seed = 0; seed < 8; seed++) {
        const std::vector<int> order = order_of(seed);
        EXPECT(order == order_of(seed));
        orders.insert(order);
    }
    EXPECT(orders.size() == 8);
}

static void policies_order_warps_as_they_say()
{
    const std::vector<int> descending = order_of(3), ascending = order_of(7);
    EXPECT(descending[0] == 1023 && descending[1] == 1022);
    EXPECT(ascending[0] == 0 && ascending[1] == 1 && ascending[256] == 0);
    // Warps ahead: each warp of the first phase runs as a whole, in an order that the second changes.
    const std::vector<int> ahead = order_of(0);
    std::vector<int> first, second;
    bool whole = true;
    for (size_t i = 0; i < 256; i++) {
        whole = whole && ahead[i] / 32 == ahead[i / 32 * 32] / 32;
        if (i % 32 == 0) first.push_back(ahead[i] / 32);
        if (i % 32 == 0) second.push_back(ahead[i + 256] / 32);
    }
    EXPECT(whole);
    EXPECT(first != second);
    // Uniform: somewhere in the first 32, two warps have run.
    const std::vector<int> uniform = order_of(2);
    EXPECT(std::any_of(uniform.begin(), uniform.begin() + 32,
                       [&](int t) { return t / 32 != uniform[0] / 32; }));
}

// Errors ------------------------------------------------------------------------------------------

static bool report_has(const char *text)
{
    if (strstr(simt_last_report(), text) != nullptr) return true;
    printf("     the report lacks `%s`:\n%s", text, simt_last_report());
    return false;
}

static void deadlocks_list_who_waits_where()
{
    buffers b;
    cudaGetLastError();
    EXPECT(semantics_deadlock(b.args()) == cudaErrorLaunchFailure);
    EXPECT(report_has("deadlock_kernel <<<(1,1,1), (64,1,1), 0>>>"));
    EXPECT(report_has("deadlock\n"));
    EXPECT(report_has("warp 0 lanes 0-31: waits at __syncthreads, semantics.cu:"));
    EXPECT(report_has("warp 1 lanes 0-7: waits at __syncwarp, semantics.cu:"));
    EXPECT(report_has("warp 1 lanes 8-31: waits at __syncthreads, semantics.cu:"));
    EXPECT(cudaPeekAtLastError() == cudaErrorLaunchFailure);
    EXPECT(cudaGetLastError() == cudaErrorLaunchFailure);
    EXPECT(cudaGetLastError() == cudaSuccess);
    barriers_combine_predicates(); // the next launch is not hurt
}

static void a_block_may_wait_only_for_those_before_it()
{
    buffers b;
    semantics_args args = b.args();
    args.count = 0; // the first thread of all
    EXPECT(semantics_waiting(args) == cudaSuccess);
    buffers later;
    args = later.args();
    args.count = SEMANTICS_THREADS; // the first one of the second block
    EXPECT(semantics_waiting(args) == cudaErrorLaunchFailure);
    EXPECT(report_has("waits for a block that has not run"));
    EXPECT(cudaGetLastError() == cudaErrorLaunchFailure);
}

static void impossible_launches_are_refused()
{
    simt_reset_counters();
    EXPECT(semantics_shape_limits(1, 1, 1, 0, 0) == cudaErrorInvalidConfiguration);
    EXPECT(semantics_shape_limits(1, 1, 1, 1056, 0) == cudaErrorInvalidConfiguration);
    EXPECT(semantics_shape_limits(1, 1, 1, 48, 0) == cudaErrorInvalidConfiguration);
    EXPECT(report_has("no multiple of 32"));
    EXPECT(semantics_shape_limits(0, 1, 1, 32, 0) == cudaErrorInvalidConfiguration);
    EXPECT(semantics_shape_limits(1, 65536, 1, 32, 0) == cudaErrorInvalidConfiguration);
    EXPECT(semantics_shape_limits(1, 1, 65536, 32, 0) == cudaErrorInvalidConfiguration);
    EXPECT(semantics_shape_limits(1, 1, 1, 32, 48 * 1024 + 1) == cudaErrorInvalidValue);
    EXPECT(simt_launch_count() == 0);
    EXPECT(semantics_shape_limits(1, 1, 1, 1024, 48 * 1024) == cudaSuccess);
    EXPECT(semantics_opt_in(227 * 1024 + 1) == cudaErrorInvalidValue);
    EXPECT(semantics_opt_in(227 * 1024) == cudaSuccess);
    EXPECT(semantics_shape_limits(2, 1, 1, 32, 227 * 1024) == cudaSuccess);
    EXPECT(semantics_shape_limits(1, 1, 1, 32, 227 * 1024 + 1) == cudaErrorInvalidValue);
    EXPECT(simt_launch_count() == 2 && simt_block_count() == 3);
    EXPECT(simt_max_dynamic_smem() == 227 * 1024);
}

static void every_call_can_be_made_to_fail()
{
    void *memory = nullptr;
    int count = -1;
    simt_set_fault(2, cudaErrorMemoryAllocation);
    EXPECT(cudaGetDeviceCount(&count) == cudaSuccess && count == 1);
    EXPECT(cudaMalloc(&memory, 8) == cudaErrorMemoryAllocation && memory == nullptr);
    EXPECT(cudaMalloc(&memory, 8) == cudaSuccess);
    EXPECT(cudaFree(memory) == cudaSuccess);
    EXPECT(simt_call_count() == 4);
    simt_set_fault(1, cudaErrorUnknown);
    simt_reset_counters();
    EXPECT(semantics_shape_limits(1, 1, 1, 32, 0) == cudaErrorUnknown);
    EXPECT(simt_launch_count() == 0);
    simt_set_fault(0, 0);
}

// The runtime -------------------------------------------------------------------------------------

static void the_runtime_describes_its_device()
{
    int value = 0;
    simt_set_multiprocessors(17);
    EXPECT(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, 0) == cudaSuccess);
    EXPECT(value == 17);
    EXPECT(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0) ==
           cudaSuccess);
    EXPECT(value == 227 * 1024);
    EXPECT(cudaDeviceGetAttribute(&value, cudaDevAttrWarpSize, 1) == cudaErrorInvalidDevice);
    EXPECT(cudaSetDevice(1) == cudaErrorInvalidDevice);
    simt_set_devices(2);
    EXPECT(cudaSetDevice(1) == cudaSuccess && cudaGetDevice(&value) == cudaSuccess && value == 1);
    EXPECT(cudaSetDevice(0) == cudaSuccess);
    simt_set_devices(0);
    EXPECT(cudaGetDeviceCount(&value) == cudaErrorNoDevice && value == 1);
    simt_set_devices(1);
    EXPECT(strcmp(cudaGetErrorName(cudaErrorInvalidValue), "cudaErrorInvalidValue") == 0);
    EXPECT(strcmp(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory") == 0);
    cudaGetLastError();
}

static void memory_starts_as_nan()
{
    float *memory = nullptr, copy[4] = {0, 0, 0, 0};
    EXPECT(cudaMalloc(&memory, sizeof copy) == cudaSuccess);
    EXPECT(memory[0] != memory[0] && memory[3] != memory[3]);
    EXPECT(cudaMemsetAsync(memory, 0, 8) == cudaSuccess);
    EXPECT(cudaMemcpyAsync(copy, memory, sizeof copy, cudaMemcpyDeviceToHost) == cudaSuccess);
    EXPECT(copy[0] == 0 && copy[1] == 0 && copy[2] != copy[2]);
    EXPECT(cudaMemsetAsync(nullptr, 0, 8) == cudaErrorInvalidValue);
    EXPECT(cudaFree(memory) == cudaSuccess);
    EXPECT(cudaStreamSynchronize(nullptr) == cudaSuccess && cudaDeviceSynchronize() == cudaSuccess);
    cudaGetLastError();
}

static void threads_may_launch_at_once()
{
    std::vector<std::thread> threads;
    std::vector<buffers> results(4);
    for (buffers &b : results) {
        threads.emplace_back([&b] {
            for (int i = 0; i < 10; i++) {
                if (semantics_barriers(b.args()) != cudaSuccess) b.out[0] = -2.0;
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    for (const buffers &b : results) {
        EXPECT(slot_is(b, 0, [](int) { return 1; }));
        EXPECT(slot_is(b, 4, [](int) { return 48; }));
    }
}

int main()
{
    static const struct {
        const char *name;
        void (*body)();
    } cases[] = {
#define CASE(name) {#name, name}
        CASE(shuffles_follow_width_and_mask),
        CASE(votes_name_lanes),
        CASE(reductions_keep_signs),
        CASE(barriers_combine_predicates),
        CASE(atomics_lose_nothing),
        CASE(bits_are_counted),
        CASE(shapes_have_three_dimensions),
        CASE(shared_memory_is_fresh_in_each_block),
        CASE(a_seed_repeats_its_order),
        CASE(policies_order_warps_as_they_say),
        CASE(deadlocks_list_who_waits_where),
        CASE(a_block_may_wait_only_for_those_before_it),
        CASE(impossible_launches_are_refused),
        CASE(every_call_can_be_made_to_fail),
        CASE(the_runtime_describes_its_device),
        CASE(memory_starts_as_nan),
        CASE(threads_may_launch_at_once),
#undef CASE
    };
    simt_set_quiet(1);
    for (const auto &test : cases) {
        const int before = failures;
        current_case = test.name;
        test.body();
        if (failures == before) printf("ok   %s\n", test.name);
    }
    return failures > 0;
}
