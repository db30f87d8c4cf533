// cuBLASLt behind a table of functions, opened with dlopen: merit links no vendor library, and this file
// alone knows the interface (cublasLt.h of CUDA 11 to 13; opaque structs have room to grow).
//
// The environment variable MERIT_CUBLASLT names the library to open instead.
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "blas.h"
#include "check.h"

// The numbers of cublasLt.h, cublas_api.h and library_types.h that are used here.
enum {
    CUDA_R_32F = 0,
    CUDA_R_16F = 2,
    CUDA_R_16BF = 14,
    COMPUTE_32F = 68, // binary32 sums, no TF32
    OP_T = 1,
    DESC_TRANSA = 3,
    PREF_MAX_WORKSPACE_BYTES = 1,
    PREF_REDUCTION_SCHEME_MASK = 3,
    PREF_MIN_ALIGNMENT_A_BYTES = 5,
    REDUCTION_NONE = 0 // no split-K that needs a reduction
};

typedef struct lt_heuristic {
    uint64_t algorithm[8];
    size_t workspace_bytes;
    int status;
    float waves;
    int reserved[4];
    uint64_t room[16];
} lt_heuristic;

// name, parameters
#define LT_FUNCTIONS(F)                                                                        \
    F(Create, (void **))                                                                       \
    F(Destroy, (void *))                                                                       \
    F(MatmulDescCreate, (void **, int, int))                                                   \
    F(MatmulDescDestroy, (void *))                                                             \
    F(MatmulDescSetAttribute, (void *, int, const void *, size_t))                             \
    F(MatrixLayoutCreate, (void **, int, uint64_t, uint64_t, int64_t))                         \
    F(MatrixLayoutDestroy, (void *))                                                           \
    F(MatmulPreferenceCreate, (void **))                                                       \
    F(MatmulPreferenceDestroy, (void *))                                                       \
    F(MatmulPreferenceSetAttribute, (void *, int, const void *, size_t))                       \
    F(MatmulAlgoGetHeuristic,                                                                  \
      (void *, void *, void *, void *, void *, void *, void *, int, lt_heuristic *, int *))    \
    F(Matmul,                                                                                  \
      (void *, void *, const void *, const void *, void *, const void *, void *, const void *, \
       const void *, void *, void *, void *, const void *, void *, size_t, merit_stream))

// What one product needs; created in order, destroyed in reverse.
typedef struct product {
    void *desc, *w, *x, *out, *preference;
    lt_heuristic found;
} product;

// What a product is made for.
typedef struct shape {
    int32_t dtype;
    uint32_t alignment; // bytes, of w
    int64_t rows, n, k, w_stride;
} shape;

enum {
    PLANS = 8, // products that a context keeps; the oldest makes room
    FULL_ALIGNMENT = 256 // of the other matrices, and what algorithms ask for at most
};

typedef struct plan {
    int used;
    shape shape;
    product product;
} plan;

struct merit_blas {
    void *library;
    void *handle;
#define LT_FIELD(name, parameters) int(*name) parameters;
    LT_FUNCTIONS(LT_FIELD)
    plan plans[PLANS];
    int next; // to make room
};

static merit_status failed(merit_context *ctx, const char *what, int code)
{
    return merit_fail(ctx, MERIT_STATUS_BLAS_ERROR, "cublasLt%s failed (code %d)", what, code);
}

static void *open_library(void)
{
    static const char *const names[] = {"libcublasLt.so.13", "libcublasLt.so.12",
                                        "libcublasLt.so.11", "libcublasLt.so"};
    const char *const given = getenv("MERIT_CUBLASLT");
    if (given != NULL) return dlopen(given, RTLD_NOW | RTLD_LOCAL);
    void *library = NULL;
    for (size_t i = 0; library == NULL && i < sizeof names / sizeof names[0]; i++) {
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    }
    return library;
}

