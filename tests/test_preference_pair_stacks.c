// The presets of preference_pair against the losses of the stacks that they are named after: loss of each pair, reduction, gradients by central differences.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "preference_case.h"
#include "preference_stacks.h"

enum { N = 97, ROUTES = 3 };

// A batch as arrays, and row by row.
typedef struct batch {
    float chosen[N], rejected[N], ref_chosen[N], ref_rejected[N];
    float margins[N], sizes[N], weights[N], probabilities[N], signals[N];
    int32_t chosen_length[N], rejected_length[N], heads[N];
    int8_t outcomes[N];
    ps_row rows[N];
} batch;

static int rises(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void fill(batch *b, const ps_stack *s)
{
    tk_random random = {.state = 71};
    for (int i = 0; i < N; i++) {
        b->chosen[i] = (float)(2 * tk_normal(&random));
        b->rejected[i] = (float)(2 * tk_normal(&random));
    }
    if (s->uses & PS_SORTED) qsort(b->chosen, N, sizeof(float), rises);
    if (s->uses & PS_SORTED) qsort(b->rejected, N, sizeof(float), rises);
    for (int i = 0; i < N; i++) {
        ps_row *const x = &b->rows[i];
        const int label = (int)tk_below(&random, 7) - 3, outcome = (int)tk_below(&random, 3) - 1;
        x->chosen = b->chosen[i], x->rejected = b->rejected[i];
        b->ref_chosen[i] = (float)tk_normal(&random),
        b->ref_rejected[i] = (float)tk_normal(&random);
        if (s->uses & PS_REFERENCES) x->ref_chosen = b->ref_chosen[i];
        if (s->uses & PS_REFERENCES) x->ref_rejected = b->ref_rejected[i];
        x->chosen_length = b->chosen_length[i] = 1 + (int32_t)tk_below(&random, 5);
        x->rejected_length = b->rejected_length[i] = 1 + (int32_t)tk_below(&random, 5);
        x->margin = b->margins[i] = (float)tk_uniform(&random);
        x->weight = b->weights[i] = (float)tk_uniform(&random);
        x->probability = b->probabilities[i] = (float)tk_below(&random, 5) / 4;
        x->signal = b->signals[i] = (float)tk_normal(&random);
        x->label = label, x->outcome = outcome;
        b->sizes[i] = (float)abs(label);
        b->outcomes[i] = (int8_t)(s->uses & PS_LABELS ? (label > 0 ? 1 : -1) : outcome);
        b->heads[i] = (int32_t)tk_below(&random, ROUTES);
    }
}

static pc_case case_of(const ps_stack *s, const batch *b)
{
    static const float alpha[ROUTES] = {1.0f / ROUTES, 1.0f / ROUTES, 1.0f / ROUTES};
    static const double sequences = 128;
    pc_case c = pc_scores(s->preset, N, b->chosen, b->rejected);
    merit_preference_pair_io *const io = &c.io;
    const int uses = s->uses;
    const float value = (float)s->value;
    if (s->offset > 0) memcpy((char *)&c.d + s->offset, &value, sizeof value);
    if (s->beta > 0) c.d.beta = (float)s->beta;
    if (uses & PS_REFERENCES) io->ref_chosen = b->ref_chosen, io->ref_rejected = b->ref_rejected;
    if (uses & PS_LENGTHS) io->chosen_length = b->chosen_length;
    if (uses & PS_LENGTHS) io->rejected_length = b->rejected_length;
    if (uses & PS_MARGINS) io->margins = b->margins;
    if (uses & PS_SIZES_AS_MARGINS) io->margins = b->sizes;
    if (uses & PS_WEIGHTS) io->weights = b->weights;
    if (uses & PS_SIZES_AS_WEIGHTS) io->weights = b->sizes;
    if (uses & (PS_LABELS | PS_OUTCOMES)) io->outcomes = b->outcomes;
    if (uses & PS_PROBABILITIES) io->probabilities = b->probabilities;
    if (uses & PS_SIGNALS) io->beta_signal = b->signals;
    if (uses & PS_BATCH) io->denominators = &sequences;
    if (uses & PS_HEADS) c.d.num_routes = ROUTES, io->routes = b->heads, io->alpha = alpha;
    return c;
}

// What a row's loss is multiplied with in the loss of the batch.
static double share_of(const ps_stack *s, const batch *b, int i)
{
    if (s->uses & PS_BATCH) return 1.0 / 128;
    if (!(s->uses & PS_HEADS)) return 1.0 / N;
    int rows = 0;
    for (int j = 0; j < N; j++) {
        rows += b->heads[j] == b->heads[i];
    }
    return 1.0 / (ROUTES * rows);
}

// d loss / d *score, *score being one of the row's.
static double slope_of(const ps_stack *s, ps_row *x, double *score)
{
    const double kept = *score, h = 1e-5;
    *score = kept + h;
    const double above = s->loss(x);
    *score = kept - h;
    const double below = s->loss(x);
    *score = kept;
    return (above - below) / (2 * h);
}

TK_TEST(preference_stacks, each_preset_is_the_loss_of_its_stack)
{
    static batch b;
    for (int k = 0; k < PS_NUM_STACKS; k++) {
        const ps_stack *const s = &ps_stacks[k];
        memset(&b, 0, sizeof b);
        fill(&b, s);
        const pc_case c = case_of(s, &b);
        pc_result r = pc_run(tk, &c);
        tk_case("%s", s->preset);
        tk_expect_ok(tk->ctx, r.status);
        double loss = 0;
        for (int i = 0; i < N && r.status == MERIT_STATUS_OK; i++) {
            ps_row *const x = &b.rows[i];
            const double share = share_of(s, &b, i), mine = s->loss(x);
            const double pair_loss = (double)r.pair_loss[i];
            const double slopes[] = {slope_of(s, x, &x->chosen), slope_of(s, x, &x->rejected)};
            const double by_chosen = r.grad_chosen[i] / share,
                         by_rejected = r.grad_rejected[i] / share;
            loss += share * mine;
            tk_expect_close(&pair_loss, &mine, 1, 1e-6, 1e-6);
            tk_expect_close(&by_chosen, &slopes[0], 1, 2e-6, 2e-6);
            tk_expect_close(&by_rejected, &slopes[1], 1, 2e-6, 2e-6);
        }
        tk_expect_close(&r.loss, &loss, 1, 0, 1e-6);
        pc_free(&r);
    }
}

Test(preference_stacks, each_preset_has_its_stack)
{
    int count = 0;
    for (const char *name; (name = merit_preference_pair_preset_name(count)) != NULL; count++) {
        int found = 0;
        for (int k = 0; k < PS_NUM_STACKS; k++) {
            found += strcmp(ps_stacks[k].preset, name) == 0;
        }
        cr_expect(found == 1, "%s has %d rows", name, found);
    }
    cr_expect(count == PS_NUM_STACKS, "%d presets", count);
}
