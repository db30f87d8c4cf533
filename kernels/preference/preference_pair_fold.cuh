// preference_pair, CUDA: the last block folds the cells of all tiles and writes the results of the call.
#ifndef MERIT_PREFERENCE_PAIR_FOLD_CUH
#define MERIT_PREFERENCE_PAIR_FOLD_CUH

#include "../core/team.cuh"
#include "preference_pair.h"

namespace
{

constexpr int kThreads = kTeamBlock;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int64_t kTile = MERIT_TILE;
constexpr int kSlots = MERIT_TILE / kThreads; // pairs of a tile per thread, which is their lane
constexpr int kLevels = 32; // of a thread's share of the tiles

typedef merit_preference_pair_args Args;

// One value per thread, which is its lane, in the canonical order. Every thread gets the result.
// scratch: shared, kWarps values.
MERIT_DEVICE double block_sum(double value, double *scratch)
{
    const double warp_sum = merit_warp_sum64<kWarpSize>(value);
    if (threadIdx.x % kWarpSize == 0) scratch[threadIdx.x / kWarpSize] = warp_sum;
    __syncthreads(); // the warps' sums are there
    const double low = m_add64(m_add64(scratch[0], scratch[1]), m_add64(scratch[2], scratch[3]));
    const double high = m_add64(m_add64(scratch[4], scratch[5]), m_add64(scratch[6], scratch[7]));
    __syncthreads(); // and read, before the next sum writes its own
    return m_add64(low, high);
}

MERIT_DEVICE double block_extreme(int cell, double value, double *scratch)
{
    for (int distance = 1; distance < kWarpSize; distance *= 2) {
        value = merit_preference_combine(cell, value, __shfl_xor_sync(kFullWarp, value, distance));
    }
    if (threadIdx.x % kWarpSize == 0) scratch[threadIdx.x / kWarpSize] = value;
    __syncthreads(); // the warps' values are there
    value = scratch[0];
    for (int warp = 1; warp < kWarps; warp++) {
        value = merit_preference_combine(cell, value, scratch[warp]);
    }
    __syncthreads(); // and read, before the next reduction writes its own
    return value;
}

// Tree over values[0 .. count): each thread folds a run of a power of two of them, like the digits of
// a binary counter, then the block folds the threads. Absent ones are 0, which changes nothing.
MERIT_DEVICE_CALL double block_fold_tiles(const double *values, int64_t count, double *scratch)
{
    int64_t run = 1;
    while (run * kThreads < count) {
        run *= 2;
    }
    const int64_t first = run * threadIdx.x;
    double levels[kLevels]; // in registers: every index is a constant
    double carry = 0.0;
    for (int64_t j = 0; j < run; j++) {
        carry = first + j < count ? values[first + j] : 0.0;
#pragma unroll
        for (int level = 0; level < kLevels; level++) {
            if ((j >> level & 1) == 0) {
                levels[level] = carry;
                break;
            }
            carry = m_add64(levels[level], carry);
        }
    }
    return block_sum(carry, scratch); // of the last value, whose index has all digits set
}

MERIT_DEVICE_CALL double block_fold_extreme(int cell, const double *values, int64_t count,
                                            double *scratch)
{
    double value = merit_preference_neutral(cell);
    for (int64_t tile = threadIdx.x; tile < count; tile += kThreads) {
        value = merit_preference_combine(cell, value, values[tile]);
    }
    return block_extreme(cell, value, scratch);
}

// Sum over the tiles of one of the counts packed in their cells. Below 2^53, so exact in any order.
MERIT_DEVICE_CALL int64_t block_fold_count(const double *values, int64_t count, int which,
                                           double *scratch)
{
    int64_t sum = 0;
    for (int64_t tile = threadIdx.x; tile < count; tile += kThreads) {
        sum += merit_preference_unpack(values[tile], which);
    }
    return (int64_t)block_sum((double)sum, scratch);
}

MERIT_DEVICE double *cells_of(const Args &a, int cell, int32_t route)
{
    return a.cells + ((int64_t)cell * a.d.num_routes + route) * a.num_tiles;
}

// The totals of a route, for thread 0; cells that are not in `cells` are neutral.
MERIT_DEVICE void fold_route(const Args &a, uint32_t cells, int32_t route,
                             merit_preference_totals *totals, double *scratch)
{
    for (int cell = 0; cell < MERIT_PREFERENCE_CELLS; cell++) {
        const double *const values = cells_of(a, cell, route);
        const bool filled = (cells >> cell & 1u) != 0;
        if (cell >= MERIT_PREFERENCE_CELL_COUNTS) {
            const int first = cell == MERIT_PREFERENCE_CELL_COUNTS ? 0 : 4;
            const int last = cell == MERIT_PREFERENCE_CELL_COUNTS ? 4 : 7;
            for (int n = first; n < last; n++) {
                const int64_t count =
                    filled ? block_fold_count(values, a.num_tiles, n - first, scratch) : 0;
                if (threadIdx.x == 0) totals->count[n] = count;
            }
            continue;
        }
        double total = merit_preference_neutral(cell);
        if (filled && (cell == MERIT_PREFERENCE_CELL_MIN || cell == MERIT_PREFERENCE_CELL_MAX)) {
            total = block_fold_extreme(cell, values, a.num_tiles, scratch);
        } else if (filled) {
            total = block_fold_tiles(values, a.num_tiles, scratch);
        }
        if (threadIdx.x == 0) totals->cell[cell] = total;
    }
}

MERIT_DEVICE void write_tiles(const Args &a)
{
    const int64_t routes = a.d.num_routes;
    for (int64_t n = threadIdx.x; n < a.num_tiles * routes; n += kThreads) {
        const double *const values = cells_of(a, MERIT_PREFERENCE_CELL_LOSS, (int32_t)(n % routes));
        a.io.loss_tiles[n] = m_canonical64(values[n / routes]);
    }
}

MERIT_DEVICE void write_bins(const Args &a)
{
    const int64_t bins = (int64_t)a.d.num_routes * a.d.calibration_bins;
    for (int64_t n = threadIdx.x; n < bins; n += kThreads) {
        merit_preference_bin_count sum = {0, 0, 0};
        for (int64_t block = 0; block < gridDim.x; block++) {
            const merit_preference_bin_count one = a.bins[block * bins + n];
            sum.count += one.count;
            sum.confidence += one.confidence;
            sum.hits += one.hits;
        }
        a.io.calibration[n] = merit_preference_bin_of(sum.count, sum.confidence, sum.hits);
    }
}

// By the last block of a pass.
MERIT_DEVICE_CALL void finish_pass(const Args &a, int pass, uint32_t cells, double grad_scale)
{
    MERIT_SHARED(merit_preference_totals, totals, [1]);
    MERIT_SHARED(double, scratch, [kWarps]);
    merit_preference_joined loss = {0.0, 0.0};
    merit_preference_joined tie = loss;
    for (int32_t k = 0; k < a.d.num_routes; k++) {
        fold_route(a, cells, k, totals, scratch);
        if (threadIdx.x != 0) continue;
        const double weight = totals->cell[MERIT_PREFERENCE_CELL_WEIGHT];
        if (pass == MERIT_PREFERENCE_PASS_COUNT) {
            a.counted[k] =
                merit_preference_denominator(&a, k, merit_preference_valid(&a, totals, k), weight);
            continue;
        }
        merit_preference_finish_route(&a, totals, k);
        loss = merit_preference_join(loss, &a, totals, k, totals->cell[MERIT_PREFERENCE_CELL_LOSS]);
        tie = merit_preference_join(tie, &a, totals, k, totals->cell[MERIT_PREFERENCE_CELL_TIE]);
    }
    if (pass == MERIT_PREFERENCE_PASS_COUNT) return;
    if (threadIdx.x == 0) {
        const double sum = merit_preference_joined_value(tie);
        if (a.io.loss != NULL) *a.io.loss = merit_preference_joined_value(loss);
        if (a.io.grad_tie != NULL) *a.io.grad_tie = m_canonical64(m_mul64(grad_scale, sum));
    }
    if (a.io.loss_tiles != NULL) write_tiles(a);
    if (a.io.calibration != NULL) write_bins(a);
}

// Of a plain call, whose only cell is the loss: nothing else needs registers.
MERIT_DEVICE void finish_plain(const Args &a, double *scratch)
{
    MERIT_SHARED(merit_preference_totals, totals, [1]);
    const double *const values = cells_of(a, MERIT_PREFERENCE_CELL_LOSS, 0);
    const double total = block_fold_tiles(values, a.num_tiles, scratch);
    if (threadIdx.x == 0) {
        totals->cell[MERIT_PREFERENCE_CELL_LOSS] = total;
        totals->cell[MERIT_PREFERENCE_CELL_WEIGHT] = 0.0;
        merit_preference_finish_route(&a, totals, 0);
        if (a.io.loss != NULL) {
            *a.io.loss = m_canonical64(merit_preference_reduced(&a, totals, 0, total));
        }
    }
    if (a.io.loss_tiles != NULL) write_tiles(a);
}

} // namespace

#endif
