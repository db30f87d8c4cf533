// Golden cases of dominance and quantiles against their C oracles.
#include <stdlib.h>

#include "dominance_case.h"
#include "golden_oracles.h"
#include "huber_case.h"
#include "sort_case.h"
#include "subset_case.h"
#include "target_case.h"

// q [B,M,A,N] of a descriptor that lays it out.
#define LEVELS(array, d)                                                                         \
    golden_floats(array, (d)->dtype,                                                             \
                  (const int64_t[4]){(d)->num_states, (d)->num_objectives, (d)->num_actions,     \
                                     (d)->num_levels},                                           \
                  (const int64_t[4]){(d)->stride_state ? (d)->stride_state                       \
                                                       : (int64_t)(d)->num_objectives *          \
                                                             (d)->num_actions * (d)->num_levels, \
                                     (d)->stride_objective                                       \
                                         ? (d)->stride_objective                                 \
                                         : (int64_t)(d)->num_actions * (d)->num_levels,          \
                                     (d)->stride_action ? (d)->stride_action : (d)->num_levels,  \
                                     (d)->stride_level ? (d)->stride_level : 1})

const char *golden_dominance_pairwise(tk_fixture *tk, const void *desc, const void *io)
{
    const merit_dominance_pairwise_desc *const d = desc;
    const merit_dominance_pairwise_io *const in = io;
    float *const q = LEVELS(in->q, d);
    const dominance_case c = {.d = *d,
                              .q = q,
                              .weights = in->weights,
                              .without_qd = in->qd == NULL,
                              .without_gain = in->gain == NULL};
    dominance_check(tk, &c);
    free(q);
    return NULL;
}

const char *golden_dominance_subset(tk_fixture *tk, const void *desc, const void *io)
{
    const merit_dominance_subset_desc *const d = desc;
    const merit_dominance_subset_io *const in = io;
    float *const q = LEVELS(in->q, d);
    const subset_case c = {
        .d = *d, .q = q, .weights = in->weights, .valid = in->valid, .random = in->random};
    const int64_t compared = subset_check(tk, &c);
    free(q);
    return tk->is_first_run && compared == 0 && d->num_states > 0 ? "every state hangs on rounding"
                                                                  : NULL;
}

const char *golden_quantile_huber(tk_fixture *tk, const void *desc, const void *io)
{
    huber_case c = {.d = *(const merit_dominance_quantile_huber_desc *)desc,
                    .io = *(const merit_dominance_quantile_huber_io *)io};
    c.in_place = c.io.grad_quantiles == c.io.quantiles;
    huber_check(tk, &c);
    return NULL;
}

const char *golden_quantile_target(tk_fixture *tk, const void *desc, const void *io)
{
    const merit_dominance_quantile_target_desc *const d = desc;
    const merit_dominance_quantile_target_io *const in = io;
    float *const q = LEVELS(in->q_next, d);
    const target_case c = {.d = *d, .io = *in, .q = q};
    target_check(tk, &c);
    free(q);
    return NULL;
}

const char *golden_quantile_sort(tk_fixture *tk, const void *desc, const void *io)
{
    const merit_dominance_quantile_sort_io *const in = io;
    const sort_case c = {.d = *(const merit_dominance_quantile_sort_desc *)desc,
                         .values = in->values,
                         .in_place = in->sorted == in->values,
                         .without_sorted = in->sorted == NULL,
                         .without_index = in->index == NULL};
    sort_check(tk, &c);
    return NULL;
}
