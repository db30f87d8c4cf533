// The table of math_table.c over all 2^32 inputs (binary32) or 10^8 (binary64), the conversions over
// all words, the shared division over 10^9 hard cases, and the bits of every instruction set. Prints
// the measured bounds: those at the head of kernels/core/exact.h.
//
//   exhaustive_math [--stride N] [--samples N] [--threads N] [PART ...]
//   part: binary32 binary64 bits words quotient (default: all); stride: every N-th binary32 (default 1);
//   samples: binary64 inputs per function (default 10^8); threads: default 1
#include "math_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 4096 };

static uint64_t stride = 1, samples = 100000000, threads = 1;
static int failures;

typedef struct worst {
    double error, x;
} worst;

static void fill32(float *in, uint64_t block)
{
    for (uint64_t i = 0; i < BLOCK; ++i) {
        const uint32_t bits = (uint32_t)((block * BLOCK + i) * stride);
        memcpy(&in[i], &bits, sizeof bits);
    }
}

static uint64_t num_blocks32(void)
{
    return (0x100000000u / stride + BLOCK - 1) / BLOCK;
}

static void report(const char *name, worst at, double limit)
{
    const int ok = at.error <= limit;
    printf("%-16s %8.4f ulp (at most %.2f) at %-24a %s\n", name, at.error, limit, at.x,
           ok ? "" : "FAILED");
    fflush(stdout);
    failures += !ok;
}

static void keep_worse(worst *a, worst b)
{
    if (!(b.error <= a->error)) *a = b;
}

static void sweep_row32(const math_row32 *row)
{
    const math_variant *const variant = math_variants()[0];
    worst all = {0, 0};
#pragma omp parallel num_threads((int)threads)
    {
        worst mine = {0, 0};
        float in[BLOCK], hi[BLOCK], lo[BLOCK] = {0};
#pragma omp for schedule(dynamic, 64)
        for (uint64_t block = 0; block < num_blocks32(); ++block) {
            fill32(in, block);
            variant->map32[row->map](hi, in, BLOCK);
            if (row->lo_map >= 0) variant->map32[row->lo_map](lo, in, BLOCK);
            for (int i = 0; i < BLOCK; ++i) {
                if (isnan(in[i]) ? isfinite(row->low) : in[i] < row->low || in[i] > row->high)
                    continue;
                keep_worse(&mine, (worst){math_error32(row, in[i], hi[i], lo[i]), in[i]});
            }
        }
#pragma omp critical
        keep_worse(&all, mine);
    }
    report(row->name, all, row->max_ulp);
}

static void sweep_row64(const math_row64 *row)
{
    const math_variant *const variant = math_variants()[0];
    worst all = {0, 0};
#pragma omp parallel num_threads((int)threads)
    {
        worst mine = {0, 0};
        double in[BLOCK], hi[BLOCK], lo[BLOCK] = {0};
#pragma omp for schedule(dynamic)
        for (uint64_t block = 0; block < samples / BLOCK; ++block) {
            uint64_t state = 0x9e3779b97f4a7c15u * (block + 1);
            for (int i = 0; i < BLOCK; ++i)
                in[i] = math_random_input64(row, &state);
            variant->map64[row->map](hi, in, BLOCK);
            if (row->lo_map >= 0) variant->map64[row->lo_map](lo, in, BLOCK);
            for (int i = 0; i < BLOCK; ++i)
                keep_worse(&mine, (worst){math_error64(row, in[i], hi[i], lo[i]), in[i]});
        }
        mpfr_free_cache();
#pragma omp critical
        keep_worse(&all, mine);
    }
    report(row->name, all, row->max_ulp);
}

static void report_count(const char *what, const char *name, uint64_t count)
{
    printf("%-16s %-16s %llu differences\n", what, name, (unsigned long long)count);
    fflush(stdout);
    failures += count != 0;
}

