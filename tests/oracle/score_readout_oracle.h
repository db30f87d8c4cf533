// Readouts of one row by the textbook, in long double.
#ifndef MERIT_TESTS_SCORE_READOUT_ORACLE_H
#define MERIT_TESTS_SCORE_READOUT_ORACLE_H

#include <merit/score.h>

// io: host arrays but inputs and gate_logits. x [V or K] inputs, y [K] gate logits, v [K] direction.
// out: reward; or mean, variance, entropy; or mean, cvar, iqr of each attribute ([A] each).
typedef struct readout_oracle {
    double reward, variance, entropy;
    double mean[64], cvar[64], iqr[64];
    double prob[1024];
} readout_oracle;

void readout_oracle_row(const merit_score_readout_desc *d, const merit_score_readout_forward_io *io,
                        const double *x, const double *y, const double *v, readout_oracle *o);

#endif
