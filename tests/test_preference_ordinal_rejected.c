// preference_ordinal: rejected calls.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ordinal_random.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof((array)[0])))

typedef void spoil(merit_preference_ordinal_desc *d, merit_preference_ordinal_io *io);

#define SPOIL(name, statement)                                                          \
    static void name(merit_preference_ordinal_desc *d, merit_preference_ordinal_io *io) \
    {                                                                                   \
        (void)d, (void)io;                                                              \
        statement;                                                                      \
    }

static const int32_t some_region[2] = {0, 1};
static const double some_denominator = 1;

SPOIL(bad_pairs, d->num_pairs = -1)
SPOIL(one_level, d->num_levels = 1)
SPOIL(many_levels, d->num_levels = 65)
SPOIL(bad_dtype, d->logit_dtype = MERIT_DTYPE_I32)
SPOIL(short_chosen, d->chosen_stride = 1)
SPOIL(short_rejected, d->rejected_stride = -1)
SPOIL(short_grad_chosen, d->grad_chosen_stride = 1)
SPOIL(short_grad_rejected, d->grad_rejected_stride = 1)
SPOIL(bad_temperature, d->temperature = 0)
SPOIL(nan_temperature, d->temperature = NAN)
SPOIL(bad_share, d->tie_share = 1.5f)
SPOIL(bad_first, d->first_value = INFINITY)
SPOIL(bad_step, d->value_step = 0)
SPOIL(bad_reduction, d->reduction = MERIT_PREFERENCE_REDUCTION_MEAN_GROUPS)
SPOIL(bad_skip, d->skip_invalid = 2)
SPOIL(no_chosen, io->chosen_logits = NULL)
SPOIL(no_rejected, io->rejected_logits = NULL)
SPOIL(one_region, io->chosen_region = some_region)
SPOIL(other_region, io->rejected_region = some_region)
SPOIL(no_denominator, d->reduction = MERIT_PREFERENCE_REDUCTION_GIVEN)
SPOIL(extra_denominator, io->denominator = &some_denominator)
SPOIL(overlap, io->win = (float *)io->grad_chosen_logits)
SPOIL(wrong_place, io->grad_chosen_logits = (void *)(uintptr_t)io->rejected_logits)

static const struct rejected {
    spoil *spoil;
    const char *words;
} rejections[] = {
    {bad_pairs, "num_pairs is -1"},
    {one_level, "num_levels is 1|2..64"},
    {many_levels, "num_levels is 65|2..64"},
    {bad_dtype, "logit_dtype is 4"},
    {short_chosen, "chosen_stride is 1|num_levels"},
    {short_rejected, "rejected_stride is -1"},
    {short_grad_chosen, "grad_chosen_stride is 1"},
    {short_grad_rejected, "grad_rejected_stride is 1"},
    {bad_temperature, "temperature is 0"},
    {nan_temperature, "temperature is nan"},
    {bad_share, "tie_share is 1.5"},
    {bad_first, "first_value is inf"},
    {bad_step, "value_step is 0"},
    {bad_reduction, "reduction is 4|0..3"},
    {bad_skip, "skip_invalid is 2"},
    {no_chosen, "chosen_logits is NULL"},
    {no_rejected, "rejected_logits is NULL"},
    {one_region, "rejected_region is NULL|chosen_region"},
    {other_region, "chosen_region is NULL|rejected_region"},
    {no_denominator, "denominator is NULL|GIVEN"},
    {extra_denominator, "denominator is given|GIVEN"},
    {overlap, "win|overlaps|grad_chosen_logits"},
    {wrong_place, "grad_chosen_logits|rejected_logits"},
};

TK_TEST(preference_ordinal, rejected_calls_say_why_and_write_nothing)
{
    const float logits[] = {0, 1};
    for (int64_t k = 0; k < COUNT(rejections); k++) {
        ordinal_case c = ordinal_make("oprm", logits, logits, 1, 2);
        merit_preference_ordinal_desc d = c.d;
        merit_preference_ordinal_io io = c.io;
        void *const chosen = tk_output(tk, 2, 4);
        io.chosen_logits = tk_input(tk, logits, 2, 4);
        io.rejected_logits = tk_input(tk, logits, 2, 4);
        io.grad_chosen_logits = chosen;
        io.loss = tk_output(tk, 1, 8);
        rejections[k].spoil(&d, &io);
        void *const workspace = tk_workspace(tk, 1 << 14);
        const merit_status status =
            merit_preference_ordinal(tk->ctx, &d, &io, workspace, 1 << 14, NULL);
        tk_case("rejection %lld", (long long)k);
        tk_expect_rejected(tk->ctx, status, MERIT_STATUS_INVALID_ARGUMENT, rejections[k].words);
        tk_expect_rejected(tk->ctx, status, MERIT_STATUS_INVALID_ARGUMENT,
                           "merit_preference_ordinal: ");
        unsigned char bytes[8];
        tk_read(tk, chosen, bytes, 2, 4);
        TK_EXPECT(tk_untouched(bytes, 2, 4), "the gradient was written");
        tk_read(tk, io.loss, bytes, 1, 8);
        TK_EXPECT(tk_untouched(bytes, 1, 8), "the loss was written");
        tk_release(tk);
    }
    ordinal_case c = ordinal_make("oprm", logits, logits, 1, 2);
    size_t bytes = 0;
    tk_expect_ok(tk->ctx, merit_preference_ordinal_workspace(tk->ctx, &c.d, &bytes));
    merit_preference_ordinal_io io = c.io;
    io.chosen_logits = io.rejected_logits = tk_input(tk, logits, 2, 4);
    void *const workspace = tk_workspace(tk, bytes);
    tk_expect_rejected(tk->ctx,
                       merit_preference_ordinal(tk->ctx, &c.d, &io, workspace, bytes - 1, NULL),
                       MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace has");
    tk_expect_rejected(tk->ctx, merit_preference_ordinal_workspace(tk->ctx, &c.d, NULL),
                       MERIT_STATUS_INVALID_ARGUMENT, "bytes is NULL");
}

Test(preference_ordinal, presets_leave_sizes_alone)
{
    merit_preference_ordinal_desc d;
    cr_assert(merit_preference_ordinal_desc_init(&d, sizeof d) == MERIT_STATUS_OK);
    int count = 0;
    while (merit_preference_ordinal_preset_name(count) != NULL) {
        d.num_pairs = 17, d.num_levels = 5, d.chosen_stride = 8, d.logit_dtype = MERIT_DTYPE_F16;
        cr_assert(merit_preference_ordinal_preset(merit_preference_ordinal_preset_name(count),
                                                  &d) == MERIT_STATUS_OK);
        cr_assert(d.num_pairs == 17 && d.num_levels == 5 && d.chosen_stride == 8 &&
                  d.logit_dtype == MERIT_DTYPE_F16);
        count++;
    }
    cr_assert(count == 3, "%d presets", count);
    cr_assert(merit_preference_ordinal_preset("oprm.half_tie", &d) == MERIT_STATUS_OK);
    cr_assert(d.tie_share == 0.5f && d.temperature == 1 && d.value_step == 1);
    cr_assert(merit_preference_ordinal_preset("nothing", &d) == MERIT_STATUS_NOT_FOUND);
    cr_assert(merit_preference_ordinal_preset(NULL, &d) == MERIT_STATUS_INVALID_ARGUMENT);
    cr_assert(merit_preference_ordinal_preset("oprm", NULL) == MERIT_STATUS_INVALID_ARGUMENT);
}
