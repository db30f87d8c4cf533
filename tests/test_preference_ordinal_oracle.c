// preference_ordinal against the oracle, over many shapes and options.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ordinal_random.h"

TK_TEST(preference_ordinal, all_levels_and_options_agree_with_the_oracle)
{
    const int levels[] = {2, 3, 9, 10, 16, 17, 33, 64};
    for (int k = 0; k < 8; k++) {
        const int K = levels[k];
        const int64_t N = 37;
        ordinal_random p = ordinal_random_make(N, K, 100 + (uint64_t)K);
        for (int variant = 0; variant < 5; variant++) {
            ordinal_case c = ordinal_make("oprm", p.a, p.b, N, K);
            c.d.reduction = variant % 4;
            const double denominator = 17.5;
            if (variant == 3) c.io.denominator = &denominator;
            if (variant >= 1) c.io.weights = p.weights;
            if (variant == 1 || variant == 2) c.io.mask = p.mask;
            if (variant >= 2) {
                c.d.temperature = 1.5f;
                c.d.tie_share = 0.25f * (float)variant;
                c.io.chosen_region = p.region_a, c.io.rejected_region = p.region_b;
            }
            c.in_place = variant == 4;
            tk_case("%d levels, variant %d", K, variant);
            ordinal_check(tk, &c);
        }
        ordinal_random_free(&p);
    }
}

TK_TEST(preference_ordinal, sizes_around_tiles_agree_with_the_oracle)
{
    const int64_t sizes[] = {1, 31, 127, 128, 129, 255, 257, 2047, 2048, 2049, 4100};
    for (int k = 0; k < 11; k++) {
        ordinal_random p = ordinal_random_make(sizes[k], 3, 7 + (uint64_t)k);
        ordinal_case c = ordinal_make("oprm.half_tie", p.a, p.b, sizes[k], 3);
        c.io.weights = p.weights;
        c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT;
        tk_case("%lld pairs", (long long)sizes[k]);
        ordinal_check(tk, &c);
        c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
        c.io.mask = p.mask;
        ordinal_check(tk, &c);
        ordinal_random_free(&p);
    }
}

// A divisor that has to be summed: by each block up to 16384 pairs, by all together above.
TK_TEST(preference_ordinal, a_divisor_is_summed_in_the_one_launch)
{
    for (int k = 0; k < 2; k++) {
        const int64_t N = 16384 + k;
        ordinal_random p = ordinal_random_make(N, 2, 3);
        for (int by_weight = 0; by_weight < 2; by_weight++) {
            ordinal_case c = ordinal_make("oprm.half_tie", p.a, p.b, N, 2);
            c.d.reduction = by_weight ? MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT
                                      : MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
            c.io.mask = p.mask;
            c.io.weights = p.weights;
            tk_launches(tk);
            ordinal_check(tk, &c);
            const int launches = tk_launches(tk);
            TK_EXPECT(launches == -1 || launches == 1, "%d launches", launches);
        }
        ordinal_random_free(&p);
    }
}

TK_TEST(preference_ordinal, many_pairs_agree_with_the_oracle)
{
    const int64_t N = tk->kind == TK_SIMT ? 5000 : 65537;
    ordinal_random p = ordinal_random_make(N, 2, 8);
    ordinal_case c = ordinal_make("oprm", p.a, p.b, N, 2);
    c.io.mask = p.mask;
    ordinal_check(tk, &c);
    ordinal_random_free(&p);
}

TK_TEST(preference_ordinal, other_types_and_strides_agree_with_the_oracle)
{
    static const int32_t dtypes[] = {MERIT_DTYPE_BF16, MERIT_DTYPE_F16, MERIT_DTYPE_F32};
    ordinal_random p = ordinal_random_make(70, 5, 19);
    for (int k = 0; k < 6; k++) {
        ordinal_case c = ordinal_make("oprm", p.a, p.b, 70, 5);
        c.d.logit_dtype = dtypes[k % 3];
        c.d.chosen_stride = 7, c.d.rejected_stride = 5;
        c.d.grad_chosen_stride = 6, c.d.grad_rejected_stride = 9;
        c.in_place = k >= 3;
        if (c.in_place) c.d.grad_chosen_stride = 7, c.d.grad_rejected_stride = 0;
        ordinal_check(tk, &c);
    }
    ordinal_random_free(&p);
}
