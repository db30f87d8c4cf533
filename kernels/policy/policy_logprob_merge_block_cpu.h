// policy_logprob_merge, CPU: MERGE_ROWS rows side by side, so that their chains of operations overlap and
// their loops become vectors. Rows are usual where no result is NaN and no token counted; the others have
// any values here, and are left to merit_logprob_merge_row.
#ifndef MERIT_POLICY_LOGPROB_MERGE_BLOCK_CPU_H
#define MERIT_POLICY_LOGPROB_MERGE_BLOCK_CPU_H

#include "policy_logprob_merge.h"

enum {
    MERGE_ROWS = 64,
    MERGE_LEVELS = 12, // of the tree over at most 1024 ranks, and the record that is pushed
    MERGE_EXPONENT = 1 << 23, // of a usual record: no sum of two overflows
    MERGE_AHEAD = 40 // rows that are asked for before they are read
};

// As merit_logprob_sums, argmax being that of the record with the largest logit.
typedef struct merge_sums {
    double sum[MERGE_ROWS], moment[MERGE_ROWS], squares[MERGE_ROWS];
    int32_t exponent[MERGE_ROWS], argmax[MERGE_ROWS];
    float max[MERGE_ROWS];
} merge_sums;

typedef struct merge_block {
    int32_t usual[MERGE_ROWS];
    float factor[MERGE_ROWS]; // c
    float x[MERGE_ROWS]; // the logit of the target
    double log_all[MERGE_ROWS];
    float of_max[MERGE_ROWS], of_target[MERGE_ROWS]; // weights
    merge_sums level[MERGE_LEVELS];
} merge_block;

// Input -------------------------------------------------------------------------------------------

static void merge_targets(const merit_policy_logprob_desc *d, const void *targets, int64_t first,
                          int32_t *restrict usual)
{
    const merit_policy_logprob_desc desc = *d;
    for (int i = 0; i < MERGE_ROWS; i++) {
        usual[i] = 1;
    }
    if (targets == NULL) return;
    const int64_t *const wide = (const int64_t *)targets + first;
    const int32_t *const narrow = (const int32_t *)targets + first;
    if (desc.target_dtype == MERIT_DTYPE_I32) {
        for (int i = 0; i < MERGE_ROWS; i++) {
            usual[i] = (narrow[i] != desc.ignore_index) & (narrow[i] >= 0) &
                       (narrow[i] < desc.vocab_total);
        }
        return;
    }
    for (int i = 0; i < MERGE_ROWS; i++) {
        usual[i] = (wide[i] != desc.ignore_index) & (wide[i] >= 0) & (wide[i] < desc.vocab_total);
    }
}

static void merge_factors(const merit_policy_logprob_desc *d, const float *temperatures,
                          int64_t first, merge_block *restrict b)
{
    const merit_policy_logprob_desc desc = *d;
    if (temperatures == NULL) {
        const int good = desc.temperature > 0.0f && desc.temperature < m_inf32();
        const float factor = merit_logprob_factor(&desc, good ? desc.temperature : 1.0f);
        for (int i = 0; i < MERGE_ROWS; i++) {
            b->usual[i] &= good;
            b->factor[i] = factor;
        }
        return;
    }
    for (int i = 0; i < MERGE_ROWS; i++) {
        const float temperature = temperatures[first + i];
        const int good = (temperature > 0.0f) & (temperature < m_inf32());
        b->usual[i] &= good;
        b->factor[i] = merit_logprob_factor(&desc, good ? temperature : 1.0f);
    }
}

// Records of one rank, and what they say of targets.
static void merge_read(const merit_policy_logprob_shard *restrict shard, merge_sums *restrict to,
                       merge_block *restrict b)
{
    float target[MERGE_ROWS];
    for (int i = 0; i < MERGE_ROWS; i++) {
        __builtin_prefetch(&shard[i + MERGE_AHEAD]);
        to->sum[i] = shard[i].sum;
        to->moment[i] = shard[i].moment;
        to->squares[i] = shard[i].squares;
        to->exponent[i] = shard[i].exponent;
        to->argmax[i] = shard[i].argmax;
        to->max[i] = shard[i].max;
        target[i] = shard[i].target;
    }
    for (int i = 0; i < MERGE_ROWS; i++) {
        b->x[i] = (target[i] > b->x[i]) | m_is_nan32(target[i]) ? target[i] : b->x[i];
        b->usual[i] &= !m_is_nan32(target[i]) & (to->max[i] < m_inf32());
    }
    // Without weights, all that is added below is 0 too.
    for (int i = 0; i < MERGE_ROWS; i++) {
        const int weighs =
            (to->sum[i] > 0x1p-900) & (to->sum[i] < 0x1p900) & (to->squares[i] > 0.0);
        const int none = (to->sum[i] == 0.0) & (to->moment[i] == 0.0) & (to->squares[i] == 0.0);
        const int32_t exponent = to->exponent[i];
        const int near = (exponent > -MERGE_EXPONENT) & (exponent < MERGE_EXPONENT);
        b->usual[i] &= (weighs & near) | (none & (exponent == INT32_MIN));
    }
}

