// Launches: checks a launch, runs its blocks in the order of the seed, and starts every thread.
#include "simt_executor.h"

#include <algorithm>
#include <mutex>
#include <stdlib.h>
#include <vector>

simt_thread *simt_current;
simt_shape simt_running;
simt_executor simt_state;
uint64_t simt_switches;

// One launch at a time: the emulated device is one.
static std::mutex device_mutex;
static uint64_t launches, blocks;
static size_t max_dynamic_bytes;

// Seed --------------------------------------------------------------------------------------------

static uint64_t seed_from_environment()
{
    const char *const text = getenv("MERIT_SIMT_SEED");
    return text == nullptr ? 0 : strtoull(text, nullptr, 0);
}

static uint64_t seed = seed_from_environment();
static uint64_t launches_of_seed;

// splitmix64 (Steele, Lea, Flood 2014)
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static simt_policy policy_of(uint64_t of_seed)
{
    switch (of_seed & 7) {
    case 2:
    case 6: return SIMT_UNIFORM;
    case 3: return SIMT_DESCENDING;
    case 7: return SIMT_ASCENDING;
    default: return SIMT_WARPS_AHEAD;
    }
}

static void begin_order()
{
    simt_state.policy = policy_of(seed);
    simt_state.random = mix(mix(seed) + launches_of_seed++) | 1;
}

extern "C" void simt_set_seed(uint64_t new_seed)
{
    const std::lock_guard<std::mutex> lock(device_mutex);
    seed = new_seed;
    launches_of_seed = 0;
}

uint64_t simt_seed()
{
    return seed;
}

// Threads -----------------------------------------------------------------------------------------

// Comes back when the fiber is used for the next block.
static void finish_thread()
{
    simt_executor &s = simt_state;
    simt_cuda_thread *const self = simt_self();
    simt_warp_state &warp = s.warp[self->warp];
    const unsigned bit = 1u << self->lane;
    if (s.at_barrier > 0) {
        simt_fail("returned while others wait at %s, %s:%d",
                  simt_operation_name(s.barrier.operation), simt_base_name(s.barrier.file),
                  s.barrier.line);
    }
    for (unsigned i = 0; i < warp.gatherings; i++) {
        const simt_wait &first = warp.gathering[i].first;
        if ((first.mask & bit) == 0) continue;
        simt_fail("returned while its warp waits for it at %s, %s:%d",
                  simt_operation_name(first.operation), simt_base_name(first.file), first.line);
    }
    simt_make_waiting(warp, bit);
    warp.exited |= bit;
    s.live--;
    simt_run_next();
}

void simt_fiber_main()
{
    for (;;) {
        simt_acquire(&simt_state.begin);
        simt_state.call(simt_state.kernel, simt_state.args);
        finish_thread();
    }
}

// Blocks ------------------------------------------------------------------------------------------

// Each block has addresses of its own: it must not seem ordered after an earlier one.
static char *orders_of_block()
{
#if defined(SIMT_TSAN)
    enum { BLOCKS = 4096 };
    static char orders[BLOCKS][SIMT_BLOCK_ORDERS];
    return orders[blocks % BLOCKS];
#else
    static char orders[SIMT_BLOCK_ORDERS];
    return orders;
#endif
}

static void run_block(unsigned x, unsigned y, unsigned z)
{
    simt_executor &s = simt_state;
    simt_running.block_index = {x, y, z};
    for (unsigned i = 0; i < s.threads; i++) {
        s.thread[i].wait.file = nullptr;
        s.thread[i].fenced = false;
    }
    for (unsigned i = 0; i < s.warps; i++) {
        s.warp[i].ready = 0xffffffffu;
        s.warp[i].exited = 0;
        s.warp[i].gatherings = 0;
    }
    s.live = s.threads;
    s.at_barrier = 0;
    s.num_seen = 0;
    std::fill(s.seen, s.seen + SIMT_SEEN, nullptr);
    s.orders = orders_of_block();
    s.ready_warps = 0xffffffffu >> (SIMT_MAX_WARPS - s.warps);
    simt_draw_warp_order();
    simt_begin_shared();
    simt_begin_fibers();

    simt_cuda_thread *const first = simt_next();
    simt_current = first;
    simt_switch(&s.host, &first->fiber);
    simt_current = nullptr;

    simt_end_fibers();
    if (!s.failed) simt_end_shared();
    blocks++;
}

