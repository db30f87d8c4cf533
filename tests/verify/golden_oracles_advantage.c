// Golden cases of the advantages against their C oracles.
#include "advantage_case.h"
#include "golden_oracles.h"

const char *golden_advantage_group(tk_fixture *tk, const void *desc, const void *io)
{
    ag_case c = {.d = *(const merit_advantage_group_desc *)desc,
                 .io = *(const merit_advantage_group_io *)io,
                 .outputs = AG_ALL};
    c.in_place = c.io.advantages == c.io.rewards;
    ag_check(tk, &c);
    return NULL;
}
