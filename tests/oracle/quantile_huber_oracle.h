// dominance_quantile_huber as its definition reads: binary64, every level against every target.
#ifndef MERIT_TESTS_QUANTILE_HUBER_ORACLE_H
#define MERIT_TESTS_QUANTILE_HUBER_ORACLE_H

#include <merit/dominance_quantile.h>

typedef struct huber_oracle {
    double *loss_rows; // [R]
    double *gradients; // [R,N] dense
    double *largest; // [R,N]: of the terms of a gradient, by size
    double loss;
    double size; // sum of abs(weight * loss) / denominator
    uint64_t bad_count, bad_tau;
} huber_oracle;

// desc as the caller gives it; the arrays of io are host memory.
huber_oracle *huber_oracle_new(const merit_dominance_quantile_huber_desc *desc,
                               const merit_dominance_quantile_huber_io *io);
void huber_oracle_free(huber_oracle *o);

// The loss of one level, not reduced over levels: its mean over targets. kappa and what it is divided by.
double huber_oracle_level(double kappa, double divisor, double tau, double z, const double *targets,
                          int64_t count);

#endif
