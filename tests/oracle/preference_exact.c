#include "preference_exact.h"

#include <math.h>
#include <mpfr.h>

enum { PRECISION = 256 };

// Registers of one evaluation.
typedef struct machine {
    mpfr_t z, eta, one, a, b, c, d, e;
} machine;

static void start(machine *m, double z, double eta)
{
    mpfr_inits2(PRECISION, m->z, m->eta, m->one, m->a, m->b, m->c, m->d, m->e, (mpfr_ptr)NULL);
    mpfr_set_d(m->z, z, MPFR_RNDN);
    mpfr_set_d(m->eta, eta, MPFR_RNDN);
    mpfr_set_ui(m->one, 1, MPFR_RNDN);
}

static void stop(machine *m)
{
    mpfr_clears(m->z, m->eta, m->one, m->a, m->b, m->c, m->d, m->e, (mpfr_ptr)NULL);
}

// y = s(x), y = sp(x) = log(1 + e^x); y may be x.
static void sigmoid(mpfr_ptr y, mpfr_srcptr x)
{
    mpfr_neg(y, x, MPFR_RNDN);
    mpfr_exp(y, y, MPFR_RNDN);
    mpfr_add_ui(y, y, 1, MPFR_RNDN);
    mpfr_ui_div(y, 1, y, MPFR_RNDN);
}

static void softplus(mpfr_ptr y, mpfr_srcptr x)
{
    mpfr_t size;
    mpfr_init2(size, PRECISION);
    mpfr_abs(size, x, MPFR_RNDN);
    mpfr_neg(size, size, MPFR_RNDN);
    mpfr_exp(size, size, MPFR_RNDN);
    mpfr_log1p(size, size, MPFR_RNDN);
    if (mpfr_sgn(x) > 0) {
        mpfr_add(y, x, size, MPFR_RNDN);
    } else {
        mpfr_set(y, size, MPFR_RNDN);
    }
    mpfr_clear(size);
}

// Links -------------------------------------------------------------------------------------------

// s(z) (log s(z) - log(1 - e)) + s(-z) (log s(-z) - log e); s(z) s(-z) (z - log((1 - e) / e))
static void exo(machine *m, float param, pe_quantity quantity)
{
    mpfr_neg(m->a, m->z, MPFR_RNDN);
    mpfr_set_d(m->d, param, MPFR_RNDN);
    mpfr_ui_sub(m->c, 1, m->d, MPFR_RNDN);
    mpfr_log(m->c, m->c, MPFR_RNDN); // log(1 - e)
    mpfr_log(m->d, m->d, MPFR_RNDN); // log e
    sigmoid(m->e, m->z);
    sigmoid(m->b, m->a);
    if (quantity == PE_SLOPE) {
        mpfr_sub(m->c, m->c, m->d, MPFR_RNDN);
        mpfr_sub(m->c, m->z, m->c, MPFR_RNDN);
        mpfr_mul(m->c, m->c, m->e, MPFR_RNDN);
        mpfr_mul(m->e, m->c, m->b, MPFR_RNDN);
        return;
    }
    softplus(m->a, m->a);
    mpfr_add(m->a, m->a, m->c, MPFR_RNDN); // -(log s(z) - log(1 - e))
    mpfr_mul(m->e, m->e, m->a, MPFR_RNDN);
    softplus(m->a, m->z);
    mpfr_add(m->a, m->a, m->d, MPFR_RNDN);
    mpfr_mul(m->b, m->b, m->a, MPFR_RNDN);
    mpfr_add(m->e, m->e, m->b, MPFR_RNDN);
    mpfr_neg(m->e, m->e, MPFR_RNDN);
}

