#include "quantile_sort_oracle.h"

#include <math.h>
#include <stdlib.h>

typedef struct element {
    float value;
    int32_t place;
} element;

static int compare(const void *first, const void *second)
{
    const element *const a = first, *const b = second;
    const int nan_a = isnan(a->value), nan_b = isnan(b->value);
    if (nan_a != nan_b) return nan_a - nan_b;
    if (!nan_a && a->value != b->value) return a->value < b->value ? -1 : 1;
    const int zeros = !nan_a && a->value == 0;
    const int sign_a = zeros && signbit(a->value), sign_b = zeros && signbit(b->value);
    if (sign_a != sign_b) return sign_b - sign_a;
    return (a->place > b->place) - (a->place < b->place);
}

void sort_oracle_row(const float *values, int levels, int32_t *index)
{
    element *const row = malloc((size_t)levels * sizeof *row);
    for (int n = 0; n < levels; n++) {
        row[n] = (element){values[n], n};
    }
    qsort(row, (size_t)levels, sizeof *row, compare);
    for (int n = 0; n < levels; n++) {
        index[n] = row[n].place;
    }
    free(row);
}
