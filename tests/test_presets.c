// Presets of every operation: how they are listed, found and applied. What each stands for is tested with
// its operation.
#include <stddef.h>
#include <string.h>

#include "tk.h"

typedef struct family {
    const char *preset_function;
    size_t bytes; // of the descriptor
    size_t begin, end; // its options
    size_t sizes; // bytes between them that are none
    merit_status (*init)(void *desc);
    merit_status (*preset)(const char *name, void *desc);
    const char *(*name_at)(int32_t i);
} family;

// Operation, its first and its last option, and the bytes of sizes between them.
#define FAMILIES(X)                                             \
    X(advantage_group, columns, expected_size, 0)               \
    X(dominance_pairwise, measure, delta, 0)                    \
    X(dominance_quantile_huber, kappa, level_reduction, 0)      \
    X(dominance_quantile_target, mode, gamma, 0)                \
    X(dominance_subset, measure, drop_nan, 0)                   \
    X(policy_logprob, temperature, ignore_index, 0)             \
    X(policy_loss, advantage_level, aggregation, 0)             \
    X(policy_value_loss, clip, aggregation, 0)                  \
    X(preference_list, mode, skip_invalid, 0)                   \
    X(preference_ordinal, temperature, skip_invalid, 0)         \
    X(preference_pair, link, calibration_bins, sizeof(int32_t)) \
    X(score, positions, grad_layout, 0)                         \
    X(score_readout, kind, empty_value, 0)                      \
    X(score_regression, link, reduction, 0)

#define DEFINE(op, first, last, sizes)                                  \
    static merit_status init_##op(void *desc)                           \
    {                                                                   \
        return merit_##op##_desc_init(desc, sizeof(merit_##op##_desc)); \
    }                                                                   \
    static merit_status preset_##op(const char *name, void *desc)       \
    {                                                                   \
        return merit_##op##_preset(name, desc);                         \
    }
FAMILIES(DEFINE)

#define ENTRY(op, first, last, sizes)                                               \
    {"merit_" #op "_preset",                                                        \
     sizeof(merit_##op##_desc),                                                     \
     offsetof(merit_##op##_desc, first),                                            \
     offsetof(merit_##op##_desc, last) + sizeof(((merit_##op##_desc *)NULL)->last), \
     sizes,                                                                         \
     init_##op,                                                                     \
     preset_##op,                                                                   \
     merit_##op##_preset_name},
static const family families[] = {FAMILIES(ENTRY)};

enum { NUM_FAMILIES = sizeof families / sizeof families[0], MAX_BYTES = 1024 };

typedef union any_desc {
    size_t struct_size; // the first member of each
    unsigned char bytes[MAX_BYTES];
    double alignment;
} any_desc;

static any_desc filled(const family *f, int byte)
{
    any_desc d;
    cr_assert(f->bytes <= MAX_BYTES);
    memset(&d, byte, sizeof d);
    d.struct_size = f->bytes;
    return d;
}

Test(presets, names_are_listed_once)
{
    for (int k = 0; k < NUM_FAMILIES; k++) {
        const family *const f = &families[k];
        int count = 0;
        for (const char *name; (name = f->name_at(count)) != NULL; count++) {
            for (int i = 0; i < count; i++) {
                cr_expect(strcmp(f->name_at(i), name) != 0, "%s: %s twice", f->preset_function,
                          name);
            }
        }
        cr_expect(count > 0, "%s", f->preset_function);
        cr_expect(f->name_at(-1) == NULL && f->name_at(count + 1) == NULL, "%s",
                  f->preset_function);
    }
}

// Over two fillings, bytes that agree were written: all options, whatever was there, and nothing else. So
// the sizes that a caller has filled in stay.
Test(presets, every_preset_overwrites_the_options_and_nothing_else)
{
    for (int k = 0; k < NUM_FAMILIES; k++) {
        const family *const f = &families[k];
        for (int32_t i = 0; f->name_at(i) != NULL; i++) {
            any_desc a = filled(f, 0x5a), b = filled(f, 0xa5);
            cr_assert(f->preset(f->name_at(i), &a) == MERIT_STATUS_OK, "%s: %s", f->name_at(i),
                      merit_context_last_error(NULL));
            cr_assert(f->preset(f->name_at(i), &b) == MERIT_STATUS_OK);
            size_t written = 0;
            for (size_t at = sizeof a.struct_size; at < sizeof a; at++) {
                const int same = a.bytes[at] == b.bytes[at];
                cr_expect(same || (a.bytes[at] == 0x5a && b.bytes[at] == 0xa5),
                          "%s: %s mixes byte %zu", f->preset_function, f->name_at(i), at);
                cr_expect(!same || (at >= f->begin && at < f->end), "%s: %s writes byte %zu",
                          f->preset_function, f->name_at(i), at);
                written += (size_t)same;
            }
            cr_expect(written == f->end - f->begin - f->sizes, "%s: %s writes %zu bytes, not %zu",
                      f->preset_function, f->name_at(i), written, f->end - f->begin - f->sizes);
        }
    }
}

static void expect_refused(const family *f, const char *name, any_desc *d, merit_status wanted,
                           const char *word)
{
    const any_desc before = d == NULL ? (any_desc){0} : *d;
    const merit_status status = f->preset(name, d);
    const char *const sentence = merit_context_last_error(NULL);
    cr_expect(status == wanted, "%s: status is %s", f->preset_function,
              merit_status_string(status));
    cr_expect(strstr(sentence, f->preset_function) == sentence, "%s", sentence);
    cr_expect(strstr(sentence, word) != NULL, "%s", sentence);
    cr_expect(d == NULL || memcmp(d, &before, sizeof before) == 0, "%s wrote", f->preset_function);
}

Test(presets, unknown_names_and_missing_arguments_are_refused)
{
    for (int k = 0; k < NUM_FAMILIES; k++) {
        const family *const f = &families[k];
        const char *const good = f->name_at(0);
        any_desc d = filled(f, 0x5a);
        cr_assert(f->init(&d) == MERIT_STATUS_OK);
        expect_refused(f, "no.such", &d, MERIT_STATUS_NOT_FOUND, "\"no.such\"");
        expect_refused(f, "", &d, MERIT_STATUS_NOT_FOUND, "\"\"");
        expect_refused(f, NULL, &d, MERIT_STATUS_INVALID_ARGUMENT, "name is NULL");
        expect_refused(f, good, NULL, MERIT_STATUS_INVALID_ARGUMENT, "desc is NULL");
        d.struct_size = 4;
        expect_refused(f, good, &d, MERIT_STATUS_INVALID_ARGUMENT, "struct_size is 4");
    }
}
