// The whole public API of merit.
#ifndef MERIT_MERIT_H
#define MERIT_MERIT_H

#define MERIT_VERSION_MAJOR 0
#define MERIT_VERSION_MINOR 1
#define MERIT_VERSION_PATCH 0

#include "advantage.h"
#include "comm.h"
#include "comm_folds.h"
#include "comm_shards.h"
#include "context.h"
#include "dominance.h"
#include "dominance_quantile.h"
#include "policy.h"
#include "policy_loss.h"
#include "preference.h"
#include "score.h"
#include "status.h"
#include "types.h"

#endif
