// comm_fold_stats: arguments and the formula of one field of a record.
#ifndef MERIT_COMM_FOLD_STATS_H
#define MERIT_COMM_FOLD_STATS_H

#include "comm_parts.h"

typedef enum merit_comm_field_kind {
    MERIT_COMM_FIELD_COUNT = 0, // int64_t: added
    MERIT_COMM_FIELD_SUM = 1, // double: added by the tree over ranks that hold rows
    MERIT_COMM_FIELD_MIN = 2, // double
    MERIT_COMM_FIELD_MAX = 3,
    MERIT_COMM_FIELD_MIN32 = 4, // float
    MERIT_COMM_FIELD_MAX32 = 5
} merit_comm_field_kind;

enum { MERIT_COMM_MAX_FIELD_RUNS = 6 };

// Fields of one kind, side by side.
typedef struct merit_comm_field_run {
    int32_t kind; // merit_comm_field_kind
    int32_t offset; // bytes into the record
    int32_t count;
} merit_comm_field_run;

typedef struct merit_comm_fold_stats_args {
    merit_comm_parts parts;
    const void *records; // [num_records] of rank 0 in its message
    int32_t num_records;
    int32_t record_bytes;
    int32_t num_fields; // of a record
    merit_comm_field_run runs[MERIT_COMM_MAX_FIELD_RUNS]; // unused ones have no fields
    void *totals; // [num_records]
} merit_comm_fold_stats_args;

// The field at `offset` bytes into the records.
MERIT_HD static inline void merit_comm_fold_field(const merit_comm_fold_stats_args *args,
                                                  int32_t kind, int64_t offset)
{
    unsigned char *const out = (unsigned char *)args->totals + offset;
    merit_tile_sum sum;
    uint64_t count = 0;
    const int low = kind == MERIT_COMM_FIELD_MIN || kind == MERIT_COMM_FIELD_MIN32;
    double extreme = low ? m_inf64() : -m_inf64();
    sum.count = 0;
    for (int32_t rank = 0; rank < args->parts.num_ranks; rank++) {
        if (merit_comm_rows_of(&args->parts, rank) == 0) continue;
        const unsigned char *const at =
            (const unsigned char *)merit_gathered_at(args->records, args->parts.step, rank) +
            offset;
        double value = 0.0;
        switch (kind) {
        case MERIT_COMM_FIELD_COUNT: count += (uint64_t) * (const int64_t *)at; continue;
        case MERIT_COMM_FIELD_SUM: merit_tile_sum_push(&sum, *(const double *)at); continue;
        case MERIT_COMM_FIELD_MIN:
        case MERIT_COMM_FIELD_MAX: value = *(const double *)at; break;
        default: value = (double)*(const float *)at; break;
        }
        extreme = low ? m_min64(extreme, value) : m_max64(extreme, value);
    }
    switch (kind) {
    case MERIT_COMM_FIELD_COUNT: *(int64_t *)out = (int64_t)count; break;
    case MERIT_COMM_FIELD_SUM: *(double *)out = m_canonical64(merit_tile_sum_finish(&sum)); break;
    case MERIT_COMM_FIELD_MIN:
    case MERIT_COMM_FIELD_MAX: *(double *)out = extreme; break;
    default: *(float *)out = m_round32(extreme); break; // exact: it was one
    }
}

// Field i of num_records * num_fields.
MERIT_HD static inline void merit_comm_fold_stat(const merit_comm_fold_stats_args *args, int64_t i)
{
    const int64_t record = i / args->num_fields;
    int32_t field = (int32_t)(i - record * args->num_fields);
    int run = 0;
    while (field >= args->runs[run].count) {
        field -= args->runs[run++].count;
    }
    const int32_t kind = args->runs[run].kind;
    const int bytes = kind >= MERIT_COMM_FIELD_MIN32 ? 4 : 8;
    merit_comm_fold_field(args, kind,
                          record * args->record_bytes + args->runs[run].offset + field * bytes);
}

#endif
