// Heads cut over the ranks, by columns of the hidden states and by positions, against one process.
#include <stdlib.h>

#include "world_operations.h"

enum { K = 2 };

typedef struct heads {
    merit_score_desc d; // of the whole: P positions, all of them
    const float *hidden; // [P,H], as all below in the memory of the context
    const float *weight, *bias; // [K,H], [K]
    const float *grad_scores; // [P,K]
} heads;

static const float *random_values(world *w, uint32_t *state, int64_t count)
{
    float *const values = malloc((size_t)count * sizeof *values);
    if (values == NULL) abort();
    for (int64_t i = 0; i < count; i++) {
        values[i] = (float)world_random(state) / 8388608.0f - 1.0f;
    }
    const float *const block = world_copy(w, values, (size_t)count * 4);
    free(values);
    return block;
}

static heads make(world *w, int64_t P, int64_t H, int variant)
{
    uint32_t state = 41 + (uint32_t)variant;
    heads h = {.hidden = random_values(w, &state, P * H),
               .weight = random_values(w, &state, K * H),
               .bias = random_values(w, &state, K),
               .grad_scores = random_values(w, &state, P * K)};
    merit_score_desc_init(&h.d, sizeof h.d);
    h.d.positions = MERIT_POSITIONS_ALL;
    h.d.num_tokens = P;
    h.d.hidden_size = (int32_t)H;
    h.d.num_heads = K;
    h.d.hidden_dtype = MERIT_DTYPE_F32;
    return h;
}

// hidden and weight point at the first column of the part.
static void forward(world *w, const merit_score_desc *d, const float *hidden, const float *weight,
                    const float *bias, void *scores)
{
    merit_score_forward_io io = {.struct_size = sizeof io};
    io.hidden = hidden, io.weight = weight, io.bias = bias, io.scores = scores;
    size_t bytes = 0;
    world_expect_ok(w, merit_score_forward_workspace(w->ctx, d, &bytes));
    void *const workspace = world_workspace(w, bytes);
    world_expect_ok(w, merit_score_forward(w->ctx, d, &io, workspace, bytes, NULL));
}

static void backward(world *w, const heads *h, const merit_score_desc *d, int64_t first,
                     void *grad_weight, void *grad_bias)
{
    merit_score_backward_io io = {.struct_size = sizeof io};
    io.hidden = h->hidden + first * d->hidden_size;
    io.grad_scores = h->grad_scores + first * K;
    io.grad_weight = grad_weight, io.grad_bias = grad_bias;
    size_t bytes = 0;
    world_expect_ok(w, merit_score_backward_workspace(w->ctx, d, &bytes));
    void *const workspace = world_workspace(w, bytes);
    world_expect_ok(w, merit_score_backward(w->ctx, d, &io, workspace, bytes, NULL));
}

// Every rank has a tile of columns, one of them as many more as `variant` says.
void operation_score(world *w, int variant)
{
    enum { P = 3 };
    const int64_t more = variant % 3;
    const int heavy = variant % w->size;
    const int64_t H = 2048 * (w->size + more) - 100;
    const int64_t begin = 2048 * (w->rank + (w->rank > heavy ? more : 0));
    int64_t end = begin + 2048 * (1 + (w->rank == heavy ? more : 0));
    if (w->rank == w->size - 1) end = H;
    const heads h = make(w, P, H, variant);
    float *const one = world_room(w, P * K * 4), *const several = world_room(w, P * K * 4);
    forward(w, &h.d, h.hidden, h.weight, h.bias, one);

    merit_score_desc d = h.d;
    d.hidden_size = (int32_t)(end - begin);
    d.hidden_stride = d.weight_stride = H;
    d.shard = MERIT_SCORE_SHARD_PARTIAL;
    double *const sums = world_room(w, (size_t)((end - begin + 2047) / 2048 * P * K) * 8);
    forward(w, &d, h.hidden + begin, h.weight + begin, NULL, sums);
    merit_comm_score_desc c;
    merit_comm_score_desc_init(&c, sizeof c);
    c.score = &d;
    c.hidden_begin = begin;
    c.hidden_total = H;
    c.max_hidden_size = 2048 * (1 + more);
    const merit_comm_score_io io = {
        .struct_size = sizeof io, .tile_sums = sums, .bias = h.bias, .scores = several};
    size_t bytes = 0;
    if (!world_expect_ok(w, merit_comm_score_workspace(w->ctx, w->comm, &c, &bytes))) return;
    void *const workspace = world_workspace(w, bytes);
    if (!world_expect_ok(w, merit_comm_score(w->ctx, w->comm, &c, &io, workspace, bytes, NULL))) {
        return;
    }
    world_expect_same(w, "scores", several, one, P * K * 4);
}

// Ranks hold a tile of positions, two, or none, after a short one; the batch ends inside a tile.
void operation_score_gradients(world *w, int variant)
{
    enum { H = 3 };
    const int used = variant % 2 ? w->size : (w->size + 1) / 2;
    const int64_t more = variant % 3 == 0;
    const int64_t P = 2048 * (used + more) - 100 * (1 + variant);
    int64_t first = w->rank == 0 ? 0 : 2048 * (w->rank + more); // rank 0 has more
    int64_t last = 2048 * (w->rank + 1 + more);
    first = first < P ? first : P;
    last = last < P ? last : P;
    const heads h = make(w, P, H, 100 + variant);
    float *const one = world_room(w, K * (H + 1) * 4), *const several =
                                                           world_room(w, K * (H + 1) * 4);
    backward(w, &h, &h.d, 0, one, one + K * H);

    merit_score_desc d = h.d;
    d.num_tokens = last - first;
    d.shard = MERIT_SCORE_SHARD_PARTIAL;
    const int64_t tiles = (last - first + 2047) / 2048;
    double *const weight = world_room(w, (size_t)(tiles * K * H) * 8);
    double *const bias = world_room(w, (size_t)(tiles * K) * 8);
    backward(w, &h, &d, first, weight, bias);
    merit_comm_score_gradients_desc c;
    merit_comm_score_gradients_desc_init(&c, sizeof c);
    c.score = &d;
    c.max_positions = 2048 * (1 + more);
    const merit_comm_score_gradients_io io = {.struct_size = sizeof io,
                                              .weight_tiles = weight,
                                              .bias_tiles = bias,
                                              .grad_weight = several,
                                              .grad_bias = several + K * H};
    size_t bytes = 0;
    if (!world_expect_ok(w, merit_comm_score_gradients_workspace(w->ctx, w->comm, &c, &bytes))) {
        return;
    }
    void *const workspace = world_workspace(w, bytes);
    if (!world_expect_ok(
            w, merit_comm_score_gradients(w->ctx, w->comm, &c, &io, workspace, bytes, NULL))) {
        return;
    }
    world_expect_same(w, "gradients", several, one, K * (H + 1) * 4);
}
