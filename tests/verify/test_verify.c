// The program merit_verify: exit statuses, what it prints, recording and replaying.
#include "verify_fixture.h"

#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "jobs.h"

static const float good[4] = {-1, -1, 1, 1};
#define DESC \
    ",\"merit.desc\":\"{\\\"groups\\\":{\\\"group_size\\\":4},\\\"ddof\\\":0,\\\"eps\\\":0}\""

// Writes a case and runs the program on it.
static vf_result run_case(const char *options, const char *metadata, const float *expected)
{
    vf_bytes b = vf_case(metadata, expected);
    vf_write("one.safetensors", b);
    vf_free(&b);
    return vf_run("%s %s", options, vf_path("one.safetensors"));
}

static void expect_run(const char *options, const char *metadata, const float *expected, int status,
                       const char *words)
{
    vf_result r = run_case(options, metadata, expected);
    cr_expect_eq(r.status, status, "status %d, expected %d: %s%s", r.status, status, r.out, r.err);
    cr_expect(strstr(r.out, words) != NULL, "no \"%s\" in: %s", words, r.out);
    vf_result_free(&r);
}

Test(verify, a_case_that_holds_exits_0, .fini = vf_done)
{
    expect_run("", "", good, 0, "1 held, 0 fell short, 0 could not be used");
}

Test(verify, each_kind_of_shortfall_exits_1, .fini = vf_done)
{
    const float late[4] = {-1, -1, 1, 1.5f}, nan[4] = {-1, NAN, 1, 1},
                near[4] = {-1, -1, 1, 1.0000001f};
    expect_run("", "", late, 1, "first index 3: expected 1.5 (0x3fc00000), got 1 (0x3f800000)");
    expect_run("", "", nan, 1, "first index 1: expected nan");
    expect_run("", "", near, 1, "wanted the same bits");
    expect_run("", DESC ",\"merit.check\":\"{\\\"advantages\\\":{\\\"ulp\\\":1}}\"", near, 0,
               " ok\n");
    expect_run("", DESC ",\"merit.check\":\"{\\\"advantages\\\":{\\\"atol\\\":1e-8}}\"", near, 1,
               "abs error <= 1e-08");
    // Rejected where it should not be, and the other way round.
    expect_run("", ",\"merit.desc\":\"{\\\"groups\\\":{\\\"group_size\\\":4},\\\"ddof\\\":2}\"",
               good, 1, "expected ok, got invalid_argument: merit_advantage_group: ddof is 2");
    expect_run("", DESC ",\"merit.status\":\"invalid_argument\"", good, 1,
               "expected invalid_argument, got ok");
}

Test(verify, every_case_runs_on_every_backend_under_all, .fini = vf_done)
{
    vf_result r = run_case("--backend all", "", good);
    cr_assert_eq(r.status, 0, "%s%s", r.out, r.err);
    int backends = 0;
    for (int i = 0; case_backend_name(i) != NULL; i++) {
        char word[32];
        snprintf(word, sizeof word, " %s ", case_backend_name(i));
        backends += strstr(r.out, word) != NULL;
    }
    char summary[32];
    snprintf(summary, sizeof summary, "%d held, 0", backends);
    VF_CONTAINS(r.out, summary);
    cr_assert(backends >= 1);
    vf_result_free(&r);
}

static void expect_unusable(vf_result r, const char *words)
{
    cr_expect_eq(r.status, 2, "status %d: %s%s", r.status, r.out, r.err);
    cr_expect(strstr(r.err, words) != NULL, "no \"%s\" in: %s", words, r.err);
    vf_result_free(&r);
}

Test(verify, what_cannot_be_used_exits_2, .fini = vf_done)
{
    vf_folder();
    expect_unusable(vf_run("%s", vf_path("absent")), "absent: cannot be opened");
    expect_unusable(vf_run("/dev/null"), "/dev/null: is no regular file");
    expect_unusable(vf_run("--backend all"), "no case given");
    expect_unusable(vf_run("--frobnicate"), "frobnicate");
    expect_unusable(run_case("--backend tpu", "", good), "no backend \"tpu\", expected all, cpu");
    expect_unusable(run_case("", ",\"merit.preset\":\"x\"", good), "one.safetensors: merit.preset");
    cr_assert_eq(rmdir(vf_path("empty")) == 0, 0);
    vf_result made = vf_run("--list --record %s x", vf_path("x"));
    expect_unusable(made, "--list");
}

