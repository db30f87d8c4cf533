// comm_score and comm_score_gradients: hidden states cut over columns or positions, against one rank.
#include <stdlib.h>
#include <string.h>

#include "ranks.h"
#include "score_case.h"
#include "score_words.h"

static void compare(rank *r, const char *name, const void *block, const void *expected,
                    size_t bytes)
{
    void *const actual = malloc(bytes);
    ranks_read(r, block, actual, bytes);
    cr_expect(memcmp(actual, expected, bytes) == 0, "%s on rank %d of %d", name, r->rank, r->size);
    free(actual);
}

// Bounds of every cut of `tiles` tiles of `total` elements: bit i of `cuts` starts a part at tile i + 1.
// Returns the number of parts.
static int cut(unsigned cuts, int tiles, int64_t total, int64_t *bounds, int64_t *most)
{
    int size = 0;
    *most = 0;
    bounds[0] = 0;
    for (int tile = 1; tile <= tiles; tile++) {
        if (tile < tiles && (cuts >> (tile - 1) & 1) == 0) continue;
        bounds[++size] = tile < tiles ? tile * 2048 : total;
        const int64_t part = bounds[size] - bounds[size - 1];
        *most = part > *most ? part : *most;
    }
    return size;
}

// Rows [rows,H] of values, their columns [begin, end) as words of a type in the rank's memory.
static void *columns(rank *r, const float *x, int64_t rows, int64_t H, int64_t begin, int64_t end,
                     int32_t dtype)
{
    const int64_t width = end - begin;
    const size_t size = score_word_bytes(dtype);
    unsigned char *const part = malloc((size_t)(rows * width) * size);
    for (int64_t i = 0; i < rows * width; i++) {
        score_to_word(part + (size_t)i * size, x[i / width * H + begin + i % width], dtype);
    }
    void *const block = ranks_copy(r, part, (size_t)(rows * width) * size);
    free(part);
    return block;
}

// Columns ------------------------------------------------------------------------------------------

enum { TOKENS = 5, TILES = 6, H = TILES * 2048 - 1348, K = 3 };

typedef struct hidden_run {
    const score_case *c; // the whole
    const int64_t *cuts;
    int64_t max_hidden_size;
    const score_result *whole;
    const score_gradients *gradients; // of the whole
} hidden_run;

static merit_score_desc desc_of(const hidden_run *run, const rank *r)
{
    merit_score_desc d = run->c->d;
    d.hidden_size = (int32_t)(run->cuts[r->rank + 1] - run->cuts[r->rank]);
    return d;
}

// Each rank's own columns of both gradients, without a collective.
static void backward(rank *r, const hidden_run *run, const merit_score_forward_io *from)
{
    const merit_score_desc d = desc_of(run, r);
    const int64_t begin = run->cuts[r->rank], width = d.hidden_size, C = run->whole->C;
    merit_score_backward_io io = {.struct_size = sizeof io};
    io.hidden = from->hidden, io.weight = from->weight;
    io.mask = from->mask, io.route = from->route;
    io.post_std = ranks_copy(r, run->c->io.post_std, K * 4);
    io.grad_scores = ranks_copy(r, run->c->grad_scores, (size_t)(TOKENS * C) * 4);
    float *const grad_hidden = ranks_room(r, (size_t)(TOKENS * width) * 4);
    float *const grad_weight = ranks_room(r, (size_t)(K * width) * 4);
    io.grad_hidden = grad_hidden, io.grad_weight = grad_weight;
    io.grad_bias = ranks_room(r, K * 4);
    size_t bytes = 0;
    cr_expect(merit_score_backward_workspace(r->ctx, &d, &bytes) == MERIT_STATUS_OK);
    void *const workspace = ranks_workspace(r, bytes);
    cr_expect(merit_score_backward(r->ctx, &d, &io, workspace, bytes, NULL) == MERIT_STATUS_OK,
              "%s", merit_context_last_error(r->ctx));
    compare(r, "grad_bias", io.grad_bias, run->gradients->bias, K * 4);
    float *const expected = malloc((size_t)((TOKENS + K) * width) * sizeof *expected);
    for (int64_t i = 0; i < TOKENS * width; i++) {
        expected[i] = (float)run->gradients->hidden[i / width * H + begin + i % width];
    }
    float *const weight = expected + TOKENS * width;
    for (int64_t i = 0; i < K * width; i++) {
        weight[i] = run->gradients->weight[i / width * H + begin + i % width];
    }
    compare(r, "grad_hidden", grad_hidden, expected, (size_t)(TOKENS * width) * 4);
    compare(r, "grad_weight", grad_weight, weight, (size_t)(K * width) * 4);
    free(expected);
}

