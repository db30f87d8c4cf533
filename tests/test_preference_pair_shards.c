// preference_pair: a batch in parts, strides and memory, launches.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "preference_random.h"

// Rows first .. first + count - 1 of a case.
static pc_case part(const pc_case *c, int64_t first, int64_t count)
{
    pc_case p = *c;
    const int64_t bytes = (int64_t)pc_dtype_bytes(c->d.score_dtype);
    merit_preference_pair_io *const io = &p.io;
    p.d.num_pairs = count;
    io->chosen = (const char *)io->chosen + first * p.d.chosen_stride * bytes;
    io->rejected = (const char *)io->rejected + first * p.d.rejected_stride * bytes;
    if (io->ref_chosen != NULL) io->ref_chosen += first * p.d.ref_chosen_stride;
    if (io->ref_rejected != NULL) io->ref_rejected += first * p.d.ref_rejected_stride;
    if (io->chosen_length != NULL) io->chosen_length += first;
    if (io->rejected_length != NULL) io->rejected_length += first;
    if (io->margins != NULL) io->margins += first;
    if (io->weights != NULL) io->weights += first;
    if (io->betas != NULL) io->betas += first;
    if (io->beta_signal != NULL) io->beta_signal += first;
    if (io->outcomes != NULL) io->outcomes += first;
    if (io->probabilities != NULL) io->probabilities += first;
    if (io->routes != NULL) io->routes += first;
    if (io->mask != NULL) io->mask += first;
    return p;
}

// Neighbors first; an odd one out passes through.
static double fold(double *values, int64_t count)
{
    while (count > 1) {
        for (int64_t i = 0; i < count / 2; i++) {
            values[i] = values[2 * i] + values[2 * i + 1];
        }
        if (count % 2 == 1) values[count / 2] = values[count - 1];
        count = (count + 1) / 2;
    }
    return count == 1 ? values[0] : 0;
}

// The sum of the terms of the loss without their signs.
static double size_of_terms(const pc_case *c, const pc_result *r)
{
    double size = 0;
    for (int64_t i = 0; i < c->d.num_pairs; i++) {
        const int32_t route = c->io.routes != NULL ? c->io.routes[i] : 0;
        const double alpha = c->io.alpha != NULL ? (double)c->io.alpha[route] : 1;
        if (r->pair_loss[i] != 0) size += fabs(alpha * (double)r->pair_loss[i]);
    }
    return size / c->io.denominators[0]; // the least of them
}

static void compare_parts(tk_fixture *tk, uint64_t seed, int64_t num_pairs, const int64_t *parts,
                          int is_aligned)
{
    static double given[32];
    tk_random random = {.state = seed};
    pc_random r = pc_random_case(&random, num_pairs, 0);
    pc_case *const c = &r.c;
    c->outputs = PC_ALL, c->in_place = 0;
    c->d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN;
    if (c->d.route_kind == MERIT_ROUTE_KIND_COLUMN) c->d.num_routes = 1; // columns would shift
    for (int k = 0; k < 32; k++) {
        given[k] = 1000 + k;
    }
    c->io.denominators = given;
    if (c->io.chosen == NULL || c->io.rejected == NULL) {
        pc_random_free(&r);
        return;
    }
    tk_case("seed %llu: %s", (unsigned long long)seed, pc_describe(c));
    pc_result whole = pc_run(tk, c);
    tk_expect_ok(tk->ctx, whole.status);
    double loss = 0, tie = 0, size = 0, tie_size = 0, tiles[64];
    int64_t first = 0, num_tiles = 0;
    for (int k = 0; first < num_pairs; k++) {
        const int64_t rest = num_pairs - first, count = parts[k] < rest ? parts[k] : rest;
        const pc_case some = part(c, first, count);
        pc_result p = pc_run(tk, &some);
        tk_expect_ok(tk->ctx, p.status);
        tk_expect_bits(p.grad_chosen, whole.grad_chosen + first, count, 8);
        tk_expect_bits(p.grad_rejected, whole.grad_rejected + first, count, 8);
        tk_expect_bits(p.pair_loss, whole.pair_loss + first, count, 4);
        loss += p.loss, tie += p.grad_tie;
        size += fabs(p.loss), tie_size += fabs(p.grad_tie);
        for (int64_t t = 0; is_aligned && t < p.num_tiles; t++) {
            tiles[num_tiles++] = p.tiles[t * c->d.num_routes];
        }
        first += count;
        pc_free(&p);
    }
    // Terms of both signs (robust smoothing, negative alpha) leave more than their sum shows.
    if (c->io.alpha != NULL || c->d.smoothing > 0 || c->d.link == MERIT_LINK_DISCOPOP) {
        size = size_of_terms(c, &whole);
    }
    TK_EXPECT(loss == whole.loss || isinf(size) ||
                  fabs(loss - whole.loss) <= 1e-15 * size + 4e-16 * fabs(whole.loss),
              "loss %.17g in parts, %.17g at once", loss, whole.loss);
    TK_EXPECT(fabs(tie - whole.grad_tie) <= 1e-13 * (tie_size + fabs(tie)), "grad_tie %.17g, %.17g",
              tie, whole.grad_tie);
    if (is_aligned) {
        const double folded = fold(tiles, num_tiles);
        tk_expect_bits(&folded, &whole.route_sum[0], 1, 8);
        for (int64_t t = 0; t < whole.num_tiles; t++) {
            tiles[t] = whole.tiles[t * c->d.num_routes];
        }
        const double again = fold(tiles, whole.num_tiles);
        tk_expect_bits(&again, &whole.route_sum[0], 1, 8);
    }
    pc_free(&whole);
    pc_random_free(&r);
}

