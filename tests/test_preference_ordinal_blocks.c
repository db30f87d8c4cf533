// preference_ordinal: pairs side by side are what each of them is alone.
#include <math.h>
#include <stdlib.h>

#include "ordinal_random.h"

enum { PAIRS = 53 }; // no multiple of a block

// Most pairs are ordinary; the others have each a thing that a block does not take, or just takes.
static ordinal_random make_pairs(int K)
{
    ordinal_random p = ordinal_random_make(PAIRS, K, (uint64_t)K);
    for (int n = 0; n < PAIRS; n++) {
        float *const a = p.a + n * K, *const b = p.b + n * K;
        p.mask[n] = n != 33;
        switch (n) {
        case 1: a[0] = -INFINITY; break;
        case 3: b[0] = NAN; break;
        case 5: a[1] = INFINITY; break;
        case 7: a[0] = 3e38f, b[0] = -3e38f; break;
        case 9: p.weights[n] = -1; break;
        case 11: p.weights[n] = NAN; break;
        case 13: p.region_a[2 * n] = K; break;
        case 15: p.region_a[2 * n + 1] = p.region_a[2 * n] = 0; break; // nothing below
        case 17: p.region_b[2 * n] = p.region_b[2 * n + 1] + 1; break;
        case 34: a[0] = 4, a[1] = -96, b[0] = -96, b[1] = 4; break; // 100 apart
        case 35: a[0] = 4, a[1] = -96.5f, b[0] = -96, b[1] = 4; break;
        case 36: a[0] = -60, a[1] = 40, b[0] = 40, b[1] = -60; break;
        case 37: a[0] = 1e4f, b[1] = -1e4f; break;
        default: break;
        }
    }
    return p;
}

static ordinal_case case_of(const ordinal_random *p, int first, int pairs, int K, int variant)
{
    static const float least = 0x1p-149f;
    ordinal_case c = ordinal_make("oprm", p->a + first * K, p->b + first * K, pairs, K);
    c.io.weights = p->weights + first;
    c.io.mask = p->mask + first;
    if (variant & 1) {
        c.io.chosen_region = p->region_a + 2 * first;
        c.io.rejected_region = p->region_b + 2 * first;
    }
    if (variant & 2) c.d.tie_share = 0.5f;
    if (variant == 3) c.d.tie_share = least; // the smallest there is
    if (variant & 4) c.d.temperature = 0.75f, c.in_place = 1;
    if (variant & 8) c.d.logit_dtype = variant & 1 ? MERIT_DTYPE_BF16 : MERIT_DTYPE_F16;
    if (variant & 8) c.d.skip_invalid = 1;
    c.outputs = PO_ALL & ~(PO_LOSS | PO_METRICS | PO_TILES);
    return c;
}

TK_TEST(preference_ordinal, pairs_side_by_side_have_the_bits_of_each_alone)
{
    static const int levels[] = {2, 3, 9, 16, 17, 64};
    static const int variants[] = {0, 1, 2, 3, 4, 7, 8, 11};
    for (int k = 0; k < 6 * 8; k++) {
        const int K = levels[k % 6], variant = variants[k / 6];
        if (tk->kind == TK_SIMT && k % 7 != 0) continue; // slow there
        tk_case("%d levels, variant %d", K, variant);
        ordinal_random p = make_pairs(K);
        const ordinal_case whole = case_of(&p, 0, PAIRS, K, variant);
        ordinal_result all = ordinal_run(tk, &whole);
        uint64_t counted[MERIT_NUM_COUNTERS] = {0};
        for (int n = 0; n < PAIRS; n++) {
            const ordinal_case alone = case_of(&p, n, 1, K, variant);
            ordinal_result one = ordinal_run(tk, &alone);
            tk_expect_bits(all.pair_loss + n, one.pair_loss, 1, 8);
            tk_expect_bits(all.win + n, one.win, 1, 8);
            tk_expect_bits(all.tie + n, one.tie, 1, 8);
            tk_expect_bits(all.mean + 2 * n, one.mean, 2, 8);
            tk_expect_bits(all.grad_chosen + n * K, one.grad_chosen, K, 8);
            tk_expect_bits(all.grad_rejected + n * K, one.grad_rejected, K, 8);
            for (int i = 0; i < MERIT_NUM_COUNTERS; i++) {
                counted[i] += one.diagnostics.count[i];
            }
            ordinal_free(&one);
        }
        tk_expect_bits(all.diagnostics.count, counted, MERIT_NUM_COUNTERS, 8);
        ordinal_free(&all);
        ordinal_random_free(&p);
    }
}
