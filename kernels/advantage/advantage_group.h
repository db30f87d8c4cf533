// advantage_group: the arguments of its launchers and every scalar formula, once for both backends.
#ifndef MERIT_ADVANTAGE_GROUP_H
#define MERIT_ADVANTAGE_GROUP_H

#include "advantage_group_args.h"
#include "advantage_group_input.h"
#include "advantage_group_output.h"
#include "advantage_group_statistics.h"

#endif
