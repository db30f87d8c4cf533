// The canonical order: each sum of lanes_cpu.h against a second writing of the same order (a recursion over
// the definition), bit for bit, and against plain long double sums.
#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "../kernels/core/lanes_cpu.h"

enum { LONGEST = 3 * 2048 + 777 };

static const int64_t lengths[] = {0,    1,    2,    3,    7,    8,    31,     32,   33,
                                  100,  255,  256,  257,  511,  512,  513,    2047, 2048,
                                  2049, 4096, 4097, 6000, 6144, 6145, LONGEST};
enum { NUM_LENGTHS = sizeof lengths / sizeof lengths[0] };

// The definition, in binary64 and binary32: lanes of a tile, their tree, the tree over tiles.
typedef double term64(const void *state, int64_t i);

static double lane_tree(const double *lanes, int first, int count)
{
    if (count == 1) return lanes[first];
    return lane_tree(lanes, first, count / 2) + lane_tree(lanes, first + count / 2, count / 2);
}

static float lane_tree32(const float *lanes, int first, int count)
{
    if (count == 1) return lanes[first];
    return lane_tree32(lanes, first, count / 2) + lane_tree32(lanes, first + count / 2, count / 2);
}

static double defined_tile(term64 *term, const void *state, int64_t start, int64_t length,
                           int narrow)
{
    double lanes[256] = {0};
    float lanes32[256] = {0};
    for (int64_t i = start; i < length && i < start + 2048; i++) {
        lanes[i % 256] += term(state, i);
        lanes32[i % 256] += (float)term(state, i);
    }
    return narrow ? (double)lane_tree32(lanes32, 0, 256) : lane_tree(lanes, 0, 256);
}

// Tiles first .. first + count - 1 of a level: pairs merge, an odd last one passes through.
static double defined_sum(term64 *term, const void *state, int64_t length, int narrow)
{
    double tiles[LONGEST / 2048 + 1];
    int64_t count = 0;
    for (int64_t start = 0; start < length; start += 2048) {
        tiles[count++] = defined_tile(term, state, start, length, narrow);
    }
    if (count == 0) return 0;
    while (count > 1) {
        for (int64_t i = 0; i < count / 2; i++) {
            tiles[i] = tiles[2 * i] + tiles[2 * i + 1];
        }
        if (count % 2 != 0) tiles[count / 2] = tiles[count - 1];
        count = (count + 1) / 2;
    }
    return tiles[0];
}

typedef struct arrays {
    double x[LONGEST];
    double y[LONGEST];
    float x32[LONGEST];
    float y32[LONGEST];
    double mean;
    float mean32;
} arrays;

static double term_x(const void *state, int64_t i)
{
    return ((const arrays *)state)->x[i];
}

static double term_x32(const void *state, int64_t i)
{
    return (double)((const arrays *)state)->x32[i];
}

static double term_dot(const void *state, int64_t i)
{
    const arrays *const a = state;
    return a->x[i] * a->y[i];
}

static double term_dot32(const void *state, int64_t i)
{
    const arrays *const a = state;
    const float product = a->x32[i] * a->y32[i];
    return (double)product;
}

static double term_squares(const void *state, int64_t i)
{
    const arrays *const a = state;
    return (a->x[i] - a->mean) * (a->x[i] - a->mean);
}

static double term_squares32(const void *state, int64_t i)
{
    const arrays *const a = state;
    const float d = a->x32[i] - a->mean32;
    const float square = d * d;
    return (double)square;
}

static arrays *filled(void)
{
    arrays *const a = malloc(sizeof *a);
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < LONGEST; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        a->x[i] = ldexp((double)(int64_t)random, -60) * (i % 11 == 0 ? 1e6 : 1);
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        a->y[i] = ldexp((double)(int64_t)random, -63);
        a->x32[i] = (float)a->x[i];
        a->y32[i] = (float)a->y[i];
    }
    a->mean = 0.37;
    a->mean32 = 0.37f;
    return a;
}

static void expect_bits(double actual, double expected, const char *name, int64_t length)
{
    cr_expect(memcmp(&actual, &expected, sizeof actual) == 0, "%s of %lld: %.17g, expected %.17g",
              name, (long long)length, actual, expected);
}

