// What changes no bit of the score family: where a batch is cut, the order of its rows, what lies beside
// them; and very many tokens.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "readout_case.h"
#include "score_case.h"

// Row order[i] of `from` becomes row i.
static float *in_order(const float *from, const int64_t *order, int64_t rows, int64_t columns)
{
    float *const to = calloc((size_t)(rows * columns) + 1, sizeof *to);
    for (int64_t i = 0; i < rows * columns; i++) {
        to[i] = from[order[i / columns] * columns + i % columns];
    }
    return to;
}

static void shuffle(tk_random *random, int64_t *order, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        order[i] = i;
    }
    for (int64_t i = count - 1; i > 0; i--) {
        const int64_t j = tk_below(random, i + 1), old = order[i];
        order[i] = order[j];
        order[j] = old;
    }
}

// Rows of hidden -----------------------------------------------------------------------------------

enum { T = 70, H = 2070, K = 3 };

// ALL of rows that were gathered, in another order, cut anywhere: every row as in one call.
TK_TEST(score_properties, gathering_first_and_batch_cuts_change_no_bit)
{
    tk_random random = {.state = 21};
    float *const hidden = score_random_values(&random, (int64_t)T * H);
    float *const weight = score_random_values(&random, (int64_t)K * H);
    static const int32_t types[] = {MERIT_DTYPE_BF16, MERIT_DTYPE_F32};
    for (int t = 0; t < 2; t++) {
        score_case c = score_make(hidden, T, 0, H, weight, K, MERIT_POSITIONS_ALL);
        c.d.hidden_dtype = types[t];
        score_result whole = score_run(tk, &c);
        int64_t order[T];
        shuffle(&random, order, T);
        float *const moved = in_order(hidden, order, T, H);
        for (int64_t first = 0, count; first < T; first += count) {
            static const int64_t counts[] = {1, 2, 5, 24, 27, 1, 10};
            count = counts[first % 7] < T - first ? counts[first % 7] : T - first;
            score_case part = c;
            part.hidden = moved + first * H;
            part.d.num_tokens = count;
            score_result r = score_run(tk, &part);
            for (int64_t i = 0; i < count; i++) {
                tk_expect_bits(r.scores + i * K, whole.scores + order[first + i] * K, K, 4);
            }
            score_free(&r);
        }
        free(moved);
        score_free(&whole);
    }
    free(hidden), free(weight);
}

// Each head alone: none depends on how many are summed together.
TK_TEST(score_properties, a_head_has_the_same_bits_among_any_others)
{
    enum { HEADS = 9, ROWS = 7, SIZE = 700 };
    tk_random random = {.state = 22};
    float *const hidden = score_random_values(&random, ROWS * SIZE);
    float *const weight = score_random_values(&random, HEADS * SIZE);
    score_case c = score_make(hidden, ROWS, 0, SIZE, weight, HEADS, MERIT_POSITIONS_ALL);
    score_result all = score_run(tk, &c);
    for (int first = 0; first < HEADS; first++) {
        for (int heads = 1; heads <= 4 && first + heads <= HEADS; heads++) {
            score_case some = score_make(hidden, ROWS, 0, SIZE, weight + first * SIZE, heads,
                                         MERIT_POSITIONS_ALL);
            score_result r = score_run(tk, &some);
            for (int p = 0; p < ROWS; p++) {
                tk_expect_bits(r.scores + p * heads, all.scores + p * HEADS + first, heads, 4);
            }
            score_free(&r);
        }
    }
    score_free(&all);
    free(hidden), free(weight);
}

// More tokens than 16 bits count.
TK_TEST(score_properties, many_tokens_are_scored_and_found)
{
    enum { MANY = 65537, SIZE = 2 };
    tk_random random = {.state = 23};
    float *const hidden = score_random_values(&random, (int64_t)MANY * SIZE);
    const float weight[SIZE] = {1, -2};
    score_case c = score_make(hidden, MANY, 0, SIZE, weight, 1, MERIT_POSITIONS_ALL);
    if (tk->kind == TK_CPU) score_check(tk, &c);
    int64_t *const ids = calloc(MANY, sizeof *ids);
    ids[MANY - 1] = 4;
    c = score_make(hidden, 1, MANY, SIZE, weight, 1, MERIT_POSITIONS_LAST_NON_PAD);
    c.d.pad_id = 0;
    c.io.ids = ids;
    score_check(tk, &c); // left padding: the very last token
    ids[MANY - 1] = 0, ids[3] = 4;
    score_check(tk, &c); // right padding
    c.d.positions = MERIT_POSITIONS_BEFORE_FIRST_PAD;
    c.d.context_length = 3;
    score_check(tk, &c);
    free(hidden), free(ids);
}

