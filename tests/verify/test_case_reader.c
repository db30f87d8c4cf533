// The reader of cases against files that are broken, by accident or on purpose. Under
// AddressSanitizer each of these also shows that no byte outside is touched.
#include "verify_fixture.h"

#include <stdlib.h>

static const float good[4] = {-1, -1, 1, 1};
enum { EXTRA = 1 << 20 };

// Reads from memory of exactly that size. 1 when accepted; a refusal must come with a sentence.
static int accepts(const unsigned char *data, size_t size, case_error *error)
{
    unsigned char *const exact = malloc(size > 0 ? size : 1);
    case_file *const c = malloc(sizeof *c);
    memcpy(exact, data, size);
    error->text[0] = '\0';
    const bool read = case_parse(c, exact, size, EXTRA, error);
    if (read) {
        case_free(c);
    } else {
        cr_assert(error->text[0] != '\0', "refused %zu bytes without a reason", size);
    }
    free(c);
    free(exact);
    return read;
}

Test(verify, a_file_cut_at_any_byte_is_refused)
{
    vf_bytes b = vf_case("", good);
    case_error error;
    cr_assert(accepts(b.data, b.size, &error), "%s", error.text);
    for (size_t size = 0; size < b.size; size++) {
        cr_assert_not(accepts(b.data, size, &error), "accepted %zu of %zu bytes", size, b.size);
    }
    vf_free(&b);
}

Test(verify, a_file_with_a_byte_too_many_is_refused)
{
    vf_bytes b = vf_case("", good);
    case_error error;
    b.data = realloc(b.data, b.size + 1);
    b.data[b.size] = 0;
    cr_assert_not(accepts(b.data, b.size + 1, &error));
    VF_CONTAINS(error.text, "data bytes");
    vf_free(&b);
}

