// preference_list: an item meets the others of its group (ALL_PAIRS).
#ifndef MERIT_PREFERENCE_LIST_PAIRS_H
#define MERIT_PREFERENCE_LIST_PAIRS_H

#include "preference_list_input.h"

// What an item of ALL_PAIRS gathers from the others, in rising order of theirs.
typedef struct merit_list_gathered {
    double loss; // of the pairs that it should win
    double slope;
    int32_t concordant; // of these, by their x
    int32_t discordant;
    int32_t tied;
} merit_list_gathered;

// A pair as both of its items see it; wins: the first should.
typedef struct merit_list_pair {
    double loss;
    double slope; // of the winner's x
} merit_list_pair;

MERIT_HD static inline merit_list_pair merit_list_pair_of(const merit_preference_link *link,
                                                          double margin, int wins, double x,
                                                          double other_x)
{
    const double gap = wins ? m_sub64(x, other_x) : m_sub64(other_x, x);
    const merit_preference_value v = merit_preference_evaluate(link, m_sub64(gap, margin));
    merit_list_pair pair;
    pair.loss = merit_preference_is_beyond(link->link, v.value) ? m_inf64() : v.value;
    pair.slope = v.slope;
    return pair;
}

// Item (x, key) meets item (other_x, other_key). Pairs of equal keys, and NaN keys, add zeros.
MERIT_HD static inline void merit_list_meet(const merit_preference_link *link, double margin,
                                            merit_list_gathered *m, double x, double key,
                                            double other_x, double other_key)
{
    const int wins = key > other_key;
    const int loses = key < other_key;
    const merit_list_pair pair = merit_list_pair_of(link, margin, wins, x, other_x);
    m->loss = m_add64(m->loss, wins ? pair.loss : 0.0);
    m->slope = m_add64(m->slope, wins ? pair.slope : loses ? -pair.slope : 0.0);
    m->concordant += wins & (x > other_x);
    m->discordant += wins & (x < other_x);
    m->tied += wins & (x == other_x);
}

#endif
