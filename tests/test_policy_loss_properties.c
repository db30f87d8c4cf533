// What must hold for policy_loss whatever the numbers are.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "policy_random.h"

static int rounds(const tk_fixture *tk, int on_cpu)
{
    return tk->kind == TK_CPU ? on_cpu : on_cpu / 5 + 1;
}

static void expect_same(const policy_result *a, const policy_result *b, int64_t tokens)
{
    tk_expect_bits(&a->loss, &b->loss, 1, 8);
    tk_expect_bits(a->grad, b->grad, tokens, 4);
    tk_expect_bits(a->grad_entropy, b->grad_entropy, tokens, 4);
    tk_expect_bits(a->token_loss, b->token_loss, tokens, 4);
    tk_expect_bits(&a->stats, &b->stats, 1, sizeof a->stats);
}

// Masked tokens may hold NaN, infinities or random bits.
TK_TEST(policy_loss, masked_tokens_hold_anything)
{
    tk_random random = {11};
    for (int n = 0; n < rounds(tk, 30); n++) {
        policy_random a;
        policy_case c = plr_case(&random, &a, 6, 300);
        c.io.mask = a.mask;
        policy_result r = plc_run(tk, &c);
        float *const arrays[] = {a.logprob, a.old, a.ref, a.rollout, a.entropy, a.weight};
        for (int64_t t = 0; t < c.d.num_tokens; t++) {
            if (a.mask[t]) continue;
            for (int k = 0; k < 6; k++) {
                const uint32_t bits = (uint32_t)tk_bits(&random);
                memcpy(&arrays[k][t], &bits, 4);
                if (k == n % 6) arrays[k][t] = n % 2 ? NAN : INFINITY;
            }
            a.mode[t] = (uint8_t)tk_bits(&random);
            if (c.io.advantages == a.advantages) a.advantages[t] = NAN;
        }
        policy_result s = plc_run(tk, &c);
        tk_case("%s", plc_describe(&c));
        tk_expect_ok(tk->ctx, s.status);
        expect_same(&s, &r, c.d.num_tokens);
        plc_free(&r), plc_free(&s), plr_free(&a);
    }
}

// One call per part of the sequences, all with the D of the whole: the same gradients, bit for bit, and
// losses and statistics that add up.
TK_TEST(policy_loss, splits_give_the_same_gradients)
{
    tk_random random = {12};
    for (int n = 0; n < rounds(tk, 40); n++) {
        policy_random a;
        const int64_t B = 2 + tk_below(&random, 9);
        policy_case c = plr_case(&random, &a, B, n % 4 == 0 ? 2500 : 40);
        tk_case("%s", plc_describe(&c));
        c.outputs = PLC_ALL & ~PLC_TILES;
        policy_result whole = plc_run(tk, &c);
        double loss = 0, size = 0, k1 = 0;
        long long tokens = 0;
        for (int64_t first = 0; first < B;) {
            const int64_t count = 1 + tk_below(&random, B - first);
            policy_case part = c;
            const int64_t stride =
                c.d.sequences.group_stride ? c.d.sequences.group_stride : c.d.sequences.group_size;
            int64_t offsets[16];
            int64_t begin = first * stride;
            part.d.sequences.num_groups = count;
            part.d.num_tokens = (count - 1) * stride + c.d.sequences.group_size;
            if (c.d.sequences.group_size == 0) {
                begin = a.offsets[first];
                for (int64_t i = 0; i <= count; i++) {
                    offsets[i] = a.offsets[first + i] - begin;
                }
                part.d.sequences.offsets = offsets;
                part.d.num_tokens = offsets[count];
            }
            const float **const arrays[] = {&part.io.logprob, &part.io.old,
                                            &part.io.ref,     &part.io.rollout,
                                            &part.io.entropy, &part.io.token_weight};
            for (int k = 0; k < 6; k++) {
                if (*arrays[k] != NULL) *arrays[k] += begin;
            }
            const int by_token = c.d.advantage_level == MERIT_POLICY_ADVANTAGE_TOKEN;
            part.io.advantages += by_token ? begin : first;
            if (part.io.mask != NULL) part.io.mask += begin;
            if (part.io.token_mode != NULL) part.io.token_mode += begin;
            if (part.io.sequence_weight != NULL) part.io.sequence_weight += first;
            policy_result r = plc_run(tk, &part);
            tk_expect_ok(tk->ctx, r.status);
            tk_expect_bits(r.grad, whole.grad + begin, part.d.num_tokens, 4);
            tk_expect_bits(r.grad_entropy, whole.grad_entropy + begin, part.d.num_tokens, 4);
            tk_expect_bits(r.token_loss, whole.token_loss + begin, part.d.num_tokens, 4);
            loss += r.loss, k1 += r.stats.sum_k1, tokens += r.stats.tokens;
            for (int64_t t = 0; t < part.d.num_tokens; t++) {
                size += fabs((double)r.token_loss[t]);
            }
            plc_free(&r);
            first += count;
        }
        TK_EXPECT(fabs(loss - whole.loss) <= 1e-15 * size, "losses add to %.17g, expected %.17g",
                  loss, whole.loss);
        TK_EXPECT(tokens == whole.stats.tokens, "tokens add to %lld", tokens);
        TK_EXPECT(fabs(k1 - whole.stats.sum_k1) <= 1e-12 * (1 + fabs(k1)), "k1 adds to %g", k1);
        plc_free(&whole), plr_free(&a);
    }
}

