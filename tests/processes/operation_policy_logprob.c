// A vocabulary cut over the ranks: results and gradients of every part, against one process.
#include <stdlib.h>

#include "world_operations.h"

enum { T = 3 };

typedef struct batch {
    merit_policy_logprob_desc d; // of the whole
    const float *logits; // [T,V] as all below in the memory of the context
    const int64_t *targets;
    const float *by_logprob, *by_entropy;
} batch;

typedef struct results {
    float *logprob, *entropy;
    int32_t *argmax;
    merit_policy_logprob_state *state;
    float *gradient; // [T,V]
} results;

static results make_results(world *w, int64_t V)
{
    return (results){.logprob = world_room(w, T * 4),
                     .entropy = world_room(w, T * 4),
                     .argmax = world_room(w, T * 4),
                     .state = world_room(w, T * sizeof(merit_policy_logprob_state)),
                     .gradient = world_room(w, (size_t)(T * V) * 4)};
}

static int forward(world *w, const merit_policy_logprob_desc *d,
                   const merit_policy_logprob_forward_io *io)
{
    size_t bytes = 0;
    if (!world_expect_ok(w, merit_policy_logprob_forward_workspace(w->ctx, d, &bytes))) return 0;
    void *const workspace = world_workspace(w, bytes);
    return world_expect_ok(w, merit_policy_logprob_forward(w->ctx, d, io, workspace, bytes, NULL));
}

static void backward(world *w, const batch *b, const merit_policy_logprob_desc *d, const results *r)
{
    merit_policy_logprob_backward_io io = {.struct_size = sizeof io};
    io.logits = b->logits + d->vocab_begin;
    io.targets = b->targets;
    io.state = r->state;
    io.entropy = r->entropy;
    io.grad_logprob = b->by_logprob;
    io.grad_entropy = b->by_entropy;
    io.grad_logits = r->gradient + d->vocab_begin;
    world_expect_ok(w, merit_policy_logprob_backward(w->ctx, d, &io, NULL, 0, NULL));
}

static void run_whole(world *w, const batch *b, const results *r)
{
    merit_policy_logprob_forward_io io = {.struct_size = sizeof io};
    io.logits = b->logits, io.targets = b->targets;
    io.logprob = r->logprob, io.entropy = r->entropy, io.argmax = r->argmax, io.state = r->state;
    if (forward(w, &b->d, &io)) backward(w, b, &b->d, r);
}

static int run_part(world *w, const batch *b, const merit_policy_logprob_desc *d, int64_t largest,
                    const results *r)
{
    const int64_t tiles = (d->vocab_size + 2047) / 2048;
    merit_policy_logprob_forward_io from = {.struct_size = sizeof from};
    from.logits = b->logits + d->vocab_begin, from.targets = b->targets;
    from.shards = world_room(w, T * sizeof *from.shards);
    from.segments = world_room(w, (size_t)(T * tiles) * sizeof *from.segments);
    forward(w, d, &from);
    merit_comm_policy_logprob_desc c;
    merit_comm_policy_logprob_desc_init(&c, sizeof c);
    c.logprob = d;
    c.max_vocab_size = largest;
    merit_comm_policy_logprob_io io = {.struct_size = sizeof io};
    io.shards = from.shards, io.segments = from.segments, io.targets = b->targets;
    io.logprob = r->logprob, io.entropy = r->entropy, io.argmax = r->argmax, io.state = r->state;
    size_t bytes = 0;
    const merit_status status = merit_comm_policy_logprob_workspace(w->ctx, w->comm, &c, &bytes);
    if (!world_expect_ok(w, status)) return 0;
    void *const workspace = world_workspace(w, bytes);
    if (!world_expect_ok(
            w, merit_comm_policy_logprob(w->ctx, w->comm, &c, &io, workspace, bytes, NULL))) {
        return 0;
    }
    backward(w, b, d, r);
    return 1;
}

// Every rank has a tile, one of them as many more as `variant` says; the last ends off a tile.
void operation_policy_logprob(world *w, int variant)
{
    const int64_t more = variant % 3;
    const int heavy = variant % w->size;
    const int64_t V = 2048 * (w->size + more) - 300;
    int64_t begin = 2048 * (w->rank + (w->rank > heavy ? more : 0));
    int64_t end = begin + 2048 * (1 + (w->rank == heavy ? more : 0));
    if (w->rank == w->size - 1) end = V;

    uint32_t state = 31 + (uint32_t)variant;
    float *const logits = malloc((size_t)(T * V) * sizeof *logits);
    if (logits == NULL) abort();
    for (int64_t i = 0; i < T * V; i++) {
        logits[i] = (float)world_random(&state) / 1048576.0f - 8.0f;
    }
    const int64_t targets[T] = {0, V - 1, V / 2};
    const float by_logprob[T] = {1, -2, 0.5f}, by_entropy[T] = {0.5f, 0, 1};
    batch b = {.logits = world_copy(w, logits, (size_t)(T * V) * 4),
               .targets = world_copy(w, targets, sizeof targets),
               .by_logprob = world_copy(w, by_logprob, sizeof by_logprob),
               .by_entropy = world_copy(w, by_entropy, sizeof by_entropy)};
    free(logits);
    merit_policy_logprob_desc_init(&b.d, sizeof b.d);
    b.d.num_tokens = T;
    b.d.vocab_size = V;
    b.d.dtype = MERIT_DTYPE_F32;
    const results one = make_results(w, V), several = make_results(w, V);
    run_whole(w, &b, &one);

    merit_policy_logprob_desc d = b.d;
    d.vocab_begin = begin;
    d.vocab_size = end - begin;
    d.vocab_total = V;
    d.ld_logits = V;
    d.partials = MERIT_LOGPROB_PARTIALS_SEGMENT;
    if (!run_part(w, &b, &d, 2048 * (1 + more), &several)) return;
    world_expect_same(w, "logprob", several.logprob, one.logprob, T * 4);
    world_expect_same(w, "entropy", several.entropy, one.entropy, T * 4);
    world_expect_same(w, "argmax", several.argmax, one.argmax, T * 4);
    world_expect_same(w, "state", several.state, one.state, T * sizeof *one.state);
    for (int t = 0; t < T; t++) {
        world_expect_same(w, "gradient", several.gradient + t * V + begin,
                          one.gradient + t * V + begin, (size_t)(end - begin) * 4);
    }
}
