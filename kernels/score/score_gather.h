// What surrounds a product of a vendor's library: score_gather copies the rows of a chunk of positions
// side by side, score_products turns what came out into scores.
#ifndef MERIT_SCORE_GATHER_H
#define MERIT_SCORE_GATHER_H

#include "score_head.h"

enum {
    MERIT_SCORE_CHUNK = 1024
}; // positions of a product, always as many: one shape, one algorithm

typedef struct merit_score_gather_args {
    merit_score_desc d; // strides resolved: no zeros
    merit_score_forward_io io;
    merit_score_finder find;
    int64_t first; // position of the chunk
    int32_t counts_std; // this chunk counts bad post_std
    int32_t widens; // rows are binary32 whatever hidden is
    void *rows; // [chunk,H]; zeros where there is no token
    int64_t *kinds; // [chunk] >= 0: a token
} merit_score_gather_args;

typedef struct merit_score_products_args {
    merit_score_desc d;
    merit_score_forward_io io;
    int64_t first;
    int64_t count; // positions of the chunk that exist
    const float *products; // [chunk,K]
    const int64_t *kinds; // [chunk]
} merit_score_products_args;

// Row i of the chunk at `position`.
MERIT_HD static inline void score_gather_element(const merit_score_gather_args *a, int64_t i,
                                                 int64_t start, int64_t h)
{
    const int64_t to = i * a->d.hidden_size + h;
    const int wide = a->widens || a->d.hidden_dtype == MERIT_DTYPE_F32;
    if (wide) {
        ((float *)a->rows)[to] =
            start < 0 ? 0.0f : m_round32(m_load_real(a->io.hidden, a->d.hidden_dtype, start + h));
    } else {
        ((uint16_t *)a->rows)[to] =
            start < 0 ? (uint16_t)0 : ((const uint16_t *)a->io.hidden)[start + h];
    }
}

MERIT_HD static inline int64_t score_gather_start(const merit_score_gather_args *a,
                                                  int64_t position)
{
    if (position < 0) return -1;
    return score_row_start(&a->find, position, a->d.hidden_row_stride, a->d.hidden_stride);
}

// Counts and reports a position that exists.
MERIT_HD static inline void score_gather_report(const merit_score_gather_args *a, int64_t p,
                                                int64_t position)
{
    score_count_position(a->io.diagnostics, position);
    if (a->io.found_positions != NULL) a->io.found_positions[p] = score_public_position(position);
}

MERIT_HD static inline void score_products_one(const merit_score_products_args *a, int64_t i,
                                               int64_t k)
{
    merit_score_affine affine;
    affine.bias = a->io.bias;
    affine.mean = a->io.post_mean;
    affine.std = a->io.post_std;
    affine.empty_value = a->d.empty_value;
    const double product = (double)a->products[i * a->d.num_heads + k];
    ((float *)a->io.scores)[(a->first + i) * a->d.score_stride + k] =
        a->kinds[i] < 0 ? score_absent_value(&affine, a->kinds[i])
                        : score_finish_value(&affine, k, product);
}

#endif