static void run_columns(rank *r, void *state)
{
    const hidden_run *const run = state;
    const score_case *const c = run->c;
    merit_score_desc d = desc_of(run, r);
    const int64_t begin = run->cuts[r->rank], end = run->cuts[r->rank + 1], C = run->whole->C;
    const int64_t tiles = (end - begin + 2047) / 2048;
    d.shard = MERIT_SCORE_SHARD_PARTIAL;
    d.score_stride = C + 1;
    merit_score_forward_io from = {.struct_size = sizeof from};
    from.hidden = columns(r, c->hidden, TOKENS, H, begin, end, d.hidden_dtype);
    from.weight = columns(r, c->weight, K, H, begin, end, d.weight_dtype);
    from.mask = ranks_copy(r, c->io.mask, TOKENS);
    from.route = ranks_copy(r, c->io.route, TOKENS * 4);
    from.scores = ranks_room(r, (size_t)(tiles * TOKENS * C) * 8);
    from.found_positions = ranks_room(r, TOKENS * 8);
    size_t bytes = 0;
    cr_expect(merit_score_forward_workspace(r->ctx, &d, &bytes) == MERIT_STATUS_OK);
    void *workspace = ranks_workspace(r, bytes);
    cr_expect(merit_score_forward(r->ctx, &d, &from, workspace, bytes, NULL) == MERIT_STATUS_OK,
              "%s", merit_context_last_error(r->ctx));

    merit_comm_score_desc cd;
    merit_comm_score_desc_init(&cd, sizeof cd);
    cd.score = &d;
    cd.hidden_begin = begin;
    cd.hidden_total = H;
    cd.max_hidden_size = run->max_hidden_size;
    static const merit_diagnostics zero;
    merit_comm_score_io io = {.struct_size = sizeof io};
    io.tile_sums = from.scores;
    io.found_positions = from.found_positions;
    io.bias = ranks_copy(r, c->io.bias, K * 4);
    io.post_mean = ranks_copy(r, c->io.post_mean, K * 4);
    io.post_std = ranks_copy(r, c->io.post_std, K * 4);
    io.route = from.route;
    io.scores = ranks_room(r, (size_t)((TOKENS - 1) * d.score_stride + C) * 4);
    io.diagnostics = ranks_copy(r, &zero, sizeof zero);
    merit_status status = merit_comm_score_workspace(r->ctx, r->comm, &cd, &bytes);
    workspace = ranks_workspace(r, bytes);
    if (status == MERIT_STATUS_OK) {
        status = merit_comm_score(r->ctx, r->comm, &cd, &io, workspace, bytes, NULL);
    }
    cr_expect(status == MERIT_STATUS_OK, "%s", merit_context_last_error(r->ctx));
    cr_expect(merit_comm_collectives(r->comm) == 1);
    for (int t = 0; t < TOKENS; t++) {
        compare(r, "scores", io.scores + t * d.score_stride, run->whole->scores + t * C,
                (size_t)C * 4);
    }
    compare(r, "diagnostics", io.diagnostics, &run->whole->diagnostics, sizeof zero);
    backward(r, run, &from);
}

TK_TEST(comm_score, every_cut_of_columns_has_the_bits_of_one_rank)
{
    static const float bias[K] = {.1f, .2f, .3f}, mean[K] = {1, 2, 3}, std[K] = {3, .7f, 0};
    static const uint8_t mask[TOKENS] = {1, 0, 1, 1, 1};
    static const int32_t route[TOKENS] = {0, 1, 2, 1, 3};
    tk_random random = {.state = 15};
    float *const hidden = score_random_values(&random, TOKENS * H);
    float *const weight = score_random_values(&random, K * H);
    float *const gradients = score_random_values(&random, TOKENS * K);
    int shardings = 0;
    for (int routed = 0; routed < 2; routed++) {
        score_case c = score_make(hidden, TOKENS, 0, H, weight, K, MERIT_POSITIONS_ALL);
        c.d.routed = routed;
        c.d.weight_dtype = MERIT_DTYPE_F32;
        c.io.mask = mask;
        c.io.route = routed ? route : NULL;
        c.io.bias = bias, c.io.post_mean = mean, c.io.post_std = std;
        c.grad_scores = gradients;
        c.outputs = SB_ALL;
        score_result one = score_run(tk, &c);
        score_gradients g = score_run_backward(tk, &c);
        const int all = tk->kind == TK_CPU, step = !all ? 21 : routed ? 3 : 1;
        for (unsigned cuts = all ? 0 : 10; cuts < 32; cuts += (unsigned)step) {
            int64_t bounds[TILES + 1], most;
            const int size = cut(cuts, TILES, H, bounds, &most);
            const int64_t equal = ((H + size - 1) / size + 2047) / 2048 * 2048;
            hidden_run run = {&c, bounds, most <= equal ? 0 : most, &one, &g};
            ranks_run(&(ranks){.tk = tk, .size = size}, run_columns, &run);
            shardings++;
        }
        score_free(&one);
        score_free_gradients(&g);
    }
    TK_EXPECT(shardings >= (tk->kind == TK_CPU ? 43 : 4), "%d shardings", shardings);
    free(hidden), free(weight), free(gradients);
}

// Positions ----------------------------------------------------------------------------------------

enum { LONG = 5 * 2048 + 77, WIDTH = 5, HEADS = 2, STRIDE = WIDTH + 2 };

typedef struct batch_run {
    const score_case *c;
    const int64_t *cuts;
    int64_t max_positions;
    int outputs; // SB_WEIGHT, SB_BIAS
    int accumulate;
    const float *weight, *bias; // of one rank
} batch_run;

