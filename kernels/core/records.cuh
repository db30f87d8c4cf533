// The canonical fold of one tile of records (lanes.h) by a block. The tree over tiles is block_fold_records.
#ifndef MERIT_CORE_RECORDS_CUH
#define MERIT_CORE_RECORDS_CUH

#include "team.cuh"

// Records 0 .. count - 1 of a tile, count up to MERIT_TILE, as `load` gives them: lanes in rising order,
// then the lane tree. Takes place in lanes[0 .. min(count, MERIT_LANES)), which may be where records
// 0 .. come from; the result is lanes[0]. By one block of kTeamBlock threads.
template <typename Record, typename Merge, typename Load>
MERIT_DEVICE void block_fold_tile(Record *lanes, int64_t count, Merge merge, Load load)
{
    static_assert(kTeamBlock == MERIT_LANES, "a thread is a lane");
    if ((int64_t)threadIdx.x < count) {
        Record lane = load((int64_t)threadIdx.x);
        for (int64_t i = threadIdx.x + MERIT_LANES; i < count; i += MERIT_LANES) {
            lane = merge(lane, load(i));
        }
        lanes[threadIdx.x] = lane;
    }
    __syncthreads(); // the lanes, before the tree reads them
    block_fold_records(lanes, count < MERIT_LANES ? count : (int64_t)MERIT_LANES, merge);
}

#endif
