// The options of the dominance operations as data: the defaults and the named presets.
#ifndef MERIT_DOMINANCE_PRESETS_H
#define MERIT_DOMINANCE_PRESETS_H

#include <merit/dominance.h>
#include <merit/dominance_quantile.h>

// What the desc_init functions write; struct_size is that of this library.
extern const merit_dominance_pairwise_desc merit_dominance_pairwise_defaults;
extern const merit_dominance_subset_desc merit_dominance_subset_defaults;
extern const merit_dominance_quantile_huber_desc merit_dominance_quantile_huber_defaults;
extern const merit_dominance_quantile_target_desc merit_dominance_quantile_target_defaults;

#endif
