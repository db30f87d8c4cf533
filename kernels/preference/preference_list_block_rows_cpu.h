// preference_list, CPU: sixteen groups of one size that lie side by side, by transposes of four columns.
#ifndef MERIT_PREFERENCE_LIST_BLOCK_ROWS_CPU_H
#define MERIT_PREFERENCE_LIST_BLOCK_ROWS_CPU_H

#include "../core/wide_cpu.h"
#include "preference_list_block_modes_cpu.h"

// Whether the scores of a block can wait until it is full. all: every item is a member.
BLOCK_INLINE int block_reads_rows(const merit_preference_list_args *a, int32_t dtype, int all)
{
    return all && dtype == MERIT_DTYPE_F32 && a->d.score_stride == 1 && a->d.groups.group_size >= 4;
}

BLOCK_INLINE int block_are_finite(const float *scores, int size)
{
    uint32_t bad = 0;
    for (int i = 0; i < size; i++) {
        bad |= (m_bits32(scores[i]) & 0x7fffffffu) >= 0x7f800000u ? 1u : 0u;
    }
    return bad == 0;
}

// No group between the first and the last of a full block was left out.
BLOCK_INLINE int block_is_whole(const list_block *b, int size)
{
    return b->count == LIST_BLOCK &&
           b->begin[LIST_BLOCK - 1] - b->begin[0] == (int64_t)(LIST_BLOCK - 1) * size;
}

// Scores to x.
BLOCK_INLINE void block_read_rows(const float *scores, int size, list_block *b)
{
    const float *const first = scores + b->begin[0];
    int done = 0;
    for (; block_is_whole(b, size) && done + 4 <= size; done += 4) {
        for (int l = 0; l < LIST_BLOCK; l += WIDE_WIDTH) {
            wide_f column[4];
            wide_load_columns(first + (int64_t)l * size + done, size, column);
            for (int j = 0; j < 4; j++) {
                const wide_d x = wide_widen(column[j]) + wide_splat(0.0); // no -0
                memcpy(&b->x[done + j][l], &x, sizeof x);
            }
        }
    }
    for (int l = 0; l < b->count; l++) {
        for (int i = done; i < size; i++) {
            b->x[i][l] = m_add64((double)scores[b->begin[l] + i], 0.0);
        }
    }
}

// Gradients in binary32 by item, one after another. Returns how many items of each group are written.
BLOCK_INLINE int block_write_rows(float *gradients, int size, const list_block *b)
{
    float *const first = gradients + b->begin[0];
    int done = 0;
    for (; block_is_whole(b, size) && done + 4 <= size; done += 4) {
        for (int l = 0; l < LIST_BLOCK; l += WIDE_WIDTH) {
            wide_f column[4];
            for (int j = 0; j < 4; j++) {
                memcpy(&column[j], &b->word[done + j][l], sizeof column[j]);
            }
            wide_store_columns(first + (int64_t)l * size + done, size, column);
        }
    }
    return done;
}

#endif
