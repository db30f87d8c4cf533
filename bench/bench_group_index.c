// group_index: integers only. Bound by memory for runs, by scattered access for the other kinds.
#include <stdio.h>
#include <stdlib.h>

#include "accuracy.h"
#include "operations.h"
#include "random.h"

enum { AXIS_KIND, AXIS_ROWS, AXIS_GROUPS };
enum { DENSE = 1, RUNS, LABELS };
enum { IDS, OFFSETS, INDEX }; // arrays

static const char *const kinds[] = {"dense", "runs", "labels"};
static const bench_axis axes[] = {{"kind", kinds}, {"rows", NULL}, {"groups", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{DENSE, RUNS}, {65536}, {4096}}, BENCH_QUICK},
    {{{LABELS}, {262144}, {16384}}, 0},
    {{{DENSE, RUNS, LABELS}, {1048576}, {65536}}, BENCH_FULL},
    {{{0}}, 0},
};

static int64_t num_offsets(bench_point p)
{
    return (p.v[AXIS_KIND] == DENSE ? p.v[AXIS_GROUPS] : p.v[AXIS_ROWS]) + 1;
}

static bench_work work(bench_point p)
{
    const double rows = (double)p.v[AXIS_ROWS];
    return (bench_work){
        .items = rows,
        .bytes_read = 8 * rows,
        .bytes_written = 4 * rows + 8 * (double)num_offsets(p),
    };
}

// Dense and labels: every row draws its group. Runs: groups in order, of equal size.
static bool setup(bench_case *c)
{
    const int64_t rows = c->point.v[AXIS_ROWS];
    const int64_t groups = c->point.v[AXIS_GROUPS];
    void *memory;
    bench_add_input(c, (size_t)rows * sizeof(int64_t), &memory);
    bench_add_output(c, (size_t)num_offsets(c->point) * sizeof(int64_t));
    bench_add_output(c, (size_t)rows * sizeof(int32_t));
    int64_t *const ids = memory;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t drawn = (int64_t)(bench_random(c->seed, (uint64_t)i) % (uint64_t)groups);
        switch (c->point.v[AXIS_KIND]) {
        case DENSE: ids[i] = drawn; break;
        case RUNS: ids[i] = i / (rows / groups); break;
        default: // labels as hashes are: any positive number
            ids[i] = (int64_t)(bench_random(c->seed + 1, (uint64_t)drawn) >> 1);
        }
    }
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

typedef struct call {
    merit_group_index_desc desc;
    merit_group_index_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    static const int32_t values[] = {MERIT_GROUP_KIND_DENSE, MERIT_GROUP_KIND_RUNS,
                                     MERIT_GROUP_KIND_LABELS};
    call *const made = (call *)bound;
    const merit_status status = merit_group_index_desc_init(&made->desc, sizeof made->desc);
    made->desc.num_rows = c->point.v[AXIS_ROWS];
    made->desc.num_groups = c->point.v[AXIS_GROUPS];
    made->desc.kind = values[c->point.v[AXIS_KIND] - 1];
    made->io = (merit_group_index_io){
        .struct_size = sizeof made->io,
        .ids = buffers->array[IDS],
        .offsets = buffers->array[OFFSETS],
        .index = buffers->array[INDEX],
    };
    return status;
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_group_index_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_group_index(ctx, &made->desc, &made->io, scratch, scratch_bytes, stream);
}

// Reference and peer: sort the rows by id, or count where ids are dense -----------------------------------

typedef struct labeled_row {
    int64_t id;
    int32_t row;
} labeled_row;