static void compare_bits(void)
{
    static const char *const names[] = {
#define MATH_NAME(name) #name,
        MATH_MAPS32(MATH_NAME)};
    const math_variant *const *const variants = math_variants();
    for (size_t v = 1; variants[v] != NULL; ++v) {
        for (int map = 0; map < MATH_NUM_MAPS32; ++map) {
            uint64_t count = 0;
#pragma omp parallel for num_threads((int)threads) schedule(dynamic, 64) reduction(+ : count)
            for (uint64_t block = 0; block < num_blocks32(); ++block) {
                float in[BLOCK], first[BLOCK], other[BLOCK];
                fill32(in, block);
                variants[0]->map32[map](first, in, BLOCK);
                variants[v]->map32[map](other, in, BLOCK);
                if (memcmp(first, other, sizeof first) == 0) continue;
                for (int i = 0; i < BLOCK; ++i)
                    count += memcmp(&first[i], &other[i], sizeof first[i]) != 0;
            }
            report_count(variants[v]->name, names[map], count);
        }
    }
}

static void compare_words(void)
{
    const math_variant *const variant = math_variants()[0];
    uint64_t bf16_count = 0, f16_count = 0;
#pragma omp parallel for num_threads((int)threads) schedule(dynamic, 64) \
    reduction(+ : bf16_count, f16_count)
    for (uint64_t block = 0; block < num_blocks32(); ++block) {
        float in[BLOCK];
        uint16_t bf16[BLOCK], f16[BLOCK];
        fill32(in, block);
        variant->to_bf16(bf16, in, BLOCK);
        variant->to_f16(f16, in, BLOCK);
        for (int i = 0; i < BLOCK; ++i) {
            bf16_count += bf16[i] != math_encode16(in[i], 8);
            f16_count += f16[i] != math_encode16(in[i], 5);
        }
    }
    report_count("words", "bf16", bf16_count);
    report_count("words", "f16", f16_count);
}

static void compare_quotients(void)
{
    const math_variant *const variant = math_variants()[0];
    uint64_t count = 0;
#pragma omp parallel for num_threads((int)threads) schedule(dynamic, 64) reduction(+ : count)
    for (uint64_t block = 0; block < 10 * samples / BLOCK; ++block) {
        uint64_t state = 0x9e3779b97f4a7c15u * (block + 1);
        for (int i = 0; i < BLOCK; ++i) {
            double c, d, q;
            math_hard_quotient(&state, &c, &d);
            variant->quotient_unchecked(&q, &c, d, 1);
            const double expected = c / d;
            count += memcmp(&q, &expected, sizeof q) != 0;
        }
    }
    report_count("quotient", "hard cases", count);
}

static void sweep32(void)
{
    for (int row = 0; row < math_num_rows32; ++row)
        sweep_row32(&math_table32[row]);
}

static void sweep64(void)
{
    for (int row = 0; row < math_num_rows64; ++row)
        sweep_row64(&math_table64[row]);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } parts[] = {{"binary32", sweep32},
                 {"binary64", sweep64},
                 {"bits", compare_bits},
                 {"words", compare_words},
                 {"quotient", compare_quotients}};
    enum { NUM_PARTS = sizeof parts / sizeof *parts };
    int chosen[NUM_PARTS] = {0}, num_chosen = 0;
    for (int i = 1; i < argc; ++i) {
        int known = 0;
        for (int part = 0; part < NUM_PARTS; ++part)
            if (strcmp(argv[i], parts[part].name) == 0) known = chosen[part] = ++num_chosen;
        uint64_t *const number = strcmp(argv[i], "--stride") == 0    ? &stride
                                 : strcmp(argv[i], "--samples") == 0 ? &samples
                                 : strcmp(argv[i], "--threads") == 0 ? &threads
                                                                     : NULL;
        if (number != NULL && i + 1 < argc) known = (*number = strtoull(argv[++i], NULL, 10)) > 0;
        if (!known) {
            fprintf(stderr, "usage: exhaustive_math [--stride N] [--samples N] [--threads N]"
                            " [binary32] [binary64] [bits] [words] [quotient]\n");
            return 2;
        }
    }
    for (int part = 0; part < NUM_PARTS; ++part)
        if (num_chosen == 0 || chosen[part]) parts[part].run();
    printf("%d failed\n", failures);
    return failures != 0;
}
