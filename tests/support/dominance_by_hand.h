// Pairs of rows worked by hand, as exact rationals: T1 to T7 of the definition of quantile dominance.
#ifndef MERIT_TESTS_DOMINANCE_BY_HAND_H
#define MERIT_TESTS_DOMINANCE_BY_HAND_H

static const struct dominance_by_hand {
    const char *name;
    int N;
    float a[10], b[10];
    double half, exclude, area, square, mann_whitney, second_order; // QD(a,b)
} dominance_by_hand[] = {
    {"T1", 4, {1, 2, 3, 4}, {0, 1, 2, 3}, 1, 1, 1, 1, 23 / 32.0, 1},
    {"T2", 4, {0, 2, 4, 6}, {1, 2, 3, 4}, 5 / 8.0, 2 / 3.0, 3 / 4.0, 5 / 6.0, 9 / 16.0, 1 / 2.0},
    {"T3", 4, {1, 1, 1, 1}, {1, 1, 1, 1}, .5, .5, .5, .5, .5, .5},
    {"T4", 10, {0}, {-10}, 11 / 20.0, 1, 1, 1, 11 / 20.0, 1},
    {"T5", 4, {2, 2, 2, 2}, {0, 1, 3, 4}, .5, .5, .5, .5, .5, 1},
    {"T6", 4, {0, 1, 2, 3}, {0, 1, 2, 2}, 5 / 8.0, 1, 1, 1, 9 / 16.0, 1},
    {"T7",
     8,
     {-4, 0, 1, 2, 3, 4, 5, 6},
     {-1, 0, 0, 1, 2, 3, 4, 5},
     13 / 16.0,
     6 / 7.0,
     2 / 3.0,
     2 / 5.0,
     75 / 128.0,
     2 / 5.0},
};

enum {
    DOMINANCE_BY_HAND = sizeof dominance_by_hand / sizeof dominance_by_hand[0],
    BY_HAND_PRESETS = 6
};

// In the order of the values.
static const char *const by_hand_presets[BY_HAND_PRESETS] = {
    "qd.win_rate", "qd.strict", "qd.area", "aso", "mann_whitney", "second_order"};

#endif
