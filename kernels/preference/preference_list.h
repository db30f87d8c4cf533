// preference_list: the formulas of one group, item by item.
#ifndef MERIT_PREFERENCE_LIST_H
#define MERIT_PREFERENCE_LIST_H

#include "../core/lanes.h"
#include "preference_list_items.h"
#include "preference_list_output.h"
#include "preference_list_pairs.h"
#include "preference_list_ranks.h"

#endif
