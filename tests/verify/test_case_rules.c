// Numbers, comparison rules and field tables of the cases.
#include "verify_fixture.h"

#include <math.h>
#include <stdlib.h>

#include "number.h"

// Numbers -----------------------------------------------------------------------------------------

Test(verify, every_16_bit_word_keeps_its_value)
{
    const st_dtype dtypes[] = {ST_F16, ST_BF16};
    for (int d = 0; d < 2; d++) {
        for (uint64_t word = 0; word < 65536; word++) {
            uint64_t back;
            cr_assert(number_round(dtypes[d], number_value(dtypes[d], word), &back));
            if (number_is_nan(dtypes[d], word)) {
                cr_assert_eq(back, number_canonical_nan(dtypes[d]));
            } else {
                cr_assert_eq(back, word);
            }
        }
    }
    cr_assert_eq(number_canonical_nan(ST_F16), 0x7e00);
    cr_assert_eq(number_canonical_nan(ST_BF16), 0x7fc0);
    cr_assert_eq(number_canonical_nan(ST_F32), 0x7fc00000);
    cr_assert_eq(number_canonical_nan(ST_F64), 0x7ff8000000000000);
}

// The compiler's conversion is the reference.
Test(verify, rounding_to_binary32_is_that_of_the_machine)
{
    tk_random random = {1};
    for (int i = 0; i < 200000; i++) {
        uint64_t word = tk_bits(&random), rounded;
        if (i % 2 == 0) { // near binary32 values and their midpoints
            const float f = (float)tk_normal(&random);
            double near = f;
            memcpy(&word, &near, 8);
            word += ((tk_bits(&random) & 1) << 28) + (tk_bits(&random) % 3) - 1;
        }
        double value;
        memcpy(&value, &word, 8);
        const float expected = (float)value;
        uint32_t bits;
        memcpy(&bits, &expected, 4);
        if (isnan(value)) bits = 0x7fc00000;
        cr_assert(number_round(ST_F32, value, &rounded));
        cr_assert_eq(rounded, bits, "%a", value);
    }
}

// One rounding, not two: 1 + 2^-8 + 2^-30 lies above the midpoint of two bf16, and rounding it to
// binary32 first would put it on the midpoint.
Test(verify, a_double_is_rounded_to_bf16_once)
{
    uint64_t word;
    cr_assert(number_round(ST_BF16, 1 + 0x1p-8 + 0x1p-30, &word));
    cr_assert_eq(word, 0x3f81);
    cr_assert(number_round(ST_BF16, 1 + 0x1p-8, &word));
    cr_assert_eq(word, 0x3f80);
    cr_assert(number_round(ST_F16, 65519.99, &word));
    cr_assert_eq(word, 0x7bff);
    cr_assert(number_round(ST_F16, -65520.0, &word));
    cr_assert_eq(word, 0xfc00);
}

Test(verify, integers_take_only_what_they_hold)
{
    uint64_t word;
    cr_assert(number_round(ST_U8, 255, &word) && word == 255);
    cr_assert(number_round(ST_I32, -1, &word) && word == 0xffffffff);
    cr_assert(number_round(ST_I64, -0x1p63, &word) && word == (uint64_t)1 << 63);
    cr_assert_not(number_round(ST_U8, 256, &word));
    cr_assert_not(number_round(ST_U8, -1, &word));
    cr_assert_not(number_round(ST_I32, .5, &word));
    cr_assert_not(number_round(ST_I64, 0x1p63, &word));
    cr_assert_not(number_round(ST_I32, NAN, &word));
}

