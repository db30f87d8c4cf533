// preference_ordinal, CPU. Threads own ranges of pairs, sixteen at a time; a pair's logits are copied
// first, so that its gradients may be written over them.
#include "../backend.h"
#include "preference_ordinal_block_cpu.h"
#include "preference_terms_cpu.h"

// Rows --------------------------------------------------------------------------------------------

static void read_row(const merit_preference_ordinal_args *args, const void *logits, int64_t at,
                     uint32_t *words)
{
    const int levels = args->d.num_levels;
    for (int k = 0; k < levels; k++) {
        words[k] = m_bits32((float)m_load_real(logits, args->d.logit_dtype, at + k));
    }
}

static void write_row(const merit_preference_ordinal_args *args, void *grad, int64_t at,
                      const uint32_t *words)
{
    if (grad == NULL) return;
    const int levels = args->d.num_levels;
    if (args->d.logit_dtype == MERIT_DTYPE_F32) {
        memcpy((uint32_t *)grad + at, words, (size_t)levels * sizeof *words);
        return;
    }
    for (int k = 0; k < levels; k++) {
        ((uint16_t *)grad)[at + k] = (uint16_t)words[k];
    }
}

typedef struct ordinal_run {
    const merit_preference_ordinal_args *args;
    double scale;
} ordinal_run;

static void run_pair(const ordinal_run *run, int64_t i)
{
    const merit_preference_ordinal_args *const args = run->args;
    uint32_t words[3][MERIT_ORDINAL_MAX_LEVELS];
    merit_ordinal_pair p = {.a = words[0], .b = words[1], .spare = words[2]};
    if (merit_ordinal_begin(args, &p, i)) {
        read_row(args, args->io.chosen_logits, i * args->d.chosen_stride, p.a);
        read_row(args, args->io.rejected_logits, i * args->d.rejected_stride, p.b);
        merit_ordinal_evaluate(args, &p);
    }
    merit_ordinal_write(args, &p);
    if (args->io.grad_chosen_logits == NULL && args->io.grad_rejected_logits == NULL) return;
    merit_ordinal_gradients(args, &p, run->scale);
    write_row(args, args->io.grad_chosen_logits, i * args->d.grad_chosen_stride, p.a);
    write_row(args, args->io.grad_rejected_logits, i * args->d.grad_rejected_stride, p.spare);
}

// Options that loops depend on, as literals.
static void run_block(const ordinal_run *run, int64_t first, ordinal_block *block)
{
    switch (run->args->d.logit_dtype) {
    case MERIT_DTYPE_BF16:
        ordinal_run_block(run->args, MERIT_DTYPE_BF16, first, run->scale, block);
        break;
    case MERIT_DTYPE_F16:
        ordinal_run_block(run->args, MERIT_DTYPE_F16, first, run->scale, block);
        break;
    default: ordinal_run_block(run->args, MERIT_DTYPE_F32, first, run->scale, block); break;
    }
}

static void run_pairs(void *state, int64_t begin, int64_t end)
{
    const ordinal_run *const run = state;
    ordinal_block block;
    int64_t i = begin;
    for (; i + ORDINAL_BLOCK <= end; i += ORDINAL_BLOCK) {
        run_block(run, i, &block);
        for (int l = 0; l < ORDINAL_BLOCK; l++) {
            if (!block.near[l]) run_pair(run, i + l);
        }
    }
    for (; i < end; i++) {
        run_pair(run, i);
    }
}

// Divisor -----------------------------------------------------------------------------------------

static void sum_tiles(void *state, int64_t begin, int64_t end)
{
    const merit_preference_ordinal_args *const args = state;
    for (int64_t tile = begin; tile < end; tile++) {
        const int64_t first = tile * MERIT_TILE;
        const int64_t left = args->d.num_pairs - first;
        const int length = (int)(left < MERIT_TILE ? left : MERIT_TILE);
        double terms[MERIT_TILE];
        for (int j = 0; j < length; j++) {
            terms[j] = merit_ordinal_divisor_term(args, first + j);
        }
        args->divisor_tiles[tile] = merit_tile_sum64(terms, length);
    }
}

static double find_divisor(const merit_preference_ordinal_args *args, int num_threads)
{
    if (!args->needs_divisor) return (double)args->d.num_pairs;
    const int64_t tiles = merit_preference_num_tiles(&args->terms);
    merit_parallel_ranges(num_threads, tiles, 1, sum_tiles, (void *)args);
    merit_tile_sum sum = {0};
    for (int64_t tile = 0; tile < tiles; tile++) {
        merit_tile_sum_push(&sum, args->divisor_tiles[tile]);
    }
    return merit_tile_sum_finish(&sum);
}

// Launcher ----------------------------------------------------------------------------------------

merit_preference_ordinal_launcher MERIT_BACKEND_FN(preference_ordinal);

int MERIT_BACKEND_FN(preference_ordinal)(const merit_preference_ordinal_args *args,
                                         const merit_launch *launch)
{
    merit_preference_ordinal_args a = *args;
    ordinal_run run = {.args = &a};
    run.scale = merit_ordinal_scale(&a, find_divisor(&a, launch->num_threads));
    merit_parallel_ranges(launch->num_threads, a.d.num_pairs, 16, run_pairs, &run);
    if (a.needs_fold) {
        const merit_preference_totals totals = preference_fold(&a.terms, launch->num_threads);
        merit_ordinal_write_totals(&a, &totals);
    }
    return 0;
}
