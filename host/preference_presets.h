// The options of the preference operations as data: the defaults and the named presets.
#ifndef MERIT_PREFERENCE_PRESETS_H
#define MERIT_PREFERENCE_PRESETS_H

#include <merit/preference.h>

// What merit_preference_pair_desc_init writes; struct_size is that of this library.
extern const merit_preference_pair_desc merit_preference_pair_defaults;

#endif
