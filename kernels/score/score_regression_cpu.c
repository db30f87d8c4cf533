// score_regression, CPU. Threads own tiles of 2048 rows and take them in chunks of 256 rows and some heads:
// one element of each lane, so that lanes add side by side and all loops are vectors.
#include "../backend.h"
#include "../core/parallel.h"
#include "score_regression.h"

// Rows of up to HEADS heads are worked on in place.
enum { HEADS = 32, CHUNK = MERIT_LANES * HEADS, LINE = 16 /* floats of the cache */ };

// Rows by heads, the heads of a row side by side.
typedef struct chunk {
    const merit_score_regression_args *a;
    int64_t row; // the first of
    int rows;
    int32_t head; // the first of
    int heads;
    const float *scores, *labels; // [rows,heads]
    float score[CHUNK], label[CHUNK]; // of arrays that are laid out otherwise
    float gradient[CHUNK];
    int32_t valid[CHUNK];
    double weight[CHUNK], scale[CHUNK]; // weight: with row weights alone
    double loss[CHUNK], square[CHUNK]; // lanes
} chunk;

// An array's rows of a chunk: in place where nothing lies between them, else from `buffer`.
static const float *rows_of(const chunk *c, const float *array, int64_t stride, float *buffer)
{
    if (stride == c->heads) { // then head is 0
        const float *const from = array + c->row * stride;
        const int64_t next = (int64_t)c->rows * stride;
        for (int64_t i = 0; i < next && c->row + 2 * c->rows <= c->a->d.num_rows; i += LINE) {
            __builtin_prefetch(from + next + i);
        }
        return from;
    }
    for (int i = 0; i < c->rows; i++) {
        const float *const from = array + (c->row + i) * stride + c->head;
        for (int k = 0; k < c->heads; k++) {
            buffer[i * c->heads + k] = from[k];
        }
    }
    return buffer;
}

// Labels of a chunk, and which of them count.
static void read_labels(chunk *c)
{
    const merit_score_regression_args *const a = c->a;
    const int count = c->rows * c->heads;
    const float sentinel = a->d.sentinel;
    const float *const label = rows_of(c, a->io.labels, a->d.label_stride, c->label);
    int32_t *restrict const valid = c->valid;
    c->labels = label;
    if (a->d.use_sentinel) {
        for (int i = 0; i < count; i++) {
            valid[i] = (label[i] == label[i]) & (label[i] != sentinel);
        }
    } else {
        for (int i = 0; i < count; i++) {
            valid[i] = label[i] == label[i];
        }
    }
    for (int i = 0; a->io.mask != NULL && i < c->rows; i++) {
        const uint8_t *const mask = a->io.mask + (c->row + i) * a->d.num_heads + c->head;
        for (int k = 0; k < c->heads; k++) {
            c->valid[i * c->heads + k] &= mask[k] != 0;
        }
    }
}

static void begin_heads(chunk *c, int32_t head)
{
    const int32_t left = c->a->d.num_heads - head;
    c->head = head;
    c->heads = left < HEADS ? left : HEADS;
}

// Counts ------------------------------------------------------------------------------------------

static void count_heads(chunk *c, int64_t begin, int64_t end)
{
    int32_t seen[CHUNK] = {0};
    for (c->row = begin; c->row < end; c->row += MERIT_LANES) {
        c->rows = end - c->row < MERIT_LANES ? (int)(end - c->row) : MERIT_LANES;
        read_labels(c);
        for (int i = 0; i < c->rows * c->heads; i++) {
            seen[i] += c->valid[i];
        }
    }
    for (int k = 0; k < c->heads; k++) {
        uint64_t count = 0;
        for (int i = 0; i < MERIT_LANES; i++) {
            count += (uint64_t)seen[i * c->heads + k];
        }
        __atomic_fetch_add(&c->a->counts[c->head + k], count, __ATOMIC_RELAXED);
    }
}

static void count_rows(void *state, int64_t begin, int64_t end)
{
    enum { PART = 1 << 28 }; // rows that seen counts in 32 bits
    const merit_score_regression_args *const a = state;
    chunk c;
    c.a = a;
    for (int32_t head = 0; head < a->d.num_heads; head += HEADS) {
        begin_heads(&c, head);
        for (int64_t first = begin; first < end; first += PART) {
            count_heads(&c, first, end - first < PART ? end : first + PART);
        }
    }
    if (a->d.reduction != MERIT_REGRESSION_MEAN_ROW) return;
    uint64_t rows = 0;
    for (int64_t p = begin; p < end; p++) {
        int seen = 0;
        for (int32_t k = 0; k < a->d.num_heads && !seen; k++) {
            seen = regression_is_valid(a, p, k);
        }
        rows += (uint64_t)seen;
    }
    __atomic_fetch_add(&a->counts[a->d.num_heads], rows, __ATOMIC_RELAXED);
}

// Losses ------------------------------------------------------------------------------------------