// dlsym gives an object pointer: copied, as ISO C has no cast to a function.
static int find(void *library, const char *name, void *function)
{
    void *const symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

merit_status merit_blas_open(merit_context *ctx, merit_blas **blas)
{
    merit_blas *const made = calloc(1, sizeof *made);
    if (made == NULL) return merit_fail(ctx, MERIT_STATUS_OUT_OF_MEMORY, "no memory for cuBLAS");
    made->library = open_library();
    const char *missing = made->library == NULL ? "libcublasLt.so" : NULL;
#define LT_FIND(name, parameters) \
    if (missing == NULL && !find(made->library, "cublasLt" #name, &made->name)) missing = #name;
    LT_FUNCTIONS(LT_FIND)
    if (missing != NULL) {
        merit_blas_close(made);
        return merit_fail(ctx, MERIT_STATUS_BLAS_ERROR, "cuBLAS is not here: no %s", missing);
    }
    const int code = made->Create(&made->handle);
    if (code != 0) {
        made->handle = NULL;
        merit_blas_close(made);
        return failed(ctx, "Create", code);
    }
    *blas = made;
    return MERIT_STATUS_OK;
}

static void release(const merit_blas *blas, product *p)
{
    if (p->preference != NULL) blas->MatmulPreferenceDestroy(p->preference);
    if (p->out != NULL) blas->MatrixLayoutDestroy(p->out);
    if (p->x != NULL) blas->MatrixLayoutDestroy(p->x);
    if (p->w != NULL) blas->MatrixLayoutDestroy(p->w);
    if (p->desc != NULL) blas->MatmulDescDestroy(p->desc);
}

void merit_blas_close(merit_blas *blas)
{
    if (blas == NULL) return;
    for (int i = 0; i < PLANS; i++) {
        if (blas->plans[i].used) release(blas, &blas->plans[i].product);
    }
    if (blas->handle != NULL) blas->Destroy(blas->handle);
    if (blas->library != NULL) dlclose(blas->library);
    free(blas);
}

static int32_t cuda_type(int32_t dtype)
{
    return dtype == MERIT_DTYPE_BF16  ? CUDA_R_16BF
           : dtype == MERIT_DTYPE_F16 ? CUDA_R_16F
                                      : CUDA_R_32F;
}

// Matrices are column-major there: out^T [n,rows] = (w^T [k,n])^T x^T [k,rows].
static int describe(const merit_blas *blas, product *p, const shape *s)
{
    const int32_t transposed = OP_T, type = cuda_type(s->dtype);
    const uint32_t none = REDUCTION_NONE;
    const size_t most = MERIT_BLAS_WORKSPACE;
    const uint64_t rows = (uint64_t)s->rows, n = (uint64_t)s->n, k = (uint64_t)s->k;
    int count = 0;
    int code = blas->MatmulDescCreate(&p->desc, COMPUTE_32F, CUDA_R_32F);
    if (code == 0) {
        code = blas->MatmulDescSetAttribute(p->desc, DESC_TRANSA, &transposed, sizeof transposed);
    }
    if (code == 0) code = blas->MatrixLayoutCreate(&p->w, type, k, n, s->w_stride);
    if (code == 0) code = blas->MatrixLayoutCreate(&p->x, type, k, rows, s->k);
    if (code == 0) code = blas->MatrixLayoutCreate(&p->out, CUDA_R_32F, n, rows, s->n);
    if (code == 0) code = blas->MatmulPreferenceCreate(&p->preference);
    if (code == 0) {
        code = blas->MatmulPreferenceSetAttribute(p->preference, PREF_REDUCTION_SCHEME_MASK, &none,
                                                  sizeof none);
    }
    if (code == 0) {
        code = blas->MatmulPreferenceSetAttribute(p->preference, PREF_MAX_WORKSPACE_BYTES, &most,
                                                  sizeof most);
    }
    if (code == 0) {
        code = blas->MatmulPreferenceSetAttribute(p->preference, PREF_MIN_ALIGNMENT_A_BYTES,
                                                  &s->alignment, sizeof s->alignment);
    }
    if (code == 0) {
        code = blas->MatmulAlgoGetHeuristic(blas->handle, p->desc, p->w, p->x, p->out, p->out,
                                            p->preference, 1, &p->found, &count);
    }
    return code == 0 && count == 0 ? 15 : code; // CUBLAS_STATUS_NOT_SUPPORTED
}

static int is_same(const shape *a, const shape *b)
{
    return a->dtype == b->dtype && a->alignment == b->alignment && a->rows == b->rows &&
           a->n == b->n && a->k == b->k && a->w_stride == b->w_stride;
}

// The product of a shape, made if it is not there yet; NULL with the library's code.
static product *find_product(merit_blas *blas, const shape *wanted, int *code)
{
    for (int i = 0; i < PLANS; i++) {
        plan *const p = &blas->plans[i];
        if (p->used && is_same(&p->shape, wanted)) return &p->product;
    }
    plan *const p = &blas->plans[blas->next];
    if (p->used) release(blas, &p->product);
    *p = (plan){.shape = *wanted};
    *code = describe(blas, &p->product, wanted);
    if (*code != 0) {
        release(blas, &p->product);
        return NULL;
    }
    p->used = 1;
    blas->next = (blas->next + 1) % PLANS;
    return &p->product;
}

merit_status merit_blas_prepare(merit_context *ctx, merit_blas *blas, int32_t dtype, int64_t rows,
                                int64_t n, int64_t k, int64_t w_stride)
{
    const shape wanted = {dtype, FULL_ALIGNMENT, rows, n, k, w_stride};
    int code = 0;
    if (find_product(blas, &wanted, &code) == NULL) return failed(ctx, "Matmul", code);
    return MERIT_STATUS_OK;
}

merit_status merit_blas_product(merit_context *ctx, merit_blas *blas, int32_t dtype, int64_t rows,
                                int64_t n, int64_t k, const void *x, const void *w,
                                int64_t w_stride, float *out, void *workspace, merit_stream stream)
{
    const float one = 1.0f;
    const float zero = 0.0f;
    shape wanted = {dtype, FULL_ALIGNMENT, rows, n, k, w_stride};
    while ((uintptr_t)w % wanted.alignment != 0) {
        wanted.alignment /= 2;
    }
    int code = 0;
    const product *const p = find_product(blas, &wanted, &code);
    if (p != NULL) {
        code = blas->Matmul(blas->handle, p->desc, &one, w, p->w, x, p->x, &zero, out, p->out, out,
                            p->out, p->found.algorithm, workspace, MERIT_BLAS_WORKSPACE, stream);
    }
    return code == 0 ? MERIT_STATUS_OK : failed(ctx, "Matmul", code);
}
