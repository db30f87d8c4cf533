// Where threads meet: block barriers and warp operations.
#include "simt_executor.h"

#include <string.h>

static bool same_place(const simt_wait &a, simt_operation operation, const char *file, int line)
{
    return a.operation == operation && a.line == line &&
           (a.file == file || strcmp(a.file, file) == 0);
}

// Block -------------------------------------------------------------------------------------------

static int barrier_result(simt_operation operation, int count, unsigned threads)
{
    switch (operation) {
    case SIMT_BARRIER_OR: return count > 0;
    case SIMT_BARRIER_AND: return (unsigned)count == threads;
    case SIMT_BARRIER_COUNT: return count;
    default: return 0;
    }
}

static void open_barrier()
{
    simt_executor &s = simt_state;
    s.barrier_result = barrier_result(s.barrier.operation, s.barrier_count, s.threads);
    s.at_barrier = 0;
    s.barriers++;
    for (unsigned i = 0; i < s.warps; i++) {
        s.warp[i].ready = 0xffffffffu;
    }
    s.ready_warps = 0xffffffffu >> (SIMT_MAX_WARPS - s.warps);
    if (s.policy == SIMT_WARPS_AHEAD) simt_draw_warp_order();
}

int simt_barrier(simt_operation operation, int predicate, const char *file, int line)
{
    simt_executor &s = simt_state;
    simt_cuda_thread *const self = simt_self();
    self->wait = {operation, file, line, 0};
    if (s.live != s.threads) {
        simt_fail("reached %s, %s:%d, after other threads have returned",
                  simt_operation_name(operation), simt_base_name(file), line);
    }
    if (s.at_barrier == 0) {
        s.barrier = self->wait;
        s.barrier_count = 0;
    } else if (!same_place(s.barrier, operation, file, line)) {
        simt_fail("reached %s, %s:%d, while others wait at %s, %s:%d: divergent barrier",
                  simt_operation_name(operation), simt_base_name(file), line,
                  simt_operation_name(s.barrier.operation), simt_base_name(s.barrier.file),
                  s.barrier.line);
    }
    char *const order = &s.orders[s.barriers % SIMT_BARRIER_ORDERS];
    simt_release(order);
    s.barrier_count += predicate != 0;
    if (++s.at_barrier == s.threads) {
        open_barrier();
    } else {
        simt_make_waiting(s.warp[self->warp], 1u << self->lane);
    }
    simt_run_next();
    simt_acquire(order);
    return s.barrier_result; // of this barrier: the next one cannot open before this thread arrives
}

// Warp --------------------------------------------------------------------------------------------

// The lane whose value `lane` receives; `lane` itself where CUDA returns the caller's own value.
static int source_of(simt_operation operation, int lane, int argument, int width)
{
    const int first = lane & ~(width - 1);
    int source = lane;
    switch (operation) {
    case SIMT_SHFL: return first + (argument & (width - 1));
    case SIMT_SHFL_UP: source = lane - argument; return source < first ? lane : source;
    case SIMT_SHFL_DOWN: source = lane + argument; break;
    case SIMT_SHFL_XOR: source = lane ^ argument; break;
    default: break;
    }
    return source >= first + width ? lane : source;
}

static void shuffle(simt_warp_state &warp, const simt_wait &first)
{
    for (unsigned rest = first.mask; rest != 0; rest &= rest - 1) {
        const int lane = __builtin_ctz(rest);
        const int source = source_of(first.operation, lane, warp.argument[lane], warp.width[lane]);
        if ((first.mask >> source & 1) == 0) {
            simt_fail("%s, %s:%d: lane %d reads lane %d, which is not in mask 0x%08x",
                      simt_operation_name(first.operation), simt_base_name(first.file), first.line,
                      lane, source, first.mask);
        }
        warp.result[lane] = warp.value[source];
    }
}

static uint64_t combine(simt_operation operation, uint64_t a, uint64_t b)
{
    switch (operation) {
    case SIMT_ADD: return (uint32_t)(a + b);
    case SIMT_MIN_SIGNED: return (int32_t)b < (int32_t)a ? b : a;
    case SIMT_MAX_SIGNED: return (int32_t)b > (int32_t)a ? b : a;
    case SIMT_MIN_UNSIGNED: return b < a ? b : a;
    case SIMT_MAX_UNSIGNED: return b > a ? b : a;
    case SIMT_AND:
    case SIMT_ALL: return a & b;
    case SIMT_OR:
    case SIMT_ANY: return a | b;
    default: return a ^ b;
    }
}

static void reduce(simt_warp_state &warp, const simt_wait &first)
{
    uint64_t result = warp.value[__builtin_ctz(first.mask)];
    for (unsigned rest = first.mask & (first.mask - 1); rest != 0; rest &= rest - 1) {
        result = combine(first.operation, result, warp.value[__builtin_ctz(rest)]);
    }
    for (unsigned rest = first.mask; rest != 0; rest &= rest - 1) {
        warp.result[__builtin_ctz(rest)] = result;
    }
}

