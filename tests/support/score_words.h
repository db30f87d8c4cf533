// Arrays of a 16-bit or 32-bit type from floats that the type holds, and back.
#ifndef MERIT_TESTS_SCORE_WORDS_H
#define MERIT_TESTS_SCORE_WORDS_H

#include <stddef.h>
#include <stdint.h>

size_t score_word_bytes(int32_t dtype);
void score_to_word(void *word, float value, int32_t dtype);
double score_from_word(const void *word, int32_t dtype);

// `rows` rows of `columns` values at `stride`, ranks of 0xff bytes between them; malloc'ed.
void *score_store_rows(const float *values, int64_t rows, int64_t columns, int64_t stride,
                       int32_t dtype);

#endif
