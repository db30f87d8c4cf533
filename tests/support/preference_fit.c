#include "preference_fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void *zeros(int64_t count, size_t size)
{
    void *const memory = calloc((size_t)count + 1, size);
    cr_assert(memory != NULL);
    return memory;
}

pf_battles pf_create(int num_players, int64_t capacity)
{
    cr_assert(num_players <= PF_MAX_PLAYERS);
    return (pf_battles){.num_players = num_players,
                        .first = zeros(capacity, sizeof(int32_t)),
                        .second = zeros(capacity, sizeof(int32_t)),
                        .outcomes = zeros(capacity, 1),
                        .weights = zeros(capacity, sizeof(float))};
}

void pf_free(pf_battles *b)
{
    free(b->first), free(b->second), free(b->outcomes), free(b->weights), free(b->home);
}

void pf_add(pf_battles *b, int first, int second, int outcome, double count)
{
    const int64_t i = b->num_battles;
    if (count == 0) return;
    b->first[i] = first, b->second[i] = second;
    b->outcomes[i] = (int8_t)outcome;
    b->weights[i] = (float)count;
    b->num_battles++;
}

// Gradients ---------------------------------------------------------------------------------------

// Parameters: strengths, then the home effect, then log_tie.
typedef struct problem {
    tk_fixture *tk;
    const pf_battles *b;
    int32_t tie_model;
    int home_at, tie_at, num_parameters; // positions, -1: not fitted
} problem;

typedef struct slope {
    double loss, gradient[PF_MAX_PARAMETERS];
    double *by_battle; // of each battle wrt its first player; freed by the caller
} slope;

// Rounds the parameters to what the call takes.
static slope evaluate(const problem *p, double *parameters)
{
    const pf_battles *const b = p->b;
    const int64_t n = b->num_battles;
    float *const chosen = zeros(n, sizeof(float)), *const rejected = zeros(n, sizeof(float));
    float *const margins = zeros(n, sizeof(float));
    for (int k = 0; k < p->num_parameters; k++) {
        parameters[k] = (float)parameters[k];
    }
    for (int64_t i = 0; i < n; i++) {
        chosen[i] = (float)parameters[b->first[i]];
        rejected[i] = (float)parameters[b->second[i]];
        if (p->home_at >= 0) margins[i] = -b->home[i] * (float)parameters[p->home_at];
    }
    pc_case c = pc_scores("bt", n, chosen, rejected);
    c.outputs = PC_LOSS | PC_GRAD_CHOSEN | PC_GRAD_REJECTED | PC_GRAD_TIE;
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
    c.d.target = MERIT_PAIR_TARGET_OUTCOME;
    c.d.tie_model = p->tie_model;
    c.io.outcomes = b->outcomes, c.io.weights = b->weights;
    if (p->tie_at >= 0) c.d.log_tie = (float)parameters[p->tie_at];
    if (p->home_at >= 0) c.io.margins = margins;
    pc_result r = pc_run(p->tk, &c);
    tk_expect_ok(p->tk->ctx, r.status);
    slope s = {.loss = r.loss};
    cr_assert(r.grad_chosen != NULL && r.grad_rejected != NULL);
    for (int64_t i = 0; i < n; i++) {
        s.gradient[b->first[i]] += r.grad_chosen[i];
        s.gradient[b->second[i]] += r.grad_rejected[i];
        // z = d - margin, margin = -home h
        if (p->home_at >= 0) s.gradient[p->home_at] += r.grad_chosen[i] * b->home[i];
    }
    if (p->tie_at >= 0) s.gradient[p->tie_at] = r.grad_tie;
    s.by_battle = r.grad_chosen, r.grad_chosen = NULL;
    pc_free(&r);
    free(chosen), free(rejected), free(margins);
    return s;
}

double pf_gradient(tk_fixture *tk, const pf_battles *b, const double *strength, double *gradient)
{
    const problem p = {tk, b, MERIT_TIE_MODEL_HALF, -1, -1, b->num_players};
    double parameters[PF_MAX_PARAMETERS];
    memcpy(parameters, strength, (size_t)b->num_players * sizeof *parameters);
    const slope s = evaluate(&p, parameters);
    memcpy(gradient, s.gradient, (size_t)b->num_players * sizeof *gradient);
    free(s.by_battle);
    return s.loss;
}