// Lanes with the same value as `value`.
static unsigned equal_lanes(const simt_warp_state &warp, unsigned mask, uint64_t value)
{
    unsigned equal = 0;
    for (unsigned rest = mask; rest != 0; rest &= rest - 1) {
        const int lane = __builtin_ctz(rest);
        if (warp.value[lane] == value) equal |= 1u << lane;
    }
    return equal;
}

static void compute(simt_warp_state &warp, const simt_wait &first)
{
    switch (first.operation) {
    case SIMT_SYNCWARP: return;
    case SIMT_SHFL:
    case SIMT_SHFL_UP:
    case SIMT_SHFL_DOWN:
    case SIMT_SHFL_XOR: shuffle(warp, first); return;
    case SIMT_BALLOT:
    case SIMT_MATCH_ANY:
        for (unsigned rest = first.mask; rest != 0; rest &= rest - 1) {
            const int lane = __builtin_ctz(rest);
            const uint64_t wanted = first.operation == SIMT_BALLOT ? 1 : warp.value[lane];
            warp.result[lane] = equal_lanes(warp, first.mask, wanted);
        }
        return;
    default: reduce(warp, first); return;
    }
}

static bool is_width(int width)
{
    return width >= 1 && width <= SIMT_LANES && (width & (width - 1)) == 0;
}

// Names are looked up on failure only: this runs at every warp operation of every thread.
[[noreturn]] static void refuse_arrival(const simt_warp_state &warp, const simt_wait &wait,
                                        unsigned bit, int argument, int width)
{
    const char *const name = simt_operation_name(wait.operation);
    const char *const file = simt_base_name(wait.file);
    if ((wait.mask & bit) == 0) {
        simt_fail("%s, %s:%d: the mask 0x%08x does not name the calling lane", name, file,
                  wait.line, wait.mask);
    }
    if ((wait.mask & warp.exited) != 0) {
        simt_fail("%s, %s:%d: the mask 0x%08x names lanes that have returned (0x%08x)", name, file,
                  wait.line, wait.mask, wait.mask & warp.exited);
    }
    if (!is_width(width)) {
        simt_fail("%s, %s:%d: width is %d, expected 1, 2, 4, 8, 16 or 32", name, file, wait.line,
                  width);
    }
    simt_fail("%s, %s:%d: the distance is %d, expected 0 to 31", name, file, wait.line, argument);
}

static void check_arrival(const simt_warp_state &warp, const simt_wait &wait, unsigned bit,
                          int argument, int width)
{
    if ((wait.mask & bit) == 0 || (wait.mask & warp.exited) != 0 || !is_width(width) ||
        (wait.operation != SIMT_SHFL && (argument < 0 || argument >= SIMT_LANES))) {
        refuse_arrival(warp, wait, bit, argument, width);
    }
}

static simt_gathering &join(simt_warp_state &warp, const simt_wait &wait)
{
    for (unsigned i = 0; i < warp.gatherings; i++) {
        simt_gathering &g = warp.gathering[i];
        if (g.first.mask != wait.mask) continue;
        if (same_place(g.first, wait.operation, wait.file, wait.line)) return g;
        simt_fail("reached %s, %s:%d, while other lanes of mask 0x%08x are at %s, %s:%d: divergent "
                  "warp operation",
                  simt_operation_name(wait.operation), simt_base_name(wait.file), wait.line,
                  wait.mask, simt_operation_name(g.first.operation), simt_base_name(g.first.file),
                  g.first.line);
    }
    simt_gathering &g = warp.gathering[warp.gatherings++];
    g.first = wait;
    g.arrived = 0;
    const unsigned turn = warp.syncwarps++ % SIMT_WARP_ORDERS;
    g.order = simt_state.orders + SIMT_BARRIER_ORDERS + simt_self()->warp * SIMT_WARP_ORDERS + turn;
    return g;
}

uint64_t simt_warp(simt_operation operation, unsigned mask, uint64_t bits, int argument, int width,
                   const char *file, int line)
{
    simt_cuda_thread *const self = simt_self();
    simt_warp_state &warp = simt_state.warp[self->warp];
    const unsigned bit = 1u << self->lane;
    self->wait = {operation, file, line, mask};
    check_arrival(warp, self->wait, bit, argument, width);
    warp.value[self->lane] = bits;
    warp.argument[self->lane] = argument;
    warp.width[self->lane] = width;

    simt_gathering &g = join(warp, self->wait);
    char *const order = operation == SIMT_SYNCWARP ? g.order : nullptr;
    if (order != nullptr) simt_release(order); // shuffles and votes order no memory
    g.arrived |= bit;
    if (g.arrived == mask) {
        compute(warp, g.first);
        g = warp.gathering[--warp.gatherings];
        simt_make_ready(warp, mask);
    } else {
        simt_make_waiting(warp, bit);
        simt_run_next();
    }
    if (order != nullptr) simt_acquire(order);
    return warp.result[self->lane];
}
