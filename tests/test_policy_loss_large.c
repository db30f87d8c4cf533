// policy_loss and its siblings over more than 2^31 tokens: padded rows so far apart that arrays are
// addressed beyond 2^31 elements. Their pages are reserved and mostly never touched.
#include <sys/mman.h>

#include "tk.h"

enum { ROWS = 3, LENGTH = 40 };

static void *reserve(size_t bytes)
{
    void *const block = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return block == MAP_FAILED ? NULL : block;
}

TK_TEST(policy_loss, reaches_tokens_beyond_2_31)
{
    if (tk->kind == TK_CUDA) cr_skip_test("the arrays are sparse in host memory only");
    const int64_t stride = ((int64_t)1 << 30) + 7, T = (ROWS - 1) * stride + LENGTH;
    const size_t bytes = (size_t)T * sizeof(float);
    float *const lp = reserve(bytes), *const old = reserve(bytes);
    uint8_t *const mask = reserve((size_t)T);
    if (lp == NULL || old == NULL || mask == NULL) cr_skip_test("no address space");
    for (int64_t i = 0; i < ROWS; i++) {
        for (int64_t t = i * stride; t < i * stride + LENGTH; t++) {
            lp[t] = -1, old[t] = -1 - 0.1f * (float)i, mask[t] = t % 2 == 0;
        }
    }
    const float A[ROWS] = {1, 1, 1};
    merit_policy_loss_desc d;
    merit_policy_loss_desc_init(&d, sizeof d);
    d.num_tokens = T, d.denominator = 1;
    d.sequences = (merit_groups){.num_groups = ROWS, .group_size = LENGTH, .group_stride = stride};
    double loss = 0;
    merit_policy_stats stats = {0};
    const merit_policy_loss_io io = {.struct_size = sizeof io,
                                     .logprob = lp,
                                     .old = old,
                                     .advantages = A,
                                     .mask = mask,
                                     .loss = &loss,
                                     .stats = &stats};
    size_t needed = 0;
    tk_expect_ok(tk->ctx, merit_policy_loss_workspace(tk->ctx, &d, &needed));
    void *const workspace = tk_workspace(tk, needed);
    tk_expect_ok(tk->ctx, merit_policy_loss(tk->ctx, &d, &io, workspace, needed, NULL));
    TK_EXPECT(stats.tokens == ROWS * LENGTH / 2, "%lld tokens", (long long)stats.tokens);
    // r = 1, 1.105, 1.2 (clipped)
    const double expected = -LENGTH / 2 * (1 + 1.1051709 + 1.2);
    tk_expect_close(&loss, &expected, 1, 0, 2e-6);
    merit_policy_count_desc cd;
    merit_policy_count_desc_init(&cd, sizeof cd);
    cd.num_tokens = T, cd.sequences = d.sequences;
    merit_policy_counts counts = {0, 0};
    const merit_policy_count_io cio = {.struct_size = sizeof cio, .mask = mask, .counts = &counts};
    tk_expect_ok(tk->ctx, merit_policy_count_workspace(tk->ctx, &cd, &needed));
    void *const more = tk_workspace(tk, needed);
    tk_expect_ok(tk->ctx, merit_policy_count(tk->ctx, &cd, &cio, more, needed, NULL));
    TK_EXPECT(counts.tokens == stats.tokens && counts.nonempty_sequences == ROWS, "%lld counted",
              (long long)counts.tokens);
    tk_release(tk);
    munmap(lp, bytes), munmap(old, bytes), munmap(mask, (size_t)T);
}
