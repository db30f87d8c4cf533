// The links and tie models of preference_pair in MPFR: what the stated error bounds are checked against.
#ifndef MERIT_TESTS_PREFERENCE_EXACT_H
#define MERIT_TESTS_PREFERENCE_EXACT_H

#include <merit/merit.h>

// Of the loss of one pair, and of its derivative with respect to z, or to log_tie.
typedef enum pe_quantity { PE_LOSS, PE_SLOPE, PE_TIE_SLOPE } pe_quantity;

// Under HALF: phi(z) and phi'(z) of a link. Under RAO_KUPPER and DAVIDSON: of a win at z, or of a tie.
typedef struct pe_function {
    int32_t link;
    float link_param;
    int32_t tie_model;
    float log_tie;
    int is_tie;
} pe_function;

// Distance of `actual` from the exact quantity at z, in units of the last place of binary32 at the exact
// one (of subnormal numbers, 2^-149).
double pe_ulps(const pe_function *f, pe_quantity quantity, double z, double actual);

#endif