// Calls over multiples of 2048 sequences: their tiles, folded by the tree, are the whole loss bit for bit.
TK_TEST(policy_loss, tiles_of_shards_fold_to_the_whole)
{
    enum { B = 2048 * 3 + 100 };
    tk_random random = {13};
    policy_random a;
    policy_case c = plr_case(&random, &a, B, 2);
    while (c.d.sequences.group_size == 0) {
        plr_free(&a);
        c = plr_case(&random, &a, B, 2);
    }
    policy_result whole = plc_run(tk, &c);
    TK_EXPECT((whole.tiles[0] + whole.tiles[1]) + (whole.tiles[2] + whole.tiles[3]) == whole.loss,
              "%.17g", whole.loss);
    policy_case part = c;
    const int64_t stride =
        c.d.sequences.group_stride ? c.d.sequences.group_stride : c.d.sequences.group_size;
    const int64_t first = 2048;
    part.d.sequences.num_groups = B - first;
    part.d.num_tokens -= first * stride;
    const float **const arrays[] = {&part.io.logprob, &part.io.old,     &part.io.ref,
                                    &part.io.rollout, &part.io.entropy, &part.io.token_weight};
    for (int k = 0; k < 6; k++) {
        if (*arrays[k] != NULL) *arrays[k] += first * stride;
    }
    const int by_token = c.d.advantage_level == MERIT_POLICY_ADVANTAGE_TOKEN;
    part.io.advantages += by_token ? first * stride : first;
    if (part.io.mask != NULL) part.io.mask += first * stride;
    if (part.io.token_mode != NULL) part.io.token_mode += first * stride;
    if (part.io.sequence_weight != NULL) part.io.sequence_weight += first;
    policy_result r = plc_run(tk, &part);
    tk_expect_bits(r.tiles, whole.tiles + 1, 3, 8);
    plc_free(&r), plc_free(&whole), plr_free(&a);
}

enum { TOKEN_ARRAYS = 7 };

