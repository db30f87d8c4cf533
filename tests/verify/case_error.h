// One sentence about a case that cannot be used.
#ifndef MERIT_CASE_ERROR_H
#define MERIT_CASE_ERROR_H

#include <stdbool.h>

typedef struct case_error {
    char text[1024];
} case_error;

// Writes the sentence, with unprintable bytes replaced (names come from untrusted files), and
// returns false.
bool case_fail(case_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Appends to the sentence.
void case_append(case_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
