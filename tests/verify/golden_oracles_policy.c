// Golden cases of the policy operations against their C oracles.
#include "golden_oracles.h"
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
