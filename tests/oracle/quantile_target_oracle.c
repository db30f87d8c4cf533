#include "quantile_target_oracle.h"

#include <math.h>
#include <stdlib.h>

static void fill(float *row, int64_t count, float value)
{
    for (int64_t n = 0; n < count; n++) {
        row[n] = value;
    }
}

target_oracle *target_oracle_new(const merit_dominance_quantile_target_desc *d,
                                 const merit_dominance_quantile_target_io *io, const float *q)
{
    const int64_t B = d->num_states, M = d->num_objectives, A = d->num_actions, N = d->num_levels;
    const int mixture = d->mode == MERIT_DOMINANCE_TARGET_MIXTURE;
    target_oracle *const o = calloc(1, sizeof *o);
    o->room = mixture ? A * N : N;
    o->target = malloc((size_t)(B * M * o->room + 1) * sizeof(float));
    o->count = calloc((size_t)(B * M) + 1, sizeof(int32_t));
    fill(o->target, B * M * o->room, -77);
    for (int64_t b = 0; b < B; b++) {
        for (int64_t m = 0; m < M; m++) {
            const int64_t r = b * M + m, words = (A + 31) / 32;
            const int done = io->done != NULL && io->done[b];
            const float gamma = d->gamma == NULL ? 0.99f : d->gamma[m];
            const float g = io->discount != NULL ? io->discount[r] : gamma;
            float *const row = o->target + r * o->room;
            int64_t size = 0;
            int bad = 0;
            for (int64_t a = 0; a < 32 * words; a++) {
                const int shared = d->mode == MERIT_DOMINANCE_TARGET_SHARED;
                const int in = mixture ? io->final[b * words + a / 32] >> (a % 32) & 1
                                       : a == (shared ? io->action[b] : io->greedy[r]);
                bad |= in && a >= A;
                if (!in || a >= A) continue;
                for (int64_t n = 0; n < N; n++) {
                    const float z = q[((b * M + m) * A + a) * N + n];
                    row[size * N + n] = done ? io->reward[r] : fmaf(g, z, io->reward[r]);
                }
                size++;
            }
            if (!mixture && size == 0) bad = 1;
            if (bad && !done) {
                fill(row, o->room, -77);
                size = 1;
                fill(row, N, NAN);
                o->bad_action++;
            } else if (done && size == 0) {
                size = 1;
                fill(row, N, io->reward[r]);
            }
            o->count[r] = (int32_t)(size * N);
        }
    }
    return o;
}

void target_oracle_free(target_oracle *o)
{
    free(o->target), free(o->count), free(o);
}