// A row of grad_hidden depends on its own gradients alone; sums take rows in the order of positions.
TK_TEST(score_properties, gradients_of_rows_do_not_depend_on_their_batch)
{
    enum { ROWS = 40, SIZE = 300 };
    tk_random random = {.state = 24};
    float *const hidden = score_random_values(&random, ROWS * SIZE);
    float *const weight = score_random_values(&random, K * SIZE);
    float *const gradients = score_random_values(&random, ROWS * K);
    score_case c = score_make(hidden, ROWS, 0, SIZE, weight, K, MERIT_POSITIONS_ALL);
    c.grad_scores = gradients;
    c.outputs = SB_HIDDEN;
    score_gradients whole = score_run_backward(tk, &c);
    int64_t order[ROWS];
    shuffle(&random, order, ROWS);
    float *const moved = in_order(gradients, order, ROWS, K);
    for (int64_t first = 0; first < ROWS; first += 13) {
        const int64_t count = ROWS - first < 13 ? ROWS - first : 13;
        score_case part = c;
        part.d.num_tokens = count;
        part.grad_scores = moved + first * K;
        score_gradients g = score_run_backward(tk, &part);
        for (int64_t i = 0; i < count; i++) {
            tk_expect_bits(g.hidden + i * SIZE, whole.hidden + order[first + i] * SIZE, SIZE, 8);
        }
        score_free_gradients(&g);
    }
    free(moved);
    score_free_gradients(&whole);
    free(hidden), free(weight), free(gradients);
}

// Rows of readouts ---------------------------------------------------------------------------------

static void expect_row(const double *part, const double *whole, int64_t i, int64_t p, int64_t width)
{
    if (whole != NULL) tk_expect_bits(part + i * width, whole + p * width, width, 8);
}

static void expect_rows(tk_fixture *tk, const readout_case *c, const int64_t *order)
{
    const int64_t P = c->d.num_rows, N = c->d.num_columns;
    const int64_t A = c->d.kind == MERIT_READOUT_QUANTILE ? c->d.num_attributes : 1;
    readout_result whole = readout_run(tk, c);
    float *const x = in_order(c->inputs, order, P, N);
    float *const y = c->gate_logits ? in_order(c->gate_logits, order, P, N) : NULL;
    float *const v = c->direction ? in_order(c->direction, order, P, N) : NULL;
    float *grad[6];
    for (int i = 0; i < 6; i++) {
        const int64_t width = i == 1 || i > 3 ? A : 1;
        grad[i] = c->grad[i] ? in_order(c->grad[i], order, P, width) : NULL;
    }
    for (int64_t first = 0, count; first < P; first += count) {
        count = first == 0 ? 1 : P - first < 5 ? P - first : 5;
        readout_case part = *c;
        part.d.num_rows = count;
        part.inputs = x + first * N;
        part.gate_logits = y ? y + first * N : NULL;
        part.direction = v ? v + first * N : NULL;
        for (int i = 0; i < 6; i++) {
            part.grad[i] = grad[i] ? grad[i] + first * (i == 1 || i > 3 ? A : 1) : NULL;
        }
        readout_result r = readout_run(tk, &part);
        for (int64_t i = 0; i < count; i++) {
            const int64_t p = order[first + i];
            expect_row(r.reward, whole.reward, i, p, 1);
            expect_row(r.gate, whole.gate, i, p, N);
            expect_row(r.mean, whole.mean, i, p, A);
            expect_row(r.variance, whole.variance, i, p, 1);
            expect_row(r.entropy, whole.entropy, i, p, 1);
            expect_row(r.prob, whole.prob, i, p, N);
            expect_row(r.cvar, whole.cvar, i, p, A);
            expect_row(r.iqr, whole.iqr, i, p, A);
            expect_row(r.grad_inputs, whole.grad_inputs, i, p, N);
            expect_row(r.grad_direction, whole.grad_direction, i, p, N);
            expect_row(r.grad_gate, whole.grad_gate, i, p, N);
        }
        readout_free(&r);
    }
    readout_free(&whole);
    free(x), free(y), free(v);
    for (int i = 0; i < 6; i++) {
        free(grad[i]);
    }
}

