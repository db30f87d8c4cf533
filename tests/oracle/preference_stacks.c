// Values and formulas of the stacks, from their sources.
#include "preference_stacks.h"

#include <math.h>
#include <merit/merit.h>
#include <stdlib.h>

// Values that the caller of a stack chooses.
#define SMOOTHING 0.125
#define GAMMA 0.5
#define TAU 0.05
#define SHIFT 0.25
#define ETA 0.5
#define IPO_BETA 0.25
#define EXO 0.0625
#define BETA 0.5

static double log_sigmoid(double x)
{
    return x < 0 ? x - log1p(exp(x)) : -log1p(exp(-x));
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double log_ratio_chosen(const ps_row *x)
{
    return x->chosen - x->ref_chosen;
}

static double log_ratio_rejected(const ps_row *x)
{
    return x->rejected - x->ref_rejected;
}

static double log_ratios(const ps_row *x)
{
    return log_ratio_chosen(x) - log_ratio_rejected(x);
}

// Reward models -----------------------------------------------------------------------------------

static double bradley_terry(const ps_row *x)
{
    return -log_sigmoid(x->chosen - x->rejected);
}

static double with_margin(const ps_row *x)
{
    return -log_sigmoid(x->chosen - x->rejected - x->margin);
}

static double centered(const ps_row *x)
{
    const double sum = x->chosen + x->rejected;
    return with_margin(x) + 0.01 * sum * sum;
}

static double log_exp(const ps_row *x)
{
    return log(1 + exp(x->rejected - x->chosen));
}

static double soft_label(const ps_row *x)
{
    const double d = x->chosen - x->rejected;
    return -x->probability * log_sigmoid(d) - (1 - x->probability) * log_sigmoid(-d);
}

static double nemo(const ps_row *x)
{
    return -log_sigmoid(BETA * (x->chosen - x->rejected));
}

// The sign of the label picks the winner; 0 counts as the second one.
static double helpsteer(const ps_row *x)
{
    const double d = x->chosen - x->rejected;
    return -log_sigmoid(x->label > 0 ? d : -d);
}

static double helpsteer_margin(const ps_row *x)
{
    const double d = x->chosen - x->rejected;
    return -log_sigmoid((x->label > 0 ? d : -d) - abs(x->label));
}

static double helpsteer_scaled(const ps_row *x)
{
    return abs(x->label) * helpsteer(x);
}

// Strengths e^score; a threshold e^eta.
static double rao_kupper(const ps_row *x)
{
    const double a = exp(x->outcome < 0 ? x->rejected : x->chosen);
    const double b = exp(x->outcome < 0 ? x->chosen : x->rejected), theta = exp(ETA);
    const double win = a / (a + theta * b);
    const double tie = a * b * (theta * theta - 1) / ((a + theta * b) * (theta * a + b));
    return -log(x->outcome == 0 ? tie : win);
}

static double davidson(const ps_row *x)
{
    const double a = exp(x->outcome < 0 ? x->rejected : x->chosen);
    const double b = exp(x->outcome < 0 ? x->chosen : x->rejected);
    const double tie = exp(ETA) * sqrt(a * b), sum = a + b + tie;
    return -log((x->outcome == 0 ? tie : a) / sum);
}

// Direct preference optimization --------------------------------------------------------------------

static double dpo(const ps_row *x)
{
    return -log_sigmoid(0.1 * log_ratios(x));
}

static double dpo_weighted(const ps_row *x)
{
    return x->weight * dpo(x);
}

static double dpo_conservative(const ps_row *x)
{
    const double z = 0.1 * log_ratios(x);
    return -log_sigmoid(z) * (1 - SMOOTHING) - log_sigmoid(-z) * SMOOTHING;
}

static double dpo_robust(const ps_row *x)
{
    const double z = 0.1 * log_ratios(x);
    return (-log_sigmoid(z) * (1 - SMOOTHING) + log_sigmoid(-z) * SMOOTHING) / (1 - 2 * SMOOTHING);
}

static double normalized(const ps_row *x)
{
    return log_ratio_chosen(x) / x->chosen_length - log_ratio_rejected(x) / x->rejected_length;
}

static double dpo_norm(const ps_row *x)
{
    return -log_sigmoid(0.1 * normalized(x));
}

static double mm_dpo(const ps_row *x)
{
    const double beta = 0.1 * (1 + 0.5 * (1 - exp(-0.5 * x->signal)));
    return -log_sigmoid((beta > 0 ? beta : 0) * log_ratios(x));
}

static double ipo(const ps_row *x)
{
    const double off = normalized(x) - 1 / (2 * IPO_BETA);
    return off * off;
}

static double slic(const ps_row *x)
{
    return fmax(0, 1 - BETA * log_ratios(x));
}

static double simpo(const ps_row *x)
{
    const double d = x->chosen / x->chosen_length - x->rejected / x->rejected_length;
    return -log_sigmoid(2 * d - GAMMA);
}

static double exo(const ps_row *x)
{
    const double z = BETA * log_ratios(x);
    return sigmoid(z) * (log_sigmoid(z) - log(1 - EXO)) +
           sigmoid(-z) * (log_sigmoid(-z) - log(EXO));
}

static double discopop(const ps_row *x)
{
    const double z = BETA * log_ratios(x), modulation = sigmoid(z / TAU);
    return -log_sigmoid(z) * (1 - modulation) + exp(-z) * modulation;
}

// Losses of each side alone -------------------------------------------------------------------------

static double nca(const ps_row *x)
{
    const double c = BETA * log_ratio_chosen(x), r = BETA * log_ratio_rejected(x);
    return -log_sigmoid(c) - 0.5 * log_sigmoid(-c) - 0.5 * log_sigmoid(-r);
}

static double bco(const ps_row *x)
{
    const double c = BETA * log_ratio_chosen(x), r = BETA * log_ratio_rejected(x);
    return -log_sigmoid(c - SHIFT) - log_sigmoid(-(r - SHIFT));
}

static double sppo_hard(const ps_row *x)
{
    const double a = log_ratio_chosen(x) - 0.5 / BETA, b = log_ratio_rejected(x) + 0.5 / BETA;
    return a * a + b * b;
}

static double apo_zero(const ps_row *x)
{
    return 1 - sigmoid(BETA * log_ratio_chosen(x)) + sigmoid(BETA * log_ratio_rejected(x));
}

static double apo_down(const ps_row *x)
{
    return sigmoid(BETA * log_ratio_chosen(x)) + 1 - sigmoid(BETA * log_ratios(x));
}

static double kto(const ps_row *x)
{
    const double kl = SHIFT / BETA;
    return 1 - sigmoid(BETA * (log_ratio_chosen(x) - kl)) + 1 -
           sigmoid(BETA * (kl - log_ratio_rejected(x)));
}

static double discriminator(const ps_row *x)
{
    return -log_sigmoid(x->chosen) - log_sigmoid(-x->rejected);
}

static double discriminator_hinge(const ps_row *x)
{
    return fmax(0, 1 - x->chosen) + fmax(0, 1 + x->rejected);
}

const ps_stack ps_stacks[PS_NUM_STACKS] = {
#define FIELD(name) offsetof(merit_preference_pair_desc, name)
    {"bt", bradley_terry, 0, 0, 0, 0},
    {"trl.reward", with_margin, PS_MARGINS, 0, 0, 0},
    {"openrlhf.sigmoid", with_margin, PS_MARGINS, 0, 0, 0},
    {"openrlhf.logexp", log_exp, 0, 0, 0, 0},
    {"areal.rw", bradley_terry, 0, 0, 0, 0},
    {"rlhflow.bt", bradley_terry, 0, 0, 0, 0},
    {"oni.soft", soft_label, PS_PROBABILITIES, 0, 0, 0},
    {"trl.reward_centered", centered, PS_MARGINS, 0, 0, 0},
    {"nemo.bt", nemo, PS_BATCH, 0, 0, BETA},
    {"helpsteer2.regular", helpsteer, PS_LABELS, 0, 0, 0},
    {"helpsteer2.margin", helpsteer_margin, PS_LABELS | PS_SIZES_AS_MARGINS, 0, 0, 0},
    {"helpsteer2.scaled", helpsteer_scaled, PS_LABELS | PS_SIZES_AS_WEIGHTS, 0, 0, 0},
    {"rao_kupper", rao_kupper, PS_OUTCOMES, FIELD(log_tie), ETA, 0},
    {"davidson", davidson, PS_OUTCOMES, FIELD(log_tie), ETA, 0},
    {"dpo", dpo, PS_REFERENCES, 0, 0, 0},
    {"cdpo", dpo_conservative, PS_REFERENCES, FIELD(smoothing), SMOOTHING, 0},
    {"rdpo", dpo_robust, PS_REFERENCES, FIELD(smoothing), SMOOTHING, 0},
    {"dpo_norm", dpo_norm, PS_REFERENCES | PS_LENGTHS, 0, 0, 0},
    {"mm_dpo", mm_dpo, PS_REFERENCES | PS_SIGNALS, 0, 0, 0},
    {"wpo", dpo_weighted, PS_REFERENCES | PS_WEIGHTS, 0, 0, 0},
    {"aot", dpo, PS_SORTED, 0, 0, 0},
    {"mah_dpo", dpo, PS_REFERENCES | PS_HEADS, 0, 0, 0},
    {"ipo", ipo, PS_REFERENCES | PS_LENGTHS, FIELD(margin), 1 / (2 * IPO_BETA), 0},
    {"slic", slic, PS_REFERENCES, 0, 0, BETA},
    {"simpo", simpo, PS_LENGTHS, FIELD(margin), GAMMA, 0},
    {"exo", exo, PS_REFERENCES, FIELD(link_param), EXO, BETA},
    {"discopop", discopop, PS_REFERENCES, 0, 0, BETA},
    {"nca", nca, PS_REFERENCES, 0, 0, BETA},
    {"bco", bco, PS_REFERENCES, FIELD(unary_shift), SHIFT, BETA},
    {"sppo_hard", sppo_hard, PS_REFERENCES, FIELD(unary_margin), 1 / (2 * BETA), 0},
    {"apo_zero", apo_zero, PS_REFERENCES, 0, 0, BETA},
    {"apo_down", apo_down, PS_REFERENCES, 0, 0, BETA},
    {"kto", kto, PS_REFERENCES, FIELD(unary_shift), SHIFT, BETA},
    {"discriminator", discriminator, 0, 0, 0, 0},
    {"discriminator_hinge", discriminator_hinge, 0, 0, 0, 0},
};