Test(verify, steps_count_representable_values)
{
    cr_assert_eq(number_steps(ST_F32, 0x3f800000, 0x3f800003), 3);
    cr_assert_eq(number_steps(ST_F32, 0x00000001, 0x80000001), 2);
    cr_assert_eq(number_steps(ST_F32, 0x00000000, 0x80000000), 0);
    cr_assert_eq(number_steps(ST_F32, 0x7f7fffff, 0x7f800000), 1);
    cr_assert_eq(number_steps(ST_F32, 0x7fc00000, 0x3f800000), UINT64_MAX);
    cr_assert_eq(number_steps(ST_BF16, 0x3f80, 0x3f81), 1);
    cr_assert_eq(number_steps(ST_I64, (uint64_t)INT64_MIN, INT64_MAX), UINT64_MAX);
    cr_assert_eq(number_steps(ST_I32, 0xffffffff, 1), 2);
    cr_assert_eq(number_steps(ST_U8, 3, 255), 252);
}

// Rules -------------------------------------------------------------------------------------------

static compare_result compare_one(const char *rule_text, double expected, uint32_t actual)
{
    compare_rule rule;
    compare_result result;
    case_error error;
    json_t *const entry = rule_text != NULL ? json_loads(rule_text, 0, NULL) : NULL;
    cr_assert(compare_rule_read(&rule, entry, "x", &error), "%s", error.text);
    json_decref(entry);
    const st_tensor t = {.name = "x",
                         .dtype = ST_F64,
                         .rank = 1,
                         .shape = {1},
                         .count = 1,
                         .bytes = 8,
                         .data = (const unsigned char *)&expected};
    cr_assert(compare_arrays(&result, &rule, &t, ST_F32, &actual, &error), "%s", error.text);
    return result;
}

