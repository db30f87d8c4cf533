// The presets of preference_pair: what each changes of the defaults, and how they are looked up.
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "tk.h"

typedef struct option {
    const char *name;
    size_t offset;
    char type; // i: int32_t, f: float
} option;

#define OPTION(type, field)                                       \
    {                                                             \
#field, offsetof(merit_preference_pair_desc, field), type \
    }

static const option options[] = {
    OPTION('i', link),         OPTION('f', link_param),       OPTION('f', beta),
    OPTION('i', beta_map),     OPTION('f', map_weight),       OPTION('f', map_rate),
    OPTION('f', margin),       OPTION('i', opposite),         OPTION('i', target),
    OPTION('f', smoothing),    OPTION('i', smoothing_kind),   OPTION('i', tie_model),
    OPTION('f', log_tie),      OPTION('f', pair_weight),      OPTION('i', unary_link),
    OPTION('f', unary[0]),     OPTION('f', unary[1]),         OPTION('f', unary[2]),
    OPTION('f', unary[3]),     OPTION('f', unary_shift),      OPTION('f', unary_margin),
    OPTION('f', center),       OPTION('i', route_kind),       OPTION('i', reduction),
    OPTION('i', skip_invalid), OPTION('i', calibration_bins),
};

enum { NUM_OPTIONS = sizeof options / sizeof options[0] };

static double value_of(const merit_preference_pair_desc *d, const option *o)
{
    const char *const at = (const char *)d + o->offset;
    return o->type == 'i' ? *(const int32_t *)(const void *)at : *(const float *)(const void *)at;
}

static merit_preference_pair_desc defaults(void)
{
    merit_preference_pair_desc d;
    cr_assert(merit_preference_pair_desc_init(&d, sizeof d) == MERIT_STATUS_OK);
    return d;
}

// "link=2 beta=0.1 ": the options that differ from the defaults, in the order of the descriptor.
static void describe(const merit_preference_pair_desc *d, char *text, size_t length)
{
    const merit_preference_pair_desc base = defaults();
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < NUM_OPTIONS; i++) {
        const double value = value_of(d, &options[i]);
        if (value == value_of(&base, &options[i])) continue;
        used += (size_t)snprintf(text + used, length - used, "%s=%g ", options[i].name, value);
    }
}

Test(preference_presets, the_defaults_are_those_of_the_header)
{
    const merit_preference_pair_desc d = defaults();
    static const char *const ones[] = {"beta", "pair_weight", "reduction"}; // MEAN_VALID is 1
    cr_expect(d.num_pairs == 0 && d.num_routes == 1 && d.score_dtype == MERIT_DTYPE_F32);
    cr_expect(d.chosen_stride == 1 && d.rejected_stride == 1 && d.ref_chosen_stride == 1 &&
              d.ref_rejected_stride == 1 && d.grad_chosen_stride == 1 &&
              d.grad_rejected_stride == 1);
    for (int i = 0; i < NUM_OPTIONS; i++) {
        int expected = 0;
        for (int k = 0; k < 3; k++) {
            expected |= strcmp(options[i].name, ones[k]) == 0;
        }
        cr_expect(value_of(&d, &options[i]) == expected, "%s is %g", options[i].name,
                  value_of(&d, &options[i]));
    }
}

#define DPO "beta=0.1 "
#define ALONE "pair_weight=0 "

static const struct {
    const char *name, *changes;
} expected[] = {
    {"bt", ""},
    {"oni.soft", "target=2 "},
    {"trl.reward", ""},
    {"openrlhf.sigmoid", ""},
    {"openrlhf.logexp", ""},
    {"areal.rw", ""},
    {"rlhflow.bt", ""},
    {"trl.reward_centered", "center=0.01 "},
    {"nemo.bt", "beta=nan reduction=3 "},
    {"helpsteer2.regular", "target=1 "},
    {"helpsteer2.margin", "opposite=1 target=1 "},
    {"helpsteer2.scaled", "target=1 "},
    {"rao_kupper", "target=1 tie_model=2 log_tie=nan "},
    {"davidson", "target=1 tie_model=3 log_tie=nan "},
    {"dpo", DPO},
    {"cdpo", DPO "smoothing=nan "},
    {"rdpo", DPO "smoothing=nan smoothing_kind=1 "},
    {"dpo_norm", DPO},
    {"mm_dpo", DPO "beta_map=2 map_weight=0.5 map_rate=0.5 "},
    {"ipo", "link=2 margin=nan opposite=1 "},
    {"slic", "link=1 beta=nan "},
    {"simpo", "beta=2 margin=nan "},
    {"exo", "link=5 link_param=nan "},
    {"discopop", "link=6 link_param=0.05 "},
    {"nca", ALONE "unary[0]=1 unary[1]=0.5 unary[3]=0.5 "},
    {"bco", ALONE "unary[0]=1 unary[3]=1 unary_shift=nan "},
    {"sppo_hard", ALONE "unary_link=2 unary[0]=1 unary[3]=1 unary_margin=nan "},
    {"apo_zero", ALONE "unary_link=4 unary[0]=1 unary[3]=1 "},
    {"apo_down", "link=4 unary_link=4 unary[1]=1 "},
    {"kto", ALONE "unary_link=4 unary[0]=1 unary[3]=1 unary_shift=nan "},
    {"discriminator", ALONE "unary[0]=1 unary[3]=1 "},
    {"discriminator_hinge", ALONE "unary_link=1 unary[0]=1 unary[3]=1 "},
    {"mah_dpo", DPO "route_kind=1 "},
    {"wpo", DPO},
    {"aot", DPO},
};