Test(verify, no_flipped_bit_breaks_the_reader)
{
    vf_bytes b = vf_case("", good);
    case_error error;
    int refused = 0;
    for (size_t bit = 0; bit < 8 * b.size; bit++) {
        b.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
        refused += !accepts(b.data, b.size, &error);
        b.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    // Only the data and a few digits may change without notice.
    cr_assert(refused > (int)(8 * (b.size - 32)) / 2, "%d refused", refused);
    vf_free(&b);
}

#define TENSOR(dtype, shape, offsets) \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

Test(verify, hostile_headers_are_refused_with_the_reason)
{
    static const struct {
        const char *header;
        size_t data_bytes;
        const char *reason;
    } rows[] = {
        {"", 0, "begin with {"},
        {"[]", 0, "begin with {"},
        {" {}", 0, "begin with {"},
        {"{", 0, "valid JSON"},
        {"{}}", 0, "valid JSON"},
        {"{\"a\":1,}", 0, "valid JSON"},
        {"{\"\xff\":1}", 0, "valid JSON"},
        {"{\"\xc3\x28\":1}", 0, "valid JSON"},
        {"{\"a\\u0000b\":1}", 0, "valid JSON"},
        {"{\"a\":18446744073709551616}", 0, "valid JSON"},
        {"{\"a\":1e999}", 0, "valid JSON"},
        {"{\"__metadata__\":[]}", 0, "__metadata__"},
        {"{\"__metadata__\":{\"k\":1}}", 0, "no string"},
        {"{\"a\":1}", 0, "no object"},
        {"{\"a\":{}}", 0, "dtype"},
        {"{\"a\":" TENSOR("F33", "[1]", "[0,4]") "}", 4, "F33"},
        {"{\"a\":" TENSOR("F32", "4", "[0,16]") "}", 16, "shape"},
        {"{\"a\":" TENSOR("F32", "[-4]", "[0,16]") "}", 16, "dimension 0"},
        {"{\"a\":" TENSOR("F32", "[4.0]", "[0,16]") "}", 16, "dimension 0"},
        {"{\"a\":" TENSOR("F32", "[\"4\"]", "[0,16]") "}", 16, "dimension 0"},
        {"{\"a\":" TENSOR("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "9 dimensions"},
        {"{\"a\":" TENSOR("F32", "[4]", "[0,15]") "}", 15, "dtype and shape say 16"},
        {"{\"a\":" TENSOR("F64", "[4]", "[0,16]") "}", 16, "dtype and shape say 32"},
        {"{\"a\":" TENSOR("F32", "[4]", "[0,20]") "}", 20, "dtype and shape say 16"},
        {"{\"a\":" TENSOR("F32", "[4]", "[0,16]") "}", 12, "do not lie in"},
        {"{\"a\":" TENSOR("F32", "[4]", "[-16,0]") "}", 16, "do not lie in"},
        {"{\"a\":" TENSOR("F32", "[4]", "[16,0]") "}", 16, "do not lie in"},
        {"{\"a\":" TENSOR("F32", "[4]", "[0,1,16]") "}", 16, "two integers"},
        {"{\"a\":" TENSOR("F32", "[4]", "[0,16.0]") "}", 16, "two integers"},
        {"{\"a\":" TENSOR("F32", "[4]", "[9223372036854775807,9223372036854775807]") "}", 16,
         "do not lie in"},
        {"{\"a\":" TENSOR("F32", "[4611686018427387904,4]", "[0,0]") "}", 0, "larger than"},
        {"{\"a\":" TENSOR("F64", "[2305843009213693952]", "[0,0]") "}", 0, "larger than"},
        {"{\"a\":" TENSOR("F32", "[4294967296,4294967296]", "[0,0]") "}", 0, "larger than"},
        {"{\"a\":" TENSOR("F32", "[9223372036854775807]", "[0,16]") "}", 16, "larger than"},
        {"{\"a\":" TENSOR("F32", "[4]", "[0,16]") ",\"a\":" TENSOR("F32", "[4]", "[0,16]") "}", 16,
         "duplicate"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
         "duplicate"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0],\"x\":1}}", 0,
         "unknown key"},
        {"{\"a\":" TENSOR("F32", "[4]", "[0,16]") ",\"b\":" TENSOR("F32", "[4]", "[8,24]") "}", 24,
         "inside another"},
        {"{\"a\":" TENSOR("F32", "[4]", "[0,16]") ",\"b\":" TENSOR("F32", "[4]", "[0,16]") "}", 16,
         "inside another"},
        {"{\"a\":" TENSOR("F32", "[4]", "[0,16]") ",\"b\":" TENSOR("F32", "[4]", "[20,36]") "}", 36,
         "after a gap"},
        {"{\"a\":" TENSOR("F32", "[4]", "[4,20]") "}", 20, "after a gap"},
        {"{\"a\":" TENSOR("F32", "[4]", "[0,16]") "}", 24, "end at byte 16 of 24"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        vf_bytes b = vf_raw(rows[i].header, rows[i].data_bytes);
        case_error error;
        cr_assert_not(accepts(b.data, b.size, &error), "accepted %s", rows[i].header);
        cr_expect(strstr(error.text, rows[i].reason) != NULL, "%s: %s", rows[i].header, error.text);
        vf_free(&b);
    }
}

Test(verify, absurd_header_lengths_are_refused)
{
    static const uint64_t lengths[] = {UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63,
                                       INT64_MAX,  UINT32_MAX,     1 << 20};
    vf_bytes b = vf_raw("{\"a\":                   }", 0);
    case_error error;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        memcpy(b.data, &lengths[i], 8);
        cr_assert_not(accepts(b.data, b.size, &error));
        VF_CONTAINS(error.text, "header has");
    }
    vf_free(&b);
}

Test(verify, json_a_million_levels_deep_is_refused)
{
    const size_t depth = 1000000;
    char *const header = malloc(2 * depth + 16);
    memcpy(header, "{\"a\":", 5);
    memset(header + 5, '[', depth);
    memset(header + 5 + depth, ']', depth);
    memcpy(header + 5 + 2 * depth, "}", 2);
    vf_bytes b = vf_raw(header, 0);
    case_error error;
    cr_assert_not(accepts(b.data, b.size, &error));
    VF_CONTAINS(error.text, "valid JSON");
    vf_free(&b);
    free(header);
}

#define DESC(text) ",\"merit.desc\":\"" text "\""

Test(verify, unusable_metadata_is_refused_by_key)
{
    static const struct {
        const char *metadata, *reason;
    } rows[] = {
        {DESC("{\\\"center\\\":\\\"men\\\"}"),
         "merit.desc.center is \"men\", expected one of none, mean, "
         "leave_one_out"},
        {DESC("{\\\"centre\\\":\\\"mean\\\"}"), "unknown field \"centre\", expected one of groups"},
        {DESC("{\\\"groups\\\":{\\\"size\\\":4}}"),
         "merit.desc.groups has the unknown field \"size\""},
        {DESC("{\\\"groups\\\":4}"), "merit.desc.groups is no JSON object"},
        {DESC("{\\\"ddof\\\":\\\"1\\\"}"), "merit.desc.ddof is no integer"},
        {DESC("{\\\"ddof\\\":4294967296}"), "32-bit"},
        {DESC("{\\\"eps\\\":\\\"small\\\"}"), "merit.desc.eps is no number"},
        {DESC("{\\\"gain\\\":1e40}"), "32-bit float"},
        {DESC("{\\\"batch_record\\\":1}"), "true or false"},
        {DESC("{\\\"eps\\\":1,\\\"eps\\\":2}"), "merit.desc is no valid JSON: duplicate"},
        {DESC("[1]"), "merit.desc is no JSON object"},
        {DESC("{"), "merit.desc is no valid JSON"},
        {DESC("{\\\"num_rows\\\":5}"), "in.rewards gives R = 4, but num_rows gives 5"},
        {DESC("{\\\"reward_dtype\\\":\\\"f64\\\"}"),
         "in.rewards\" is F32, but merit.desc.reward_dtype"},
        {DESC("{\\\"groups\\\":{\\\"group_size\\\":3}}"), "needs num_groups"},
        {DESC("{\\\"reward_row_stride\\\":-1}"), "stride"},
        {DESC("{\\\"reward_row_stride\\\":4611686018427387904}"), "too large"},
        {DESC("{\\\"reward_row_stride\\\":1000000}"), "too large"},
        {",\"merit.preset\":\"grpo2\"", "merit.preset \"grpo2\""},
        {",\"merit.status\":\"bad\"", "merit.status is \"bad\", expected one of ok"},
        {",\"merit.presets\":\"grpo\"", "unknown key \"merit.presets\""},
        {",\"merit.alias\":\"{\\\"advantages\\\":\\\"mask\\\"}\"", "merit.alias"},
        {",\"merit.alias\":\"{\\\"advantage\\\":\\\"rewards\\\"}\"", "merit.alias"},
        {",\"merit.check\":\"{\\\"keep\\\":{\\\"ulp\\\":1}}\"", "no tensor \"out.keep\""},
        {",\"merit.check\":\"{\\\"advantages\\\":{}}\"", "sets no rule"},
        {",\"merit.check\":\"{\\\"advantages\\\":{\\\"tol\\\":1}}\"", "unknown rule \"tol\""},
        {",\"merit.check\":\"{\\\"advantages\\\":{\\\"atol\\\":-1}}\"", "atol"},
        {",\"merit.check\":\"{\\\"advantages\\\":{\\\"ulp\\\":1.5}}\"", "ulp"},
        {",\"merit.check\":\"{\\\"advantages\\\":{\\\"bits\\\":1}}\"", "bits"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        vf_bytes b = vf_case(rows[i].metadata, good);
        case_error error;
        cr_assert_not(accepts(b.data, b.size, &error), "accepted %s", rows[i].metadata);
        cr_expect(strstr(error.text, rows[i].reason) != NULL, "%s: %s", rows[i].metadata,
                  error.text);
        vf_free(&b);
    }
}

#define CASE(op, more) "{\"__metadata__\":{\"merit.case\":\"1\",\"merit.op\":\"" op "\"}" more "}"

Test(verify, unusable_tensors_are_refused_by_name)
{
    static const struct {
        const char *header;
        size_t data_bytes;
        const char *reason;
    } rows[] = {
        {"{}", 0, "merit.case"},
        {"{\"__metadata__\":{\"merit.case\":\"2\"}}", 0, "merit.case is \"2\""},
        {"{\"__metadata__\":{\"merit.case\":\"1\"}}", 0, "merit.op"},
        {CASE("advantage_grope", ""), 0, ", advantage_group, "},
        {CASE("advantage_group", ",\"rewards\":" TENSOR("F32", "[4]", "[0,16]")), 16, "in. nor"},
        {CASE("advantage_group", ",\"in.reward\":" TENSOR("F32", "[4]", "[0,16]")), 16,
         "no tensor \"in.reward\", expected one of in.groups.offsets"},
        {CASE("advantage_group", ",\"out.rewards\":" TENSOR("F32", "[4]", "[0,16]")), 16,
         "no tensor \"out.rewards\", expected one of out.advantages"},
        {CASE("advantage_group", ",\"in.rewards\":" TENSOR("I32", "[4]", "[0,16]")), 16,
         "is I32, expected F16, BF16, F32, F64"},
        {CASE("advantage_group", ",\"in.rewards\":" TENSOR("F32", "[2,2,1]", "[0,16]")), 16,
         "3 dimensions"},
        {CASE("advantage_group",
              ",\"in.rewards\":" TENSOR("F32", "[4]", "[0,16]") ",\"in.mask\":" TENSOR("U8", "[3]",
                                                                                       "[16,19]")),
         19, "in.mask gives R = 3, but in.rewards gives 4"},
        {CASE("advantage_group", ",\"in.groups.offsets\":" TENSOR("I64", "[0]", "[0,0]")), 0,
         "expected at least 1"},
        {CASE("advantage_group",
              ",\"in.rewards\":" TENSOR("F32", "[2,2]", "[0,16]") ",\"out.advantages\":" TENSOR(
                  "F32", "[2,2]", "[16,32]")),
         32, "expected 1"},
        {CASE("advantage_group", ",\"out.diagnostics.nan\":" TENSOR("U64", "[1]", "[0,8]")), 8,
         "names no counter"},
        {CASE("advantage_group", ",\"out.diagnostics.nan_in\":" TENSOR("I64", "[1]", "[0,8]")), 8,
         "one U64"},
        {CASE("advantage_group",
              ",\"in.baseline\":" TENSOR(
                  "F32", "[2]", "[8,16]") ",\"in.baseline_per_group\":" TENSOR("F64", "[1]",
                                                                               "[0,8]")),
         16, "differ in type"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        vf_bytes b = vf_raw(rows[i].header, rows[i].data_bytes);
        case_error error;
        cr_assert_not(accepts(b.data, b.size, &error), "accepted %s", rows[i].header);
        cr_expect(strstr(error.text, rows[i].reason) != NULL, "%s: %s", rows[i].header, error.text);
        vf_free(&b);
    }
}

Test(verify, what_is_written_reads_back)
{
    const float f[3] = {1, -0.0f, 3};
    const uint8_t u[5] = {1, 2, 3, 4, 5};
    const int64_t i[2] = {-1, INT64_MAX};
    const st_tensor tensors[] = {
        {.name = "u", .dtype = ST_U8, .rank = 1, .shape = {5}, .count = 5, .bytes = 5, .data = u},
        {.name = "f",
         .dtype = ST_F32,
         .rank = 2,
         .shape = {3, 1},
         .count = 3,
         .bytes = 12,
         .data = (const unsigned char *)f},
        {.name = "i",
         .dtype = ST_I64,
         .rank = 1,
         .shape = {2},
         .count = 2,
         .bytes = 16,
         .data = (const unsigned char *)i},
        {.name = "e", .dtype = ST_F64, .rank = 2, .shape = {0, 7}, .data = u}};
    json_t *const metadata = json_pack("{s:s}", "k\xc3\xa4", "\"quoted\"\n");
    const char *const path = vf_path("written");
    case_error error;
    st_file file;
    cr_assert(st_write(path, metadata, tensors, 4, &error), "%s", error.text);
    cr_assert(st_read(&file, path, &error), "%s", error.text);
    cr_assert_eq(file.num_tensors, 4);
    cr_assert(json_equal(file.metadata, metadata));
    for (int n = 0; n < 4; n++) {
        const st_tensor *const t = st_find(&file, tensors[n].name);
        cr_assert_not_null(t);
        cr_assert(t->dtype == tensors[n].dtype && t->rank == tensors[n].rank &&
                  t->count == tensors[n].count);
        cr_assert_eq(memcmp(t->shape, tensors[n].shape, sizeof(int64_t) * (size_t)t->rank), 0);
        cr_assert_eq(memcmp(t->data, tensors[n].data, t->bytes), 0);
    }
    st_free(&file);
    json_decref(metadata);
    vf_done();
}
