// merit_comm_fold_stats: statistics and metrics of a batch cut over ranks.
#include "../kernels/comm/comm_fold_stats.h"

#include "comm_folds_common.h"

// What records consist of --------------------------------------------------------------------------

typedef struct record_kind {
    size_t bytes;
    merit_comm_field_run runs[MERIT_COMM_MAX_FIELD_RUNS];
} record_kind;

// The fields of `type` from `first` to `last`, of one kind and size.
#define RUN(kind, type, first, last)                                                             \
    {                                                                                            \
        MERIT_COMM_FIELD_##kind, offsetof(type, first),                                          \
            (int32_t)((offsetof(type, last) - offsetof(type, first)) / sizeof((type *)0)->last + \
                      1)                                                                         \
    }

static const record_kind record_kinds[] = {
    [MERIT_COMM_STATS_POLICY] = {sizeof(merit_policy_stats),
                                 {
                                     RUN(COUNT, merit_policy_stats, tokens, nan_tokens),
                                     RUN(SUM, merit_policy_stats, policy_loss, sum_abs_logprob_gap),
                                     RUN(MIN32, merit_policy_stats, ratio_min, ratio_min),
                                     RUN(MAX32, merit_policy_stats, ratio_max, ratio_max),
                                     RUN(MIN32, merit_policy_stats, mismatch_min, mismatch_min),
                                     RUN(MAX32, merit_policy_stats, mismatch_max, mismatch_max),
                                 }},
    [MERIT_COMM_STATS_POLICY_VALUE] = {sizeof(merit_policy_value_stats),
                                       {
                                           RUN(COUNT, merit_policy_value_stats, tokens, clipped),
                                           RUN(SUM, merit_policy_value_stats, sum_value,
                                               sum_return_squared),
                                       }},
    [MERIT_COMM_STATS_PREFERENCE_PAIR] =
        {sizeof(merit_preference_metrics),
         {
             RUN(COUNT, merit_preference_metrics, pairs, invalid),
             RUN(SUM, merit_preference_metrics, sum_weight, sum_rejected),
             RUN(MIN, merit_preference_metrics, min_score, min_score),
             RUN(MAX, merit_preference_metrics, max_score, max_score),
         }},
    [MERIT_COMM_STATS_PREFERENCE_BIN] = {sizeof(merit_preference_bin),
                                         {
                                             RUN(COUNT, merit_preference_bin, count, count),
                                             RUN(SUM, merit_preference_bin, sum_confidence,
                                                 sum_hit),
                                         }},
    [MERIT_COMM_STATS_PREFERENCE_LIST] =
        {sizeof(merit_preference_list_metrics),
         {
             RUN(COUNT, merit_preference_list_metrics, groups, tied),
             RUN(SUM, merit_preference_list_metrics, sum_reciprocal_rank, sum_loss),
         }},
    [MERIT_COMM_STATS_PREFERENCE_ORDINAL] =
        {sizeof(merit_preference_ordinal_metrics),
         {
             RUN(COUNT, merit_preference_ordinal_metrics, pairs, invalid),
             RUN(SUM, merit_preference_ordinal_metrics, sum_weight, sum_difference),
         }},
};

// The call -----------------------------------------------------------------------------------------

static const merit_comm_fold_stats_desc defaults = {.struct_size = sizeof defaults,
                                                    .num_records = 1};

merit_status merit_comm_fold_stats_desc_init(merit_comm_fold_stats_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &defaults, sizeof *desc,
                             MERIT_SIZE_0_1(merit_comm_fold_stats_desc, num_records));
}

typedef struct plan {
    merit_comm_fold_stats_desc d;
    const record_kind *kind;
    size_t bytes; // of the payload
    unsigned char *messages;
} plan;

