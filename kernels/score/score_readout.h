// score_readout: the formulas of one row, worked on by one thread.
#ifndef MERIT_SCORE_READOUT_H
#define MERIT_SCORE_READOUT_H

#include "score_readout_gate.h"
#include "score_readout_levels.h"
#include "score_readout_linear.h"
#include "score_readout_quantile.h"

MERIT_HD static inline void readout_row(const merit_score_readout_args *a, int64_t p)
{
    switch (a->d.kind) {
    case MERIT_READOUT_LINEAR: readout_linear(a, p); break;
    case MERIT_READOUT_GATE: readout_gate(a, p); break;
    case MERIT_READOUT_LEVELS: readout_levels(a, p); break;
    default:
        for (int i = 0; i < a->d.num_attributes; i++) {
            const int size = a->d.num_columns / a->d.num_attributes;
            readout_attribute(a, p, i * size, size, p * a->d.num_attributes + i);
        }
        break;
    }
}

#endif
