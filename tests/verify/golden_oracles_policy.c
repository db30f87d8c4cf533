// Golden cases of the policy operations against their C oracles.
#include <stdlib.h>

#include "golden_oracles.h"
#include "logprob_case.h"
#include "policy_case.h"

const char *golden_policy_loss(tk_fixture *tk, const void *desc, const void *io)
{
    policy_case c = {.d = *(const merit_policy_loss_desc *)desc,
                     .io = *(const merit_policy_loss_io *)io,
                     .outputs = PLC_ALL};
    const float *const grad = c.io.grad_logprob;
    c.place = grad == NULL           ? PLC_APART
              : grad == c.io.old     ? PLC_ON_OLD
              : grad == c.io.ref     ? PLC_ON_REF
              : grad == c.io.rollout ? PLC_ON_ROLLOUT
                                     : PLC_APART;
    if (c.io.grad_entropy == NULL) c.outputs &= ~PLC_GRAD_ENTROPY;
    plc_check(tk, &c);
    return NULL;
}

// The inputs that both directions share; logits and targets are to be freed.
static logprob_case logprob_case_of(const merit_policy_logprob_desc *d, const void *logits,
                                    const void *targets)
{
    const int64_t T = d->num_tokens, V = d->vocab_size;
    return (logprob_case){
        .d = *d,
        .logits = golden_rows(logits, d->dtype, T, d->ld_logits == 0 ? V : d->ld_logits, V),
        .targets = golden_integers(targets, d->target_dtype, T)};
}

static void free_inputs(logprob_case *c)
{
    free((void *)(uintptr_t)c->logits), free((void *)(uintptr_t)c->targets);
}

const char *golden_policy_logprob_forward(tk_fixture *tk, const void *desc, const void *io)
{
    const merit_policy_logprob_forward_io *const in = io;
    const merit_policy_logprob_desc *const d = desc;
    if (d->partials != 0) return "the oracle has no partial results of shards";
    logprob_case c = logprob_case_of(desc, in->logits, in->targets);
    c.temperatures = in->temperatures, c.keep_mask = in->keep_mask, c.subset_ids = in->subset_ids;
    c.outputs = LP_DIAGNOSTICS | (in->logprob ? LP_LOGPROB : 0) | (in->lse ? LP_LSE : 0) |
                (in->entropy ? LP_ENTROPY : 0) | (in->sum_sq ? LP_SUM_SQ : 0) |
                (in->mass ? LP_MASS : 0) | (in->argmax ? LP_ARGMAX : 0) |
                (in->state ? LP_STATE : 0);
    logprob_check(tk, &c);
    free_inputs(&c);
    return NULL;
}

// state, entropy and mass come from a forward call here, as the case says that they do.
const char *golden_policy_logprob_backward(tk_fixture *tk, const void *desc, const void *io)
{
    const merit_policy_logprob_backward_io *const in = io;
    const merit_policy_logprob_desc *const d = desc;
    if (d->partials != 0) return "the oracle has no vocabulary of shards";
    logprob_case c = logprob_case_of(desc, in->logits, in->targets);
    c.temperatures = in->temperatures, c.keep_mask = in->keep_mask, c.subset_ids = in->subset_ids;
    logprob_check_backward(tk, &c, in->grad_logprob, in->grad_entropy,
                           in->grad_logits == in->logits);
    free_inputs(&c);
    return NULL;
}