static merit_status prepare(merit_context *ctx, const merit_comm *comm,
                            const merit_comm_fold_stats_desc *desc, plan *p, merit_layout *layout)
{
    p->d = defaults;
    MERIT_TRY(merit_comm_check(ctx, comm));
    MERIT_TRY(merit_read_struct(ctx, "desc", &p->d, sizeof p->d,
                                MERIT_SIZE_0_1(merit_comm_fold_stats_desc, num_records), desc));
    MERIT_REQUIRE_RANGE(ctx, &p->d, kind, 0, MERIT_COMM_STATS_PREFERENCE_ORDINAL);
    MERIT_REQUIRE_RANGE(ctx, &p->d, num_records, 1, 1 << 20);
    MERIT_REQUIRE(ctx, p->d.num_rows >= 0, "num_rows is %lld, expected 0 or more",
                  (long long)p->d.num_rows);
    p->kind = &record_kinds[p->d.kind];
    p->bytes = (size_t)p->d.num_records * p->kind->bytes;
    p->messages = merit_comm_take_messages(layout, comm, p->bytes);
    return MERIT_STATUS_OK;
}

merit_status merit_comm_fold_stats_workspace(merit_context *ctx, const merit_comm *comm,
                                             const merit_comm_fold_stats_desc *desc, size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    plan p;
    merit_layout layout = merit_layout_begin(NULL);
    MERIT_TRY(prepare(ctx, comm, desc, &p, &layout));
    MERIT_REQUIRE(ctx, !layout.overflow, "the sizes need a workspace of more than 2^64 bytes");
    *bytes = layout.bytes;
    return MERIT_STATUS_OK;
}

static merit_comm_fold_stats_args args_of(const plan *p, const merit_comm *comm,
                                          const unsigned char *gathered, void *totals)
{
    merit_comm_fold_stats_args args = {
        .parts = merit_comm_parts_in(comm, gathered, p->bytes, p->d.num_rows),
        .records = merit_comm_payload(gathered, 0),
        .num_records = p->d.num_records,
        .record_bytes = (int32_t)p->kind->bytes,
        .totals = totals};
    for (int i = 0; i < MERIT_COMM_MAX_FIELD_RUNS; i++) {
        args.runs[i] = p->kind->runs[i];
        args.num_fields += p->kind->runs[i].count;
    }
    return args;
}

merit_status merit_comm_fold_stats(merit_context *ctx, merit_comm *comm,
                                   const merit_comm_fold_stats_desc *desc,
                                   const merit_comm_fold_stats_io *io, void *workspace,
                                   size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    plan p;
    merit_comm_fold_stats_io a = {.struct_size = sizeof a};
    merit_layout layout = merit_layout_begin(workspace);
    MERIT_TRY(prepare(ctx, comm, desc, &p, &layout));
    MERIT_TRY(merit_read_struct(ctx, "io", &a, sizeof a,
                                MERIT_SIZE_0_1(merit_comm_fold_stats_io, totals), io));
    const size_t own_bytes = p.d.num_rows > 0 ? p.bytes : 0;
    MERIT_REQUIRE(ctx, a.records != NULL || own_bytes == 0, "records is NULL");
    MERIT_REQUIRE(ctx, a.totals != NULL, "totals is NULL");
    const merit_region regions[] = {
        {a.totals, p.bytes, "totals", 1},
        {a.records == a.totals ? NULL : a.records, own_bytes, "records", 0},
    };
    MERIT_TRY(merit_check_overlap(ctx, regions, 2));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));

    const int64_t agree[] = {p.d.kind, p.d.num_records};
    const merit_comm_cut cut =
        merit_comm_row_cut("the rows", p.d.num_rows, 1, agree, 2, "kind and num_records");
    const merit_comm_header header =
        merit_comm_cut_header(&cut, MERIT_COMM_FOLD_STATS, p.d.num_records);
    const merit_comm_part part = {a.records, own_bytes, 0};
    const unsigned char *gathered = NULL;
    MERIT_TRY(
        merit_comm_gather(ctx, comm, header, &part, 1, p.bytes, p.messages, stream, &gathered));
    MERIT_TRY(merit_comm_cut_check(ctx, comm, &cut, NULL));
    const merit_comm_fold_stats_args args = args_of(&p, comm, gathered, a.totals);
    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const merit_launch launch = merit_launch_on(ctx, stream);
    const int code = ctx->backend->comm_fold_stats(&args, &launch);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