// The tree over ranks -----------------------------------------------------------------------------

// a = merit_logprob_sums_merge(a, b). Where one has no weights, its zeros are moved and added: exact too.
static void merge_pair(merge_sums *restrict a, const merge_sums *restrict b, int squares)
{
    double of_a[MERGE_ROWS], of_b[MERGE_ROWS]; // how far each is moved down
    int64_t move_a[MERGE_ROWS], move_b[MERGE_ROWS]; // the same, as merit_logprob_lower has it
    for (int i = 0; i < MERGE_ROWS; i++) {
        const int later = b->max[i] > a->max[i];
        a->argmax[i] = later ? b->argmax[i] : a->argmax[i];
        a->max[i] = later ? b->max[i] : a->max[i];
    }
    for (int i = 0; i < MERGE_ROWS; i++) {
        const int32_t exponent = a->exponent[i] > b->exponent[i] ? a->exponent[i] : b->exponent[i];
        of_a[i] = m_sub64((double)a->exponent[i], (double)exponent);
        of_b[i] = m_sub64((double)b->exponent[i], (double)exponent);
        a->exponent[i] = exponent;
    }
    for (int i = 0; i < MERGE_ROWS; i++) {
        move_a[i] = m_rounded_int64(m_add64(m_max64(of_a[i], -1000.0), MERIT_ROUND64));
        move_b[i] = m_rounded_int64(m_add64(m_max64(of_b[i], -1000.0), MERIT_ROUND64));
    }
    for (int i = 0; i < MERGE_ROWS; i++) {
        const double moment_a = m_add64(a->moment[i], m_mul64(a->sum[i], of_a[i]));
        const double moment_b = m_add64(b->moment[i], m_mul64(b->sum[i], of_b[i]));
        a->sum[i] = m_add64(m_scale64(a->sum[i], move_a[i]), m_scale64(b->sum[i], move_b[i]));
        a->moment[i] = m_add64(m_scale64(moment_a, move_a[i]), m_scale64(moment_b, move_b[i]));
    }
    if (!squares) return;
    for (int i = 0; i < MERGE_ROWS; i++) {
        const double both_a = m_max64(m_add64(of_a[i], of_a[i]), -1000.0);
        const double both_b = m_max64(m_add64(of_b[i], of_b[i]), -1000.0);
        move_a[i] = m_rounded_int64(m_add64(both_a, MERIT_ROUND64));
        move_b[i] = m_rounded_int64(m_add64(both_b, MERIT_ROUND64));
        a->squares[i] =
            m_add64(m_scale64(a->squares[i], move_a[i]), m_scale64(b->squares[i], move_b[i]));
    }
}

// Of all ranks, into level[0]: pushed as to merit_logprob_stack.
static void merge_ranks(const merit_policy_logprob_merge_args *args, int64_t first, merge_block *b)
{
    const int squares = args->io.sum_sq != NULL;
    int depth = 0;
    for (int i = 0; i < MERGE_ROWS; i++) {
        b->x[i] = -m_inf32();
    }
    for (int32_t p = 0; p < args->d.num_shards; p++) {
        merge_read(merit_logprob_shard_at(args, first, p), &b->level[depth++], b);
        for (int32_t bits = p; (bits & 1) != 0; bits >>= 1, depth--) {
            merge_pair(&b->level[depth - 2], &b->level[depth - 1], squares);
        }
    }
    for (; depth > 1; depth--) {
        merge_pair(&b->level[depth - 2], &b->level[depth - 1], squares);
    }
}

// Results -----------------------------------------------------------------------------------------

