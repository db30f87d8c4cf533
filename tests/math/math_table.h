// The table of the mathematics: function, range, reference, bound. test_math samples it,
// exhaustive_math sweeps it.
#ifndef MERIT_TESTS_MATH_TABLE_H
#define MERIT_TESTS_MATH_TABLE_H

#include "math_variant.h"

#include <stdint.h>

#include <mpfr.h>

// A lo map other than -1: the value judged is hi + lo, in ulp of a single word.
typedef struct math_row32 {
    const char *name;
    int map, lo_map;
    double low, high; // inputs to judge; NaN is one of them if both are infinite
    double (*reference)(double); // good to 2^-50
    double max_ulp;
} math_row32;

typedef struct math_row64 {
    const char *name;
    int map, lo_map;
    double low, high;
    void (*reference)(mpfr_ptr y, mpfr_srcptr x); // correct to the precision of y
    double max_ulp;
} math_row64;

extern const math_row32 math_table32[];
extern const math_row64 math_table64[];
extern const int math_num_rows32, math_num_rows64;

// Bits of the precision that references for binary64 work in.
#define MATH_PRECISION 128

// Error of the result hi + lo at x in ulp of the word that the exact result rounds to. A NaN must be
// the canonical one and an overflow must be right: else the error is infinite.
double math_error32(const math_row32 *row, float x, float hi, float lo);
double math_error64(const math_row64 *row, double x, double hi, double lo);

// xorshift64*: any sequence will do, as long as it is the same on every run.
uint64_t math_random(uint64_t *state);

// An input of a binary64 row: over its whole range, near 0, or any bit pattern, in turn.
double math_random_input64(const math_row64 *row, uint64_t *state);

// Words of the 16-bit formats, decoded and encoded through frexp and rint. exponent_bits is 8 for
// bf16 and 5 for f16. Encoding rounds to nearest even; NaN gives the canonical word.
double math_decode16(uint16_t word, int exponent_bits);
uint16_t math_encode16(double a, int exponent_bits);

// A numerator for c / d that rounds with difficulty: c d^-1 is next to a midpoint, or the
// significands of both are close to a power of two.
void math_hard_quotient(uint64_t *state, double *c, double *d);

#endif
