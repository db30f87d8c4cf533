// The tokens of policy_loss_oracle.c.
#ifndef MERIT_TESTS_POLICY_LOSS_ORACLE_TOKEN_H
#define MERIT_TESTS_POLICY_LOSS_ORACLE_TOKEN_H

#include "policy_loss_oracle.h"

typedef long double real;

#define PLO_EPS 1.2e-7L // two units of half an ulp of binary32

// One sequence at work. lp moves for differences, fixed does not.
typedef struct plo_sequence {
    const merit_policy_loss_desc *d;
    const merit_policy_loss_io *io;
    const double *lp; // [T]; NULL: io->logprob
    int64_t begin, size, n;
    real s, D, a, A;
    real rho, rho_fixed, m, reject; // of the sequence
    real geometric, geometric_mean;
} plo_sequence;

typedef struct plo_token {
    real lp, old, A, rho, r, r_fixed, inside;
    real W, gap, c, k, H;
    int alt, kept, within, surrogate;
    real low, high;
    real l, dl_rho, dl_lp; // the surrogate
    real kl, kl_seen, dkl, dkl_rho;
    real noise_l, noise_dl, noise_kl, noise_dkl; // relative
    int clipped_low, clipped_high, capped, dual, clamped;
} plo_token;

// Of token t.
int plo_is_valid(const plo_sequence *q, int64_t t);
real plo_lp(const plo_sequence *q, int64_t t);
real plo_old(const plo_sequence *q, int64_t t);

int plo_is_sequence(int level);

// u of GEOMETRIC, and whether it moves with rho.
real plo_bounded(const plo_sequence *q, real rho, int *moves);

// What the tokens share.
void plo_settle(plo_sequence *q);

plo_token plo_token_of(const plo_sequence *q, int64_t t);

#endif