// Rows of a padded array, their ends masked, and the same tokens packed.
TK_TEST(policy_loss, packed_equals_padded)
{
    tk_random random = {14};
    for (int n = 0; n < rounds(tk, 20); n++) {
        policy_random a;
        const int64_t B = 7, L = n % 3 == 0 ? 2300 : 50, stride = L + n % 2, T = B * stride;
        policy_case packed = plr_case(&random, &a, B, L);
        while (packed.d.sequences.group_size != 0) {
            plr_free(&a);
            packed = plr_case(&random, &a, B, L);
        }
        float *const floats = calloc((size_t)(TOKEN_ARRAYS * T), sizeof *floats);
        uint8_t *const bytes = calloc((size_t)(2 * T), 1);
        cr_assert(floats != NULL && bytes != NULL);
        policy_case padded = packed;
        padded.d.num_tokens = T;
        padded.d.sequences =
            (merit_groups){.num_groups = B, .group_size = L, .group_stride = stride};
        padded.io.mask = bytes;
        if (packed.io.token_mode != NULL) padded.io.token_mode = bytes + T;
        const float **const arrays[TOKEN_ARRAYS] = {
            &padded.io.logprob, &padded.io.old,          &padded.io.ref,       &padded.io.rollout,
            &padded.io.entropy, &padded.io.token_weight, &padded.io.advantages};
        const int by_token = packed.d.advantage_level == MERIT_POLICY_ADVANTAGE_TOKEN;
        for (int k = 0; k < (by_token ? TOKEN_ARRAYS : TOKEN_ARRAYS - 1); k++) {
            const float *const from = *arrays[k];
            if (from == NULL) continue;
            *arrays[k] = floats + k * T;
            for (int64_t i = 0; i < B; i++) {
                const int64_t length = a.offsets[i + 1] - a.offsets[i];
                memcpy(floats + k * T + i * stride, from + a.offsets[i], (size_t)length * 4);
            }
        }
        for (int64_t i = 0; i < B; i++) {
            for (int64_t t = a.offsets[i]; t < a.offsets[i + 1]; t++) {
                const int64_t at = i * stride + (t - a.offsets[i]);
                bytes[at] = packed.io.mask == NULL || a.mask[t];
                bytes[T + at] = a.mode[t];
            }
        }
        tk_case("%s", plc_describe(&packed));
        policy_result p = plc_run(tk, &packed), q = plc_run(tk, &padded);
        tk_expect_ok(tk->ctx, q.status);
        tk_expect_bits(&p.loss, &q.loss, 1, 8);
        tk_expect_bits(&p.stats, &q.stats, 1, sizeof p.stats);
        for (int64_t i = 0; i < B; i++) {
            const int64_t length = a.offsets[i + 1] - a.offsets[i];
            tk_expect_bits(q.grad + i * stride, p.grad + a.offsets[i], length, 4);
        }
        plc_free(&p), plc_free(&q), plr_free(&a), free(floats), free(bytes);
    }
}

TK_TEST(policy_loss, permuted_sequences_permute_the_gradients)
{
    tk_random random = {15};
    policy_random a;
    policy_case c = plr_case(&random, &a, 2, 70);
    while (c.d.sequences.group_size < 20 || c.d.advantage_level != MERIT_POLICY_ADVANTAGE_TOKEN) {
        plr_free(&a);
        c = plr_case(&random, &a, 2, 70);
    }
    policy_result r = plc_run(tk, &c);
    const int64_t L = c.d.sequences.group_size;
    const int64_t stride = c.d.sequences.group_stride ? c.d.sequences.group_stride : L;
    float *const arrays[] = {a.logprob, a.old, a.ref, a.rollout, a.entropy, a.weight, a.advantages};
    for (int64_t t = 0; t < L; t++) {
        for (int k = 0; k < 7; k++) {
            const float x = arrays[k][t];
            arrays[k][t] = arrays[k][stride + t], arrays[k][stride + t] = x;
        }
        const uint8_t m = a.mask[t], mode = a.mode[t];
        a.mask[t] = a.mask[stride + t], a.mask[stride + t] = m;
        a.mode[t] = a.mode[stride + t], a.mode[stride + t] = mode;
    }
    const float s = a.sequence_weight[0];
    a.sequence_weight[0] = a.sequence_weight[1], a.sequence_weight[1] = s;
    policy_result q = plc_run(tk, &c);
    tk_expect_bits(q.grad, r.grad + stride, L, 4);
    tk_expect_bits(q.grad + stride, r.grad, L, 4);
    plc_free(&r), plc_free(&q), plr_free(&a);
}