TK_TEST(preference_pair, micro_batches_have_the_gradients_of_the_batch)
{
    static const int64_t parts[] = {1, 31, 300, 17, 256, 999, 2048, 3000, 1 << 20};
    const uint64_t count = tk->kind == TK_SIMT ? 4 : 40;
    for (uint64_t seed = 0; seed < count; seed++) {
        compare_parts(tk, seed, 5000 + (int64_t)seed, parts, 0);
    }
}

TK_TEST(preference_pair, parts_of_whole_tiles_fold_to_the_bits_of_the_batch)
{
    static const int64_t parts[] = {2048, 6144, 4096, 2048, 1 << 20};
    const uint64_t count = tk->kind == TK_SIMT ? 4 : 40;
    for (uint64_t seed = 100; seed < 100 + count; seed++) {
        compare_parts(tk, seed, 17000 + 13 * (int64_t)seed, parts, 1);
    }
}

// Memory ------------------------------------------------------------------------------------------

// Scores c0 r0 c1 r1 ... and their gradients over them, or beside them in the same layout.
TK_TEST(preference_pair, interleaved_scores_and_gradients)
{
    enum { N = 3001 };
    static float both[2 * N], chosen[N], rejected[N], actual[2 * N], expected[2 * N];
    tk_random random = {.state = 1};
    for (int i = 0; i < N; i++) {
        both[2 * i] = chosen[i] = (float)tk_normal(&random);
        both[2 * i + 1] = rejected[i] = (float)tk_normal(&random);
    }
    pc_case c = pc_scores("bt", N, chosen, rejected);
    pc_result r = pc_run(tk, &c);
    for (int i = 0; i < N; i++) {
        expected[2 * i] = (float)r.grad_chosen[i], expected[2 * i + 1] = (float)r.grad_rejected[i];
    }
    for (int in_place = 0; in_place < 2; in_place++) {
        merit_preference_pair_desc d = c.d;
        d.chosen_stride = d.rejected_stride = d.grad_chosen_stride = d.grad_rejected_stride = 2;
        float *const scores = tk_inout(tk, both, 2 * N, sizeof(float));
        float *const gradients = in_place ? scores : tk_output(tk, 2 * N, sizeof(float));
        const merit_preference_pair_io io = {.struct_size = sizeof io,
                                             .chosen = scores,
                                             .rejected = scores + 1,
                                             .grad_chosen = gradients,
                                             .grad_rejected = gradients + 1};
        size_t bytes;
        tk_expect_ok(tk->ctx, merit_preference_pair_workspace(tk->ctx, &d, &bytes));
        tk_expect_ok(tk->ctx,
                     merit_preference_pair(tk->ctx, &d, &io, tk_workspace(tk, bytes), bytes, NULL));
        tk_read(tk, gradients, actual, 2 * N, sizeof(float));
        tk_expect_bits(actual, expected, 2 * N, sizeof(float));
        tk_release(tk);
    }
    pc_free(&r);
}

TK_TEST(preference_pair, gradients_written_over_the_scores_are_the_same)
{
    for (uint64_t seed = 0; seed < 40; seed++) {
        tk_random random = {.state = seed};
        pc_random r = pc_random_case(&random, 700, 0);
        r.c.outputs = PC_ALL, r.c.in_place = 0;
        pc_case over = r.c;
        over.in_place = PC_GRADS;
        if (over.io.chosen == NULL || over.io.rejected == NULL) over.in_place = 0;
        pc_result a = pc_run(tk, &r.c), b = pc_run(tk, &over);
        tk_case("seed %llu: %s", (unsigned long long)seed, pc_describe(&r.c));
        tk_expect_ok(tk->ctx, b.status);
        pc_expect_same(&a, &b, &r.c, PC_ALL);
        pc_free(&a), pc_free(&b);
        pc_random_free(&r);
    }
}

