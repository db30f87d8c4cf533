// The options of preference_ordinal as data: the defaults and the named presets.
#ifndef MERIT_PREFERENCE_ORDINAL_PRESETS_H
#define MERIT_PREFERENCE_ORDINAL_PRESETS_H

#include <merit/preference.h>

// What merit_preference_ordinal_desc_init writes; struct_size is that of this library.
extern const merit_preference_ordinal_desc merit_preference_ordinal_defaults;

#endif
