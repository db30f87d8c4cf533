// comm_fold_stats: statistics and metrics of all ranks, field by field. Ranks are threads; the peer is the
// bare all-gather of the same bytes.
#include <math.h>
#include <string.h>

#include "accuracy.h"
#include "bench_ranks.h"
#include "operations.h"
#include "random.h"

enum { AXIS_KIND = AXIS_RANKS + 1, AXIS_RECORDS };
enum { POLICY = 1, VALUE, PAIR, BIN, LIST, ORDINAL };
enum { LOCAL, TOTALS }; // arrays
enum { ROWS = 2048 }; // of a rank

// Fields of a record: n counts, s sums, l and h minima and maxima; L and H those of binary32.
static const struct {
    int32_t kind;
    int bytes;
    const char *fields;
} records[] = {
    [POLICY] = {MERIT_COMM_STATS_POLICY, sizeof(merit_policy_stats),
                "nnnnnnnnnnnnnnsssssssssssLHLH"},
    [VALUE] = {MERIT_COMM_STATS_POLICY_VALUE, sizeof(merit_policy_value_stats), "nnssss"},
    [PAIR] = {MERIT_COMM_STATS_PREFERENCE_PAIR, sizeof(merit_preference_metrics),
              "nnnnnnnsssssslh"},
    [BIN] = {MERIT_COMM_STATS_PREFERENCE_BIN, sizeof(merit_preference_bin), "nss"},
    [LIST] = {MERIT_COMM_STATS_PREFERENCE_LIST, sizeof(merit_preference_list_metrics),
              "nnnnnnnnnnsss"},
    [ORDINAL] = {MERIT_COMM_STATS_PREFERENCE_ORDINAL, sizeof(merit_preference_ordinal_metrics),
                 "nnnnnsss"},
};

static const char *const kinds[] = {"policy", "value", "pair", "bin", "list", "ordinal"};
static const bench_axis axes[] = {
    {"ranks", NULL}, {"kind", kinds}, {"records", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{2}, {POLICY}, {1}}, BENCH_QUICK},
    {{{2}, {POLICY}, {64}}, 0},
    {{{2}, {VALUE, PAIR, BIN, LIST, ORDINAL}, {1, 64}}, BENCH_FULL},
    {{{4, 16}, {POLICY, BIN}, {64}}, BENCH_FULL},
    {{{0}}, 0},
};

static int64_t bytes_of(const bench_point *p)
{
    return records[p->v[AXIS_KIND]].bytes * p->v[AXIS_RECORDS];
}

static bench_work work(bench_point p)
{
    const double size = (double)p.v[AXIS_RANKS], bytes = (double)bytes_of(&p);
    return (bench_work){.items = size * (double)p.v[AXIS_RECORDS],
                        .bytes_read = size * bytes,
                        .bytes_written = bytes};
}

// Fields ----------------------------------------------------------------------------------------------

typedef struct field {
    int64_t number, offset; // over all records; in bytes
    char kind;
} field;

static field field_at(const bench_point *p, int64_t number, int64_t offset)
{
    const char *const fields = records[p->v[AXIS_KIND]].fields;
    return (field){number, offset, fields[(uint64_t)number % strlen(fields)]};
}

static field field_behind(const bench_point *p, field f)
{
    return field_at(p, f.number + 1, f.offset + (f.kind == 'L' || f.kind == 'H' ? 4 : 8));
}

#define FOR_ALL_FIELDS(p, f) \
    for (field f = field_at(p, 0, 0); f.offset < bytes_of(p); f = field_behind(p, f))

// What a rank has there, to the last bit.
static double value_of(uint64_t seed, int64_t rank, const field *f)
{
    const uint64_t bits = bench_random(seed, (uint64_t)(rank << 32 | f->number));
    switch (f->kind) {
    case 'n': return (double)(bits >> 40);
    case 's': return (double)(bits >> 11) * 0x1p-53 - 0.5;
    default: return (double)(bits >> 40) * 0x1p-24;
    }
}

static double read_field(const unsigned char *records_of, const field *f)
{
    int64_t count;
    float single;
    double value;
    switch (f->kind) {
    case 'n': memcpy(&count, records_of + f->offset, sizeof count); return (double)count;
    case 'L':
    case 'H': memcpy(&single, records_of + f->offset, sizeof single); return (double)single;
    default: memcpy(&value, records_of + f->offset, sizeof value); return value;
    }
}

static void write_field(unsigned char *records_of, const field *f, double value)
{
    const int64_t count = f->kind == 'n' ? (int64_t)value : 0;
    const float single = (float)value;
    switch (f->kind) {
    case 'n': memcpy(records_of + f->offset, &count, sizeof count); break;
    case 'L':
    case 'H': memcpy(records_of + f->offset, &single, sizeof single); break;
    default: memcpy(records_of + f->offset, &value, sizeof value); break;
    }
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_comm_fold_stats_desc desc;
    merit_comm_fold_stats_io io;
} call;
BENCH_CALL_OF_RANK(comm_fold_stats)

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    const merit_status status = merit_comm_fold_stats_desc_init(&made->desc, sizeof made->desc);
    made->desc.num_rows = ROWS;
    made->desc.kind = records[c->point.v[AXIS_KIND]].kind;
    made->desc.num_records = (int32_t)c->point.v[AXIS_RECORDS];
    made->io =
        (merit_comm_fold_stats_io){sizeof made->io, buffers->array[LOCAL], buffers->array[TOTALS]};
    return status;
}

static void fill(const bench_rank *rank)
{
    const bench_point *const p = &rank->c->point;
    FOR_ALL_FIELDS(p, f)
    write_field(rank->arrays.array[LOCAL], &f, value_of(rank->c->seed, rank->rank, &f));
}

static bool setup(bench_case *c)
{
    const size_t bytes = (size_t)bytes_of(&c->point);
    bench_add_input(c, bytes, NULL);
    bench_add_output(c, bytes);
    return bench_start_ranks(c, fill);
}

// Reference: rank after rank --------------------------------------------------------------------------

static double folded(const bench_case *c, const field *f)
{
    double result = value_of(c->seed, 0, f);
    for (int64_t rank = 1; rank < c->point.v[AXIS_RANKS]; rank++) {
        const double value = value_of(c->seed, rank, f);
        switch (f->kind) {
        case 'n':
        case 's': result += value; break;
        case 'l':
        case 'L': result = fmin(result, value); break;
        default: result = fmax(result, value); break;
        }
    }
    return result;
}

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const double size = (double)c->point.v[AXIS_RANKS]; // terms of at most 1/2
    bool good = true;
    FOR_ALL_FIELDS(&c->point, f)
    {
        const double actual = read_field(results->array[TOTALS], &f), expected = folded(c, &f);
        const double rounding = f.kind == 's' ? 1e-16 * size * size : 0;
        good &= f.kind == 'n'
                    ? bench_check_i64(error, "counts", f.number, (int64_t)actual, (int64_t)expected)
                    : bench_check_loss(error, actual, expected, rounding);
    }
    return good;
}

const bench_op bench_comm_fold_stats = {
    .name = "comm_fold_stats",
    .item = "record",
    .dtype = "record",
    .model = "records of 24 to 216 bytes [ranks,K] of ranks that are threads, one all-gather; "
             "naive: the bare all-gather",
    BENCH_OP_OF_RANKS,
};
