// Finding positions on a CPU.
#ifndef MERIT_SCORE_FIND_CPU_H
#define MERIT_SCORE_FIND_CPU_H

#include "score_position.h"

static inline int64_t score_scan(const merit_score_finder *f, int64_t sequence)
{
    if (score_scans_forward(f)) {
        for (int64_t t = f->context_length; t < f->row_tokens; t++) {
            if (score_is_hit(f, sequence, t)) return t;
        }
        return -1;
    }
    int64_t t = f->row_tokens - 1;
    while (t >= 0 && !score_is_hit(f, sequence, t)) {
        t--;
    }
    return t;
}

// A row of hidden, a merit_position_kind or MERIT_SCORE_BAD_OFFSETS.
static inline int64_t score_find(const merit_score_finder *f, int64_t p)
{
    return score_rule_scans(f) ? score_from_scan(f, p, score_scan(f, p)) : score_look_up(f, p);
}

#endif
