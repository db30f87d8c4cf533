// Batches cut over ranks: statistics, denominators, losses, metrics and whole groups. One collective each.
#ifndef MERIT_COMM_FOLDS_H
#define MERIT_COMM_FOLDS_H

#include "comm.h"

#ifdef __cplusplus
extern "C" {
#endif

// Each rank holds some rows (groups, sequences, pairs ...) of one batch, the batch being those of rank 0,
// then those of rank 1 and so on. What a step needs of the other ranks, and how it gets the bits of one
// process:
//
//   statistics of the batch    merit_advantage_group with batch_record 1 writes tile_moments (or, for
//     (BATCH levels)           shards cut anywhere, group_moments); comm_fold_moments; then
//                              merit_advantage_group again with GIVEN levels
//   denominators of losses     merit_policy_count, or counts of the caller's, as counts of comm_fold_sums;
//                              the totals go into desc.denominator or io.denominator (GIVEN, counted D)
//   value of a loss            loss_tiles of the operation (after its denominator is global) as tiles of
//                              comm_fold_sums: sums has what one process writes as loss (policy_loss,
//                              policy_value_loss), as route_sum (preference_pair) or as the sums before the
//                              division (preference_list, preference_ordinal, quantile_huber,
//                              score_regression)
//   statistics, metrics        stats or metrics of the operation, comm_fold_stats
//   groups cut by ranks        comm_gather_rows: rewards, group ids, masks of all ranks in one array each;
//                              merit_group_index and merit_advantage_group with any preset on the whole
//                              batch on every rank, which then takes its own rows out of the advantages
//                              (also for what GIVEN levels do not take: NONZERO_SHARE of the batch, GPG)
//
// Gradients need nothing of the other ranks once the denominators are global.
//
// The number of rows may differ from rank to rank and be 0; messages have one length, so every rank is told
// the most rows that any has. Ranks that disagree (about the call, sizes or options) are INVALID_ARGUMENT on
// every rank as long as their messages have one length: they are whole 512-byte blocks, so small differences
// show. Messages of different lengths cannot be told apart from here: the all-gather has to refuse them, or
// its deadline ends the wait. A rank that is rejected before the collective leaves the others waiting.
// After a rejection nothing was written.

// comm_fold_moments --------------------------------------------------------------------------------

typedef struct merit_comm_fold_moments_desc {
    size_t struct_size;
    int64_t num_groups; // N >= 0: groups of this rank; default 0
    int32_t num_sets; // K, 1..2^20: records side by side; default 1
    int32_t groups_per_record; // 2048 (tile_moments) or 1 (group_moments); default 2048
    int64_t max_groups; // >= num_groups of every rank; 0: all have as many; default 0
} merit_comm_fold_moments_desc;

typedef struct merit_comm_fold_moments_io {
    size_t struct_size;
    const merit_moments
        *records; // in   [ceil(N/groups_per_record),K] of this rank; NULL with N = 0
    merit_moments *moments; // out  [K] of all ranks
} merit_comm_fold_moments_io;

MERIT_API merit_status merit_comm_fold_moments_desc_init(merit_comm_fold_moments_desc *desc,
                                                         size_t size);
MERIT_API merit_status merit_comm_fold_moments_workspace(merit_context *ctx, const merit_comm *comm,
                                                         const merit_comm_fold_moments_desc *desc,
                                                         size_t *bytes);

// Statistics of a batch: the batch_moments of one process that holds all groups. With one record per group
// (40 bytes) shards are cut anywhere between groups. With one per 2048 groups, every rank holds a multiple
// of 2048 groups; the last that holds any may hold any number, those after it hold none. No groups at all:
// count 0, m2 0, the rest NaN.
// Levels: run_to_run, batch_invariant, launch_invariant, isa_invariant, cpu_gpu_equal. One collective, two
// launches. Statuses: INVALID_ARGUMENT (NULL, num_groups over max_groups, groups_per_record not 1 or 2048,
// overlap; ranks whose num_sets, groups_per_record or max_groups differ, shards cut elsewhere),
// WORKSPACE_TOO_SMALL, those of the communicator, CUDA_ERROR.
MERIT_API merit_status merit_comm_fold_moments(merit_context *ctx, merit_comm *comm,
                                               const merit_comm_fold_moments_desc *desc,
                                               const merit_comm_fold_moments_io *io,
                                               void *workspace, size_t workspace_bytes,
                                               merit_stream stream);

// comm_fold_sums -----------------------------------------------------------------------------------

typedef struct merit_comm_fold_sums_desc {
    size_t struct_size;
    int64_t num_rows; // N >= 0: rows of this rank; with num_sums 0 not read; default 0
    int64_t max_rows; // >= num_rows of every rank; 0: all have as many; default 0
    int32_t num_sums; // K, 0..2^20: columns of tiles; default 1
    int32_t num_counts; // C, 0..2^20; default 0
} merit_comm_fold_sums_desc;

typedef struct merit_comm_fold_sums_io {
    size_t struct_size;
    const double *tiles; // in   [ceil(N/2048),K] loss_tiles of this rank; NULL with N or K = 0
    const int64_t *counts; // in   [C] of this rank
    double *sums; // out  [K] over all ranks
    int64_t *total_counts; // out  [C] over all ranks; may be counts itself
} merit_comm_fold_sums_io;

MERIT_API merit_status merit_comm_fold_sums_desc_init(merit_comm_fold_sums_desc *desc, size_t size);
MERIT_API merit_status merit_comm_fold_sums_workspace(merit_context *ctx, const merit_comm *comm,
                                                      const merit_comm_fold_sums_desc *desc,
                                                      size_t *bytes);

// Losses by the tree over tiles of 2048 rows, with the bits of one process, and counts, which add exactly,
// in one message. With sums, every rank holds a multiple of 2048 rows; the last that holds any may hold any
// number, those after it hold none. Counts alone (num_sums 0) take any cut. No rows at all: sums 0.
// merit_policy_counts is two counts.
// Levels: all five. One collective, one launch. Statuses: INVALID_ARGUMENT (NULL, num_rows over max_rows,
// num_sums and num_counts both 0, overlap; ranks whose num_sums, num_counts or max_rows differ, shards cut
// elsewhere), WORKSPACE_TOO_SMALL, those of the communicator, CUDA_ERROR.
MERIT_API merit_status merit_comm_fold_sums(merit_context *ctx, merit_comm *comm,
                                            const merit_comm_fold_sums_desc *desc,
                                            const merit_comm_fold_sums_io *io, void *workspace,
                                            size_t workspace_bytes, merit_stream stream);

// comm_fold_stats ----------------------------------------------------------------------------------

typedef enum merit_comm_stats {
    MERIT_COMM_STATS_POLICY = 0, // merit_policy_stats
    MERIT_COMM_STATS_POLICY_VALUE = 1, // merit_policy_value_stats
    MERIT_COMM_STATS_PREFERENCE_PAIR = 2, // merit_preference_metrics
    MERIT_COMM_STATS_PREFERENCE_BIN = 3, // merit_preference_bin
    MERIT_COMM_STATS_PREFERENCE_LIST = 4, // merit_preference_list_metrics
    MERIT_COMM_STATS_PREFERENCE_ORDINAL = 5 // merit_preference_ordinal_metrics
} merit_comm_stats;

typedef struct merit_comm_fold_stats_desc {
    size_t struct_size;
    int64_t num_rows; // >= 0: sequences, pairs or groups behind the records of this rank; default 0
    int32_t kind; // merit_comm_stats: what a record is; default POLICY
    int32_t num_records; // K, 1..2^20: routes, or routes times bins; default 1
} merit_comm_fold_stats_desc;

typedef struct merit_comm_fold_stats_io {
    size_t struct_size;
    const void *records; // in   [K] of this rank
    void *totals; // out  [K] over all ranks; may be records itself
} merit_comm_fold_stats_io;

MERIT_API merit_status merit_comm_fold_stats_desc_init(merit_comm_fold_stats_desc *desc,
                                                       size_t size);
MERIT_API merit_status merit_comm_fold_stats_workspace(merit_context *ctx, const merit_comm *comm,
                                                       const merit_comm_fold_stats_desc *desc,
                                                       size_t *bytes);

// Statistics and metrics of all ranks, whatever the cut: the same on every rank, from run to run.
// Counts, minima and maxima are those of one process. Sums (the fields called sum_ and the three losses of
// POLICY) have its bits where every rank holds the same 2048 * 2^k rows, the last that holds any fewer or
// as many, those after it none; with other cuts they are the sums of the ranks by the tree over the ranks
// that hold rows, right to the rounding of one addition per level. sum_confidence and sum_hit of a bin are
// exact everywhere. Ranks with num_rows 0 are left out: what they hold is not looked at. No rows at all: zero
// counts and sums, minima inf, maxima -inf.
// Levels: all five. One collective, one launch. Statuses: INVALID_ARGUMENT (NULL, unknown kind, overlap; ranks
// whose kind or num_records differ), WORKSPACE_TOO_SMALL, those of the communicator, CUDA_ERROR.
MERIT_API merit_status merit_comm_fold_stats(merit_context *ctx, merit_comm *comm,
                                             const merit_comm_fold_stats_desc *desc,
                                             const merit_comm_fold_stats_io *io, void *workspace,
                                             size_t workspace_bytes, merit_stream stream);

// comm_gather_rows ---------------------------------------------------------------------------------

enum { MERIT_COMM_MAX_ARRAYS = 16 };

typedef struct merit_comm_gather_rows_desc {
    size_t struct_size;
    int64_t num_rows; // R >= 0: rows of this rank; default 0
    int64_t max_rows; // >= num_rows of every rank; 0: all have as many; default 0
    int64_t
        max_total; // rows that the gathered arrays have room for; 0 = ranks * max_rows; default 0
    int32_t num_arrays; // 1..MERIT_COMM_MAX_ARRAYS; default 1
    int32_t row_bytes[MERIT_COMM_MAX_ARRAYS]; // > 0: of a row of each array; default 4
} merit_comm_gather_rows_desc;

// Where the rows of a rank lie in those of all.
typedef struct merit_comm_rows {
    int64_t first;
    int64_t count;
    int64_t total; // of all ranks
} merit_comm_rows;

typedef struct merit_comm_gather_rows_io {
    size_t struct_size;
    const void *local[MERIT_COMM_MAX_ARRAYS]; // in   [R] rows each; NULL with R = 0
    void *gathered
        [MERIT_COMM_MAX_ARRAYS]; // out  [max_total] rows: those of rank 0, then of rank 1 ...
    merit_comm_rows *rows; // out  [1], host memory, NULL: of this rank
} merit_comm_gather_rows_io;

MERIT_API merit_status merit_comm_gather_rows_desc_init(merit_comm_gather_rows_desc *desc,
                                                        size_t size);
MERIT_API merit_status merit_comm_gather_rows_workspace(merit_context *ctx, const merit_comm *comm,
                                                        const merit_comm_gather_rows_desc *desc,
                                                        size_t *bytes);

// Rows of all ranks in one array each, cut anywhere. What lies behind the last row is left alone.
// Group ids must mean the same on all ranks. One collective, no launch but copies.
// Statuses: INVALID_ARGUMENT (NULL, num_rows over max_rows, row_bytes not positive, overlap; ranks whose
// num_arrays, row_bytes, max_rows or max_total differ, more than max_total rows), WORKSPACE_TOO_SMALL, those
// of the communicator, CUDA_ERROR.
MERIT_API merit_status merit_comm_gather_rows(merit_context *ctx, merit_comm *comm,
                                              const merit_comm_gather_rows_desc *desc,
                                              const merit_comm_gather_rows_io *io, void *workspace,
                                              size_t workspace_bytes, merit_stream stream);

#ifdef __cplusplus
}
#endif

#endif
