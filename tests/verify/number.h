// Elements of any tensor type: their value, their rounding, the steps between two of them.
#ifndef MERIT_CASE_NUMBER_H
#define MERIT_CASE_NUMBER_H

#include "safetensors.h"

bool number_is_float(st_dtype dtype);

// The bits of element i of an array at any alignment, zero-extended.
uint64_t number_bits(st_dtype dtype, const void *data, int64_t i);

// Value of a word. Integers above 2^53 round.
double number_value(st_dtype dtype, uint64_t bits);

// A double as a word of `dtype`: floats round to nearest even, NaN is the canonical one. False
// when an integer type does not hold the value exactly.
bool number_round(st_dtype dtype, double value, uint64_t *bits);

bool number_is_nan(st_dtype dtype, uint64_t bits);
bool number_is_inf(st_dtype dtype, uint64_t bits);
uint64_t number_canonical_nan(st_dtype dtype);

// Representable values from a to b, UINT64_MAX when one is NaN; -0 and +0 are one value. For
// integers the absolute difference.
uint64_t number_steps(st_dtype dtype, uint64_t a, uint64_t b);

// "-0.9258201 (0xbf6d0290)"
void number_text(st_dtype dtype, uint64_t bits, char *text, size_t size);

#endif