// An output that is not asked for changes no other one.
TK_TEST(preference_pair, outputs_are_the_same_alone_and_together)
{
    for (uint64_t seed = 0; seed < 25; seed++) {
        tk_random random = {.state = 77 + seed};
        pc_random r = pc_random_case(&random, 2500, 0);
        r.c.outputs = PC_ALL, r.c.in_place = 0;
        pc_result all = pc_run(tk, &r.c);
        for (int bit = 1; bit < PC_DIAGNOSTICS; bit <<= 1) {
            pc_case c = r.c;
            c.outputs = bit;
            pc_result one = pc_run(tk, &c);
            pc_result there = all; // only what the call alone gave
            tk_case("seed %llu, output %d: %s", (unsigned long long)seed, bit, pc_describe(&c));
            tk_expect_ok(tk->ctx, one.status);
            if ((bit == PC_GRAD_CHOSEN && one.grad_chosen == NULL) ||
                (bit == PC_GRAD_REJECTED && one.grad_rejected == NULL) ||
                (bit == PC_CALIBRATION && one.bins == NULL) || bit == PC_GRAD_TIE) {
                pc_free(&one);
                continue;
            }
            pc_expect_same(&one, &there, &c, bit);
            pc_free(&one);
        }
        pc_free(&all);
        pc_random_free(&r);
    }
}

// A workspace is left as it may be used again, and results do not depend on what it held.
TK_TEST(preference_pair, a_workspace_serves_call_after_call)
{
    static float chosen[20000], rejected[20000];
    const uint8_t *const mask = memset(malloc(20000), 1, 20000);
    tk_random random = {.state = 5};
    for (int i = 0; i < 20000; i++) {
        chosen[i] = (float)tk_normal(&random), rejected[i] = (float)tk_normal(&random);
    }
    pc_case c = pc_scores("bt", 20000, chosen, rejected);
    c.io.mask = mask;
    merit_preference_pair_io io = c.io;
    size_t bytes;
    tk_expect_ok(tk->ctx, merit_preference_pair_workspace(tk->ctx, &c.d, &bytes));
    void *const workspace = tk_workspace(tk, bytes);
    io.chosen = tk_input(tk, chosen, 20000, 4), io.rejected = tk_input(tk, rejected, 20000, 4);
    io.mask = tk_input(tk, mask, 20000, 1);
    double first = 0, loss = 0;
    for (int k = 0; k < 3; k++) {
        io.loss = tk_output(tk, 1, 8), io.grad_chosen = tk_output(tk, 20000, 4);
        io.metrics = tk_output(tk, 1, sizeof *io.metrics);
        tk_expect_ok(tk->ctx, merit_preference_pair(tk->ctx, &c.d, &io, workspace, bytes, NULL));
        tk_read(tk, io.loss, &loss, 1, 8);
        if (k == 0) first = loss;
        tk_expect_bits(&loss, &first, 1, 8);
    }
    tk_release(tk);
    free((void *)(uintptr_t)mask);
}

// Launches ----------------------------------------------------------------------------------------

static int launches_of(tk_fixture *tk, const pc_case *c)
{
    tk_launches(tk);
    pc_result r = pc_run(tk, c);
    const int launches = tk_launches(tk);
    tk_expect_ok(tk->ctx, r.status);
    pc_free(&r);
    return launches;
}

TK_TEST(preference_pair, one_launch_where_the_denominator_is_known_or_the_batch_is_small)
{
    if (tk->kind != TK_SIMT) return;
    static float scores[16385];
    static uint8_t mask[16385];
    static const double given = 5;
    memset(mask, 1, sizeof mask);
    for (int k = 0; k < 6; k++) {
        pc_case c = pc_scores("bt", 16385, scores, scores);
        int expected = 1;
        if (k == 0) c.d.reduction = MERIT_PREFERENCE_REDUCTION_SUM, c.io.mask = mask;
        if (k == 1) c.d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN, c.io.denominators = &given;
        if (k == 2) c.io.mask = mask, expected = 2;
        if (k == 3) c.io.mask = mask, c.d.num_pairs = 16384;
        if (k == 4) c.d.skip_invalid = 1, expected = 2;
        tk_case("launches of kind %d", k); // 5: MEAN_VALID of everything
        const int launches = launches_of(tk, &c);
        if (tk->emulated) TK_EXPECT(launches == expected, "%d launches", launches);
    }
    pc_case forward =
        pc_scores("bt", 16385, scores, scores); // without gradients nothing waits for D
    forward.io.mask = mask;
    forward.outputs = PC_LOSS | PC_METRICS;
    const int launches = launches_of(tk, &forward);
    if (tk->emulated) TK_EXPECT(launches == 1, "%d launches of the forward pass", launches);
}
