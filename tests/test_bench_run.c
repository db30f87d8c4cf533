// merit_bench as it runs: operations that are wrong on purpose must end without a number.
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "operations.h"
#include "program.h"
#include "report.h"
#include "runner.h"
#include "scratch.h"

// An operation that doubles, in every wrong way --------------------------------------------------------

enum { VALUES, DOUBLED, NUM_ROWS = 1000 };
typedef enum fault { RIGHT, WRONG_VALUE, WRONG_AFTER, UNWRITTEN, ALLOCATES, FAILS } fault;

static fault current;
static int num_calls;

static const bench_axis axes[] = {{"rows", NULL}, {NULL, NULL}};
static const bench_sweep sweeps[] = {{{{NUM_ROWS}}, BENCH_QUICK}, {{{0}}, 0}};

static bench_work work(bench_point p)
{
    const double rows = (double)p.v[0];
    return (bench_work){.items = rows, .bytes_read = 4 * rows, .bytes_written = 4 * rows};
}

static bool setup(bench_case *c)
{
    void *values;
    bench_add_input(c, NUM_ROWS * sizeof(float), &values);
    bench_add_output(c, NUM_ROWS * sizeof(float));
    for (int i = 0; i < NUM_ROWS; i++)
        ((float *)values)[i] = (float)i;
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *call)
{
    (void)c;
    memcpy(call, buffers, sizeof *buffers);
    return MERIT_STATUS_OK;
}

static merit_status workspace(merit_context *ctx, const bench_call *call, size_t *bytes)
{
    (void)ctx;
    (void)call;
    *bytes = 0;
    return MERIT_STATUS_OK;
}

static merit_status run(merit_context *ctx, const bench_call *call, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    (void)ctx;
    (void)scratch;
    (void)scratch_bytes;
    (void)stream;
    const bench_buffers *const b = (const bench_buffers *)call;
    const float *const values = b->array[VALUES];
    float *const doubled = b->array[DOUBLED];
    num_calls++;
    if (current == FAILS) return MERIT_STATUS_INTERNAL_ERROR;
    for (int i = 0; i < NUM_ROWS - (current == UNWRITTEN); i++)
        doubled[i] = 2 * values[i];
    if (current == UNWRITTEN && num_calls == 1) doubled[NUM_ROWS - 1] = 2 * values[NUM_ROWS - 1];
    if (current == WRONG_VALUE) doubled[17] += 1;
    if (current == WRONG_AFTER && num_calls > 50) doubled[17] += 1;
    if (current == ALLOCATES) {
        volatile char *const memory = malloc(16);
        if (memory != NULL) memory[0] = 1;
        free((void *)memory);
    }
    return MERIT_STATUS_OK;
}

static bool check(const bench_case *c, const bench_buffers *outputs, bench_error *error)
{
    const float *const values = c->arrays[VALUES].host;
    const float *const doubled = outputs->array[DOUBLED];
    for (int i = 0; i < NUM_ROWS; i++) {
        if (doubled[i] == 2 * values[i]) continue;
        snprintf(error->text, sizeof error->text, "element %d is wrong", i);
        return false;
    }
    return true;
}

static const bench_op doubling = {
    .name = "doubling",
    .item = "row",
    .model = "values to twice the values",
    .axes = axes,
    .sweeps = sweeps,
    .work = work,
    .setup = setup,
    .bind = bind,
    .workspace = workspace,
    .run = run,
    .check = check,
};

typedef struct collected {
    bench_row rows[8];
    int count;
} collected;

static void collect(void *state, const bench_row *row)
{
    collected *const c = state;
    cr_assert(c->count < 8);
    c->rows[c->count++] = *row;
}

// The rows of the doubling operation with a fault, on one thread; its point has further flags.
static bool run_flagged(fault f, unsigned flags, collected *got)
{
    static const bench_op *const ops[] = {&doubling, NULL};
    char *arguments[] = {"merit_bench", "--backend=cpu", "--threads=1", "--min-time=0.001", NULL};
    const bench_options options = bench_parse_options(ops, 4, arguments);
    static bench_session session;
    session = (bench_session){.options = &options, .emit = collect, .emit_state = got};
    bench_point point;
    cr_assert(bench_point_at(&doubling, 0, &point));
    point.flags |= flags;
    current = f;
    return bench_run_point(&session, &point);
}

static bool run_doubling(fault f, collected *got)
{
    return run_flagged(f, 0, got);
}

static void expect_wrong(fault f, const char *word)
{
    collected got = {.count = 0};
    cr_expect(!run_doubling(f, &got));
    cr_assert(got.count == 1, "%d rows", got.count);
    cr_expect(got.rows[0].status == BENCH_WRONG);
    cr_expect(strstr(got.rows[0].reason, word) != NULL, "reason: %s", got.rows[0].reason);
    json_t *const json = bench_json_row(&got.rows[0]);
    cr_expect(json_object_get(json, "cold") == NULL, "a wrong row has a time");
    json_decref(json);
}

Test(bench_run, a_right_operation_gets_times)
{
    collected got = {.count = 0};
    cr_assert(run_doubling(RIGHT, &got));
    cr_assert(got.count == 1 && got.rows[0].status == BENCH_OK);
    const bench_row *const row = &got.rows[0];
    cr_expect(row->cold.seconds.median > 0 && row->cold.seconds.count >= 3);
    cr_expect(row->has_hot && !row->has_peer);
    cr_expect(row->bit_comparisons > 0 && row->counts.allocations == 0);
    cr_expect(row->work.items == NUM_ROWS);
}