// link and weighted are literals. A weight of 1 changes nothing.
static inline __attribute__((always_inline)) uint64_t
add_entries_as(chunk *restrict c, const int32_t link, const int weighted)
{
    const merit_score_regression_desc options = c->a->d;
    const float *restrict const scores = c->scores;
    const float *restrict const labels = c->labels;
    const int count = c->rows * c->heads;
    int32_t bad = 0;
    for (int i = 0; i < count; i++) {
        const merit_regression_entry e =
            regression_of(&options, link, scores[i], labels[i], weighted ? c->weight[i] : 1.0);
        const int valid = c->valid[i];
        const double slope = valid ? e.slope : 0.0;
        c->gradient[i] = valid ? regression_gradient(c->scale[i], e.slope) : 0.0f;
        c->loss[i] = m_add64(c->loss[i], valid ? e.loss : 0.0);
        c->square[i] = m_add64(c->square[i], m_mul64(slope, slope));
        bad += valid & regression_is_bad_target(link, labels[i]);
    }
    return (uint64_t)bad;
}

static inline __attribute__((always_inline)) uint64_t add_entries(chunk *restrict c,
                                                                  const int32_t link)
{
    return c->a->io.row_weight != NULL ? add_entries_as(c, link, 1) : add_entries_as(c, link, 0);
}

static void add_chunk(chunk *c)
{
    const merit_score_regression_args *const a = c->a;
    const int64_t stride = a->d.grad_stride;
    float *const gradients =
        a->io.grad_scores == NULL ? NULL : a->io.grad_scores + c->row * stride + c->head;
    uint64_t bad = 0;
    read_labels(c);
    c->scores = rows_of(c, a->io.scores, a->d.score_stride, c->score);
    for (int i = 0; a->io.row_weight != NULL && i < c->rows * c->heads; i++) {
        c->weight[i] = (double)a->io.row_weight[c->row + i / c->heads];
    }
    switch (a->d.link) {
    case MERIT_REGRESSION_MSE: add_entries(c, MERIT_REGRESSION_MSE); break;
    case MERIT_REGRESSION_BCE: bad = add_entries(c, MERIT_REGRESSION_BCE); break;
    default: add_entries(c, MERIT_REGRESSION_HUBER); break;
    }
    m_count(a->io.diagnostics, MERIT_COUNTER_BAD_TARGET, bad);
    if (gradients != NULL && stride == c->heads) {
        memcpy(gradients, c->gradient, (size_t)(c->rows * c->heads) * sizeof(float));
        return;
    }
    for (int i = 0; gradients != NULL && i < c->rows; i++) {
        memcpy(gradients + i * stride, c->gradient + i * c->heads,
               (size_t)c->heads * sizeof(float));
    }
}

// Tree over the lanes of some heads, in place.
static void fold_lanes(double *lanes, int heads)
{
    for (int width = MERIT_LANES / 2; width >= 1; width /= 2) {
        for (int i = 0; i < width; i++) {
            for (int k = 0; k < heads; k++) {
                lanes[i * heads + k] =
                    m_add64(lanes[2 * i * heads + k], lanes[(2 * i + 1) * heads + k]);
            }
        }
    }
}

static void run_tile(chunk *c, int64_t tile)
{
    const int64_t left = c->a->d.num_rows - tile * MERIT_TILE;
    const int64_t end = tile * MERIT_TILE + (left < MERIT_TILE ? left : MERIT_TILE);
    for (int i = 0; i < MERIT_LANES * c->heads; i++) {
        c->loss[i] = c->square[i] = 0.0;
    }
    for (c->row = tile * MERIT_TILE; c->row < end; c->row += MERIT_LANES) {
        c->rows = end - c->row < MERIT_LANES ? (int)(end - c->row) : MERIT_LANES;
        add_chunk(c);
    }
    fold_lanes(c->loss, c->heads);
    fold_lanes(c->square, c->heads);
    for (int k = 0; k < c->heads; k++) {
        double *const sums = c->a->sums + (tile * c->a->d.num_heads + c->head + k) * 2;
        sums[0] = c->loss[k];
        sums[1] = c->square[k];
    }
}

static void run_tiles(void *state, int64_t begin, int64_t end)
{
    const merit_score_regression_args *const a = state;
    chunk c;
    c.a = a;
    for (int32_t head = 0; head < a->d.num_heads; head += HEADS) {
        begin_heads(&c, head);
        for (int k = 0; k < c.heads; k++) {
            const double scale = regression_scale(a, head + k);
            for (int i = 0; i < MERIT_LANES; i++) {
                c.scale[i * c.heads + k] = scale;
            }
        }
        for (int64_t tile = begin; tile < end; tile++) {
            run_tile(&c, tile);
        }
    }
}

merit_score_regression_launcher MERIT_BACKEND_FN(score_regression);

int MERIT_BACKEND_FN(score_regression)(const merit_score_regression_args *args,
                                       const merit_launch *launch)
{
    void *const state = (void *)args;
    memset(args->counts, 0, ((size_t)args->d.num_heads + 1) * sizeof *args->counts);
    merit_parallel_ranges(launch->num_threads, args->d.num_rows, 256, count_rows, state);
    merit_parallel_ranges(launch->num_threads, args->num_tiles, 1, run_tiles, state);
    regression_finish(args);
    return 0;
}
