// The presets of advantage_group: what each changes of the defaults, and how they are looked up.
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "tk.h"

typedef struct option {
    const char *name;
    size_t offset;
    char type; // i: int32_t, f: float, d: double
} option;

#define OPTION(type, field)                                       \
    {                                                             \
#field, offsetof(merit_advantage_group_desc, field), type \
    }

static const option options[] = {
    OPTION('i', columns),     OPTION('i', transform),   OPTION('i', rank_ties),
    OPTION('f', temperature), OPTION('i', center),      OPTION('i', center_level),
    OPTION('i', scale),       OPTION('i', scale_level), OPTION('i', ddof),
    OPTION('i', eps_rule),    OPTION('d', eps),         OPTION('d', zero_threshold),
    OPTION('i', zero_rule),   OPTION('i', singleton),   OPTION('i', invalid),
    OPTION('i', map),         OPTION('f', reward_low),  OPTION('f', reward_high),
    OPTION('f', map_range),   OPTION('f', sign_tie),    OPTION('f', low),
    OPTION('f', high),        OPTION('f', gain),        OPTION('i', expected_size),
};

enum { NUM_OPTIONS = sizeof options / sizeof options[0] };

static double value_of(const merit_advantage_group_desc *d, const option *o)
{
    const char *const at = (const char *)d + o->offset;
    switch (o->type) {
    case 'i': return *(const int32_t *)(const void *)at;
    case 'f': return *(const float *)(const void *)at;
    default: return *(const double *)(const void *)at;
    }
}

static merit_advantage_group_desc defaults(void)
{
    merit_advantage_group_desc d;
    cr_assert(merit_advantage_group_desc_init(&d, sizeof d) == MERIT_STATUS_OK);
    return d;
}

// "center=2 scale=0 ": the options that differ from the defaults, in the order of the descriptor.
static void describe(const merit_advantage_group_desc *d, char *text, size_t length)
{
    const merit_advantage_group_desc base = defaults();
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < NUM_OPTIONS; i++) {
        const double value = value_of(d, &options[i]);
        if (value == value_of(&base, &options[i])) continue;
        used += (size_t)snprintf(text + used, length - used, "%s=%g ", options[i].name, value);
    }
}

#define DR "scale=0 "
#define LOO "center=2 "
#define RLOO LOO DR
#define RAW "singleton=1 "
#define UNIT "singleton=2 "
#define NAN_ALONE "singleton=3 "
#define SKIP_NAN "invalid=1 "
#define GDPO "columns=1 "
#define UNSCALED "zero_rule=1 "

static const struct {
    const char *name, *changes;
} expected[] = {
    {"grpo", ""},
    {"dr_grpo", DR},
    {"prime", DR},
    {"oi.centered", DR},
    {"verpo", DR},
    {"harmo", DR},
    {"critique_grpo", DR},
    {"orlhf.dr_grpo", DR NAN_ALONE},
    {"orlhf.reinforce_baseline", DR NAN_ALONE},
    {"rloo", RLOO},
    {"verl.rloo_vectorized", RLOO},
    {"skyrl.rloo", RLOO},
    {"trl.group", "eps=0.0001 " SKIP_NAN},
    {"trl.batch", "scale_level=1 eps=0.0001 " SKIP_NAN},
    {"trl.none", DR SKIP_NAN},
    {"trl.rloo", RLOO SKIP_NAN},
    {"trl.gdpo", GDPO "eps=0.0001 " SKIP_NAN},
    {"swift.grpo", "eps=0.0001 " SKIP_NAN},
    {"swift.rloo", LOO "eps=0.0001 " SKIP_NAN},
    {"swift.gdpo", GDPO "eps=1e-08 " SKIP_NAN},
    {"verl.grpo", UNIT},
    {"verl.grpo_vectorized", UNIT},
    {"skyrl.grpo", UNIT},
    {"verl.dr_grpo", DR RAW},
    {"verl.rf_pp_baseline", DR RAW},
    {"verl.rloo", RLOO RAW},
    {"verl.gdpo", GDPO UNIT},
    {"verl.passk", "center=3 " NAN_ALONE},
    {"verl.opo", DR RAW},
    {"opo", DR RAW},
    {"verl.gpg", "scale=6 scale_level=1 eps=0 " UNIT},
    {"gpg", "scale=6 scale_level=1 eps=0 " UNIT},
    {"orlhf.group_norm", "eps=1e-09 " NAN_ALONE},
    {"orlhf.rloo", RLOO NAN_ALONE},
    {"nemo.grpo", LOO "scale=2 " UNSCALED},
    {"nemo.grpo_all", UNSCALED},
    {"nemo.gdpo", GDPO LOO "scale=2 " UNSCALED},
    {"nemo.rf_pp", DR},
    {"slime", ""},
    {"roll", NAN_ALONE},
    {"roll.agentic", "zero_threshold=1e-06 zero_rule=2 "},
    {"areal", "eps=1e-05 reward_low=-20 reward_high=20 "},
    {"areal.loo", LOO "scale=3 eps=1e-05 " UNIT "reward_low=-20 reward_high=20 "},
    {"oi.standard", "ddof=0 eps=1e-08 "},
    {"rlk", "ddof=0 eps_rule=1 "},
    {"maxrl", "scale=4 eps=0 zero_rule=2 "},
    {"skyrl.maxrl", "scale=4 " RAW},
    {"remax", "center=4 " DR},
    {"rltf", DR},
    {"brpo", DR "map=1 sign_tie=-1 "},
    {"arena_rl", "transform=1 "},
    {"rational_rewards", "ddof=0 eps=0.0001 map=2 map_range=nan "},
    {"par.grpo", "eps=1e-08 "},
    {"jepo", "transform=3 center=0 " DR},
    {"tilted", "transform=2 temperature=nan center=0 " DR},
};

enum { NUM_EXPECTED = sizeof expected / sizeof expected[0] };

Test(advantage_presets, each_changes_what_its_convention_asks)
{
    for (int i = 0; i < NUM_EXPECTED; i++) {
        merit_advantage_group_desc d = defaults();
        char text[512];
        cr_expect(merit_advantage_group_preset(expected[i].name, &d) == MERIT_STATUS_OK, "%s: %s",
                  expected[i].name, merit_context_last_error(NULL));
        describe(&d, text, sizeof text);
        cr_expect(strcmp(text, expected[i].changes) == 0, "%s changes \"%s\", expected \"%s\"",
                  expected[i].name, text, expected[i].changes);
    }
}

Test(advantage_presets, each_is_written_down_here)
{
    int count = 0;
    for (const char *name; (name = merit_advantage_group_preset_name(count)) != NULL; count++) {
        int found = 0;
        for (int i = 0; i < NUM_EXPECTED; i++) {
            found += strcmp(expected[i].name, name) == 0;
        }
        cr_expect(found == 1, "%s is listed, expected %d times", name, found);
    }
    cr_expect(count == NUM_EXPECTED, "%d names, expected %d", count, NUM_EXPECTED);
}
