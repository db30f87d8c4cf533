// dominance_quantile_sort: calls that are refused, with the argument and its value in the sentence.
#include <math.h>
#include <string.h>

#include "sort_case.h"

typedef struct bad_call {
    merit_dominance_quantile_sort_desc d;
    merit_dominance_quantile_sort_io io;
    size_t missing; // bytes of workspace held back
} bad_call;

static float values[64], sorted[64];
static int32_t places[64];

static bad_call good_call(void)
{
    bad_call b = {.d = sort_make(NULL, 4, 5).d, .io = {.struct_size = sizeof b.io}};
    b.io.values = values, b.io.sorted = sorted, b.io.index = places;
    return b;
}

static merit_status call(tk_fixture *tk, const bad_call *b)
{
    size_t bytes = 0;
    const merit_status status = merit_dominance_quantile_sort_workspace(tk->ctx, &b->d, &bytes);
    if (status != MERIT_STATUS_OK) { // the call itself refuses, too
        TK_EXPECT(bytes == 0, "workspace of %zu bytes", bytes);
        return merit_dominance_quantile_sort(tk->ctx, &b->d, &b->io, NULL, 0, NULL);
    }
    void *const workspace = tk_workspace(tk, bytes);
    return merit_dominance_quantile_sort(tk->ctx, &b->d, &b->io, workspace, bytes - b->missing,
                                         NULL);
}

static void expect(tk_fixture *tk, const bad_call *b, merit_status status, const char *words)
{
    memset(sorted, 0x5a, sizeof sorted), memset(places, 0x5a, sizeof places);
    tk_case("%s", words);
    tk_expect_rejected(tk->ctx, call(tk, b), status, words);
    tk_expect_rejected(tk->ctx, status, status, "merit_dominance_quantile_sort:");
    for (size_t i = 0; i < sizeof sorted; i++) {
        const unsigned char *const floats = (void *)sorted, *const integers = (void *)places;
        TK_EXPECT(floats[i] == 0x5a && integers[i] == 0x5a, "something was written");
    }
}

#define REJECTED(change, words)                               \
    do {                                                      \
        bad_call b = good_call();                             \
        change;                                               \
        expect(tk, &b, MERIT_STATUS_INVALID_ARGUMENT, words); \
    } while (0)

TK_TEST(dominance_quantile_sort, bad_calls_are_refused)
{
    static const double zero[] = {0, .5}, above[] = {.5, 1.5}, nan[] = {.5, NAN}, same[] = {.5, .5};
    static double many[1025];
    REJECTED(b.d.num_rows = -1, "num_rows|-1");
    REJECTED(b.d.num_levels = 0, "num_levels|0");
    REJECTED(b.d.num_levels = 65537, "num_levels|65537");
    REJECTED(b.d.ld_values = 4, "ld_values|4|5");
    REJECTED(b.d.ld_sorted = 4, "ld_sorted|4|5");
    REJECTED(b.d.ld_sorted = -1, "ld_sorted|-1");
    REJECTED(b.d.num_rows = INT64_MAX / 2, "2^60");
    REJECTED(b.d.num_taus = -1, "num_taus|-1");
    REJECTED(b.d.num_taus = 2, "tau is NULL|num_taus is 2");
    REJECTED(b.d.tau = above, "tau is given|num_taus is 0");
    REJECTED((b.d.num_taus = 2, b.d.tau = zero), "tau[0]|0");
    REJECTED((b.d.num_taus = 2, b.d.tau = above), "tau[1]|1.5");
    REJECTED((b.d.num_taus = 2, b.d.tau = nan), "tau[1]|nan");
    REJECTED((b.d.num_taus = 2, b.d.tau = same), "tau[1]|0.5|tau[0]");
    REJECTED(b.io.values = NULL, "values is NULL");
    REJECTED((b.io.sorted = NULL, b.io.index = NULL), "sorted and index are NULL");
    REJECTED(b.io.sorted = values + 1, "sorted|overlaps|values");
    REJECTED((b.io.sorted = values, b.d.ld_values = 6), "sorted|overlaps|values");
    REJECTED(b.io.index = (int32_t *)sorted, "sorted|overlaps|index");
    REJECTED(b.io.index = (int32_t *)values, "index|overlaps|values");
    REJECTED((b.io.sorted = values, b.io.index = (int32_t *)values), "overlaps|index");
    REJECTED(b.d.struct_size = 8, "struct_size|8");
    REJECTED(b.io.struct_size = 8, "struct_size|8");
    bad_call b = good_call();
    b.d.num_taus = 1025, b.d.tau = many;
    expect(tk, &b, MERIT_STATUS_UNSUPPORTED, "num_taus|1025|1024");
    b = good_call();
    b.d.num_rows = 2, b.d.num_levels = 5000, b.missing = 1;
    static float long_values[10000], long_sorted[10000];
    b.io.values = long_values, b.io.sorted = long_sorted, b.io.index = NULL;
    expect(tk, &b, MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace");
    b.missing = 0;
    if (!tk->on_device) tk_expect_ok(tk->ctx, call(tk, &b));
}
