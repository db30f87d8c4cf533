// Behind a golden case stands the Python formula that made it. Here it also has to meet the C oracle of
// its operation: two programs that share no code have to agree with the library and so with each other.
#include <stdio.h>
#include <string.h>

#include "../../host/internal.h"
#include "case_paths.h"
#include "case_run.h"
#include "golden_oracles.h"

enum { EXTRA_BYTES = 1 << 28 };

typedef struct golden_entry {
    const char *op;
    golden_check *check;
    const char *why_none; // of an operation without a check
    bool after; // the check looks at what the call of the case left
} golden_entry;

static const golden_entry entries[] = {
    {.op = "preference_pair", .check = golden_preference_pair},
    {.op = "advantage_group", .check = golden_advantage_group},
    {.op = "policy_loss", .check = golden_policy_loss},
    {.op = "preference_list", .check = golden_preference_list},
    {.op = "preference_ordinal", .check = golden_preference_ordinal},
    {.op = "advantage_spread", .check = golden_advantage_spread, .after = true},
    {.op = "group_index", .check = golden_group_index},
    {.op = "dominance_pairwise", .check = golden_dominance_pairwise},
    {.op = "dominance_subset", .check = golden_dominance_subset},
    {.op = "dominance_quantile_huber", .check = golden_quantile_huber},
    {.op = "dominance_quantile_target", .check = golden_quantile_target},
    {.op = "dominance_quantile_sort", .check = golden_quantile_sort},
    {.op = "policy_logprob_forward", .check = golden_policy_logprob_forward},
    {.op = "policy_logprob_backward", .check = golden_policy_logprob_backward},
    {.op = "policy_logprob_merge", .check = golden_policy_logprob_merge, .after = true},
    {.op = "policy_value_loss", .check = golden_policy_value_loss, .after = true},
    {.op = "policy_count", .check = golden_policy_count, .after = true},
    {.op = "score_forward", .check = golden_score_forward},
    {.op = "score_backward", .check = golden_score_backward},
    {.op = "score_finish", .check = golden_score_finish, .after = true},
    {.op = "score_readout_forward", .check = golden_score_readout_forward, .after = true},
    {.op = "score_readout_backward", .check = golden_score_readout_backward, .after = true},
    {.op = "score_regression", .check = golden_score_regression, .after = true},
};
enum { NUM_ENTRIES = sizeof entries / sizeof entries[0] };

// Cases with results that nothing defines.
static const struct {
    const char *path, *why;
} undefined[] = {
    {"advantage_group/offsets_decrease.safetensors", "one row lies in two groups"},
};

static const char *why_undefined(const char *path)
{
    for (size_t i = 0; i < sizeof undefined / sizeof undefined[0]; i++) {
        if (strcmp(undefined[i].path, path) == 0) return undefined[i].why;
    }
    return NULL;
}

typedef struct golden_count {
    int checked, rejections, skipped;
    const char *why; // the last one that was skipped
} golden_count;

static golden_count counts[NUM_ENTRIES];

// What the wrapper around the call needs and its type has no room for.
static tk_fixture *fixture;
static const golden_entry *entry;
static const case_op *original;

static void check_call(const void *desc, const void *io)
{
    golden_count *const count = &counts[entry - entries];
    const char *const why = entry->check(fixture, desc, io);
    if (why == NULL) {
        count->checked++;
    } else {
        count->skipped++, count->why = why;
    }
}

static merit_status call_and_check(merit_context *ctx, const void *desc, const void *io,
                                   void *workspace, size_t workspace_bytes)
{
    if (!entry->after) check_call(desc, io);
    const merit_status status = original->call(ctx, desc, io, workspace, workspace_bytes);
    // The other backends give the outputs of the case, or it does not hold.
    if (entry->after && fixture->is_first_run && status == MERIT_STATUS_OK) check_call(desc, io);
    return status;
}

static const golden_entry *find(const char *op)
{
    for (int i = 0; i < NUM_ENTRIES; i++) {
        if (strcmp(entries[i].op, op) == 0) return &entries[i];
    }
    return NULL;
}

static void check_case(tk_fixture *tk, case_file *c)
{
    const case_backend backend = {
        .name = tk->ctx->backend->name, .table = tk->ctx->backend, .ctx = tk->ctx};
    static case_report report;
    case_error error;
    case_op op = *c->op;
    fixture = tk, original = c->op;
    op.call = call_and_check;
    c->op = &op;
    TK_EXPECT(case_run(c, &backend, &report, &error), "%s", error.text);
    TK_EXPECT(case_report_holds(&report), "the case itself does not hold");
    case_report_free(&report);
    c->op = original;
}

static void check_path(tk_fixture *tk, const case_path *path)
{
    case_file c;
    case_error error;
    cr_assert(case_read(&c, path->path, EXTRA_BYTES, &error), "%s: %s", path->name, error.text);
    tk_case("%s, %s", tk->ctx->backend->name, path->name);
    entry = find(c.op->name);
    if (entry == NULL) {
        tk_fail(__FILE__, __LINE__, "no oracle is entered for %s", c.op->name);
    } else if (c.status != MERIT_STATUS_OK) {
        counts[entry - entries].rejections++;
    } else if (entry->check == NULL || why_undefined(path->name) != NULL) {
        golden_count *const count = &counts[entry - entries];
        count->skipped++;
        count->why = entry->check == NULL ? entry->why_none : why_undefined(path->name);
    } else {
        check_case(tk, &c);
    }
    case_free(&c);
}

static void print_counts(void)
{
    for (int i = 0; i < NUM_ENTRIES; i++) {
        const golden_count *const n = &counts[i];
        printf("%-26s %4d compared %4d rejections %4d skipped%s%s\n", entries[i].op, n->checked,
               n->rejections, n->skipped, n->skipped > 0 ? ": " : "", n->skipped > 0 ? n->why : "");
        TK_EXPECT(entries[i].check == NULL || n->checked > 0 || TK_RARER > 1,
                  "no case of %s was compared", entries[i].op);
    }
    fflush(stdout);
}

static void check_all(tk_fixture *tk)
{
    case_paths paths = {0};
    case_error error;
    cr_assert(case_paths_add(&paths, GOLDEN_FOLDER, &error), "%s", error.text);
    memset(counts, 0, sizeof counts);
    for (int i = 0; i < paths.count; i += TK_RARER) {
        check_path(tk, &paths.at[i]);
    }
    case_paths_free(&paths);
    if (tk->is_first_run) print_counts();
}

Test(golden_oracles, every_golden_case_meets_the_oracle_of_its_operation)
{
    tk_run(TK_CPU, check_all);
}