// u = s(z / T): (1 - u) sp(-z) + u e^-z; -(1 - u) s(-z) - u e^-z + u (1 - u) / T (e^-z - sp(-z))
static void discopop(machine *m, float param, pe_quantity quantity)
{
    mpfr_div_d(m->a, m->z, param, MPFR_RNDN);
    sigmoid(m->e, m->a); // u
    mpfr_neg(m->a, m->a, MPFR_RNDN);
    sigmoid(m->d, m->a); // 1 - u
    mpfr_neg(m->a, m->z, MPFR_RNDN);
    mpfr_exp(m->b, m->a, MPFR_RNDN);
    softplus(m->c, m->a);
    if (quantity == PE_LOSS) {
        mpfr_mul(m->c, m->c, m->d, MPFR_RNDN);
        mpfr_mul(m->b, m->b, m->e, MPFR_RNDN);
        mpfr_add(m->e, m->b, m->c, MPFR_RNDN);
        return;
    }
    sigmoid(m->a, m->a);
    mpfr_mul(m->a, m->a, m->d, MPFR_RNDN); // (1 - u) s(-z)
    mpfr_sub(m->c, m->b, m->c, MPFR_RNDN);
    mpfr_mul(m->c, m->c, m->d, MPFR_RNDN);
    mpfr_div_d(m->c, m->c, param, MPFR_RNDN);
    mpfr_sub(m->c, m->c, m->b, MPFR_RNDN);
    mpfr_mul(m->e, m->e, m->c, MPFR_RNDN);
    mpfr_sub(m->e, m->e, m->a, MPFR_RNDN);
}

static void link_of(machine *m, const pe_function *f, pe_quantity quantity)
{
    const int slope = quantity == PE_SLOPE;
    mpfr_neg(m->a, m->z, MPFR_RNDN);
    switch (f->link) {
    case MERIT_LINK_HINGE:
        if (slope) {
            mpfr_set_si(m->e, mpfr_less_p(m->z, m->one) ? -1 : 0, MPFR_RNDN);
        } else {
            mpfr_ui_sub(m->e, 1, m->z, MPFR_RNDN);
            if (mpfr_sgn(m->e) < 0) mpfr_set_ui(m->e, 0, MPFR_RNDN);
        }
        break;
    case MERIT_LINK_SQUARED:
        mpfr_mul(m->e, m->z, m->z, MPFR_RNDN);
        if (slope) mpfr_mul_ui(m->e, m->z, 2, MPFR_RNDN);
        break;
    case MERIT_LINK_EXPONENTIAL:
        mpfr_exp(m->e, m->a, MPFR_RNDN);
        if (slope) mpfr_neg(m->e, m->e, MPFR_RNDN);
        break;
    case MERIT_LINK_SIGMOID:
        sigmoid(m->e, m->a);
        if (slope) {
            sigmoid(m->b, m->z);
            mpfr_mul(m->e, m->e, m->b, MPFR_RNDN);
            mpfr_neg(m->e, m->e, MPFR_RNDN);
        }
        break;
    case MERIT_LINK_EXO: exo(m, f->link_param, quantity); break;
    case MERIT_LINK_DISCOPOP: discopop(m, f->link_param, quantity); break;
    default:
        if (slope) {
            sigmoid(m->e, m->a);
            mpfr_neg(m->e, m->e, MPFR_RNDN);
        } else {
            softplus(m->e, m->a);
        }
        break;
    }
}

// Ties --------------------------------------------------------------------------------------------

// Win: sp(eta - z). Tie: sp(eta - z) + sp(eta + z) - log(expm1(2 eta)).
static void rao_kupper(machine *m, const pe_function *f, pe_quantity quantity)
{
    mpfr_sub(m->a, m->eta, m->z, MPFR_RNDN);
    mpfr_add(m->b, m->eta, m->z, MPFR_RNDN);
    if (quantity == PE_LOSS) {
        softplus(m->e, m->a);
        if (!f->is_tie) return;
        softplus(m->b, m->b);
        mpfr_add(m->e, m->e, m->b, MPFR_RNDN);
        mpfr_mul_ui(m->a, m->eta, 2, MPFR_RNDN);
        mpfr_expm1(m->a, m->a, MPFR_RNDN);
        mpfr_log(m->a, m->a, MPFR_RNDN);
        mpfr_sub(m->e, m->e, m->a, MPFR_RNDN);
        return;
    }
    sigmoid(m->a, m->a);
    sigmoid(m->b, m->b);
    if (!f->is_tie) {
        mpfr_set(m->e, m->a, MPFR_RNDN);
        if (quantity == PE_SLOPE) mpfr_neg(m->e, m->e, MPFR_RNDN);
    } else if (quantity == PE_SLOPE) {
        mpfr_sub(m->e, m->b, m->a, MPFR_RNDN);
    } else { // + 2 / expm1(-2 eta)
        mpfr_mul_si(m->c, m->eta, -2, MPFR_RNDN);
        mpfr_expm1(m->c, m->c, MPFR_RNDN);
        mpfr_ui_div(m->c, 2, m->c, MPFR_RNDN);
        mpfr_add(m->e, m->a, m->b, MPFR_RNDN);
        mpfr_add(m->e, m->e, m->c, MPFR_RNDN);
    }
}

