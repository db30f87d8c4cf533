// policy_logprob on several threads and on the emulator, at shapes that reach every schedule:
// ThreadSanitizer watches. The bits must be those of one thread.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../host/internal.h"
#include "../simt/simt_control.h"

extern const merit_backend merit_backend_simt;

enum { NUM_CONTEXTS = 3 }; // one thread, four threads, the emulator

typedef struct shape {
    const char *name;
    int64_t tokens, vocab;
    int32_t dtype, support, normalize;
} shape;

typedef struct outputs {
    float *logprob, *entropy, *mass;
    int32_t *argmax;
    merit_policy_logprob_state *state;
    void *grad; // the logits, until backward runs
    merit_diagnostics diagnostics;
} outputs;

static int failures;

static void *memory(size_t bytes)
{
    void *const block = simt_malloc(bytes + 1);
    if (block == NULL) abort();
    memset(block, 0, bytes + 1);
    return block;
}

static size_t element(const shape *s)
{
    return s->dtype == MERIT_DTYPE_F32 ? 4 : 2;
}

static size_t logits_bytes(const shape *s)
{
    return (size_t)(s->tokens * s->vocab) * element(s);
}

// Words of finite numbers: a hash of their place below the exponents of infinity.
static void fill(const shape *s, void *logits)
{
    for (int64_t i = 0; i < s->tokens * s->vocab; i++) {
        const float x = (float)((uint32_t)i * 2654435761u >> 8) * 0x1p-21f - 4.0f;
        uint32_t bits;
        memcpy(&bits, &x, sizeof bits);
        const uint16_t word = (uint16_t)(bits >> 16);
        if (s->dtype == MERIT_DTYPE_F32) {
            memcpy((char *)logits + 4 * i, &bits, 4);
        } else {
            memcpy((char *)logits + 2 * i, &word, 2);
        }
    }
}

static outputs make(const shape *s)
{
    const size_t rows = (size_t)s->tokens;
    outputs o = {
        .logprob = memory(rows * 4), .entropy = memory(rows * 4), .mass = memory(rows * 4)};
    o.argmax = memory(rows * 4);
    o.state = memory(rows * sizeof *o.state);
    o.grad = memory(logits_bytes(s));
    fill(s, o.grad);
    return o;
}

static void drop(outputs *o)
{
    simt_free(o->logprob), simt_free(o->entropy), simt_free(o->mass), simt_free(o->argmax);
    simt_free(o->state), simt_free(o->grad);
}

