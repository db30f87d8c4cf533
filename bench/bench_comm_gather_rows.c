// comm_gather_rows: rewards, group ids and masks of uneven parts, whole on every rank. Ranks are threads; the
// peer is the bare all-gather of the same bytes.
#include "accuracy.h"
#include "bench_ranks.h"
#include "operations.h"
#include "random.h"

enum { AXIS_ROWS = AXIS_RANKS + 1 };
enum { REWARDS, IDS, MASK, ALL_REWARDS, ALL_IDS, ALL_MASK, OUT_ROWS }; // arrays
enum { GATHERED = 3 };

static const int32_t row_bytes[GATHERED] = {sizeof(float), sizeof(int64_t), 1};
static const bench_axis axes[] = {{"ranks", NULL}, {"rows", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{2}, {256}}, BENCH_QUICK},
    {{{2}, {4096}}, 0},
    {{{4, 8, 16}, {256, 65536}}, BENCH_FULL},
    {{{0}}, 0},
};

// Those of rank 0 fill its arrays; each further rank has a 32nd less.
static int64_t rows_of(const bench_point *p, int64_t rank)
{
    return p->v[AXIS_ROWS] - rank * (p->v[AXIS_ROWS] / 32);
}

static int64_t total_rows(const bench_point *p)
{
    int64_t total = 0;
    for (int64_t rank = 0; rank < p->v[AXIS_RANKS]; rank++)
        total += rows_of(p, rank);
    return total;
}

static bench_work work(bench_point p)
{
    const double rows = (double)total_rows(&p);
    double bytes = 0;
    for (int i = 0; i < GATHERED; i++)
        bytes += row_bytes[i] * rows;
    return (bench_work){.items = rows, .bytes_read = bytes, .bytes_written = bytes};
}

// Row i of a rank.
typedef struct row {
    float reward;
    int64_t id;
    uint8_t mask;
} row;

static row row_of(uint64_t seed, int64_t rank, int64_t i)
{
    const uint64_t at = (uint64_t)(rank << 32 | i);
    return (row){bench_normal(seed, at), (int64_t)(bench_random(seed + 1, at) >> 1),
                 bench_uniform(seed + 2, at) < 0.9};
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_comm_gather_rows_desc desc;
    merit_comm_gather_rows_io io;
} call;
BENCH_CALL_OF_RANK(comm_gather_rows)

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    const merit_status status = merit_comm_gather_rows_desc_init(&made->desc, sizeof made->desc);
    made->desc.num_rows = rows_of(&c->point, merit_comm_rank(bench_comm()));
    made->desc.max_rows = c->point.v[AXIS_ROWS];
    made->desc.max_total = total_rows(&c->point);
    made->desc.num_arrays = GATHERED;
    made->io = (merit_comm_gather_rows_io){.struct_size = sizeof made->io,
                                           .rows = buffers->array[OUT_ROWS]};
    for (int i = 0; i < GATHERED; i++) {
        made->desc.row_bytes[i] = row_bytes[i];
        made->io.local[i] = buffers->array[i];
        made->io.gathered[i] = buffers->array[GATHERED + i];
    }
    return status;
}

static void fill(const bench_rank *rank)
{
    float *const rewards = rank->arrays.array[REWARDS];
    int64_t *const ids = rank->arrays.array[IDS];
    uint8_t *const mask = rank->arrays.array[MASK];
    for (int64_t i = 0; i < rows_of(&rank->c->point, rank->rank); i++) {
        const row r = row_of(rank->c->seed, rank->rank, i);
        rewards[i] = r.reward, ids[i] = r.id, mask[i] = r.mask;
    }
}

static bool setup(bench_case *c)
{
    for (int i = 0; i < GATHERED; i++)
        bench_add_input(c, (size_t)(c->point.v[AXIS_ROWS] * row_bytes[i]), NULL);
    for (int i = 0; i < GATHERED; i++)
        bench_add_output(c, (size_t)(total_rows(&c->point) * row_bytes[i]));
    bench_add_output(c, sizeof(merit_comm_rows));
    return bench_start_ranks(c, fill);
}

// Reference: the rows of one rank behind those of the one before ------------------------------------

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const float *const rewards = results->array[ALL_REWARDS];
    const int64_t *const ids = results->array[ALL_IDS];
    const uint8_t *const mask = results->array[ALL_MASK];
    const merit_comm_rows *const rows = results->array[OUT_ROWS];
    bool good = true;
    int64_t at = 0;
    for (int64_t rank = 0; rank < c->point.v[AXIS_RANKS]; rank++) {
        for (int64_t i = 0; i < rows_of(&c->point, rank); i++, at++) {
            const row r = row_of(c->seed, rank, i);
            good &= bench_check_f32(error, at, rewards[at], (double)r.reward, 0, 0);
            good &= bench_check_i64(error, "ids", at, ids[at], r.id);
            good &= bench_check_i64(error, "mask", at, mask[at], r.mask);
        }
    }
    good &= bench_check_i64(error, "rows.first", 0, rows->first, 0);
    good &= bench_check_i64(error, "rows.count", 0, rows->count, rows_of(&c->point, 0));
    good &= bench_check_i64(error, "rows.total", 0, rows->total, at);
    return good;
}

const bench_op bench_comm_gather_rows = {
    .name = "comm_gather_rows",
    .item = "row",
    .dtype = "i64",
    .model = "rewards f32, ids i64, masks u8 [rows] of ranks that are threads, uneven, one "
             "all-gather; naive: the bare all-gather",
    BENCH_OP_OF_RANKS,
};
