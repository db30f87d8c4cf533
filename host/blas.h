// Products of matrices by a vendor's library, opened at run time.
#ifndef MERIT_BLAS_H
#define MERIT_BLAS_H

#include "internal.h"

typedef struct merit_blas merit_blas;

enum { MERIT_BLAS_WORKSPACE = 4 << 20 }; // bytes that a product may use

// Opens the library; BLAS_ERROR when it is not there or lacks a function.
merit_status merit_blas_open(merit_context *ctx, merit_blas **blas);
void merit_blas_close(merit_blas *blas); // NULL is accepted

// Makes what a product of these sizes needs, so that none of a w at 256 bytes allocates. A context keeps
// the last eight.
merit_status merit_blas_prepare(merit_context *ctx, merit_blas *blas, int32_t dtype, int64_t rows,
                                int64_t n, int64_t k, int64_t w_stride);

// out[rows,n] = x[rows,k] w[n,k]^T, x and w of one dtype, w rows at w_stride, sums and out in binary32.
// One algorithm for one shape and alignment of w, without split-K: a row's bits do not depend on the other rows.
merit_status merit_blas_product(merit_context *ctx, merit_blas *blas, int32_t dtype, int64_t rows,
                                int64_t n, int64_t k, const void *x, const void *w,
                                int64_t w_stride, float *out, void *workspace, merit_stream stream);

#endif