// M = log(e^(z/2) + e^(-z/2) + e^l). Win: M - z/2. Tie: M - l.
static void davidson(machine *m, const pe_function *f, pe_quantity quantity)
{
    mpfr_div_ui(m->a, m->z, 2, MPFR_RNDN);
    mpfr_exp(m->a, m->a, MPFR_RNDN);
    mpfr_ui_div(m->b, 1, m->a, MPFR_RNDN);
    mpfr_exp(m->c, m->eta, MPFR_RNDN);
    mpfr_add(m->d, m->a, m->b, MPFR_RNDN);
    mpfr_add(m->d, m->d, m->c, MPFR_RNDN);
    switch (quantity) {
    case PE_LOSS: // log(sum / part) as log1p of what the part lacks
        if (f->is_tie) {
            mpfr_add(m->e, m->a, m->b, MPFR_RNDN);
            mpfr_div(m->e, m->e, m->c, MPFR_RNDN);
        } else {
            mpfr_add(m->e, m->b, m->c, MPFR_RNDN);
            mpfr_div(m->e, m->e, m->a, MPFR_RNDN);
        }
        mpfr_log1p(m->e, m->e, MPFR_RNDN);
        break;
    case PE_SLOPE: // tie: (P_c - P_r) / 2; win: -(P_r + P_t / 2)
        if (f->is_tie) {
            mpfr_sub(m->e, m->a, m->b, MPFR_RNDN);
            mpfr_div_ui(m->e, m->e, 2, MPFR_RNDN);
        } else {
            mpfr_div_ui(m->c, m->c, 2, MPFR_RNDN);
            mpfr_add(m->e, m->b, m->c, MPFR_RNDN);
            mpfr_neg(m->e, m->e, MPFR_RNDN);
        }
        mpfr_div(m->e, m->e, m->d, MPFR_RNDN);
        break;
    default: // win: P_t; tie: -(P_c + P_r)
        mpfr_add(m->e, m->a, m->b, MPFR_RNDN);
        mpfr_neg(m->e, m->e, MPFR_RNDN);
        if (!f->is_tie) mpfr_set(m->e, m->c, MPFR_RNDN);
        mpfr_div(m->e, m->e, m->d, MPFR_RNDN);
        break;
    }
}

double pe_ulps(const pe_function *f, pe_quantity quantity, double z, double actual)
{
    machine m;
    start(&m, z, f->log_tie);
    if (f->tie_model == MERIT_TIE_MODEL_RAO_KUPPER) {
        rao_kupper(&m, f, quantity);
    } else if (f->tie_model == MERIT_TIE_MODEL_DAVIDSON) {
        davidson(&m, f, quantity);
    } else {
        link_of(&m, f, quantity);
    }
    // the unit of binary32 at the exact value
    const mpfr_exp_t exponent = mpfr_zero_p(m.e) ? -1000 : mpfr_get_exp(m.e) - 1;
    const long unit = exponent < -126 ? -149 : (long)exponent - 23;
    double ulps;
    if (exponent > 127) {
        ulps = isinf(actual) && (actual > 0) == (mpfr_sgn(m.e) > 0) ? 0 : INFINITY;
    } else {
        mpfr_sub_d(m.e, m.e, actual, MPFR_RNDN);
        mpfr_mul_2si(m.e, m.e, -unit, MPFR_RNDN);
        ulps = fabs(mpfr_get_d(m.e, MPFR_RNDN));
    }
    stop(&m);
    return ulps;
}
