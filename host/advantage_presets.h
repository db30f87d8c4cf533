// The options of advantage_group as data: the defaults and the named presets.
#ifndef MERIT_ADVANTAGE_PRESETS_H
#define MERIT_ADVANTAGE_PRESETS_H

#include <merit/advantage.h>

// What merit_advantage_group_desc_init writes; struct_size is that of this library.
extern const merit_advantage_group_desc merit_advantage_group_defaults;

#endif
