// score_gather and score_products, CPU: the twins of the device's, for contexts whose arrays a library on
// the host multiplies.
#include "../backend.h"
#include "../core/parallel.h"
#include "score_find_cpu.h"
#include "score_gather.h"

static void gather_rows(void *state, int64_t begin, int64_t end)
{
    const merit_score_gather_args *const a = state;
    for (int64_t i = begin; i < end; i++) {
        const int64_t p = a->first + i;
        const int exists = p < a->find.num_positions;
        const int64_t position = exists ? score_find(&a->find, p) : (int64_t)MERIT_POSITION_MASKED;
        if (exists) score_gather_report(a, p, position);
        a->kinds[i] = position;
        const int64_t start = score_gather_start(a, position);
        for (int64_t h = 0; h < a->d.hidden_size; h++) {
            score_gather_element(a, i, start, h);
        }
    }
}

static void finish_rows(void *state, int64_t begin, int64_t end)
{
    const merit_score_products_args *const a = state;
    for (int64_t i = begin; i < end; i++) {
        for (int64_t k = 0; k < a->d.num_heads; k++) {
            score_products_one(a, i, k);
        }
    }
}

merit_score_gather_launcher MERIT_BACKEND_FN(score_gather);
merit_score_products_launcher MERIT_BACKEND_FN(score_products);

int MERIT_BACKEND_FN(score_gather)(const merit_score_gather_args *args, const merit_launch *launch)
{
    for (int32_t k = 0; args->counts_std && k < args->d.num_heads; k++) {
        m_count(args->io.diagnostics, MERIT_COUNTER_BAD_STD,
                score_is_bad_std(args->io.post_std[k]));
    }
    merit_parallel_ranges(launch->num_threads, MERIT_SCORE_CHUNK, 8, gather_rows, (void *)args);
    return 0;
}

int MERIT_BACKEND_FN(score_products)(const merit_score_products_args *args,
                                     const merit_launch *launch)
{
    merit_parallel_ranges(launch->num_threads, args->count, 8, finish_rows, (void *)args);
    return 0;
}