Test(verify, an_empty_folder_exits_2, .fini = vf_done)
{
    char command[256];
    snprintf(command, sizeof command, "mkdir -p %s/empty/deeper", vf_folder());
    cr_assert_eq(system(command), 0);
    expect_unusable(vf_run("%s", vf_path("empty")), "holds no *.safetensors");
}

Test(verify, a_broken_file_beside_good_ones_leaves_them_running, .fini = vf_done)
{
    vf_bytes b = vf_case("", good);
    vf_write("a.safetensors", b);
    vf_write("c.safetensors", b);
    b.size -= 1;
    vf_write("b.safetensors", b);
    vf_result r = vf_run("%s", vf_folder());
    cr_assert_eq(r.status, 2);
    VF_CONTAINS(r.err, "b.safetensors: ");
    VF_CONTAINS(r.out, "2 held, 0 fell short, 1 could not be used");
    vf_result_free(&r);
    vf_free(&b);
}

Test(verify, json_reports_every_row, .fini = vf_done)
{
    const float wrong[4] = {-1, -1, NAN, 2};
    vf_result r = run_case("--json", "", wrong);
    cr_assert_eq(r.status, 1);
    json_t *const all = json_loads(r.out, 0, NULL);
    cr_assert_not_null(all, "no JSON: %s", r.out);
    json_t *const row = json_array_get(json_object_get(all, "rows"), 0);
    cr_assert_str_eq(json_string_value(json_object_get(row, "operation")), "advantage_group");
    cr_assert_str_eq(json_string_value(json_object_get(row, "output")), "advantages");
    cr_assert_str_eq(json_string_value(json_object_get(row, "verdict")), "FAIL");
    cr_assert_str_eq(json_string_value(json_object_get(row, "worst_abs_error")), "nan");
    cr_assert_eq(json_integer_value(json_object_get(row, "elements")), 4);
    cr_assert_eq(json_integer_value(json_object_get(row, "failing_elements")), 2);
    cr_assert_eq(json_integer_value(json_object_get(json_object_get(row, "first"), "index")), 2);
    cr_assert_eq(json_integer_value(json_object_get(json_object_get(all, "summary"), "failed")), 1);
    json_decref(all);
    vf_result_free(&r);
}

Test(verify, list_names_operations_presets_and_backends, .fini = vf_done)
{
    vf_result r = vf_run("--list");
    cr_assert_eq(r.status, 0);
    VF_CONTAINS(r.out, "advantage_group\n");
    VF_CONTAINS(r.out, "presets: grpo, ");
    VF_CONTAINS(r.out, "backends: ");
    vf_result_free(&r);
    r = run_case("--list", ",\"merit.preset\":\"rloo\",\"merit.note\":\"where it comes from\"",
                 good);
    cr_assert_eq(r.status, 0);
    VF_CONTAINS(r.out, "rloo");
    VF_CONTAINS(r.out, "where it comes from");
    vf_result_free(&r);
}

// Recording ---------------------------------------------------------------------------------------

Test(verify, a_recorded_case_replays_without_a_differing_bit, .fini = vf_done)
{
    const float wrong[4] = {0, 0, 0, 0};
    vf_result r =
        run_case("", DESC ",\"merit.check\":\"{\\\"advantages\\\":{\\\"atol\\\":9}}\"", wrong);
    cr_assert_eq(r.status, 0);
    vf_result_free(&r);
    r = vf_run("--record %s %s", vf_path("kept"), vf_path("one.safetensors"));
    cr_assert_eq(r.status, 0, "%s", r.err);
    vf_result_free(&r);
    r = vf_run("--json %s", vf_path("kept"));
    cr_assert_eq(r.status, 0, "%s", r.out);
    VF_CONTAINS(r.out, "\"differing_bits\": 0");
    vf_result_free(&r);

    // One bit of a recorded output: named on replay, whatever the rule of the first case was.
    vf_bytes b = vf_read(vf_path("kept/one.safetensors"));
    b.data[b.size - 1] ^= 1;
    vf_write("kept/one.safetensors", b);
    r = vf_run("%s", vf_path("kept"));
    cr_assert_eq(r.status, 1, "%s", r.out);
    VF_CONTAINS(r.out, "first index 3");
    vf_free(&b);
    vf_result_free(&r);
}