static void run_positions(rank *r, void *state)
{
    const batch_run *const run = state;
    const score_case *const c = run->c;
    const int64_t begin = run->cuts[r->rank], count = run->cuts[r->rank + 1] - begin;
    const int64_t tiles = (count + 2047) / 2048;
    const int weights = run->outputs & SB_WEIGHT, biases = run->outputs & SB_BIAS;
    merit_score_desc d = c->d;
    d.num_tokens = count;
    d.shard = MERIT_SCORE_SHARD_PARTIAL;
    d.accumulate = 0;
    merit_score_backward_io from = {.struct_size = sizeof from};
    if (weights) {
        from.hidden = columns(r, c->hidden + begin * WIDTH, count, WIDTH, 0, WIDTH, d.hidden_dtype);
        from.grad_weight = ranks_room(r, (size_t)(tiles * HEADS * WIDTH) * 8);
    }
    if (biases) from.grad_bias = ranks_room(r, (size_t)(tiles * HEADS) * 8);
    from.grad_scores = ranks_copy(r, c->grad_scores + begin * HEADS, (size_t)(count * HEADS) * 4);
    size_t bytes = 0;
    cr_expect(merit_score_backward_workspace(r->ctx, &d, &bytes) == MERIT_STATUS_OK);
    void *workspace = ranks_workspace(r, bytes);
    cr_expect(merit_score_backward(r->ctx, &d, &from, workspace, bytes, NULL) == MERIT_STATUS_OK,
              "%s", merit_context_last_error(r->ctx));

    merit_comm_score_gradients_desc cd;
    merit_comm_score_gradients_desc_init(&cd, sizeof cd);
    cd.score = &d;
    cd.max_positions = run->max_positions;
    cd.accumulate = run->accumulate;
    merit_comm_score_gradients_io io = {.struct_size = sizeof io};
    const size_t rows = ((HEADS - 1) * STRIDE + WIDTH) * 4;
    if (weights) {
        void *const old = score_store_rows(c->old_weight, HEADS, WIDTH, STRIDE, MERIT_DTYPE_F32);
        io.weight_tiles = from.grad_weight;
        io.grad_weight = run->accumulate ? ranks_copy(r, old, rows) : ranks_room(r, rows);
        free(old);
    }
    if (biases) {
        io.bias_tiles = from.grad_bias;
        io.grad_bias =
            run->accumulate ? ranks_copy(r, c->old_bias, HEADS * 4) : ranks_room(r, HEADS * 4);
    }
    merit_status status = merit_comm_score_gradients_workspace(r->ctx, r->comm, &cd, &bytes);
    workspace = ranks_workspace(r, bytes);
    if (status == MERIT_STATUS_OK) {
        status = merit_comm_score_gradients(r->ctx, r->comm, &cd, &io, workspace, bytes, NULL);
    }
    cr_expect(status == MERIT_STATUS_OK, "%s", merit_context_last_error(r->ctx));
    cr_expect(merit_comm_collectives(r->comm) == 1);
    for (int k = 0; weights && k < HEADS; k++) {
        compare(r, "grad_weight", io.grad_weight + k * STRIDE, run->weight + k * WIDTH, WIDTH * 4);
    }
    if (biases) compare(r, "grad_bias", io.grad_bias, run->bias, HEADS * 4);
}

TK_TEST(comm_score, every_cut_of_positions_has_the_gradients_of_one_rank)
{
    tk_random random = {.state = 25};
    float *const hidden = score_random_values(&random, LONG * WIDTH);
    float *const weight = score_random_values(&random, HEADS * WIDTH);
    float *const gradients = score_random_values(&random, LONG * HEADS);
    score_case c = score_make(hidden, LONG, 0, WIDTH, weight, HEADS, MERIT_POSITIONS_ALL);
    c.d.grad_weight_stride = STRIDE;
    c.grad_scores = gradients;
    c.old_weight = weight, c.old_bias = gradients;
    c.outputs = SB_WEIGHT | SB_BIAS;
    int shardings = 0;
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        c.d.accumulate = accumulate;
        score_gradients g = score_run_backward(tk, &c);
        for (unsigned cuts = 0; cuts < 32; cuts += tk->kind == TK_CPU ? 1 : 13) {
            int64_t bounds[TILES + 3], most;
            int size = cut(cuts, TILES, LONG, bounds, &most);
            for (unsigned empty = cuts % 3; empty > 0; empty--) { // ranks without positions
                bounds[size + 1] = LONG;
                size++;
            }
            batch_run run = {&c,       bounds, size == 1 ? 0 : most, c.outputs, accumulate,
                             g.weight, g.bias};
            if (cuts % 5 == 4) run.outputs = cuts % 2 ? SB_BIAS : SB_WEIGHT;
            ranks_run(&(ranks){.tk = tk, .size = size}, run_positions, &run);
            shardings++;
        }
        score_free_gradients(&g);
    }
    TK_EXPECT(shardings >= (tk->kind == TK_CPU ? 64 : 6), "%d shardings", shardings);
    free(hidden), free(weight), free(gradients);
}
