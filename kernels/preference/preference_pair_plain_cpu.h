// preference_pair, CPU, the common case (merit_preference_pair_is_plain) at full speed: 256 pairs at a
// time, one per lane of the canonical sum, by loops that the compiler turns into vectors. A chunk with
// a NaN or infinite difference goes through the general path before anything of it is written.
#ifndef MERIT_PREFERENCE_PAIR_PLAIN_CPU_H
#define MERIT_PREFERENCE_PAIR_PLAIN_CPU_H

#include "preference_pair.h"

typedef struct preference_plain_chunk {
    float z[MERIT_LANES];
    float loss[MERIT_LANES];
    float slope[MERIT_LANES]; // s(-z)
} preference_plain_chunk;

// Returns 0 when a difference is not finite.
static int preference_plain_read(const merit_preference_pair_args *a, int64_t start, int count,
                                 preference_plain_chunk *c)
{
    const float *const chosen = (const float *)a->io.chosen + start;
    const float *const rejected = (const float *)a->io.rejected + start;
    uint32_t special = 0;
    for (int i = 0; i < count; i++) {
        const float z = m_sub(chosen[i], rejected[i]);
        c->z[i] = z;
        special |= (m_bits32(z) & 0x7f800000u) == 0x7f800000u;
    }
    return special == 0;
}

static void preference_plain_losses(preference_plain_chunk *c, int count)
{
    for (int i = 0; i < count; i++) {
        c->loss[i] = m_softplus(-c->z[i]);
        c->slope[i] = m_sigmoid(-c->z[i]);
    }
}

static void preference_plain_slopes(preference_plain_chunk *c, int count)
{
    for (int i = 0; i < count; i++) {
        c->slope[i] = m_sigmoid(-c->z[i]);
    }
}

// Where the scale is a binary32, its products with slopes are exact in binary64: one rounding either
// way.
static void preference_plain_write(const merit_preference_pair_args *a, int64_t start, int count,
                                   double scale, const preference_plain_chunk *c)
{
    float *const chosen = a->io.grad_chosen == NULL ? NULL : (float *)a->io.grad_chosen + start;
    float *const rejected =
        a->io.grad_rejected == NULL ? NULL : (float *)a->io.grad_rejected + start;
    const float narrow = m_round32(scale);
    float gradient[MERIT_LANES];
    if ((double)narrow == scale) {
        for (int i = 0; i < count; i++) {
            gradient[i] = m_mul(narrow, c->slope[i]);
        }
    } else {
        for (int i = 0; i < count; i++) {
            gradient[i] = m_round32(m_mul64(scale, (double)c->slope[i]));
        }
    }
    for (int i = 0; i < count && chosen != NULL; i++) {
        chosen[i] = -gradient[i];
    }
    for (int i = 0; i < count && rejected != NULL; i++) {
        rejected[i] = gradient[i];
    }
}

#endif
