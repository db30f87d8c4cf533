// dominance_quantile_sort by the comparison that its order is, and the library's qsort.
#ifndef MERIT_TESTS_QUANTILE_SORT_ORACLE_H
#define MERIT_TESTS_QUANTILE_SORT_ORACLE_H

#include <stdint.h>

// Where the sorted elements of a row stood: index[k] for the k-th of them.
void sort_oracle_row(const float *values, int levels, int32_t *index);

#endif