static int by_id_then_row(const void *a, const void *b)
{
    const labeled_row *const x = a;
    const labeled_row *const y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static void sort_rows(const int64_t *ids, int64_t rows, bool sort, int64_t *offsets, int32_t *index)
{
    labeled_row *const sorted = malloc((size_t)rows * sizeof *sorted);
    if (sorted == NULL) return;
    for (int64_t i = 0; i < rows; i++)
        sorted[i] = (labeled_row){ids[i], (int32_t)i};
    if (sort) qsort(sorted, (size_t)rows, sizeof *sorted, by_id_then_row);
    int64_t groups = 0;
    for (int64_t i = 0; i < rows; i++) {
        if (i == 0 || sorted[i].id != sorted[i - 1].id) offsets[groups++] = i;
        index[i] = sorted[i].row;
    }
    for (int64_t n = groups; n <= rows; n++)
        offsets[n] = rows;
    free(sorted);
}

static void count_rows(const int64_t *ids, int64_t rows, int64_t groups, int64_t *offsets,
                       int32_t *index)
{
    int64_t *const next = calloc((size_t)groups + 1, sizeof *next);
    if (next == NULL) return;
    for (int64_t i = 0; i < rows; i++)
        next[ids[i] + 1]++;
    for (int64_t n = 0; n < groups; n++)
        next[n + 1] += next[n];
    for (int64_t n = 0; n <= groups; n++)
        offsets[n] = next[n];
    for (int64_t i = 0; i < rows; i++)
        index[next[ids[i]]++] = (int32_t)i;
    free(next);
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    (void)num_threads; // one thread
    const int64_t kind = c->point.v[AXIS_KIND];
    const int64_t rows = c->point.v[AXIS_ROWS];
    if (kind == DENSE) {
        count_rows(buffers->array[IDS], rows, c->point.v[AXIS_GROUPS], buffers->array[OFFSETS],
                   buffers->array[INDEX]);
    } else {
        sort_rows(buffers->array[IDS], rows, kind == LABELS, buffers->array[OFFSETS],
                  buffers->array[INDEX]);
    }
}

// Every kind against the sort; dense offsets count empty groups too.
static bool check(const bench_case *c, const bench_buffers *outputs, bench_error *error)
{
    const int64_t *const ids = c->arrays[IDS].host;
    const int64_t *const offsets = outputs->array[OFFSETS];
    const int32_t *const index = outputs->array[INDEX];
    const int64_t rows = c->point.v[AXIS_ROWS];
    int64_t *const sorted_offsets = malloc(((size_t)rows + 1) * sizeof *sorted_offsets);
    int32_t *const sorted_index = malloc((size_t)rows * sizeof *sorted_index);
    bool good = sorted_offsets != NULL && sorted_index != NULL;
    if (!good) snprintf(error->text, sizeof error->text, "no memory for the reference");
    if (good) {
        sort_rows(ids, rows, c->point.v[AXIS_KIND] != RUNS, sorted_offsets, sorted_index);
        for (int64_t i = 0; i < rows; i++) {
            good &= bench_check_i64(error, "index", i, index[i], sorted_index[i]);
        }
    }
    if (good && c->point.v[AXIS_KIND] != DENSE) {
        for (int64_t n = 0; n <= rows; n++) {
            good &= bench_check_i64(error, "offsets", n, offsets[n], sorted_offsets[n]);
        }
    } else if (good) {
        int64_t below = 0; // rows whose id is under n
        for (int64_t n = 0; n <= c->point.v[AXIS_GROUPS]; n++) {
            while (below < rows && ids[sorted_index[below]] < n)
                below++;
            good &= bench_check_i64(error, "offsets", n, offsets[n], below);
        }
    }
    free(sorted_offsets);
    free(sorted_index);
    return good;
}

const bench_op bench_group_index = {
    .name = "group_index",
    .item = "row",
    .dtype = "i64",
    .model = "ids i64 [R] to offsets i64 and index i32 [R]; 8 bytes read and 4 written per row, "
             "8 written per offset (dense N + 1, others R + 1); the naive loop has one thread",
    .axes = axes,
    .sweeps = sweeps,
    .work = work,
    .setup = setup,
    .bind = bind,
    .workspace = workspace,
    .run = run,
    .check = check,
    .peer = peer,
};
