// preference_pair against the oracle over sizes and random options, and the oracle's gradients
// against differences of its losses.
#include <math.h>

#include "preference_random.h"

static void compare(tk_fixture *tk, uint64_t seed, int64_t num_pairs, double broken)
{
    tk_random random = {.state = seed * 0x100000001b3u + (uint64_t)num_pairs};
    pc_random r = pc_random_case(&random, num_pairs, broken);
    tk->shift = (int)tk_below(&random, 3);
    tk_case("seed %llu: %s", (unsigned long long)seed, pc_describe(&r.c));
    pc_check(tk, &r.c);
    pc_random_free(&r);
    tk->shift = 0;
}

TK_TEST(preference_pair, random_options_match_the_oracle)
{
    const uint64_t count = (tk->kind == TK_SIMT ? 150 : 3000) / TK_RARER;
    for (uint64_t seed = 0; seed < count; seed++) {
        compare(tk, seed, 1 + (int64_t)(seed * seed % 61), 0);
    }
}

TK_TEST(preference_pair, random_options_match_the_oracle_with_broken_pairs)
{
    const uint64_t count = (tk->kind == TK_SIMT ? 100 : 2000) / TK_RARER;
    for (uint64_t seed = 10000; seed < 10000 + count; seed++) {
        compare(tk, seed, 1 + (int64_t)(seed * seed % 61), seed % 2 == 0 ? .02 : .002);
    }
}

// Around warps, blocks, tiles, the limit of one launch, and a prime.
TK_TEST(preference_pair, ragged_sizes_match_the_oracle)
{
    static const int64_t sizes[] = {0,    1,     2,     7,     31,    32,    33,    255,   256,
                                    257,  1023,  1025,  2047,  2048,  2049,  4096,  4097,  6000,
                                    7919, 12289, 16384, 16385, 65535, 65536, 65537, 100003};
    for (int i = 0; i < (int)(sizeof sizes / sizeof sizes[0]); i++) {
        const int is_small = sizes[i] <= 4097;
        const uint64_t count = tk->kind == TK_SIMT ? (is_small ? 3 : sizes[i] <= 16385)
                               : is_small          ? 10
                                                   : 5;
        for (uint64_t seed = 0; seed < count; seed += TK_RARER) {
            compare(tk, 20000 + seed, sizes[i], seed % 5 == 4 ? .001 : 0);
        }
    }
}

// Every link under every target, by itself.
TK_TEST(preference_pair, each_link_and_target_matches_the_oracle)
{
    for (int32_t link = 0; link <= MERIT_LINK_DISCOPOP; link++) {
        for (int32_t target = 0; target <= MERIT_PAIR_TARGET_PROBABILITY; target++) {
            for (int32_t opposite = 0; opposite <= MERIT_OPPOSITE_SWAP; opposite++) {
                tk_random random = {.state = (uint64_t)(100 * link + 10 * target + opposite)};
                pc_random r = {.c = pc_scores(NULL, 300, NULL, NULL)};
                merit_preference_pair_desc *const d = &r.c.d;
                d->link = link, d->target = target, d->opposite = opposite;
                d->link_param = link == MERIT_LINK_EXO ? .2f : .7f;
                d->margin = .25f, d->beta = 1.5f;
                pc_random_scores(&r, &random, 3, 0);
                int8_t *const outcomes = pc_random_own(&r, 300, 1);
                for (int i = 0; i < 300; i++) {
                    outcomes[i] = (int8_t)(tk_below(&random, 3) - 1);
                }
                if (target == MERIT_PAIR_TARGET_OUTCOME) r.c.io.outcomes = outcomes;
                if (target == MERIT_PAIR_TARGET_PROBABILITY) {
                    r.c.io.probabilities = pc_random_floats(&r, &random, 300, 0, 1);
                }
                tk_case("link %d, target %d, opposite %d", link, target, opposite);
                pc_check(tk, &r.c);
                pc_random_free(&r);
            }
        }
    }
}

// Differences -------------------------------------------------------------------------------------

static po_point random_point(tk_random *random, const merit_preference_pair_desc *d)
{
    const int is_outcome = d->target == MERIT_PAIR_TARGET_OUTCOME;
    return (po_point){.chosen = 2 * tk_normal(random),
                      .rejected = 2 * tk_normal(random),
                      .ref_chosen = tk_normal(random),
                      .ref_rejected = tk_normal(random),
                      .chosen_length = 1 + tk_below(random, 5),
                      .rejected_length = 1 + tk_below(random, 5),
                      .margin = tk_normal(random),
                      .signal = 1 + tk_uniform(random),
                      .p = is_outcome ? tk_below(random, 3) / 2.0L : tk_uniform(random),
                      .log_tie = .1L + tk_uniform(random),
                      .unary_shift = tk_normal(random),
                      .is_exact = 1};
}

// y of the unary terms lies next to a corner of the hinge, or z does.
static int is_near_corner(const merit_preference_pair_desc *d, const po_point *point)
{
    const po_pair v = po_evaluate(d, point);
    const long double opposite =
        d->opposite == MERIT_OPPOSITE_SWAP ? -v.z - 2 * (d->margin + point->margin) : -v.z;
    long double nearest = INFINITY;
    if (d->link == MERIT_LINK_HINGE) nearest = fminl(fabsl(1 - v.z), fabsl(1 - opposite));
    for (int side = 0; d->unary_link == MERIT_LINK_HINGE && side < 2; side++) {
        const long double u = v.beta * (side == 0 ? v.x_c : v.x_r) - point->unary_shift;
        nearest =
            fminl(nearest, fminl(fabsl(1 - u + d->unary_margin), fabsl(1 + u + d->unary_margin)));
    }
    return nearest < 1e-3L * (1 + fabsl(v.beta));
}

static void expect_slope(const char *name, const merit_preference_pair_desc *d, po_point *point,
                         long double *variable, long double slope)
{
    const long double x = *variable, h = 1e-5L * fmaxl(1, fabsl(x));
    *variable = x + h;
    const long double above = po_evaluate(d, point).loss.value;
    *variable = x - h;
    const long double below = po_evaluate(d, point).loss.value;
    *variable = x;
    const long double difference = (above - below) / (2 * h);
    TK_EXPECT(fabsl(difference - slope) <= 1e-7L * fmaxl(1, fabsl(slope)) * fmaxl(1, fabsl(above)),
              "%s is %.12Lg, the difference %.12Lg", name, slope, difference);
}

Test(preference_oracle, gradients_are_slopes_of_the_loss)
{
    for (uint64_t seed = 0; seed < 4000; seed++) {
        tk_random random = {.state = seed};
        pc_random r = pc_random_case(&random, 1, 0);
        if (r.c.d.link_param == .05f) r.c.d.link_param = .3f; // else too curved for the step
        po_point point = random_point(&random, &r.c.d);
        if (!is_near_corner(&r.c.d, &point)) {
            const po_pair v = po_evaluate(&r.c.d, &point);
            tk_case("seed %llu: %s", (unsigned long long)seed, pc_describe(&r.c));
            expect_slope("by_chosen", &r.c.d, &point, &point.chosen, v.by_chosen.value);
            expect_slope("by_rejected", &r.c.d, &point, &point.rejected, v.by_rejected.value);
            expect_slope("by_tie", &r.c.d, &point, &point.log_tie, v.by_tie.value);
        }
        pc_random_free(&r);
    }
}
