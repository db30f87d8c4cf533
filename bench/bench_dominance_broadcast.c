// The comparison as array code runs it: one operation after the other, each over a whole temporary of
// [B,M,A,A,N] or [B,M,A,A]. Kinder to it than an array library: temporaries of one state range are at most
// ROOM bytes and used again for the next.
#include <stdlib.h>

#include "bench_dominance.h"

enum { ROOM = 256 << 20, SUMS = 8 };

// difference[a,e,n] = q[a,n] - q[e,n]
static void subtract(const float *q, int64_t items, int64_t A, int64_t N, float *difference)
{
    for (int64_t item = 0; item < items; item++) {
        for (int64_t a = 0; a < A; a++) {
            for (int64_t e = 0; e < A; e++) {
                const float *const x = q + (item * A + a) * N, *const y = q + (item * A + e) * N;
                float *const to = difference + ((item * A + a) * A + e) * N;
                for (int64_t n = 0; n < N; n++) {
                    to[n] = x[n] - y[n];
                }
            }
        }
    }
}

static void keep_positive(const float *x, int64_t count, float *to)
{
    for (int64_t i = 0; i < count; i++) {
        to[i] = x[i] > 0 ? x[i] : 0;
    }
}

static void count_wins(const float *x, int64_t count, float *to)
{
    for (int64_t i = 0; i < count; i++) {
        to[i] = (x[i] > 0 ? 1.0f : 0.0f) + (x[i] == 0 ? 0.5f : 0.0f);
    }
}

static void square(const float *x, int64_t count, float *to)
{
    for (int64_t i = 0; i < count; i++) {
        to[i] = x[i] * x[i];
    }
}

// Eight sums a row, as array libraries take them, so that no addition waits for the one before.
static void sum_levels(const float *x, int64_t rows, int64_t N, float *to)
{
    for (int64_t row = 0; row < rows; row++) {
        const float *const from = x + row * N;
        float sums[SUMS] = {0};
        int64_t n = 0;
        for (; n + SUMS <= N; n += SUMS) {
            for (int i = 0; i < SUMS; i++) {
                sums[i] += from[n + i];
            }
        }
        for (int i = 0; n < N; n++, i++) {
            sums[i] += from[n];
        }
        to[row] = ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
                  ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    }
}

// qd = P / (P + P transposed), 1/2 where both are 0
static void divide(const float *gain, int64_t items, int64_t A, float *qd)
{
    for (int64_t item = 0; item < items; item++) {
        const float *const p = gain + item * A * A;
        for (int64_t a = 0; a < A; a++) {
            for (int64_t e = 0; e < A; e++) {
                const float all = p[a * A + e] + p[e * A + a];
                qd[(item * A + a) * A + e] = all == 0 ? 0.5f : p[a * A + e] / all;
            }
        }
    }
}

void bench_dominance_broadcast(void *state, int64_t begin, int64_t end)
{
    const bench_broadcast *const s = state;
    const int64_t A = s->num_actions, N = s->num_levels, pairs = A * A;
    const int64_t fits = ROOM / (pairs * N * (int64_t)sizeof(float)) + 1;
    const int64_t most = fits < end - begin ? fits : end - begin;
    float *const x = malloc((size_t)(most * pairs * N) * sizeof *x);
    float *const y = malloc((size_t)(most * pairs * N) * sizeof *y);
    float *const gain = malloc((size_t)(most * pairs) * sizeof *gain);
    for (int64_t item = begin; item < end && x != NULL && y != NULL && gain != NULL; item += most) {
        const int64_t items = most < end - item ? most : end - item;
        subtract(s->levels + item * A * N, items, A, N, x);
        if (s->power == 0) {
            count_wins(x, items * pairs * N, y);
        } else {
            keep_positive(x, items * pairs * N, y);
        }
        if (s->power == 2) square(y, items * pairs * N, x);
        sum_levels(s->power == 2 ? x : y, items * pairs, N, gain);
        divide(gain, items, A, s->qd + item * pairs);
    }
    free(x), free(y), free(gain);
}
