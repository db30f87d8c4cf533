// What preference_pair rejects.
#ifndef MERIT_PREFERENCE_PAIR_CHECKS_H
#define MERIT_PREFERENCE_PAIR_CHECKS_H

#include "check.h"

// The descriptor alone.
merit_status merit_preference_pair_check_options(merit_context *ctx,
                                                 const merit_preference_pair_desc *d);

// Arrays that options need or do not use, and values that device scalars stand in for.
merit_status merit_preference_pair_check_arrays(merit_context *ctx,
                                                const merit_preference_pair_desc *d,
                                                const merit_preference_pair_io *io);

merit_status merit_preference_pair_check_overlap(merit_context *ctx,
                                                 const merit_preference_pair_desc *d,
                                                 const merit_preference_pair_io *io);

#endif
