// dominance_quantile_huber: calls that are refused, with the argument and its value in the sentence.
#include <math.h>
#include <string.h>

#include "huber_case.h"

typedef struct bad_call {
    merit_dominance_quantile_huber_desc d;
    merit_dominance_quantile_huber_io io;
    size_t missing; // bytes of workspace held back
} bad_call;

enum { ROWS = 4, LEVELS = 3, TARGETS = 2 };
static float quantiles[64], tau[16], targets[16], weight[8], rows[8], gradients[64];
static int32_t count[8];
static double loss[2];

static bad_call good_call(void)
{
    bad_call b = {.missing = 0};
    b.d = huber_make(NULL, ROWS, LEVELS, TARGETS).d;
    b.io.struct_size = sizeof b.io;
    b.io.quantiles = quantiles, b.io.tau = tau, b.io.targets = targets;
    b.io.weight = weight, b.io.target_count = count;
    b.io.loss_rows = rows, b.io.loss = loss, b.io.grad_quantiles = gradients;
    return b;
}

static merit_status call(tk_fixture *tk, const bad_call *b)
{
    size_t bytes = 0;
    const merit_status status = merit_dominance_quantile_huber_workspace(tk->ctx, &b->d, &bytes);
    if (status != MERIT_STATUS_OK) { // the call itself refuses, too
        TK_EXPECT(bytes == 0, "workspace of %zu bytes", bytes);
        return merit_dominance_quantile_huber(tk->ctx, &b->d, &b->io, NULL, 0, NULL);
    }
    void *const workspace = tk_workspace(tk, bytes);
    return merit_dominance_quantile_huber(tk->ctx, &b->d, &b->io, workspace, bytes - b->missing,
                                          NULL);
}

static void expect(tk_fixture *tk, const bad_call *b, merit_status status, const char *words)
{
    memset(rows, 0x5a, sizeof rows), memset(gradients, 0x5a, sizeof gradients);
    memset(loss, 0x5a, sizeof loss);
    tk_case("%s", words);
    tk_expect_rejected(tk->ctx, call(tk, b), status, words);
    tk_expect_rejected(tk->ctx, status, status, "merit_dominance_quantile_huber:");
    const unsigned char *const blocks[] = {(void *)rows, (void *)gradients, (void *)loss};
    const size_t sizes[] = {sizeof rows, sizeof gradients, sizeof loss};
    for (int k = 0; k < 3; k++) {
        for (size_t i = 0; i < sizes[k]; i++) {
            TK_EXPECT(blocks[k][i] == 0x5a, "something was written");
        }
    }
}

#define REJECTED(change, words)                               \
    do {                                                      \
        bad_call b = good_call();                             \
        change;                                               \
        expect(tk, &b, MERIT_STATUS_INVALID_ARGUMENT, words); \
    } while (0)

TK_TEST(dominance_quantile_huber, bad_calls_are_refused)
{
    REJECTED(b.d.num_rows = -1, "num_rows|-1");
    REJECTED(b.d.num_levels = 0, "num_levels|0|1..65536");
    REJECTED(b.d.num_levels = 65537, "num_levels|65537");
    REJECTED(b.d.num_targets = 0, "num_targets|0");
    REJECTED(b.d.num_targets = 65537, "num_targets|65537");
    REJECTED(b.d.ld_quantiles = LEVELS - 1, "ld_quantiles|2|3");
    REJECTED(b.d.ld_targets = TARGETS - 1, "ld_targets|1|2");
    REJECTED(b.d.ld_tau = LEVELS - 1, "ld_tau|2|3");
    REJECTED(b.d.ld_tau = -1, "ld_tau|-1");
    REJECTED((b.d.num_rows = 1ll << 40, b.d.ld_targets = 1ll << 40), "ld_targets|2^60");
    REJECTED(b.d.num_rows = INT64_MAX, "2^60");
    REJECTED(b.d.denominator = 0, "denominator|0");
    REJECTED(b.d.denominator = -2, "denominator|-2");
    REJECTED(b.d.denominator = INFINITY, "denominator|inf");
    REJECTED(b.d.kappa = -1, "kappa|-1");
    REJECTED(b.d.kappa = NAN, "kappa|nan");
    REJECTED(b.d.kappa = INFINITY, "kappa|inf|divide_by_kappa");
    REJECTED(b.d.divide_by_kappa = 2, "divide_by_kappa|2");
    REJECTED(b.d.level_reduction = 2, "level_reduction|2");
    REJECTED(b.d.level_reduction = -1, "level_reduction|-1");
    REJECTED(b.io.quantiles = NULL, "quantiles is NULL");
    REJECTED(b.io.tau = NULL, "tau is NULL");
    REJECTED(b.io.targets = NULL, "targets is NULL");
    REJECTED((b.io.loss = NULL, b.io.loss_rows = b.io.grad_quantiles = NULL), "output is NULL");
    REJECTED(b.io.grad_quantiles = quantiles + 1, "grad_quantiles|overlaps|quantiles");
    REJECTED(b.io.loss_rows = targets, "loss_rows|overlaps|targets");
    REJECTED(b.io.loss_rows = weight, "loss_rows|overlaps|weight");
    REJECTED(b.io.loss_rows = tau + LEVELS - 1, "loss_rows|overlaps|tau");
    REJECTED(b.io.loss_rows = (float *)count, "loss_rows|overlaps|target_count");
    REJECTED(b.io.loss_tiles = loss, "loss_tiles|overlaps|loss");
    REJECTED(b.d.struct_size = 8, "struct_size|8");
    REJECTED(b.io.struct_size = 8, "struct_size|8");
    bad_call b = good_call();
    b.missing = 1;
    expect(tk, &b, MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace");
    b.missing = 0;
    if (!tk->on_device) tk_expect_ok(tk->ctx, call(tk, &b)); // what they all change is a good call
    tk_expect_rejected(tk->ctx, merit_dominance_quantile_huber_workspace(tk->ctx, &b.d, NULL),
                       MERIT_STATUS_INVALID_ARGUMENT, "bytes is NULL");
}
