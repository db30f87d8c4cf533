// The symbols of cuBLASLt that merit uses, on host memory: products in plain C. It holds the caller to
// the interface (sizes, no split-K, its own workspace) and fails on demand: FAKE_CUBLASLT_FAIL names the
// function that returns an error.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { INVALID = 7, FAILED = 13, R_32F = 0, R_16F = 2, R_16BF = 14, COMPUTE_32F = 68 };

typedef struct layout {
    int type;
    uint64_t rows, columns;
    int64_t ld;
} layout;

typedef struct description {
    int transposed; // A
    uint32_t reductions; // of a preference
    uint64_t most; // its workspace
    uint32_t alignment; // of A
} description;

static int live; // objects: 0 when all are destroyed
static int created; // ever

#define API __attribute__((visibility("default")))

static int fails(const char *name)
{
    const char *const wanted = getenv("FAKE_CUBLASLT_FAIL");
    return wanted != NULL && strcmp(wanted, name) == 0;
}

static int create(void **object, size_t bytes, const char *name)
{
    if (fails(name)) return FAILED;
    *object = calloc(1, bytes);
    live += *object != NULL;
    created++;
    return *object != NULL ? 0 : FAILED;
}

static int destroy(void *object)
{
    if (object == NULL) return INVALID;
    free(object);
    live--;
    return 0;
}

API int fake_cublaslt_live(void);
API int fake_cublaslt_created(void);
API int cublasLtCreate(void **handle);
API int cublasLtDestroy(void *handle);
API int cublasLtMatmulDescCreate(void **desc, int compute, int scale);
API int cublasLtMatmulDescDestroy(void *desc);
API int cublasLtMatmulDescSetAttribute(void *desc, int attribute, const void *value, size_t bytes);
API int cublasLtMatrixLayoutCreate(void **out, int type, uint64_t rows, uint64_t columns,
                                   int64_t ld);
API int cublasLtMatrixLayoutDestroy(void *object);
API int cublasLtMatmulPreferenceCreate(void **preference);
API int cublasLtMatmulPreferenceDestroy(void *preference);
API int cublasLtMatmulPreferenceSetAttribute(void *preference, int attribute, const void *value,
                                             size_t bytes);
API int cublasLtMatmulAlgoGetHeuristic(void *handle, void *desc, void *a, void *b, void *c, void *d,
                                       void *preference, int wanted, void *results, int *found);
API int cublasLtMatmul(void *handle, void *desc, const void *alpha, const void *a, void *a_layout,
                       const void *b, void *b_layout, const void *beta, const void *c,
                       void *c_layout, void *d, void *d_layout, const void *algorithm,
                       void *workspace, size_t workspace_bytes, void *stream);

int fake_cublaslt_live(void)
{
    return live;
}

int fake_cublaslt_created(void)
{
    return created;
}

int cublasLtCreate(void **handle)
{
    return create(handle, 1, "Create");
}

int cublasLtDestroy(void *handle)
{
    return destroy(handle);
}

int cublasLtMatmulDescCreate(void **desc, int compute, int scale)
{
    if (compute != COMPUTE_32F || scale != R_32F) return INVALID;
    return create(desc, sizeof(description), "MatmulDescCreate");
}

int cublasLtMatmulDescDestroy(void *desc)
{
    return destroy(desc);
}

int cublasLtMatmulDescSetAttribute(void *desc, int attribute, const void *value, size_t bytes)
{
    if (attribute != 3 || bytes != 4) return INVALID; // TRANSA
    memcpy(&((description *)desc)->transposed, value, bytes);
    return fails("MatmulDescSetAttribute") ? FAILED : 0;
}

int cublasLtMatrixLayoutCreate(void **out, int type, uint64_t rows, uint64_t columns, int64_t ld)
{
    const int code = create(out, sizeof(layout), "MatrixLayoutCreate");
    if (code == 0) *(layout *)*out = (layout){type, rows, columns, ld};
    return code;
}

int cublasLtMatrixLayoutDestroy(void *object)
{
    return destroy(object);
}