Test(lanes, sums_follow_the_definition_bit_for_bit)
{
    arrays *const a = filled();
    for (int n = 0; n < NUM_LENGTHS; n++) {
        const int64_t length = lengths[n];
        expect_bits(merit_sum64(a->x, length), defined_sum(term_x, a, length, 0), "sum64", length);
        expect_bits(merit_sum32(a->x32, length), defined_sum(term_x32, a, length, 1), "sum32",
                    length);
        expect_bits(merit_dot64(a->x, a->y, length), defined_sum(term_dot, a, length, 0), "dot64",
                    length);
        expect_bits(merit_dot32(a->x32, a->y32, length), defined_sum(term_dot32, a, length, 1),
                    "dot32", length);
        expect_bits(merit_squares64(a->x, a->mean, length), defined_sum(term_squares, a, length, 0),
                    "squares64", length);
        expect_bits(merit_squares32(a->x32, a->mean32, length),
                    defined_sum(term_squares32, a, length, 1), "squares32", length);
    }
    free(a);
}

/* By hand: eight tiles with sums 1 and 2^-53 in turn. Neighbours first: 1 + 2^-53 rounds to 1 each time,
 * four ones fold to 4. From left to right the same; from the right, or by halves (1+1+1+1 and
 * 4 x 2^-53), the small ones would survive. */
Test(lanes, tiles_fold_neighbours_first)
{
    merit_tile_sum tiles = {0};
    for (int i = 0; i < 8; i++) {
        merit_tile_sum_push(&tiles, i % 2 == 0 ? 1.0 : 0x1p-53);
    }
    cr_expect(merit_tile_sum_finish(&tiles) == 4.0);
    merit_tile_sum grouped = {0};
    for (int i = 0; i < 8; i++) {
        merit_tile_sum_push(&grouped, i < 4 ? 1.0 : 0x1p-53);
    }
    cr_expect(merit_tile_sum_finish(&grouped) == 4.0); // 2^-51 is half an ulp of 4: to even
    merit_tile_sum small = {0};
    merit_tile_sum_push(&small, 0x1p-53);
    merit_tile_sum_push(&small, 0x1p-53);
    merit_tile_sum_push(&small, 1.0);
    cr_expect(merit_tile_sum_finish(&small) == 1.0 + 0x1p-52); // the odd tile passes through
}

Test(lanes, a_shard_aligned_to_tiles_has_the_partials_of_the_whole)
{
    arrays *const a = filled();
    merit_tile_sum parts = {0};
    for (int64_t start = 0; start < LONGEST; start += 2048) {
        const int64_t left = LONGEST - start;
        merit_tile_sum_push(&parts, merit_sum64(a->x + start, left < 2048 ? left : 2048));
    }
    expect_bits(merit_tile_sum_finish(&parts), merit_sum64(a->x, LONGEST), "shards", LONGEST);
    free(a);
}

Test(lanes, sums_of_exponentials_are_close_to_long_double)
{
    arrays *const a = filled();
    for (int i = 0; i < LONGEST; i++) {
        a->x[i] = fmod(a->x[i], 40.0);
        a->x32[i] = (float)a->x[i];
    }
    const float scale = 1.44269504f;
    for (int n = 1; n < NUM_LENGTHS; n++) {
        const int64_t length = lengths[n];
        double max = -INFINITY;
        for (int64_t i = 0; i < length; i++) {
            max = fmax(max, a->x[i]);
        }
        long double sum = 0;
        long double sum32 = 0;
        for (int64_t i = 0; i < length; i++) {
            sum += expl((long double)a->x[i] - max);
            sum32 += exp2l((long double)a->x32[i] * scale);
        }
        const double wide = merit_exp_sum64(a->x, max, length);
        cr_expect(!(fabsl(wide - sum) > 1e-15L * sum * 8), "exp_sum64 of %lld", (long long)length);
        const merit_exp_sum s = merit_exp_sum32(a->x32, scale, length);
        // degree 5 and the argument's rounding: 1e-6 relative
        const long double actual = ldexpl((long double)s.sum, s.exponent);
        cr_expect(!(fabsl(actual - sum32) > 2e-6L * sum32), "exp_sum32 of %lld: %Lg, expected %Lg",
                  (long long)length, actual, sum32);
    }
    free(a);
}

Test(lanes, exponential_sums_of_special_values)
{
    float x[3000];
    for (int i = 0; i < 3000; i++) {
        x[i] = -INFINITY;
    }
    cr_expect(merit_exp_sum32(x, 1.0f, 3000).sum == 0.0);
    cr_expect(merit_exp_sum32(x, 1.0f, 0).sum == 0.0);
    x[2999] = 3.0f; // 2^3
    const merit_exp_sum one = merit_exp_sum32(x, 1.0f, 3000);
    cr_expect(ldexp(one.sum, one.exponent) == 8.0);
    x[5] = NAN;
    cr_expect(isnan(merit_exp_sum32(x, 1.0f, 3000).sum));
    x[5] = INFINITY;
    cr_expect(isnan(merit_exp_sum32(x, 1.0f, 3000).sum));
}
