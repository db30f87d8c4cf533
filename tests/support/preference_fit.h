// Maximum likelihood strengths from battles, by Newton steps on the gradients of
// merit_preference_pair.
#ifndef MERIT_TESTS_PREFERENCE_FIT_H
#define MERIT_TESTS_PREFERENCE_FIT_H

#include "preference_case.h"

enum { PF_MAX_PLAYERS = 64, PF_MAX_PARAMETERS = PF_MAX_PLAYERS + 2 };

typedef struct pf_battles {
    int num_players;
    int64_t num_battles;
    int32_t *first, *second;
    int8_t *outcomes; // of first: 1 won, 0 tie, -1 lost
    float *weights; // battles of this outcome
    float *home; // 1: first is at home, -1: second; NULL: no home effect
} pf_battles;

pf_battles pf_create(int num_players, int64_t capacity);
void pf_free(pf_battles *battles);

// count > 0 battles of one outcome.
void pf_add(pf_battles *battles, int first, int second, int outcome, double count);

typedef struct pf_fit {
    double strength[PF_MAX_PLAYERS]; // that of the reference player is 0
    double home, log_tie; // 0 unless fitted
    double loss; // sum over battles
    double last_step; // of Newton
} pf_fit;

// reference: the player held at 0. tie_model: HALF, RAO_KUPPER or DAVIDSON.
pf_fit pf_run(tk_fixture *tk, const pf_battles *battles, int reference, int32_t tie_model);

// Gradient of the summed loss wrt all strengths at given strengths, and the loss.
double pf_gradient(tk_fixture *tk, const pf_battles *battles, const double *strength,
                   double *gradient);

#endif