int cublasLtMatmulPreferenceCreate(void **preference)
{
    const int code = create(preference, sizeof(description), "MatmulPreferenceCreate");
    if (code == 0) {
        ((description *)*preference)->reductions = 0xffffffffu;
        ((description *)*preference)->alignment = 256;
    }
    return code;
}

int cublasLtMatmulPreferenceDestroy(void *preference)
{
    return destroy(preference);
}

int cublasLtMatmulPreferenceSetAttribute(void *preference, int attribute, const void *value,
                                         size_t bytes)
{
    description *const p = preference;
    if (attribute == 3 && bytes == 4) { // REDUCTION_SCHEME_MASK
        memcpy(&p->reductions, value, bytes);
    } else if (attribute == 1 && bytes == 8) { // MAX_WORKSPACE_BYTES
        memcpy(&p->most, value, bytes);
    } else if (attribute == 5 && bytes == 4) { // MIN_ALIGNMENT_A_BYTES
        memcpy(&p->alignment, value, bytes);
    } else {
        return INVALID;
    }
    return 0;
}

int cublasLtMatmulAlgoGetHeuristic(void *handle, void *desc, void *a, void *b, void *c, void *d,
                                   void *preference, int wanted, void *results, int *found)
{
    const description *const p = preference;
    if (handle == NULL || desc == NULL || a == NULL || b == NULL || c != d || wanted != 1) {
        return INVALID;
    }
    if (p->reductions != 0 || p->most == 0) return INVALID; // split-K must be ruled out
    *found = fails("none found") ? 0 : 1;
    const uint64_t algorithm[2] = {p->most, p->alignment};
    memcpy(results, algorithm, sizeof algorithm);
    return fails("MatmulAlgoGetHeuristic") ? FAILED : 0;
}

static float value_at(const void *array, int type, int64_t i)
{
    if (type == R_32F) return ((const float *)array)[i];
    const uint16_t word = ((const uint16_t *)array)[i];
    uint32_t bits = (uint32_t)word << 16;
    if (type == R_16F) { // normal numbers and zero
        bits = (uint32_t)(word & 0x8000) << 16 | (((uint32_t)(word & 0x7fff) << 13) + (112u << 23));
        if ((word & 0x7fff) == 0) bits = (uint32_t)word << 16;
    }
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

int cublasLtMatmul(void *handle, void *desc, const void *alpha, const void *a, void *a_layout,
                   const void *b, void *b_layout, const void *beta, const void *c, void *c_layout,
                   void *d, void *d_layout, const void *algorithm, void *workspace,
                   size_t workspace_bytes, void *stream)
{
    (void)stream, (void)handle;
    const layout *const x = a_layout, *const y = b_layout, *const out = d_layout;
    uint64_t chosen[2]; // bytes of workspace, alignment of a
    memcpy(chosen, algorithm, sizeof chosen);
    const int good = ((description *)desc)->transposed == 1 && *(const float *)alpha == 1 &&
                     *(const float *)beta == 0 && c == d && c_layout == d_layout &&
                     workspace != NULL && workspace_bytes >= chosen[0] &&
                     (uintptr_t)a % chosen[1] == 0 && (uintptr_t)b % 256 == 0 &&
                     (uintptr_t)d % 256 == 0 && x->rows == y->rows && x->columns == out->rows &&
                     y->columns == out->columns && x->type == y->type && out->type == R_32F &&
                     x->ld >= (int64_t)x->rows && y->ld >= (int64_t)y->rows;
    if (!good) return INVALID;
    if (fails("Matmul")) return FAILED;
    for (uint64_t j = 0; j < out->columns; j++) {
        for (uint64_t i = 0; i < out->rows; i++) {
            double sum = 0;
            for (uint64_t n = 0; n < x->rows; n++) {
                sum += (double)value_at(a, x->type, (int64_t)i * x->ld + (int64_t)n) *
                       (double)value_at(b, y->type, (int64_t)j * y->ld + (int64_t)n);
            }
            ((float *)d)[(int64_t)j * out->ld + (int64_t)i] = (float)sum;
        }
    }
    return 0;
}
