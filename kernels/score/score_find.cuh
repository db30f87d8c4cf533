// Finding positions by a warp: rules that scan read 32 tokens at a time, from the end they start at.
#ifndef MERIT_SCORE_FIND_CUH
#define MERIT_SCORE_FIND_CUH

#include "../core/launch.cuh"
#include "score_position.h"

namespace
{

// The token that the rule looks for, -1: none.
MERIT_DEVICE int64_t scan_sequence(const merit_score_finder &f, int64_t sequence)
{
    const int lane = threadIdx.x % kWarpSize;
    const bool forward = score_scans_forward(&f);
    const int64_t begin = forward ? f.context_length : 0;
    const int64_t count = f.row_tokens - begin;
    for (int64_t done = 0; done < count; done += kWarpSize) {
        const int64_t i = done + lane;
        const int64_t t = forward ? begin + i : f.row_tokens - 1 - i;
        const bool hit = i < count && score_is_hit(&f, sequence, t);
        const unsigned hits = __ballot_sync(kFullWarp, hit);
        if (hits == 0) continue; // the same in every lane
        const int64_t first = done + __ffs((int)hits) - 1;
        return forward ? begin + first : f.row_tokens - 1 - first;
    }
    return -1;
}

// A row of hidden, a merit_position_kind or MERIT_SCORE_BAD_OFFSETS; a whole warp asks for one p.
MERIT_DEVICE_CALL int64_t find_position(const merit_score_finder &f, int64_t p)
{
    if (!score_rule_scans(&f)) return score_look_up(&f, p);
    return score_from_scan(&f, p, scan_sequence(f, p));
}

} // namespace

#endif
