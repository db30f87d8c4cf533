// Golden cases of the advantages against their C oracles.
#include <stdlib.h>

#include "advantage_case.h"
#include "golden_oracles.h"
#include "group_case.h"

const char *golden_advantage_group(tk_fixture *tk, const void *desc, const void *io)
{
    ag_case c = {.d = *(const merit_advantage_group_desc *)desc,
                 .io = *(const merit_advantage_group_io *)io,
                 .outputs = AG_ALL};
    c.in_place = c.io.advantages == c.io.rewards;
    ag_check(tk, &c);
    return NULL;
}

const char *golden_group_index(tk_fixture *tk, const void *desc, const void *io)
{
    const merit_group_index_desc *const d = desc;
    const merit_group_index_io *const in = io;
    int64_t *const ids = golden_integers(in->ids, d->id_dtype, d->num_rows);
    const gi_case c = {.d = *d, .ids = ids, .outputs = GI_ALL};
    gi_expect_oracle(tk, tk->ctx, &c);
    free(ids);
    return NULL;
}
