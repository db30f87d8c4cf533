// The elementary functions of merit. No libm and no CUDA math function runs in a kernel: those differ
// between libraries, versions and devices. These are fixed sequences of IEEE operations (portable.h),
// so every backend returns the same bits. Their coefficients are part of the numerics contract.
//
// NaN results are the canonical quiet NaN. Exact: exp(0) = exp2(0) = 1, log(1) = 0, sigmoid(0) = 1/2,
// expm1(0) = log1p(0) = tanh(0) = 0 with its sign, 2^n and log2(2^n); tanh is odd.
//
// Largest error in ulp, subnormals included (0.75 is that of results rounded twice, below 2^-126 or
// 2^-1022; elsewhere exp has 0.59). binary32 over all 2^32 inputs, binary64 over 2 10^8 inputs each
// against MPFR, a quarter of them any bit pattern. AVX2 gives the bits of AVX-512 for all 2^32
// inputs, x86-64-v2 and a build without vectors give them for every 29th.
// tests/math/exhaustive_math measures all of this again.
//
//   m_exp   0.750   m_expm1  0.782   m_log    0.615   m_sigmoid      0.750   m_exp_pair  0.091
//   m_exp2  0.751   m_expm1m 1.128   m_log2   0.667   m_log_sigmoid  0.750   m_log_pair  0.127
//   m_tanh  0.665                    m_log1p  0.622   m_softplus     0.750   m_exp2_p5   2.322
//
//   m_exp64    0.750  m_expm1_64  0.790  m_log64    0.643  m_softplus64     0.759
//   m_exp2_64  0.751  m_log1p64   0.639  m_log2_64  0.685  m_log_sigmoid64  0.753
//   m_exp_pair64  0.088                  m_log_pair64  0.117
#ifndef MERIT_CORE_EXACT_H
#define MERIT_CORE_EXACT_H

#include "exact32.h"
#include "exact64.h"

#endif