// The gradient over old, ref or rollout, and outputs one at a time: the same bits.
TK_TEST(policy_loss, places_and_outputs_do_not_show)
{
    tk_random random = {16};
    for (int n = 0; n < rounds(tk, 20); n++) {
        policy_random a;
        policy_case c = plr_case(&random, &a, 5, n % 2 ? 30 : 2100);
        policy_result r = plc_run(tk, &c);
        tk_case("%s", plc_describe(&c));
        const float *const on[] = {NULL, c.io.old, c.io.ref, c.io.rollout};
        for (int place = PLC_ON_OLD; place <= PLC_ON_ROLLOUT; place++) {
            if (on[place] == NULL) continue;
            c.place = (plc_place)place;
            policy_result q = plc_run(tk, &c);
            tk_expect_ok(tk->ctx, q.status);
            expect_same(&q, &r, c.d.num_tokens);
            plc_free(&q);
        }
        c.place = PLC_APART;
        c.outputs = PLC_GRAD;
        policy_result q = plc_run(tk, &c);
        tk_expect_bits(q.grad, r.grad, c.d.num_tokens, 4);
        plc_free(&q);
        c.outputs = PLC_LOSS;
        q = plc_run(tk, &c);
        tk_expect_bits(&q.loss, &r.loss, 1, 8);
        plc_free(&q), plc_free(&r), plr_free(&a);
    }
}

// Loss and gradient alone have kernels of their own for clipping: the bits of a call for everything.
TK_TEST(policy_loss, plain_calls_give_the_same_bits)
{
    tk_random random = {18};
    const char *const names[] = {"ppo", "grpo", "verl.vanilla", "liger"};
    const double zero = 0;
    for (int n = 0; n < rounds(tk, 60); n++) {
        policy_random a;
        policy_case c = plr_case(&random, &a, 1 + tk_below(&random, 6), n % 5 == 0 ? 5000 : 300);
        policy_case p =
            plc_one(names[n % 4], c.d.num_tokens, a.logprob, a.old, a.advantages + c.d.num_tokens);
        p.d.sequences = c.d.sequences;
        p.d.denominator = 12.5;
        p.io.ref = a.ref;
        if (tk_chance(&random, 0.6)) p.io.mask = a.mask;
        if (tk_chance(&random, 0.3)) p.io.sequence_weight = a.sequence_weight;
        if (tk_chance(&random, 0.3)) p.io.old = NULL;
        if (tk_chance(&random, 0.5)) p.d.ratio_cap = 1.1f, p.d.log_ratio_max = 0.3f;
        if (n % 10 == 7) p.d.denominator = 0, p.io.denominator = &zero;
        if (n % 10 == 3) p.d.sequences.max_size = 40;
        if (n % 10 == 9) a.logprob[c.d.num_tokens / 2] = NAN;
        tk_case("%s", plc_describe(&p));
        policy_result all = plc_run(tk, &p);
        p.outputs = PLC_LOSS | PLC_GRAD | PLC_TILES | PLC_DIAGNOSTICS;
        policy_result r = plc_run(tk, &p);
        tk_expect_ok(tk->ctx, r.status);
        tk_expect_bits(&r.loss, &all.loss, 1, 8);
        tk_expect_bits(r.grad, all.grad, c.d.num_tokens, 4);
        tk_expect_bits(r.tiles, all.tiles, r.num_tiles, 8);
        tk_expect_bits(&r.diagnostics, &all.diagnostics, 1, sizeof r.diagnostics);
        plc_free(&all), plc_free(&r), plr_free(&a);
    }
}

// Threads do not show.
TK_TEST(policy_loss, threads_do_not_show)
{
    tk_random random = {17};
    policy_random a;
    policy_case c = plr_case(&random, &a, tk->kind == TK_CPU ? 3000 : 200, 40);
    policy_result r = plc_run(tk, &c);
    for (int threads = 1; threads <= 3; threads++) {
        merit_context *const ctx = tk_context(tk, threads);
        policy_result q = plc_run_on(tk, ctx, &c);
        expect_same(&q, &r, c.d.num_tokens);
        plc_free(&q);
        merit_context_destroy(ctx);
    }
    plc_free(&r), plr_free(&a);
}

