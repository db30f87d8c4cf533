// A row of a readout by one thread, each kind a function of its own: inlined together they need more
// registers than there are.
#ifndef MERIT_SCORE_READOUT_CUH
#define MERIT_SCORE_READOUT_CUH

#include "../core/launch.cuh"
#include "score_readout.h"

namespace
{

MERIT_DEVICE_CALL void run_linear(const merit_score_readout_args &a, int64_t p)
{
    readout_linear(&a, p);
}

MERIT_DEVICE_CALL void run_gate(const merit_score_readout_args &a, int64_t p)
{
    readout_gate(&a, p);
}

MERIT_DEVICE_CALL void run_levels(const merit_score_readout_args &a, int64_t p)
{
    readout_levels(&a, p);
}

MERIT_DEVICE_CALL void run_attribute(const merit_score_readout_args &a, int64_t p, int i)
{
    const int size = a.d.num_columns / a.d.num_attributes;
    readout_attribute(&a, p, i * size, size, p * a.d.num_attributes + i);
}

MERIT_DEVICE void run_row(const merit_score_readout_args &a, int64_t p)
{
    switch (a.d.kind) {
    case MERIT_READOUT_LINEAR: run_linear(a, p); break;
    case MERIT_READOUT_GATE: run_gate(a, p); break;
    case MERIT_READOUT_LEVELS: run_levels(a, p); break;
    default:
        for (int i = 0; i < a.d.num_attributes; i++) {
            run_attribute(a, p, i);
        }
        break;
    }
}

} // namespace

#endif
