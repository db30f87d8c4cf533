// Public returns as grids of quantile levels: states are games, actions are algorithms, one objective.
#ifndef MERIT_TESTS_DOMINANCE_DATA_H
#define MERIT_TESTS_DOMINANCE_DATA_H

#include <stdint.h>

// Ascending rows; a grid that all rows of a set share, each value repeated as often as that takes.
typedef struct dominance_data {
    const char *folder; // of MERIT_DATA_DIR
    int B, A, N;
    double *levels; // [B,A,N]
    float *rounded; // the same in binary32
} dominance_data;

dominance_data dominance_data_atari(void); // 26 games, 4 algorithms, 100 levels
dominance_data dominance_data_dopamine(void); // 30 games, 6 agents, 500 levels
dominance_data dominance_data_alpaca(void); // 1 state, 29 models, 802 levels
void dominance_data_free(dominance_data *s);

// The expected array folder/expected_<name>.npy, [B,A,A]. Released by the caller.
double *dominance_data_expected(const dominance_data *s, const char *name);

#endif
