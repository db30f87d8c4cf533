#ifndef MERIT_CORE_EXACT_H
#define MERIT_CORE_EXACT_H
#include "exact64.h"
#endif