// Newton ------------------------------------------------------------------------------------------

typedef double matrix[PF_MAX_PARAMETERS][PF_MAX_PARAMETERS];

// w p (1 - p) of each battle, with p from its gradient w (p - q).
static void information(const problem *p, const slope *s, matrix H)
{
    const pf_battles *const b = p->b;
    for (int64_t i = 0; i < b->num_battles; i++) {
        const double w = b->weights[i], q = (b->outcomes[i] + 1) / 2.0;
        const double win = q + s->by_battle[i] / w, v = w * win * (1 - win);
        const int c = b->first[i], r = b->second[i];
        H[c][c] += v, H[r][r] += v, H[c][r] -= v, H[r][c] -= v;
    }
}

// Differences of gradients, where there is more than strengths.
static void differences(const problem *p, const double *parameters, matrix H)
{
    const double h = 1.0 / 64;
    for (int k = 0; k < p->num_parameters; k++) {
        double up[PF_MAX_PARAMETERS], down[PF_MAX_PARAMETERS];
        memcpy(up, parameters, sizeof up), memcpy(down, parameters, sizeof down);
        up[k] += h, down[k] -= h;
        const slope above = evaluate(p, up), below = evaluate(p, down);
        for (int j = 0; j < p->num_parameters; j++) {
            H[j][k] = (above.gradient[j] - below.gradient[j]) / (up[k] - down[k]);
        }
        free(above.by_battle), free(below.by_battle);
    }
}

// x <- H^-1 x by elimination with the largest pivot.
static void solve(matrix H, double *x, int n)
{
    for (int k = 0; k < n; k++) {
        int pivot = k;
        for (int i = k; i < n; i++) {
            if (fabs(H[i][k]) > fabs(H[pivot][k])) pivot = i;
        }
        cr_assert(H[pivot][k] != 0, "the battles do not connect the players");
        for (int j = 0; j < n; j++) {
            const double swapped = H[k][j];
            H[k][j] = H[pivot][j], H[pivot][j] = swapped;
        }
        const double swapped = x[k];
        x[k] = x[pivot], x[pivot] = swapped;
        for (int i = k + 1; i < n; i++) {
            const double factor = H[i][k] / H[k][k];
            for (int j = k; j < n; j++) {
                H[i][j] -= factor * H[k][j];
            }
            x[i] -= factor * x[k];
        }
    }
    for (int i = n - 1; i >= 0; i--) {
        for (int j = i + 1; j < n; j++) {
            x[i] -= H[i][j] * x[j];
        }
        x[i] /= H[i][i];
    }
}

pf_fit pf_run(tk_fixture *tk, const pf_battles *b, int reference, int32_t tie_model)
{
    static matrix H;
    problem p = {tk, b, tie_model, -1, -1, b->num_players};
    double at[PF_MAX_PARAMETERS] = {0};
    if (b->home != NULL) p.home_at = p.num_parameters++;
    if (tie_model != MERIT_TIE_MODEL_HALF) p.tie_at = p.num_parameters++, at[p.tie_at] = .5;
    pf_fit fit = {.last_step = INFINITY};
    for (int round = 0; round < 20 && fit.last_step > 1e-8; round++) {
        const slope s = evaluate(&p, at);
        memset(H, 0, sizeof H);
        if (p.num_parameters == b->num_players) {
            information(&p, &s, H);
        } else {
            differences(&p, at, H);
        }
        double step[PF_MAX_PARAMETERS];
        memcpy(step, s.gradient, sizeof step);
        for (int j = 0; j < p.num_parameters; j++) {
            H[reference][j] = H[j][reference] = j == reference;
        }
        step[reference] = 0;
        solve(H, step, p.num_parameters);
        fit.last_step = 0;
        for (int j = 0; j < p.num_parameters; j++) {
            at[j] -= step[j];
            fit.last_step = fmax(fit.last_step, fabs(step[j]));
        }
        // Parameters are binary32 in the calls: their last digit is all that may still move.
        if (fit.last_step < 5e-7) fit.last_step = 0;
        fit.loss = s.loss;
        free(s.by_battle);
    }
    memcpy(fit.strength, at, (size_t)b->num_players * sizeof *at);
    if (p.home_at >= 0) fit.home = at[p.home_at];
    if (p.tie_at >= 0) fit.log_tie = at[p.tie_at];
    return fit;
}