Test(verify, a_case_without_results_records_all_outputs, .fini = vf_done)
{
    char header[] = "{\"__metadata__\":{\"merit.case\":\"1\",\"merit.op\":\"advantage_group\","
                    "\"merit.desc\":\"{\\\"groups\\\":{\\\"group_size\\\":2}}\"},"
                    "\"in.rewards\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}";
    vf_bytes b = vf_raw(header, 16);
    vf_write("inputs.safetensors", b);
    vf_free(&b);
    vf_result r = vf_run("%s", vf_path("inputs.safetensors"));
    cr_assert_eq(r.status, 0, "%s%s", r.out, r.err);
    VF_CONTAINS(r.out, "not compared");
    vf_result_free(&r);
    r = vf_run("--record %s %s", vf_path("kept"), vf_path("inputs.safetensors"));
    cr_assert_eq(r.status, 0, "%s%s", r.out, r.err);
    VF_CONTAINS(r.out, "recorded");
    vf_result_free(&r);
    r = vf_run("--backend all %s", vf_path("kept"));
    cr_assert_eq(r.status, 0, "%s", r.out);
    VF_CONTAINS(r.out, "group_flags");
    vf_result_free(&r);
}

Test(verify, recording_needs_one_backend_and_one_name_per_case, .fini = vf_done)
{
    vf_result r = run_case("", "", good);
    vf_result_free(&r);
    int backends = 0;
    while (case_backend_name(backends) != NULL) {
        backends++;
    }
    if (backends > 1) {
        expect_unusable(
            vf_run("--backend all --record %s %s", vf_path("kept"), vf_path("one.safetensors")),
            "--record needs one backend");
    }
    expect_unusable(vf_run("--record %s %s %s", vf_path("kept"), vf_path("one.safetensors"),
                           vf_path("one.safetensors")),
                    "under one name");
}

Test(verify, folders_are_recorded_as_they_lie, .fini = vf_done)
{
    char command[256];
    snprintf(command, sizeof command, "mkdir -p %s/all/a %s/all/b", vf_folder(), vf_folder());
    cr_assert_eq(system(command), 0);
    vf_bytes b = vf_case("", good);
    vf_write("all/a/one.safetensors", b);
    vf_write("all/b/one.safetensors", b);
    vf_free(&b);
    vf_result r = vf_run("--record %s %s/", vf_path("kept"), vf_path("all"));
    cr_assert_eq(r.status, 0, "%s%s", r.out, r.err);
    vf_result_free(&r);
    r = vf_run("%s %s", vf_path("kept/a/one.safetensors"), vf_path("kept/b/one.safetensors"));
    cr_assert_eq(r.status, 0, "%s%s", r.out, r.err);
    VF_CONTAINS(r.out, "2 held, 0");
    vf_result_free(&r);
    expect_unusable(vf_run("--record /dev/null/kept %s", vf_path("all")), "cannot be made");
}

// Many processes ----------------------------------------------------------------------------------

Test(verify, what_is_printed_does_not_depend_on_the_processes, .fini = vf_done)
{
    const float wrong[4] = {-1, -1, 1, 2};
    for (int i = 0; i < 7; i++) {
        char name[32];
        vf_bytes b = vf_case("", i == 3 ? wrong : good);
        b.size -= i == 5; // one that cannot be used
        snprintf(name, sizeof name, "%d.safetensors", i);
        vf_write(name, b);
        vf_free(&b);
    }
    static const char *const forms[] = {"", "--json"};
    for (int form = 0; form < 2; form++) {
        vf_result one = vf_run("%s --backend all %s", forms[form], vf_folder());
        cr_assert_eq(one.status, 2);
        VF_CONTAINS(one.err, "5.safetensors: ");
        for (int jobs = 2; jobs < 10; jobs += 3) {
            vf_result many =
                vf_run("%s --backend all --jobs %d %s", forms[form], jobs, vf_folder());
            cr_expect_eq(many.status, 2);
            cr_expect_str_eq(many.out, one.out);
            cr_expect_str_eq(many.err, one.err);
            vf_result_free(&many);
        }
        vf_result_free(&one);
    }
    expect_unusable(vf_run("--jobs many x"), "--jobs is many, expected 0 to 1024");
    expect_unusable(vf_run("--jobs 4 --backend tpu %s", vf_folder()), "no backend \"tpu\"");
}