// Forward, then the gradient over the logits.
static merit_status call(merit_context *ctx, const shape *s, const int64_t *targets,
                         const uint32_t *mask, const int32_t *ids, const float *ones, outputs *o)
{
    merit_policy_logprob_desc d;
    merit_policy_logprob_desc_init(&d, sizeof d);
    d.num_tokens = s->tokens, d.vocab_size = s->vocab, d.dtype = s->dtype;
    d.support = s->support, d.normalize = s->normalize, d.subset_size = 8;
    const int full = s->normalize == MERIT_LOGPROB_NORMALIZE_FULL;
    size_t bytes;
    merit_status status = merit_policy_logprob_forward_workspace(ctx, &d, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    void *const workspace = memory(bytes);
    status = merit_workspace_init(ctx, workspace, bytes, NULL);
    const merit_policy_logprob_forward_io forward = {
        .struct_size = sizeof forward,
        .logits = o->grad,
        .targets = targets,
        .keep_mask = s->support == MERIT_LOGPROB_SUPPORT_MASK ? mask : NULL,
        .subset_ids = s->support == MERIT_LOGPROB_SUPPORT_SUBSET ? ids : NULL,
        .logprob = o->logprob,
        .entropy = o->entropy,
        .mass = full ? o->mass : NULL,
        .argmax = o->argmax,
        .state = o->state,
        .diagnostics = &o->diagnostics};
    if (status == MERIT_STATUS_OK) {
        status = merit_policy_logprob_forward(ctx, &d, &forward, workspace, bytes, NULL);
    }
    const merit_policy_logprob_backward_io backward = {.struct_size = sizeof backward,
                                                       .logits = o->grad,
                                                       .targets = targets,
                                                       .keep_mask = forward.keep_mask,
                                                       .subset_ids = forward.subset_ids,
                                                       .state = o->state,
                                                       .grad_logprob = ones,
                                                       .grad_entropy = ones,
                                                       .entropy = o->entropy,
                                                       .mass = o->mass,
                                                       .grad_logits = o->grad,
                                                       .diagnostics = &o->diagnostics};
    if (status == MERIT_STATUS_OK) {
        status = merit_policy_logprob_backward(ctx, &d, &backward, NULL, 0, NULL);
    }
    simt_free(workspace);
    return status;
}

static int same(const shape *s, const outputs *a, const outputs *b)
{
    const size_t rows = (size_t)s->tokens;
    return memcmp(a->logprob, b->logprob, rows * 4) == 0 &&
           memcmp(a->entropy, b->entropy, rows * 4) == 0 &&
           memcmp(a->argmax, b->argmax, rows * 4) == 0 &&
           memcmp(a->state, b->state, rows * sizeof *a->state) == 0 &&
           memcmp(a->grad, b->grad, logits_bytes(s)) == 0 &&
           memcmp(&a->diagnostics, &b->diagnostics, sizeof a->diagnostics) == 0;
}

// Warps ahead and uniform by turns.
static uint64_t next_seed(void)
{
    static uint64_t calls;
    return calls++ % 2 * 2;
}

static void check(merit_context *const *contexts, const shape *s)
{
    const size_t rows = (size_t)s->tokens;
    int64_t *const targets = memory(rows * sizeof *targets);
    float *const ones = memory(rows * sizeof *ones);
    uint32_t *const mask = memory((size_t)(s->vocab / 32 + 1) * sizeof *mask);
    int32_t *const ids = memory(8 * sizeof *ids);
    for (size_t t = 0; t < rows; t++) {
        targets[t] = t % 9 == 4 ? -100 : t % 9 == 7 ? -1 : (int64_t)(t * 977) % s->vocab;
        ones[t] = 1;
    }
    memset(mask, 0xb6, (size_t)(s->vocab / 32 + 1) * sizeof *mask);
    for (int i = 0; i < 8; i++)
        ids[i] = (int32_t)((i * 37) % s->vocab);
    outputs all[NUM_CONTEXTS];
    for (int i = 0; i < NUM_CONTEXTS; i++) {
        all[i] = make(s);
        if (i == 2) simt_set_seed(next_seed());
        const merit_status status = call(contexts[i], s, targets, mask, ids, ones, &all[i]);
        if (status == MERIT_STATUS_OK && same(s, &all[0], &all[i])) continue;
        failures++;
        fprintf(stderr, "FAIL %s, context %d: %s\n%s", s->name, i,
                status == MERIT_STATUS_OK ? "other bits than on one thread"
                                          : merit_context_last_error(contexts[i]),
                simt_last_report());
    }
    for (int i = 0; i < NUM_CONTEXTS; i++)
        drop(&all[i]);
    simt_free(targets), simt_free(ones), simt_free(mask), simt_free(ids);
}

int main(void)
{
    static const shape shapes[] = {
        {"rows over blocks", 3, 20000, MERIT_DTYPE_BF16, 0, 0},
        {"a block per row", 65, 4200, MERIT_DTYPE_BF16, 0, 0},
        {"rows at odd addresses", 65, 4099, MERIT_DTYPE_F16, 0, 0},
        {"a warp per row", 300, 700, MERIT_DTYPE_F32, 0, 0},
        {"masks, normalized over all", 5, 5000, MERIT_DTYPE_BF16, MERIT_LOGPROB_SUPPORT_MASK, 1},
        {"subsets", 40, 900, MERIT_DTYPE_BF16, MERIT_LOGPROB_SUPPORT_SUBSET, 0},
    };
    merit_context_desc one, four;
    merit_context_desc_init(&one, sizeof one), merit_context_desc_init(&four, sizeof four);
    one.num_threads = 1, four.num_threads = 4;
    merit_context *contexts[NUM_CONTEXTS];
    const merit_backend *const cpu = merit_backend_best_cpu(NULL);
    if (merit_context_create_on(cpu, &one, &contexts[0]) != MERIT_STATUS_OK ||
        merit_context_create_on(cpu, &four, &contexts[1]) != MERIT_STATUS_OK ||
        merit_context_create_on(&merit_backend_simt, NULL, &contexts[2]) != MERIT_STATUS_OK) {
        return 1;
    }
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        check(contexts, &shapes[i]);
    for (int i = 0; i < 3; i++)
        merit_context_destroy(contexts[i]);
    return failures > 0;
}
