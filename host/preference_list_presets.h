// The options of preference_list as data: the defaults and the named presets.
#ifndef MERIT_PREFERENCE_LIST_PRESETS_H
#define MERIT_PREFERENCE_LIST_PRESETS_H

#include <merit/preference.h>

// What merit_preference_list_desc_init writes; struct_size is that of this library.
extern const merit_preference_list_desc merit_preference_list_defaults;

#endif
