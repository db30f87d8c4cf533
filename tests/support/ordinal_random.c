#include "ordinal_random.h"

#include <stdlib.h>

ordinal_random ordinal_random_make(int64_t N, int K, uint64_t seed)
{
    tk_random random = {seed};
    ordinal_random p;
    p.a = calloc((size_t)(N * K) + 1, sizeof(float));
    p.b = calloc((size_t)(N * K) + 1, sizeof(float));
    p.weights = calloc((size_t)N + 1, sizeof(float));
    p.region_a = calloc(2 * (size_t)N + 1, sizeof(int32_t));
    p.region_b = calloc(2 * (size_t)N + 1, sizeof(int32_t));
    p.mask = calloc((size_t)N + 1, 1);
    for (int64_t i = 0; i < N * K; i++) {
        p.a[i] = (float)(tk_below(&random, 65) - 32) / 8; // exact in 16 bits
        p.b[i] = (float)(tk_below(&random, 65) - 32) / 8;
    }
    for (int64_t n = 0; n < N; n++) {
        p.weights[n] = tk_chance(&random, 0.2) ? 0 : (float)(0.25 + tk_uniform(&random));
        p.mask[n] = tk_chance(&random, 0.8);
        p.region_a[2 * n] = (int32_t)tk_below(&random, K);
        p.region_a[2 * n + 1] = K - 1;
        p.region_b[2 * n + 1] = (int32_t)tk_below(&random, K);
    }
    return p;
}

void ordinal_random_free(ordinal_random *p)
{
    free(p->a), free(p->b), free(p->weights), free(p->region_a), free(p->region_b), free(p->mask);
}