static void run_grid()
{
    simt_executor &s = simt_state;
    const dim3 grid = simt_running.grid;
    const size_t count = (size_t)grid.x * grid.y * grid.z;
    std::vector<size_t> order(count);
    for (size_t i = 0; i < count; i++) {
        const bool shuffled = s.policy == SIMT_WARPS_AHEAD || s.policy == SIMT_UNIFORM;
        const size_t j = shuffled ? (size_t)(simt_random() >> 16) % (i + 1) : i;
        order[i] = order[j];
        order[j] = s.policy == SIMT_DESCENDING ? count - 1 - i : i;
    }
    for (size_t i = 0; i < count && !s.failed; i++) {
        const size_t row = order[i] / grid.x;
        run_block((unsigned)(order[i] % grid.x), (unsigned)(row % grid.y),
                  (unsigned)(row / grid.y));
    }
}

// Launches ----------------------------------------------------------------------------------------

static int refuse(int code, const char *why)
{
    simt_report(SIMT_WITHOUT_THREADS, "%s", why);
    return code;
}

static int check_launch(dim3 grid, dim3 block, size_t smem)
{
    const uint64_t threads = (uint64_t)block.x * block.y * block.z;
    if (block.x > 1024 || block.y > 1024 || block.z > 64 || threads == 0 ||
        threads > SIMT_MAX_THREADS) {
        return refuse(cudaErrorInvalidConfiguration, "the block has 0 or more than 1024 threads");
    }
    if (threads % SIMT_LANES != 0) {
        return refuse(cudaErrorInvalidConfiguration, "the block is no multiple of 32 threads");
    }
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 ||
        grid.z > 65535) {
        return refuse(cudaErrorInvalidConfiguration,
                      "the grid has a zero or exceeds (2147483647, 65535, 65535)");
    }
    if (smem > simt_dynamic_limit(simt_state.kernel)) {
        return refuse(cudaErrorInvalidValue,
                      "more dynamic shared memory than the kernel has opted in for");
    }
    if (!simt_make_fibers((unsigned)threads)) {
        return refuse(cudaErrorMemoryAllocation, "no memory for the stacks");
    }
    return cudaSuccess;
}

static void prepare_launch(dim3 block)
{
    simt_executor &s = simt_state;
    s.threads = block.x * block.y * block.z;
    s.warps = s.threads / SIMT_LANES;
    for (unsigned i = 0; i < s.threads; i++) {
        const unsigned row = i / block.x;
        s.thread[i].index = {i % block.x, row % block.y, row / block.y};
        s.thread[i].warp = (uint8_t)(i / SIMT_LANES);
        s.thread[i].lane = (uint8_t)(i % SIMT_LANES);
    }
    s.failed = false;
    s.host.stack = nullptr; // launches may come from different threads
}

static int launch(dim3 grid, dim3 block)
{
    simt_executor &s = simt_state;
    simt_running.grid = grid;
    simt_running.block = block;
    begin_order();
    const int code = check_launch(grid, block, s.dynamic_bytes);
    if (code != cudaSuccess) return code;
    prepare_launch(block);
    launches++;
    if (s.dynamic_bytes > max_dynamic_bytes) max_dynamic_bytes = s.dynamic_bytes;
    s.active = true;
    run_grid();
    s.active = false;
    simt_acquire(&s.end);
    simt_note_static_shared(s.kernel, simt_static_shared_bytes());
    return s.failed ? cudaErrorLaunchFailure : cudaSuccess;
}

int simt_launch(void (*call)(const void *kernel, const void *args), const void *kernel,
                const void *args, const char *name, dim3 grid, dim3 block, size_t smem)
{
    static thread_local bool launching;
    if (launching) simt_fail("launches a kernel");
    const int fault = simt_injected_fault();
    if (fault != cudaSuccess) return simt_remember_error(fault);

    const std::lock_guard<std::mutex> lock(device_mutex);
    launching = true;
    simt_state.call = call;
    simt_state.kernel = kernel;
    simt_state.args = args;
    simt_state.name = name;
    simt_state.dynamic_bytes = smem;
    const int code = launch(grid, block);
    launching = false;
    return simt_remember_error(code);
}

// Counters ----------------------------------------------------------------------------------------

extern "C" uint64_t simt_launch_count(void)
{
    const std::lock_guard<std::mutex> lock(device_mutex);
    return launches;
}

extern "C" uint64_t simt_block_count(void)
{
    const std::lock_guard<std::mutex> lock(device_mutex);
    return blocks;
}

extern "C" uint64_t simt_switch_count(void)
{
    const std::lock_guard<std::mutex> lock(device_mutex);
    return simt_switches;
}

extern "C" size_t simt_max_dynamic_smem(void)
{
    const std::lock_guard<std::mutex> lock(device_mutex);
    return max_dynamic_bytes;
}

extern "C" void simt_reset_counters(void)
{
    const std::lock_guard<std::mutex> lock(device_mutex);
    launches = blocks = simt_switches = 0;
    max_dynamic_bytes = 0;
}