// Identities --------------------------------------------------------------------------------------

typedef void change(policy_case *c);

// Runs a random plain case before and after `right` and `left`, and compares gradients within rtol.
static void expect_equal(tk_fixture *tk, uint64_t seed, int64_t length, change *left, change *right,
                         double rtol)
{
    tk_random random = {seed};
    policy_random a;
    policy_case c = plr_case(&random, &a, 6, length);
    while (length == 1 && c.d.sequences.group_size == 0) {
        plr_free(&a);
        c = plr_case(&random, &a, 6, length);
    }
    policy_case plain =
        plc_one(NULL, c.d.num_tokens, a.logprob, a.old, a.advantages + c.d.num_tokens);
    plain.d.sequences = c.d.sequences;
    plain.io.mask = a.mask;
    policy_case p = plain, q = plain;
    left(&p), right(&q);
    policy_result r = plc_run(tk, &p), s = plc_run(tk, &q);
    tk_expect_ok(tk->ctx, r.status);
    tk_expect_ok(tk->ctx, s.status);
    for (int64_t t = 0; t < c.d.num_tokens; t++) {
        const double actual = r.grad[t], expected = s.grad[t];
        tk_expect_close(&actual, &expected, 1, 1e-12, rtol);
    }
    plc_free(&r), plc_free(&s), plr_free(&a);
}

static void nothing(policy_case *c)
{
    (void)c;
}

static void gspo(policy_case *c)
{
    c->d.ratio_level = MERIT_POLICY_LEVEL_SEQUENCE_MEAN;
}

static void straight(policy_case *c)
{
    gspo(c);
    c->d.aggregation = MERIT_POLICY_AGGREGATION_SEQUENCE;
    c->d.ratio_gradient = MERIT_POLICY_RATIO_GRADIENT_STRAIGHT;
}

static void through(policy_case *c)
{
    gspo(c);
    c->d.aggregation = MERIT_POLICY_AGGREGATION_SEQUENCE;
}

static void by_sequence(policy_case *c)
{
    c->d.aggregation = MERIT_POLICY_AGGREGATION_SEQUENCE;
}

static void reinforce(policy_case *c)
{
    cr_assert(merit_policy_loss_preset("reinforce", &c->d) == MERIT_STATUS_OK);
}

static void quadratic_0(policy_case *c)
{
    c->d.surrogate = MERIT_POLICY_SURROGATE_QUADRATIC, c->d.quadratic = 0;
}

static void gate_at_1(policy_case *c)
{
    c->d.surrogate = MERIT_POLICY_SURROGATE_GATE, c->io.old = NULL;
}

static void cispo_inside(policy_case *c)
{
    c->d.surrogate = MERIT_POLICY_SURROGATE_DETACHED;
    c->d.ratio_low = 0, c->d.ratio_high = INFINITY;
}

static void unclipped(policy_case *c)
{
    c->d.ratio_low = 0, c->d.ratio_high = INFINITY;
}

static void dual_clip_huge(policy_case *c)
{
    c->d.dual_clip = 1e30f;
}

TK_TEST(policy_loss, surrogates_meet_where_they_should)
{
    expect_equal(tk, 21, 1, gspo, nothing, 0); // sequences of one token
    expect_equal(tk, 22, 1, by_sequence, nothing, 0);
    expect_equal(tk, 23, 60, straight, through, 1e-6); // one advantage per sequence
    expect_equal(tk, 24, 60, quadratic_0, reinforce, 0);
    expect_equal(tk, 25, 60, gate_at_1, reinforce, 0);
    expect_equal(tk, 26, 60, cispo_inside, unclipped, 0); // REINFORCE weighted by r
    expect_equal(tk, 27, 60, dual_clip_huge, nothing, 0);
}
