// The elementary functions of merit. No libm and no CUDA math function runs in a kernel: those differ
// between libraries, versions and devices. These are fixed sequences of IEEE operations (portable.h),
// so every backend returns the same bits. Their coefficients are part of the numerics contract.
//
// NaN results are the canonical quiet NaN. Exact: exp(0) = exp2(0) = 1, log(1) = 0, sigmoid(0) = 1/2,
// expm1(0) = tanh(0) = 0 with its sign, 2^n and log2(2^n), tanh odd.
#ifndef MERIT_CORE_EXACT_H
#define MERIT_CORE_EXACT_H

#include "exact32.h"
#include "exact64.h"

#endif