enum { NUM_EXPECTED = sizeof expected / sizeof expected[0] };

Test(preference_presets, each_changes_what_its_loss_asks)
{
    for (int i = 0; i < NUM_EXPECTED; i++) {
        merit_preference_pair_desc d = defaults();
        char text[512];
        cr_expect(merit_preference_pair_preset(expected[i].name, &d) == MERIT_STATUS_OK, "%s: %s",
                  expected[i].name, merit_context_last_error(NULL));
        describe(&d, text, sizeof text);
        cr_expect(strcmp(text, expected[i].changes) == 0, "%s changes \"%s\", expected \"%s\"",
                  expected[i].name, text, expected[i].changes);
    }
}

Test(preference_presets, each_is_written_down_here)
{
    int count = 0;
    for (const char *name; (name = merit_preference_pair_preset_name(count)) != NULL; count++) {
        int found = 0;
        for (int i = 0; i < NUM_EXPECTED; i++) {
            found += strcmp(expected[i].name, name) == 0;
        }
        cr_expect(found == 1, "%s is listed, expected %d times", name, found);
    }
    cr_expect(count == NUM_EXPECTED, "%d names, expected %d", count, NUM_EXPECTED);
}

// A preset whose value the caller has to give is refused until it has one.
TK_TEST(preference_presets, values_left_to_the_caller_are_demanded)
{
    static const struct {
        const char *preset, *field;
    } rows[] = {{"nemo.bt", "beta"},   {"cdpo", "smoothing"},
                {"rdpo", "smoothing"}, {"ipo", "margin"},
                {"slic", "beta"},      {"simpo", "margin"},
                {"exo", "link_param"}, {"sppo_hard", "unary_margin"}};
    for (int i = 0; i < (int)(sizeof rows / sizeof rows[0]); i++) {
        merit_preference_pair_desc d = defaults();
        size_t bytes = 77;
        cr_assert(merit_preference_pair_preset(rows[i].preset, &d) == MERIT_STATUS_OK);
        tk_case("%s", rows[i].preset);
        tk_expect_rejected(tk->ctx, merit_preference_pair_workspace(tk->ctx, &d, &bytes),
                           MERIT_STATUS_INVALID_ARGUMENT, rows[i].field);
        TK_EXPECT(bytes == 77, "bytes was written");
    }
    // These may come in device memory instead.
    static const struct {
        const char *preset, *field;
    } later[] = {{"bco", "unary_shift"},
                 {"kto", "unary_shift"},
                 {"rao_kupper", "log_tie"},
                 {"davidson", "log_tie"}};
    const float score = 1, value = 0.5f;
    const int8_t outcome = 0;
    for (int i = 0; i < 4; i++) {
        merit_preference_pair_desc d = defaults();
        cr_assert(merit_preference_pair_preset(later[i].preset, &d) == MERIT_STATUS_OK);
        d.num_pairs = 1;
        merit_preference_pair_io io = {.struct_size = sizeof io};
        io.chosen = tk_input(tk, &score, 1, 4), io.rejected = tk_input(tk, &score, 1, 4);
        io.outcomes = i < 2 ? NULL : tk_input(tk, &outcome, 1, 1);
        io.loss = tk_output(tk, 1, 8);
        size_t bytes;
        tk_case("%s", later[i].preset);
        tk_expect_ok(tk->ctx, merit_preference_pair_workspace(tk->ctx, &d, &bytes));
        void *const workspace = tk_workspace(tk, bytes);
        tk_expect_rejected(tk->ctx, merit_preference_pair(tk->ctx, &d, &io, workspace, bytes, NULL),
                           MERIT_STATUS_INVALID_ARGUMENT, later[i].field);
        const float *const given = tk_input(tk, &value, 1, 4);
        io.unary_shift_dev = i < 2 ? given : NULL;
        io.log_tie_dev = i < 2 ? NULL : given;
        tk_expect_ok(tk->ctx, merit_preference_pair(tk->ctx, &d, &io, workspace, bytes, NULL));
        tk_release(tk);
    }
}