// What becomes of seven tasks of which the third crashes and the sixth ends its process.
typedef struct seen {
    char text[512];
    int refuses;
} seen;

static bool seen_start(void *context, int first, case_error *error)
{
    const seen *const s = context;
    return first < s->refuses || case_fail(error, "task %d may not start", first);
}

static char *seen_work(void *context, int i)
{
    char text[8];
    (void)context;
    if (i == 2) raise(SIGKILL);
    if (i == 5) _exit(3);
    snprintf(text, sizeof text, "<%d>", i);
    return strdup(text);
}

static void seen_take(void *context, int i, const char *result, const char *end)
{
    seen *const s = context;
    const size_t used = strlen(s->text);
    snprintf(s->text + used, sizeof s->text - used, "%d: %s; ", i, result != NULL ? result : end);
}

Test(verify, a_task_that_crashes_takes_no_other_with_it)
{
    const job_plan plan = {7, 2, seen_start, seen_work, seen_take};
    case_error error = {.text = ""};
    seen s = {.refuses = 7};
    cr_assert(jobs_run(&plan, &s, &error), "%s", error.text);
    cr_assert_str_eq(s.text,
                     "0: <0>; 1: <1>; 2: its process was ended by signal 9 (Killed); 3: <3>; "
                     "4: <4>; 5: its process ended early, with status 3; 6: <6>; ");
    seen refused = {.refuses = 1};
    cr_assert_not(jobs_run(&plan, &refused, &error));
    cr_assert_str_eq(error.text, "task 1 may not start");
    cr_assert_str_eq(refused.text, "");
}

// The calls that merit never makes ----------------------------------------------------------------

static merit_status spoil_status = MERIT_STATUS_OK;

// Writes where it must not: the first input, or all of an output and then rejects.
static merit_status spoil(merit_context *ctx, const void *desc, const void *io, void *workspace,
                          size_t bytes)
{
    const merit_advantage_group_io *const a = io;
    (void)ctx, (void)desc, (void)workspace, (void)bytes;
    if (spoil_status == MERIT_STATUS_OK) ((float *)(uintptr_t)a->rewards)[2] = 7;
    memcpy(a->advantages, good, sizeof good);
    return spoil_status;
}

static case_report *run_spoiled(merit_status status, const char *metadata)
{
    static case_report report;
    case_file c;
    case_backend backend;
    case_error error, skipped;
    int count;
    vf_bytes b = vf_case(metadata, good);
    cr_assert(case_parse(&c, b.data, b.size, 0, &error), "%s", error.text);
    cr_assert(case_backends_open("cpu", &backend, &count, &skipped, &error), "%s", error.text);
    case_op op = *c.op;
    op.call = spoil;
    c.op = &op;
    c.extra_bytes = 1 << 20;
    spoil_status = status;
    cr_assert(case_run(&c, &backend, &report, &error), "%s", error.text);
    case_backends_close(&backend, count);
    case_report_free(&report);
    case_free(&c);
    vf_free(&b);
    return &report;
}

Test(verify, a_call_that_writes_an_input_fails)
{
    const case_report *const report = run_spoiled(MERIT_STATUS_OK, "");
    cr_assert_not(case_report_holds(report));
    cr_assert_str_eq(report->rows[0].output, "in.rewards");
    VF_CONTAINS(report->rows[0].text, "must stay untouched, but byte 10 of 16");
}

Test(verify, a_rejected_call_that_writes_an_output_fails)
{
    const case_report *const report =
        run_spoiled(MERIT_STATUS_INVALID_ARGUMENT, DESC ",\"merit.status\":\"invalid_argument\"");
    cr_assert_not(case_report_holds(report));
    cr_assert_str_eq(report->rows[0].output, "status");
    cr_assert_eq(report->rows[0].verdict, CASE_HOLDS);
    cr_assert_str_eq(report->rows[1].output, "advantages");
    VF_CONTAINS(report->rows[1].text, "was 0xcd");
}
