// policy_logprob_backward, CPU. Threads own pieces of rows; a piece is read before its gradient is written over
// it. Bound by the arithmetic of 2^x.
#include "../backend.h"
#include "../core/parallel.h"
#include "policy_logprob_gradient.h"
#include "policy_logprob_words_cpu.h"

enum { PIECE = 1024 }; // logits: small enough for L1, in and out and between

// Logits that enter as they are, none of them the target's.
static void plain_gradients(const merit_logprob_slope *slope, const float *x, int count, float *g)
{
    const merit_logprob_slope s = *slope;
    for (int i = 0; i < count; i++) {
        g[i] = merit_logprob_gradient(&s, x[i], 0);
    }
}

static void plain_entropic_gradients(const merit_logprob_slope *slope, const float *x, int count,
                                     float *g)
{
    const merit_logprob_slope s = *slope;
    for (int i = 0; i < count; i++) {
        g[i] = merit_logprob_gradient(&s, x[i], 1);
    }
}

static void gradients(const merit_policy_logprob_backward_args *args,
                      const merit_logprob_slope *slope, const float *x, int64_t first, int count,
                      float *g)
{
    if (slope->fate != MERIT_LOGPROB_SLOPES) {
        const float filling = merit_logprob_filling(slope);
        for (int i = 0; i < count; i++) {
            g[i] = filling;
        }
        return;
    }
    if (!args->plain) {
        for (int i = 0; i < count; i++) {
            g[i] = merit_logprob_gradient_of(args, slope, x[i], first + i);
        }
        return;
    }
    if (args->io.grad_entropy != NULL) {
        plain_entropic_gradients(slope, x, count, g);
    } else {
        plain_gradients(slope, x, count, g);
    }
    const int64_t at = slope->target - first;
    if (slope->target >= 0 && at >= 0 && at < count) {
        g[at] = merit_logprob_gradient_as(args, slope, x[at], slope->target, 1);
    }
}

static void run_pieces(void *state, int64_t begin, int64_t end)
{
    const merit_policy_logprob_backward_args *const args = state;
    const merit_policy_logprob_desc *const d = &args->d;
    float x[PIECE], g[PIECE];
    for (int64_t i = begin; i < end; i++) {
        const int64_t piece = i % args->parts;
        int32_t counter;
        const merit_logprob_slope slope =
            merit_logprob_slope_begin(args, i / args->parts, &counter);
        if (piece == 0 && counter >= 0) m_count(args->io.diagnostics, counter, 1);
        const int64_t first = piece * PIECE;
        const int64_t left = d->vocab_size - first;
        const int count = (int)(left < PIECE ? left : PIECE);
        if (slope.fate == MERIT_LOGPROB_SLOPES)
            logits_widen(slope.logits, d->dtype, first, count, x);
        gradients(args, &slope, x, first, count, g);
        logits_narrow(g, count, slope.grad, d->dtype, first);
    }
}

// A subset alone: zeros but for its ids, whose logits are read first.
static void run_subsets(void *state, int64_t begin, int64_t end)
{
    const merit_policy_logprob_backward_args *const args = state;
    const merit_policy_logprob_desc *const d = &args->d;
    for (int64_t t = begin; t < end; t++) {
        int32_t counter;
        const merit_logprob_slope slope = merit_logprob_slope_begin(args, t, &counter);
        if (counter >= 0) m_count(args->io.diagnostics, counter, 1);
        const int32_t *const ids = args->io.subset_ids + t * d->ld_subset;
        const int size = slope.fate == MERIT_LOGPROB_SLOPES ? d->subset_size : 0;
        float g[MERIT_LOGPROB_MAX_SUBSET];
        for (int i = 0; i < size; i++) {
            const float x = merit_logprob_load(slope.logits, d->dtype, ids[i]);
            g[i] = merit_logprob_gradient_of(args, &slope, x, ids[i]);
        }
        const float filling =
            slope.fate == MERIT_LOGPROB_NANS ? m_nan32() : 0.0f; // also outside the subset
        for (int64_t v = 0; v < d->vocab_size; v++) {
            merit_logprob_store(slope.grad, d->dtype, v, filling);
        }
        for (int i = 0; i < size; i++) {
            merit_logprob_store(slope.grad, d->dtype, ids[i], g[i]);
        }
    }
}

int MERIT_BACKEND_FN(policy_logprob_backward)(const merit_policy_logprob_backward_args *args,
                                              const merit_launch *launch)
{
    merit_policy_logprob_backward_args a = *args;
    const int64_t rows = a.d.num_tokens;
    if (a.listed) {
        merit_parallel_ranges(launch->num_threads, rows, 1, run_subsets, &a);
        return 0;
    }
    a.parts = (int32_t)((a.d.vocab_size + PIECE - 1) / PIECE);
    merit_parallel_ranges(launch->num_threads, rows * a.parts, 1, run_pieces, &a);
    return 0;
}