Test(verify, rules_decide_element_by_element)
{
    static const struct {
        const char *rule;
        double expected;
        uint32_t actual; // binary32
        int holds;
    } rows[] = {
        {NULL, 1.0, 0x3f800000, 1},
        {NULL, 1.0, 0x3f800001, 0},
        {NULL, 0.0, 0x80000000, 0}, // without an entry: bits
        {"{\"bits\":true}", 0.0, 0x80000000, 0},
        {"{\"atol\":0}", 0.0, 0x80000000, 1},
        {"{\"ulp\":0}", 0.0, 0x80000000, 1},
        {"{\"ulp\":1}", 1.0, 0x3f800001, 1},
        {"{\"ulp\":1}", 1.0, 0x3f800002, 0},
        {"{\"ulp\":1}", 1.0 + 0x1p-30, 0x3f800001, 1}, // expected is rounded first
        {"{\"atol\":1e-3}", 1.0, 0x3f802000, 1}, // 1 + 2^-10
        {"{\"atol\":9e-4}", 1.0, 0x3f802000, 0},
        {"{\"rtol\":1e-3}", 1.0, 0x3f802000, 1},
        {"{\"rtol\":9e-4}", 1.0, 0x3f802000, 0},
        {"{\"atol\":5e-4,\"rtol\":5e-4}", 1.0, 0x3f802000, 1}, // they add up
        {"{\"atol\":1,\"ulp\":1}", 1.0, 0x3f800002, 0}, // all that are given
        {"{\"atol\":1,\"bits\":true}", 1.0, 0x3f800001, 0},
        {"{\"atol\":1}", 1.0, 0x7fc00000, 0},
        {"{\"atol\":1}", 1.0, 0x7f800000, 0},
        {"{\"atol\":1}", NAN, 0x7fc00000, 1},
        {"{\"atol\":1}", NAN, 0xffffffff, 1}, // any NaN
        {"{\"atol\":1}", NAN, 0x3f800000, 0},
        {"{\"bits\":true}", NAN, 0x7fc00000, 1},
        {"{\"bits\":true}", NAN, 0xffc00000, 0}, // the canonical one
        {NULL, NAN, 0x7fc00001, 0},
        {"{\"atol\":1}", INFINITY, 0x7f800000, 1},
        {"{\"atol\":1}", INFINITY, 0xff800000, 0},
        {"{\"atol\":1}", INFINITY, 0x7f7fffff, 0},
        {"{\"ulp\":5}", INFINITY, 0x7f7fffff, 0}, // itself alone
        {"{\"rtol\":1}", -INFINITY, 0xff800000, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const compare_result r = compare_one(rows[i].rule, rows[i].expected, rows[i].actual);
        cr_expect_eq(r.failing == 0, rows[i].holds, "row %zu: %s, expected %g, got 0x%08x", i,
                     rows[i].rule != NULL ? rows[i].rule : "no rule", rows[i].expected,
                     (unsigned)rows[i].actual);
    }
}

Test(verify, a_comparison_names_the_first_and_the_worst)
{
    const float expected[5] = {1, 2, 3, 4, NAN};
    const float actual[5] = {1, 2.5f, 3, 2, NAN};
    const st_tensor t = {.name = "x",
                         .dtype = ST_F32,
                         .rank = 1,
                         .shape = {5},
                         .count = 5,
                         .bytes = 20,
                         .data = (const unsigned char *)expected};
    const compare_rule rule = {.has_tolerance = true, .atol = .25};
    compare_result r;
    case_error error;
    cr_assert(compare_arrays(&r, &rule, &t, ST_F32, actual, &error));
    cr_assert(r.elements == 5 && r.failing == 2 && r.differing == 2);
    cr_assert(r.first == 1 && r.worst == 3 && r.worst_error == 2);
    cr_assert_eq(r.worst_ulp, 0x800000); // 2 and 4 are one binade apart
    cr_assert_eq(r.differing_bits, 1 + 1); // 0x40000000, 0x40200000; 0x40800000, 0x40000000
    const float broken[5] = {1, NAN, 3, 400, 5};
    cr_assert(compare_arrays(&r, &rule, &t, ST_F32, broken, &error));
    cr_assert(isnan(r.worst_error) && r.worst == 1 && r.worst_ulp == UINT64_MAX && r.failing == 3);
}

// Fields ------------------------------------------------------------------------------------------

typedef struct thing {
    float weight;
    int32_t kind;
} thing;

typedef struct things_desc {
    size_t struct_size;
    float triple[3];
    int32_t num_things;
    const thing *things;
    const double *numbers;
    int32_t num_numbers;
} things_desc;

static const field_value kind_values[] = {{"plain", 0}, {"fancy", 1}, {NULL, 0}};
static const field thing_fields[] = {
    FIELD_OF(thing, F32, weight), FIELD_NAMED(thing, kind_values, kind), {0}};
static const field one_float = {.type = FIELD_F32}, one_double = {.type = FIELD_F64},
                   one_thing = {.type = FIELD_OBJECT, .inner = thing_fields};
static const field things_fields[] = {{.name = "triple",
                                       .type = FIELD_ARRAY,
                                       .offset = offsetof(things_desc, triple),
                                       .inner = &one_float,
                                       .element_bytes = sizeof(float),
                                       .length = 3},
                                      {.name = "things",
                                       .type = FIELD_LIST,
                                       .offset = offsetof(things_desc, things),
                                       .inner = &one_thing,
                                       .element_bytes = sizeof(thing),
                                       .count_offset = offsetof(things_desc, num_things)},
                                      {.name = "numbers",
                                       .type = FIELD_LIST,
                                       .offset = offsetof(things_desc, numbers),
                                       .inner = &one_double,
                                       .element_bytes = sizeof(double),
                                       .count_offset = offsetof(things_desc, num_numbers)},
                                      {0}};

static bool set_things(const char *text, things_desc *d, field_memory *memory, case_error *error)
{
    json_t *const object = json_loads(text, 0, NULL);
    const bool good = fields_set(things_fields, object, d, "desc", memory, error);
    json_decref(object);
    return good;
}

Test(verify, arrays_and_lists_of_structs_are_set)
{
    things_desc d = {0};
    field_memory memory = {0};
    case_error error;
    cr_assert(set_things("{\"triple\":[1,\"-inf\",\"nan\"],\"numbers\":[],"
                         "\"things\":[{\"weight\":0.5},{\"kind\":\"fancy\"}]}",
                         &d, &memory, &error),
              "%s", error.text);
    cr_assert(d.triple[0] == 1 && d.triple[1] == -INFINITY && isnan(d.triple[2]));
    cr_assert(d.num_things == 2 && d.things[0].weight == .5f && d.things[1].kind == 1);
    cr_assert(d.num_numbers == 0 && d.numbers != NULL);
    cr_assert_not(set_things("{\"triple\":[1,2]}", &d, &memory, &error));
    VF_CONTAINS(error.text, "desc.triple is not an array of 3");
    cr_assert_not(set_things("{\"things\":[{},{\"kind\":\"plane\"}]}", &d, &memory, &error));
    VF_CONTAINS(error.text, "desc.things[1].kind is \"plane\", expected one of plain, fancy");
    cr_assert_not(set_things("{\"things\":{}}", &d, &memory, &error));
    field_memory_free(&memory);
}

static int by_offset(const void *a, const void *b)
{
    const field *const x = a, *const y = b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

// A field that the header gains and the table forgets leaves a hole.
Test(verify, field_tables_cover_their_descriptors)
{
    for (int i = 0; case_op_at(i) != NULL; i++) {
        const case_op *const op = case_op_at(i);
        field sorted[64];
        int n = 0;
        for (const field *f = op->fields; f->name != NULL; f++) {
            sorted[n++] = *f;
        }
        qsort(sorted, (size_t)n, sizeof sorted[0], by_offset);
        size_t end = sizeof(size_t); // struct_size
        for (int f = 0; f < n; f++) {
            cr_expect(sorted[f].offset - end < 4 ||
                          (sorted[f].offset % 8 == 0 && sorted[f].offset - end < 8),
                      "%s: a field is missing before %s", op->name, sorted[f].name);
            end = sorted[f].offset + field_bytes(&sorted[f]);
        }
        cr_expect(op->desc_bytes - end < 8, "%s: a field is missing after %s", op->name,
                  sorted[n - 1].name);
    }
}

// Some descriptors demand a size of the caller: 1 will do.
static void make_valid(const case_op *op, merit_context *ctx, unsigned char *desc)
{
    size_t bytes;
    if (op->workspace(ctx, desc, &bytes) == MERIT_STATUS_OK) return;
    for (const field *f = op->fields; f->name != NULL; f++) {
        if (strcmp(f->name, "hidden_size") != 0) continue;
        const int64_t one = 1;
        memcpy(desc + f->offset, &one, f->type == FIELD_I32 ? sizeof(int32_t) : sizeof one);
    }
}

// An enum value that the library gains and the table forgets is one that it does not reject.
Test(verify, enum_tables_know_every_value)
{
    case_backend backend;
    case_error error, skipped;
    int count;
    cr_assert(case_backends_open("cpu", &backend, &count, &skipped, &error), "%s", error.text);
    for (int i = 0; case_op_at(i) != NULL; i++) {
        const case_op *const op = case_op_at(i);
        for (const field *f = op->fields; f->name != NULL; f++) {
            unsigned char *const desc = calloc(1, op->desc_bytes);
            int32_t next = 0;
            size_t bytes;
            for (const field_value *v = f->values; v != NULL && v->name != NULL; v++) {
                if (v->value >= next) next = v->value + 1;
            }
            cr_assert_eq(op->desc_init(desc, op->desc_bytes), MERIT_STATUS_OK);
            make_valid(op, backend.ctx, desc);
            cr_assert_eq(op->workspace(backend.ctx, desc, &bytes), MERIT_STATUS_OK, "%s: %s",
                         op->name, merit_context_last_error(backend.ctx));
            if (f->type == FIELD_ENUM) memcpy(desc + f->offset, &next, sizeof next);
            const merit_status status = op->workspace(backend.ctx, desc, &bytes);
            cr_expect(f->type != FIELD_ENUM || status == MERIT_STATUS_INVALID_ARGUMENT,
                      "%s accepts %s = %d", op->name, f->name, (int)next);
            free(desc);
        }
    }
    case_backends_close(&backend, count);
}
