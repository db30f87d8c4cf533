// Preferences: losses over pairs, lists and pairs of rating distributions, with gradients and metrics.
#ifndef MERIT_PREFERENCE_H
#define MERIT_PREFERENCE_H

#include "preference_levels.h"
#include "preference_lists.h"
#include "preference_pairs.h"

#endif