Test(bench_run, a_size_for_devices_is_skipped_without_one)
{
    char reason[BENCH_TEXT];
    collected got = {.count = 0};
    cr_assert(run_flagged(RIGHT, BENCH_DEVICE, &got));
    cr_assert(got.count == 1);
    if (bench_device_cuda(reason) != NULL) {
        cr_expect(got.rows[0].status == BENCH_OK);
        return;
    }
    cr_expect(got.rows[0].status == BENCH_SKIPPED);
    cr_expect(strstr(got.rows[0].reason, "a size for CUDA devices: ") != NULL);
}

Test(bench_run, a_wrong_value_gets_none)
{
    expect_wrong(WRONG_VALUE, "element 17");
}

Test(bench_run, bits_that_change_between_runs_get_none)
{
    expect_wrong(UNWRITTEN, "other bits");
}

Test(bench_run, an_allocation_in_the_call_gets_none)
{
    expect_wrong(ALLOCATES, "allocations");
}

Test(bench_run, a_call_that_fails_gets_none)
{
    expect_wrong(FAILS, "INTERNAL_ERROR");
}

Test(bench_run, bits_that_change_while_times_are_taken_get_none)
{
    expect_wrong(WRONG_AFTER, "after the times");
}

// The check of advantage_group itself: the result of the library passes, one flipped bit does not.
Test(bench_run, check_of_advantage_group_sees_one_ulp)
{
    bench_case c = {.seed = 3};
    cr_assert(bench_point_at(&bench_advantage_group, 3, &c.point));
    cr_assert(bench_advantage_group.setup(&c));
    bench_buffers buffers = {{NULL}};
    for (int i = 0; i < c.num_arrays; i++) {
        buffers.array[i] = c.arrays[i].output ? malloc(c.arrays[i].bytes) : c.arrays[i].host;
    }
    merit_context *ctx;
    bench_call call;
    cr_assert(merit_context_create(NULL, &ctx) == MERIT_STATUS_OK);
    cr_assert(bench_advantage_group.bind(&c, &buffers, &call) == MERIT_STATUS_OK);
    cr_assert(bench_advantage_group.run(ctx, &call, NULL, 0, NULL) == MERIT_STATUS_OK);
    bench_error error = {0};
    cr_expect(bench_advantage_group.check(&c, &buffers, &error), "%s", error.text);
    uint32_t *const words = buffers.array[1];
    words[100] ^= 1;
    cr_expect(!bench_advantage_group.check(&c, &buffers, &error));
    cr_expect(strstr(error.text, "element 100 ") != NULL, "%s", error.text);
    merit_context_destroy(ctx);
}

Test(bench_run, no_row_stands_twice)
{
    static const bench_op *const ops[] = {&doubling, NULL};
    char *arguments[] = {"merit_bench", "--backend=all", "--threads=2,1", NULL};
    const bench_options options = bench_parse_options(ops, 3, arguments);
    const char *const widest = bench_available_backends()->name[0];
    cr_expect(bench_asks_for(&options, widest, 1) && bench_asks_for(&options, widest, 2));
    cr_expect(!bench_asks_for(&options, widest, 3));
    collected got = {.count = 0};
    cr_assert(run_flagged(RIGHT, BENCH_EACH_ISA, &got));
    for (int i = 0; i < got.count; i++) {
        for (int j = 0; j < i; j++) {
            cr_expect(got.rows[i].num_threads != got.rows[j].num_threads ||
                          strcmp(got.rows[i].backend, got.rows[j].backend) != 0,
                      "%s twice", got.rows[i].backend);
        }
    }
}

// The part of a row that only a machine with a GPU fills.
Test(bench_run, a_row_of_a_device_has_its_clocks)
{
    collected got = {.count = 0};
    cr_assert(run_doubling(RIGHT, &got));
    bench_row *const row = &got.rows[0];
    snprintf(row->backend, sizeof row->backend, "cuda");
    row->host.seconds = (bench_summary){.count = 1, .median = 3.2e-6};
    row->graph_node = 1.5e-6;
    row->clocks = (bench_clocks){true, 1980, 2619, 61, 402, 0x4 | 0x40};
    json_t *const json = bench_json_row(row);
    const json_t *const clocks = json_object_get(json, "clocks");
    cr_expect(json_integer_value(json_object_get(clocks, "sm_mhz")) == 1980);
    cr_expect_str_eq(json_string_value(json_object_get(clocks, "throttle")),
                     "power cap, hardware thermal");
    json_decref(json);
    cr_redirect_stdout();
    bench_print_row(row);
    fflush(stdout);
    char printed[2048] = "";
    cr_expect(fread(printed, 1, sizeof printed - 1, cr_get_redirected_stdout()) > 0);
    cr_expect(strstr(printed,
                     "host call 3.20 us, graph node 1.50 us; SM 1980 MHz, memory 2619 MHz, "
                     "61 C, 402 W, throttled: power cap, hardware thermal\n") != NULL,
              "%s", printed);
}

// A whole run over a wrong operation: exit status 1, named, and not one time in the table.
Test(bench_run, a_wrong_operation_fails_the_run)
{
    static const bench_op *const ops[] = {&doubling, NULL};
    char *arguments[] = {"merit_bench", "--backend=cpu", "--threads=1", "--min-time=0.001", NULL};
    current = WRONG_VALUE;
    cr_redirect_stdout();
    cr_expect(bench_main(ops, 4, arguments) == 1);
}
