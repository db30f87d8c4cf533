// Golden cases of the preference losses against their C oracles.
#include <stdlib.h>

#include "golden_oracles.h"
#include "list_case.h"
#include "ordinal_case.h"
#include "preference_case.h"

const char *golden_preference_pair(tk_fixture *tk, const void *desc, const void *io)
{
    pc_case c = {.d = *(const merit_preference_pair_desc *)desc,
                 .io = *(const merit_preference_pair_io *)io,
                 .outputs = PC_ALL};
    if (c.io.grad_chosen == NULL) c.outputs &= ~PC_GRAD_CHOSEN;
    if (c.io.grad_rejected == NULL) c.outputs &= ~PC_GRAD_REJECTED;
    if (c.io.chosen != NULL && c.io.grad_chosen == c.io.chosen) c.in_place |= PC_GRAD_CHOSEN;
    if (c.io.rejected != NULL && c.io.grad_rejected == c.io.rejected) {
        c.in_place |= PC_GRAD_REJECTED;
    }
    pc_check(tk, &c);
    return NULL;
}

const char *golden_preference_list(tk_fixture *tk, const void *desc, const void *io)
{
    list_case c = {.d = *(const merit_preference_list_desc *)desc,
                   .io = *(const merit_preference_list_io *)io,
                   .outputs = PL_ALL};
    float *const scores =
        golden_rows(c.io.scores, c.d.score_dtype, c.d.num_items, c.d.score_stride, 1);
    c.scores = scores;
    c.in_place = c.io.grad_scores == c.io.scores;
    list_check(tk, &c);
    free(scores);
    return NULL;
}

const char *golden_preference_ordinal(tk_fixture *tk, const void *desc, const void *io)
{
    ordinal_case c = {.d = *(const merit_preference_ordinal_desc *)desc,
                      .io = *(const merit_preference_ordinal_io *)io,
                      .outputs = PO_ALL};
    const int64_t N = c.d.num_pairs, K = c.d.num_levels;
    float *const chosen = golden_rows(c.io.chosen_logits, c.d.logit_dtype, N,
                                      c.d.chosen_stride == 0 ? K : c.d.chosen_stride, K);
    float *const rejected = golden_rows(c.io.rejected_logits, c.d.logit_dtype, N,
                                        c.d.rejected_stride == 0 ? K : c.d.rejected_stride, K);
    c.chosen = chosen, c.rejected = rejected;
    c.in_place = c.io.grad_chosen_logits == c.io.chosen_logits;
    ordinal_check(tk, &c);
    free(chosen), free(rejected);
    return NULL;
}