TK_TEST(score_properties, a_readout_has_the_same_bits_in_any_batch)
{
    enum { ROWS = 14, COLUMNS = 300 };
    tk_random random = {.state = 25};
    float *const x = score_random_values(&random, ROWS * COLUMNS);
    float *const y = score_random_values(&random, ROWS * COLUMNS);
    float *const g = score_random_values(&random, ROWS * 3);
    int64_t order[ROWS];
    x[5 * COLUMNS + 7] = NAN; // poisons its own row
    shuffle(&random, order, ROWS);
    for (int32_t kind = MERIT_READOUT_LINEAR; kind <= MERIT_READOUT_QUANTILE; kind++) {
        tk_case("kind %d", kind);
        const int mixed = kind < MERIT_READOUT_LEVELS, levels = kind == MERIT_READOUT_LEVELS;
        readout_case c = readout_make(NULL, kind, ROWS, COLUMNS, x);
        c.direction = kind == MERIT_READOUT_LINEAR ? y : NULL;
        c.d.direction_stride = kind == MERIT_READOUT_LINEAR ? COLUMNS : 0;
        c.d.unit = kind == MERIT_READOUT_LINEAR;
        c.gate_logits = kind == MERIT_READOUT_GATE ? y : NULL;
        c.d.num_attributes = mixed || levels ? 1 : 3;
        c.d.sort = 1;
        c.d.alpha = .3f;
        c.grad[0] = mixed ? g : NULL;
        c.grad[1] = mixed ? NULL : g;
        c.grad[2] = c.grad[3] = levels ? g : NULL;
        c.grad[4] = c.grad[5] = mixed || levels ? NULL : g;
        expect_rows(tk, &c, order);
    }
    free(x), free(y), free(g);
}

// The lower tail that is everything, under any weights: the same sum.
TK_TEST(score_properties, the_whole_tail_is_the_mean)
{
    enum { ROWS = 9, COLUMNS = 33 };
    tk_random random = {.state = 26};
    float *const q = score_random_values(&random, ROWS * COLUMNS);
    float weights[COLUMNS];
    double total = 0;
    for (int n = 0; n < COLUMNS; n++) {
        weights[n] = 1 + (float)tk_below(&random, 9);
        total += weights[n];
    }
    for (int n = 0; n < COLUMNS; n++) {
        weights[n] = (float)(weights[n] / total);
    }
    readout_case c = readout_make(NULL, MERIT_READOUT_QUANTILE, ROWS, COLUMNS, q);
    c.d.sort = 1;
    for (int weighted = 0; weighted < 2; weighted++) {
        c.io.level_weights = weighted ? weights : NULL;
        readout_result r = readout_run(tk, &c);
        tk_expect_bits(r.cvar, r.mean, ROWS, 8);
        readout_free(&r);
    }
    free(q);
}

// Any two levels among a vocabulary: sigmoid(z_yes - z_no), and its slope.
TK_TEST(score_properties, two_levels_are_a_sigmoid_at_any_logits)
{
    enum { ROWS = 200, V = 7 };
    tk_random random = {.state = 27};
    float *const z = score_random_values(&random, ROWS * V);
    const int32_t index[2] = {5, 2};
    const float values[2] = {1, 0};
    float ones[ROWS];
    for (int p = 0; p < ROWS; p++) {
        ones[p] = 1;
    }
    readout_case c = readout_make("genprm", 0, ROWS, 2, z);
    c.d.num_logits = V;
    c.io.level_index = index;
    c.io.level_values = values;
    c.grad[1] = ones;
    readout_result r = readout_run(tk, &c);
    for (int p = 0; p < ROWS; p++) {
        const double d = (double)z[p * V + 5] - (double)z[p * V + 2];
        const double mean = 1 / (1 + exp(-d)), slope = mean / (1 + exp(d));
        tk_expect_close(&r.mean[p], &mean, 1, 0, 5e-7);
        tk_expect_close(r.grad_inputs + 2 * p, ((double[]){slope, -slope}), 2, 0, 1e-6);
    }
    readout_free(&r);
    free(z);
}
