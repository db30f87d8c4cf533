// The BLAS path of score_forward on the emulated device, with a library of plain C in the place of cuBLAS.
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../host/internal.h"
#include "score_case.h"
#include "score_words.h"
#include "tk_memory.h"

extern const merit_backend merit_backend_simt;

static merit_status create(const char *library, merit_context **ctx)
{
    merit_context_desc desc;
    merit_context_desc_init(&desc, sizeof desc);
    desc.load_blas = 1;
    setenv("MERIT_CUBLASLT", library, 1);
    return merit_context_create_on(&merit_backend_simt, &desc, ctx);
}

typedef struct call {
    merit_score_desc d;
    float *hidden, *weight;
    int64_t P;
} call;

// P tokens of H under K heads.
static call make(int64_t P, int32_t H, int32_t K, int32_t dtype, int32_t weight_dtype)
{
    tk_random random = {.state = (uint64_t)(P + K)};
    call c = {.P = P};
    c.hidden = score_random_values(&random, P * H);
    c.weight = score_random_values(&random, (int64_t)K * H);
    cr_assert(merit_score_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    c.d.num_tokens = P, c.d.hidden_size = H, c.d.num_heads = K;
    c.d.hidden_dtype = dtype, c.d.weight_dtype = weight_dtype;
    c.d.positions = MERIT_POSITIONS_ALL;
    return c;
}

// offset: elements by which the weights are off their boundary.
static merit_status run_shifted(merit_context *ctx, const call *c, const float *bias,
                                const uint8_t *mask, float *scores, int64_t offset)
{
    const int64_t H = c->d.hidden_size, K = c->d.num_heads;
    const int64_t stride = c->d.weight_stride ? c->d.weight_stride : H;
    void *const hidden = score_store_rows(c->hidden, c->P, H, H, c->d.hidden_dtype);
    void *const stored = score_store_rows(c->weight, K, H, stride, c->d.weight_dtype);
    const size_t element = score_word_bytes(c->d.weight_dtype);
    const size_t weights = (size_t)((K - 1) * stride + H) * element;
    unsigned char *const room = aligned_alloc(256, (weights + 512) / 256 * 256);
    void *const weight = room + (size_t)offset * element;
    memcpy(weight, stored, weights);
    const merit_score_forward_io io = {.struct_size = sizeof io,
                                       .hidden = hidden,
                                       .weight = weight,
                                       .bias = bias,
                                       .mask = mask,
                                       .scores = scores};
    size_t bytes = 0;
    merit_status status = merit_score_forward_workspace(ctx, &c->d, &bytes);
    void *const workspace = aligned_alloc(256, bytes + 256 - bytes % 256);
    if (status == MERIT_STATUS_OK) {
        merit_workspace_init(ctx, workspace, bytes, NULL);
        status = merit_score_forward(ctx, &c->d, &io, workspace, bytes, NULL);
    }
    free(hidden), free(stored), free(room), free(workspace);
    return status;
}

static merit_status run(merit_context *ctx, const call *c, const float *bias, const uint8_t *mask,
                        float *scores)
{
    return run_shifted(ctx, c, bias, mask, scores, 0);
}

static void expect_scores(const call *c, const float *bias, const uint8_t *mask,
                          const float *scores)
{
    const int64_t H = c->d.hidden_size, K = c->d.num_heads;
    for (int64_t i = 0; i < c->P * K; i++) {
        double sum = bias != NULL ? bias[i % K] : 0, size = 1;
        for (int64_t h = 0; h < H; h++) {
            const double term = (double)c->hidden[i / K * H + h] * (double)c->weight[i % K * H + h];
            sum += term, size += fabs(term);
        }
        if (mask != NULL && mask[i / K] == 0) sum = 0;
        cr_assert(fabs(scores[i] - sum) <= 0x1p-23 * size, "score %d is %g, expected %g", (int)i,
                  (double)scores[i], sum);
    }
}

Test(score_blas, products_of_chunks_are_scores)
{
    merit_context *ctx = NULL;
    cr_assert(create(FAKE_CUBLASLT, &ctx) == MERIT_STATUS_OK, "%s", merit_context_last_error(NULL));
    static const int32_t types[4][2] = {{MERIT_DTYPE_F32, MERIT_DTYPE_F32},
                                        {MERIT_DTYPE_BF16, MERIT_DTYPE_F32},
                                        {MERIT_DTYPE_BF16, MERIT_DTYPE_BF16},
                                        {MERIT_DTYPE_F16, MERIT_DTYPE_F16}};
    for (int i = 0; i < 4; i++) {
        call c = make(i == 0 ? 1100 : 5, 40, 20, types[i][0], types[i][1]); // more than a chunk
        c.d.path = MERIT_SCORE_PATH_BLAS;
        c.d.weight_stride = 40 + 3 * i;
        float *const scores = calloc((size_t)c.P * 20, sizeof *scores);
        float bias[20];
        uint8_t *const mask = calloc((size_t)c.P, 1);
        for (int k = 0; k < 20; k++) {
            bias[k] = (float)k;
        }
        for (int64_t p = 0; p < c.P; p++) {
            mask[p] = p % 3 != 1;
        }
        cr_assert(run(ctx, &c, bias, mask, scores) == MERIT_STATUS_OK, "%s",
                  merit_context_last_error(ctx));
        expect_scores(&c, bias, mask, scores);
        free(c.hidden), free(c.weight), free(scores), free(mask);
    }
    merit_context_destroy(ctx);
}

// A row among others has the bits of the row alone: every product has the shape of a whole chunk.
Test(score_blas, a_row_has_the_same_bits_in_any_batch)
{
    merit_context *ctx = NULL;
    cr_assert(create(FAKE_CUBLASLT, &ctx) == MERIT_STATUS_OK);
    call c = make(3, 30, 17, MERIT_DTYPE_F32, MERIT_DTYPE_F32);
    c.d.path = MERIT_SCORE_PATH_BLAS;
    float all[3 * 17], last[17];
    cr_assert(run(ctx, &c, NULL, NULL, all) == MERIT_STATUS_OK);
    call alone = c;
    alone.P = alone.d.num_tokens = 1;
    alone.hidden = c.hidden + 2 * 30;
    cr_assert(run(ctx, &alone, NULL, NULL, last) == MERIT_STATUS_OK);
    for (int k = 0; k < 17; k++) {
        cr_expect(all[2 * 17 + k] == last[k]);
    }
    free(c.hidden), free(c.weight);
    merit_context_destroy(ctx);
}

// AUTO: the canonical bits up to 16 heads, the library's product from 17 on.
Test(score_blas, auto_takes_the_library_beyond_sixteen_heads)
{
    merit_context *with = NULL, *without = NULL;
    cr_assert(create(FAKE_CUBLASLT, &with) == MERIT_STATUS_OK);
    cr_assert(merit_context_create_on(&merit_backend_simt, NULL, &without) == MERIT_STATUS_OK);
    for (int32_t K = 16; K <= 17; K++) {
        call c = make(2, 8, K, MERIT_DTYPE_F32, MERIT_DTYPE_F32);
        float a[2 * 17], b[2 * 17];
        c.d.path = MERIT_SCORE_PATH_AUTO;
        setenv("FAKE_CUBLASLT_FAIL", "Matmul", 1);
        const merit_status status = run(with, &c, NULL, NULL, a);
        unsetenv("FAKE_CUBLASLT_FAIL");
        cr_expect(status == (K == 16 ? MERIT_STATUS_OK : MERIT_STATUS_BLAS_ERROR), "K %d", K);
        cr_expect(run(with, &c, NULL, NULL, a) == MERIT_STATUS_OK);
        cr_expect(run(without, &c, NULL, NULL, b) == MERIT_STATUS_OK);
        expect_scores(&c, NULL, NULL, a);
        expect_scores(&c, NULL, NULL, b);
        free(c.hidden), free(c.weight);
    }
    merit_context_destroy(with);
    merit_context_destroy(without);
}

// A number that the library in the place of cuBLAS keeps.
static int counted(const char *function)
{
    void *const library = dlopen(FAKE_CUBLASLT, RTLD_NOW | RTLD_NOLOAD);
    cr_assert(library != NULL);
    int (*read)(void);
    void *const symbol = dlsym(library, function);
    cr_assert(symbol != NULL);
    memcpy(&read, &symbol, sizeof read);
    const int count = read();
    dlclose(library);
    return count;
}

// The query of a workspace makes what its calls need; a context forgets the oldest of many shapes.
Test(score_blas, calls_create_nothing_and_contexts_release_all)
{
    merit_context *ctx = NULL;
    cr_assert(create(FAKE_CUBLASLT, &ctx) == MERIT_STATUS_OK);
    void *const library = dlopen(FAKE_CUBLASLT, RTLD_NOW); // stays beyond the context
    const int others = counted("fake_cublaslt_live") - 1;
    call c = make(3, 8, 20, MERIT_DTYPE_F32, MERIT_DTYPE_F32);
    c.d.path = MERIT_SCORE_PATH_BLAS;
    float scores[3 * 40];
    size_t bytes = 0;
    cr_assert(merit_score_forward_workspace(ctx, &c.d, &bytes) == MERIT_STATUS_OK);
    const int first = counted("fake_cublaslt_created");
    for (int i = 0; i < 3; i++) {
        cr_assert(run(ctx, &c, NULL, NULL, scores) == MERIT_STATUS_OK);
        expect_scores(&c, NULL, NULL, scores);
    }
    cr_expect(counted("fake_cublaslt_created") == first, "a call created objects");
    // Weights off their boundary take an algorithm that allows for it, made once.
    for (int i = 0; i < 2; i++) {
        cr_assert(run_shifted(ctx, &c, NULL, NULL, scores, 1) == MERIT_STATUS_OK, "%s",
                  merit_context_last_error(ctx));
        expect_scores(&c, NULL, NULL, scores);
        cr_expect(counted("fake_cublaslt_created") == first + 5);
    }
    free(c.hidden), free(c.weight);
    for (int32_t K = 17; K < 40; K++) {
        call other = make(3, 8, K, MERIT_DTYPE_F32, MERIT_DTYPE_F32);
        other.d.path = MERIT_SCORE_PATH_BLAS;
        cr_assert(run(ctx, &other, NULL, NULL, scores) == MERIT_STATUS_OK);
        expect_scores(&other, NULL, NULL, scores);
        free(other.hidden), free(other.weight);
    }
    cr_expect(counted("fake_cublaslt_live") == others + 1 + 8 * 5, "a handle and eight products");
    merit_context_destroy(ctx);
    cr_expect(counted("fake_cublaslt_live") == others, "%d are left",
              counted("fake_cublaslt_live"));
    dlclose(library);
}

Test(score_blas, failures_of_the_library_are_statuses)
{
    merit_context *ctx = NULL;
    cr_expect(create("/nowhere/libcublasLt.so", &ctx) == MERIT_STATUS_BLAS_ERROR && ctx == NULL);
    setenv("FAKE_CUBLASLT_FAIL", "Create", 1);
    cr_expect(create(FAKE_CUBLASLT, &ctx) == MERIT_STATUS_BLAS_ERROR && ctx == NULL);
    unsetenv("FAKE_CUBLASLT_FAIL");
    cr_assert(create(FAKE_CUBLASLT, &ctx) == MERIT_STATUS_OK);
    call c = make(2, 8, 3, MERIT_DTYPE_F32, MERIT_DTYPE_F32);
    c.d.path = MERIT_SCORE_PATH_BLAS;
    float scores[6];
    static const char *const steps[] = {"MatmulDescCreate",
                                        "MatmulDescSetAttribute",
                                        "MatrixLayoutCreate",
                                        "MatmulPreferenceCreate",
                                        "MatmulAlgoGetHeuristic",
                                        "none found",
                                        "Matmul"};
    for (int i = 0; i < 7; i++) {
        setenv("FAKE_CUBLASLT_FAIL", steps[i], 1);
        cr_expect(run(ctx, &c, NULL, NULL, scores) == MERIT_STATUS_BLAS_ERROR, "%s", steps[i]);
    }
    unsetenv("FAKE_CUBLASLT_FAIL");
    cr_expect(run(ctx, &c, NULL, NULL, scores) == MERIT_STATUS_OK);
    c.d.shard = MERIT_SCORE_SHARD_PARTIAL;
    cr_expect(run(ctx, &c, NULL, NULL, scores) == MERIT_STATUS_UNSUPPORTED);
    free(c.hidden), free(c.weight);
    merit_context_destroy(ctx);
}