static void merge_weights(int has_targets, merge_block *restrict b)
{
    const merge_sums *const all = &b->level[0];
    for (int i = 0; i < MERGE_ROWS; i++) {
        b->usual[i] &= m_abs32(m_mul(all->max[i], b->factor[i])) < 0x1p22f;
        const merit_logprob_reference whole =
            merit_logprob_reference_at(b->factor[i], all->exponent[i]);
        b->of_max[i] = merit_logprob_weight(&whole, all->max[i]);
    }
    for (int i = 0; i < MERGE_ROWS; i++) {
        b->usual[i] &= all->sum[i] > 0.0;
        b->log_all[i] = m_log2_64(all->sum[i]);
    }
    if (!has_targets) return;
    for (int i = 0; i < MERGE_ROWS; i++) {
        b->usual[i] &= m_abs32(b->x[i]) < m_inf32();
        const merit_logprob_reference whole =
            merit_logprob_reference_at(b->factor[i], all->exponent[i]);
        b->of_target[i] = merit_logprob_weight(&whole, b->x[i]);
    }
}

static void merge_logprobs(const merge_block *restrict b, float *restrict out)
{
    const merge_sums *const all = &b->level[0];
    for (int i = 0; i < MERGE_ROWS; i++) {
        const int sure = (double)b->of_target[i] == all->sum[i];
        out[i] = m_canonical32(
            merit_logprob_of_logit(b->x[i], b->factor[i], all->exponent[i], b->log_all[i], sure));
    }
}

static void merge_lse(const merge_block *restrict b, float *restrict out)
{
    const merge_sums *const all = &b->level[0];
    for (int i = 0; i < MERGE_ROWS; i++) {
        out[i] = m_canonical32(merit_logprob_lse_of(all->exponent[i], b->log_all[i]));
    }
}

static void merge_entropies(const merge_block *restrict b, float *restrict out)
{
    const merge_sums *const all = &b->level[0];
    for (int i = 0; i < MERGE_ROWS; i++) {
        const double sum = all->sum[i];
        const double moment = m_add64(all->moment[i], m_mul64(sum, 0.0)); // moved by nothing
        const int certain = (double)b->of_max[i] == sum;
        out[i] = m_canonical32(merit_logprob_entropy_of(sum, moment, sum, b->log_all[i], certain));
    }
}

static void merge_sum_sq(const merge_block *restrict b, float *restrict out)
{
    const merge_sums *const all = &b->level[0];
    for (int i = 0; i < MERGE_ROWS; i++) {
        const int certain = (double)b->of_max[i] == all->sum[i];
        out[i] = m_canonical32(merit_logprob_sum_sq_of(all->squares[i], all->sum[i], certain));
    }
}

static void merge_states(const merge_block *restrict b, merit_policy_logprob_state *restrict out)
{
    const merge_sums *const all = &b->level[0];
    for (int i = 0; i < MERGE_ROWS; i++) {
        merit_logprob_sums sums;
        sums.sum = all->sum[i];
        sums.exponent = all->exponent[i];
        out[i] = merit_logprob_state_of(&sums);
    }
}

// MERGE_ROWS rows from `first` on; those before `begin` once more, and not counted again.
static void merge_rows(const merit_policy_logprob_merge_args *args,
                       const merit_policy_logprob_forward_args *whole, int64_t first, int64_t begin)
{
    const merit_policy_logprob_merge_io *const io = &args->io;
    merge_block b;
    merge_targets(&args->d, io->targets, first, b.usual);
    merge_factors(&args->d, io->temperatures, first, &b);
    merge_ranks(args, first, &b);
    merge_weights(io->targets != NULL, &b);
    if (io->logprob != NULL) merge_logprobs(&b, io->logprob + first);
    if (io->lse != NULL) merge_lse(&b, io->lse + first);
    if (io->entropy != NULL) merge_entropies(&b, io->entropy + first);
    if (io->sum_sq != NULL) merge_sum_sq(&b, io->sum_sq + first);
    if (io->argmax != NULL) memcpy(io->argmax + first, b.level[0].argmax, sizeof b.level[0].argmax);
    if (io->state != NULL) merge_states(&b, io->state + first);
    merit_policy_logprob_forward_args again = *whole;
    again.io.diagnostics = NULL;
    for (int i = 0; i < MERGE_ROWS; i++) {
        const int64_t t = first + i;
        if (!b.usual[i]) merit_logprob_merge_row(args, t < begin ? &again : whole, t);
    }
}

#endif
