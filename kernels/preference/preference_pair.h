// preference_pair: the formulas of one pair and of a call, for both backends.
#ifndef MERIT_PREFERENCE_PAIR_H
#define MERIT_PREFERENCE_PAIR_H

#include "preference_pair_output.h"

// Bradley-Terry on dense binary32 scores, as they are or against references (DPO), under one beta and one
// margin: no option that looks at further arrays of a pair, loss and gradients only.
MERIT_HD static inline int merit_preference_pair_is_shifted(const merit_preference_pair_args *a)
{
    const merit_preference_pair_desc *const d = &a->d;
    const merit_preference_pair_io *const io = &a->io;
    const int dense = d->score_dtype == MERIT_DTYPE_F32 && d->chosen_stride == 1 &&
                      d->rejected_stride == 1 && d->grad_chosen_stride == 1 &&
                      d->grad_rejected_stride == 1 && io->chosen != NULL && io->rejected != NULL;
    const int references = (io->ref_chosen == NULL) == (io->ref_rejected == NULL) &&
                           d->ref_chosen_stride == 1 && d->ref_rejected_stride == 1;
    const int logistic = d->link == MERIT_LINK_LOGISTIC && d->beta > 0.0f &&
                         d->beta_map == MERIT_BETA_MAP_CONSTANT &&
                         d->target == MERIT_PAIR_TARGET_CHOSEN && d->smoothing == 0.0f &&
                         d->pair_weight == 1.0f && d->center == 0.0f && d->unary[0] == 0.0f &&
                         d->unary[1] == 0.0f && d->unary[2] == 0.0f && d->unary[3] == 0.0f;
    const int whole = a->valid_is_known && d->num_routes == 1 &&
                      d->reduction != MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT;
    const int arrays = io->chosen_length != NULL || io->margins != NULL || io->weights != NULL ||
                       io->pair_loss != NULL || io->pair_probability != NULL ||
                       io->metrics != NULL || io->calibration != NULL;
    return dense && (io->ref_chosen == NULL || references) && logistic && whole && !arrays;
}

// The commonest of these: z = chosen - rejected may be taken in binary32, as rounding an exact binary64
// difference gives the same (Figueroa 1995: 53 >= 2 * 24 + 2).
MERIT_HD static inline int merit_preference_pair_is_plain(const merit_preference_pair_args *a)
{
    return merit_preference_pair_is_shifted(a) && a->d.beta == 1.0f && a->d.margin == 0.0f &&
           a->io.ref_chosen == NULL;
}

#endif
