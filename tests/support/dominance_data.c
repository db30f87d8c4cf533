#include "dominance_data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tk_data.h"

static dominance_data make(const char *folder, int B, int A, int N)
{
    const size_t count = (size_t)B * (size_t)A * (size_t)N;
    return (dominance_data){.folder = folder,
                            .B = B,
                            .A = A,
                            .N = N,
                            .levels = malloc(count * sizeof(double)),
                            .rounded = malloc(count * sizeof(float))};
}

static int by_value(const void *x, const void *y)
{
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static dominance_data sorted(dominance_data s)
{
    const int64_t rows = (int64_t)s.B * s.A;
    for (int64_t r = 0; r < rows; r++) {
        qsort(s.levels + r * s.N, (size_t)s.N, sizeof *s.levels, by_value);
    }
    for (int64_t i = 0; i < rows * s.N; i++) {
        s.rounded[i] = (float)s.levels[i];
    }
    return s;
}

dominance_data dominance_data_atari(void)
{
    static const char *const algorithms[] = {"SimPLe", "CURL", "DrQ_eps", "IRIS"};
    dominance_data s = make("atari100k_runs", 26, 4, 100);
    for (int a = 0; a < s.A; a++) {
        char name[64];
        snprintf(name, sizeof name, "%s/%s.npy", s.folder, algorithms[a]);
        tk_npy runs = tk_npy_read(name); // [runs, games]
        cr_assert(runs.num_dims == 2 && runs.dims[1] == s.B && s.N % runs.dims[0] == 0, "%s", name);
        for (int b = 0; b < s.B; b++) {
            for (int n = 0; n < s.N; n++) {
                s.levels[(b * s.A + a) * s.N + n] = runs.values[n % runs.dims[0] * s.B + b];
            }
        }
        tk_npy_free(&runs);
    }
    return sorted(s);
}

dominance_data dominance_data_dopamine(void)
{
    enum { RUNS = 5, ITERATIONS = 199, FIRST = 99, KEPT = ITERATIONS - FIRST };
    dominance_data s = make("dopamine_returns", 30, 6, RUNS * KEPT);
    tk_npy returns = tk_npy_read("dopamine_returns/returns.npy");
    cr_assert(returns.count == (int64_t)s.B * s.A * RUNS * ITERATIONS);
    for (int64_t row = 0; row < (int64_t)s.B * s.A; row++) {
        for (int n = 0; n < s.N; n++) {
            s.levels[row * s.N + n] =
                returns.values[(row * RUNS + n / KEPT) * ITERATIONS + FIRST + n % KEPT];
        }
    }
    tk_npy_free(&returns);
    return sorted(s);
}

dominance_data dominance_data_alpaca(void)
{
    enum { MODELS = 29, PROMPTS = 805, COMPLETE = 802 };
    dominance_data s = make("alpaca_eval2", 1, MODELS, COMPLETE);
    tk_npy pref = tk_npy_read("alpaca_eval2/pref.npy");
    cr_assert(pref.count == MODELS * PROMPTS);
    int n = 0;
    for (int i = 0; i < PROMPTS; i++) {
        int complete = 1;
        for (int a = 0; a < MODELS; a++) {
            complete &= !isnan(pref.values[a * PROMPTS + i]);
        }
        cr_assert(!complete || n < COMPLETE);
        for (int a = 0; complete && a < MODELS; a++) {
            s.levels[a * COMPLETE + n] = pref.values[a * PROMPTS + i];
        }
        n += complete;
    }
    cr_assert(n == COMPLETE);
    tk_npy_free(&pref);
    return sorted(s);
}

void dominance_data_free(dominance_data *s)
{
    free(s->levels), free(s->rounded);
}

double *dominance_data_expected(const dominance_data *s, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/expected_%s.npy", s->folder, name);
    tk_npy array = tk_npy_read(path);
    cr_assert(array.count == (int64_t)s->B * s->A * s->A, "%s", path);
    return array.values;
}
