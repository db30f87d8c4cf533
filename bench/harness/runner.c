#include "runner.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "accuracy.h"
#include "interrupt.h"
#include "sets.h"

enum { HOST, CUDA, NUM_PLACES, LARGE_BYTES = 64 << 20 };

// A point while it is run.
typedef struct point_run {
    const bench_session *session;
    bench_case c;
    bench_sets sets[NUM_PLACES]; // made when first needed
    bench_buffers golden; // outputs of the first run, in host memory
    bool has_golden;
    bench_buffers again; // outputs of another run
    bench_row row; // what all rows of the point share
} point_run;

// A variant bound to the sets of its device.
typedef struct bound_variant {
    const bench_variant *variant;
    const bench_sets *sets;
    void *workspace;
    size_t workspace_bytes;
} bound_variant;

const bench_roofs *bench_roofs_of(const bench_session *session, const char *device, int num_threads)
{
    for (int i = 0; i < session->num_roofs; i++) {
        const bench_roofs *const roofs = &session->roofs[i];
        if (roofs->num_threads == num_threads && strcmp(roofs->device->name, device) == 0) {
            return roofs;
        }
    }
    return NULL;
}

static void emit(point_run *run, bench_row *row, bench_status status)
{
    row->status = status;
    run->session->emit(run->session->emit_state, row);
}

// Calls ---------------------------------------------------------------------------------------------

// Sets and workspace of a variant. False with the reason.
static bool bind(point_run *run, const bench_variant *variant, bound_variant *bound,
                 char reason[BENCH_TEXT])
{
    bench_sets *const sets = &run->sets[variant->device == bench_device_host() ? HOST : CUDA];
    if (sets->count == 0 && !bench_make_sets(&run->c, variant->device, sets, reason)) return false;
    *bound = (bound_variant){.variant = variant, .sets = sets};
    merit_status status =
        run->c.point.op->workspace(variant->ctx, &sets->calls[0], &bound->workspace_bytes);
    if (status == MERIT_STATUS_OK && bound->workspace_bytes > 0) {
        bound->workspace = variant->device->alloc(bound->workspace_bytes);
        if (bound->workspace == NULL) {
            snprintf(reason, BENCH_TEXT, "no memory for a workspace of %zu bytes",
                     bound->workspace_bytes);
            return false;
        }
        status = merit_workspace_init(variant->ctx, bound->workspace, bound->workspace_bytes,
                                      variant->device->stream);
    }
    if (status == MERIT_STATUS_OK) return true;
    snprintf(reason, BENCH_TEXT, "%s", merit_context_last_error(variant->ctx));
    return false;
}

static void unbind(bound_variant *bound)
{
    if (bound->workspace != NULL) {
        bound->variant->device->release(bound->workspace, bound->workspace_bytes);
    }
    bound->workspace = NULL;
}

static merit_status call_set(const bound_variant *b, int set)
{
    return b->sets->c->point.op->run(b->variant->ctx, &b->sets->calls[set], b->workspace,
                                     b->workspace_bytes, b->variant->device->stream);
}

static void require_call(const bound_variant *b, int set)
{
    if (call_set(b, set) != MERIT_STATUS_OK) {
        bench_die("a call that worked fails: %s", merit_context_last_error(b->variant->ctx));
    }
}

static void cold_calls(void *state, int64_t first, int64_t n)
{
    const bound_variant *const b = state;
    for (int64_t i = first; i < first + n; i++)
        require_call(b, (int)(i % b->sets->count));
}

static void hot_calls(void *state, int64_t first, int64_t n)
{
    (void)first;
    for (int64_t i = 0; i < n; i++)
        require_call(state, 0);
}

static void peer_calls(void *state, int64_t first, int64_t n)
{
    const bound_variant *const b = state;
    const bench_case *const c = b->sets->c;
    for (int64_t i = first; i < first + n; i++) {
        c->point.op->peer(c, &b->sets->buffers[i % b->sets->count], b->variant->num_threads);
    }
}

// The time until a call returns, the device's part excluded.
static void time_host(const bench_device *device, bound_variant *bound, bench_timing *timing)
{
    enum { SAMPLES = 40, CALLS = 8 };
    double samples[SAMPLES];
    for (int s = 0; s < SAMPLES; s++) {
        device->finish();
        const double start = bench_now();
        hot_calls(bound, 0, CALLS);
        samples[s] = (bench_now() - start) / CALLS;
    }
    device->finish();
    *timing =
        (bench_timing){.seconds = bench_summarize(samples, SAMPLES), .calls_per_sample = CALLS};
}

// Checks --------------------------------------------------------------------------------------------

// Compares run->again with the outputs of the first run. False with the reason.
static bool same_bits(point_run *run, const char *what, char reason[BENCH_TEXT])
{
    for (int i = 0; i < run->c.num_arrays; i++) {
        if (!run->c.arrays[i].output) continue;
        const int64_t byte = bench_first_difference(run->golden.array[i], run->again.array[i],
                                                    run->c.arrays[i].bytes);
        if (byte < 0) continue;
        snprintf(reason, BENCH_TEXT, "%.120s: other bits in output %d from byte %" PRId64 " on",
                 what, i, byte);
        return false;
    }
    run->row.bit_comparisons++;
    return true;
}

// One call over poisoned outputs. The first of the point becomes the golden one and meets the
// independent computation; every later one must have its bits.
static bool check_run(point_run *run, const bound_variant *bound, int poison, const char *what,
                      char reason[BENCH_TEXT])
{
    const bool first = !run->has_golden;
    if (first &&
        !(bench_new_outputs(&run->c, &run->golden) && bench_new_outputs(&run->c, &run->again))) {
        bench_die("no memory for the outputs of %s", run->row.shape);
    }
    run->has_golden = true;
    bench_poison_outputs(bound->sets, 0, poison);
    const bench_counts before = bench_count_calls();
    const merit_status status = call_set(bound, 0);
    const bench_counts after = bench_count_calls();
    if (status != MERIT_STATUS_OK) {
        snprintf(reason, BENCH_TEXT, "%.60s %.160s", merit_status_string(status),
                 merit_context_last_error(bound->variant->ctx));
        return false;
    }
    bound->variant->device->finish();
    run->row.counts =
        (bench_counts){after.allocations - before.allocations, after.launches - before.launches};
    if (run->row.counts.allocations != 0) {
        snprintf(reason, BENCH_TEXT, "%.120s: %" PRId64 " allocations in one call", what,
                 run->row.counts.allocations);
        return false;
    }
    bench_read_outputs(bound->sets, 0, first ? &run->golden : &run->again);
    if (!first) return same_bits(run, what, reason);
    if (run->c.point.op->check(&run->c, &run->golden, &run->row.error)) return true;
    snprintf(reason, BENCH_TEXT, "%s", run->row.error.text);
    return false;
}

// One call, or two over different outputs: what is not written then differs.
static bool check_variant(point_run *run, const bench_variant *variant, bool repeat,
                          char reason[BENCH_TEXT])
{
    char what[BENCH_TEXT];
    bound_variant bound;
    snprintf(run->row.backend, sizeof run->row.backend, "%s", variant->backend);
    run->row.num_threads = variant->num_threads;
    if (!bind(run, variant, &bound, reason)) return false;
    snprintf(what, sizeof what, "%s, %d threads", variant->backend, variant->num_threads);
    const bool good = check_run(run, &bound, 0xa5, what, reason) &&
                      (!repeat || check_run(run, &bound, 0x5a, what, reason));
    unbind(&bound);
    return good;
}

// Thread counts to check a backend with: one, those asked for, and three. Large points: one and those
// asked for on the widest instruction set, those asked for on the others.
static int check_threads(const point_run *run, int backend, int threads[3])
{
    const int wanted = run->session->options->num_threads;
    const bool large = bench_set_bytes(&run->c) > LARGE_BYTES;
    int count = 0;
    if (!large || backend == 0) threads[count++] = 1;
    if (wanted != 1 || count == 0) threads[count++] = wanted;
    if (!large && wanted != 3) threads[count++] = 3;
    return count;
}

// Of --cold-only: each variant that will be timed once.
static bool check_wanted(point_run *run, char reason[BENCH_TEXT])
{
    const bench_options *const o = run->session->options;
    for (int b = 0; b < o->backends.count; b++) {
        const bool on_cpu = strcmp(o->backends.name[b], "cuda") != 0;
        const bench_variant *const variant =
            bench_variant_of(o->backends.name[b], on_cpu ? o->num_threads : 1);
        if (variant != NULL && !check_variant(run, variant, false, reason)) return false;
    }
    return true;
}

static bool check_point(point_run *run, char reason[BENCH_TEXT])
{
    if (run->session->options->cold_only) return check_wanted(run, reason);
    const bench_backends *const here = bench_available_backends();
    const bool large = bench_set_bytes(&run->c) > LARGE_BYTES;
    for (int b = 0; b < here->count; b++) {
        const bool on_cpu = b < here->num_cpu;
        if (run->c.point.op->across_ranks && !on_cpu) continue;
        int threads[3] = {1};
        const int count = on_cpu ? check_threads(run, b, threads) : 1;
        for (int t = 0; t < count; t++) {
            const bench_variant *const variant = bench_variant_of(here->name[b], threads[t]);
            if (variant == NULL) bench_die("no context on %s", here->name[b]);
            const bool repeat = !large || !on_cpu || (b == 0 && t == 0);
            if (!check_variant(run, variant, repeat, reason)) return false;
        }
    }
    return true;
}

// Times ---------------------------------------------------------------------------------------------

static bench_limits limits_of(const bench_session *session)
{
    bench_limits limits = bench_limits_of(session->options->min_time);
    if (session->behind) limits.max_time = limits.min_time;
    limits.hurried = session->behind;
    return limits;
}

static void time_bound(const point_run *run, const bound_variant *bound, bench_row *row)
{
    const bench_sets *const sets = bound->sets;
    const bench_device *const device = sets->device;
    const bool cold_only = run->session->options->cold_only;
    const bench_limits limits = limits_of(run->session);
    bound_variant state = *bound;
    const bench_arm arms[2] = {
        {device, cold_calls, &state, 0, row->op->across_ranks},
        {device, peer_calls, &state, sets->count / 2,
         row->op->across_ranks}, // not the set just used
    };
    bench_timing timings[2];
    row->has_peer = row->op->peer != NULL && device == bench_device_host() && !cold_only;
    bench_sample(arms, row->has_peer ? 2 : 1, &limits, timings);
    row->cold = timings[0];
    if (row->has_peer) row->peer = timings[1];
    row->num_sets = sets->count;
    // A call may touch little of its arrays: the same rows of a set stay in the cache.
    const double moved = row->work.bytes_read + row->work.bytes_written;
    const double touched = moved < (double)sets->bytes ? moved : (double)sets->bytes;
    row->cache_cold = touched * sets->count >= 4.0 * (double)device->cache_bytes;
    row->has_hot = sets->bytes <= device->cache_bytes / 2 && !cold_only;
    if (row->has_hot) {
        const bench_arm hot = {device, hot_calls, &state, 0, row->op->across_ranks};
        bench_sample(&hot, 1, &limits, &row->hot);
    }
    if (device == bench_device_host() || cold_only) return;
    time_host(device, &state, &row->host);
    row->graph_node = device->node(hot_calls, &state);
    row->clocks = bench_read_clocks();
}

// Other libraries, beside the widest instruction set and beside CUDA.
static void time_peers(point_run *run, const bench_variant *variant, bench_row *row)
{
    const bool widest = strcmp(variant->backend, bench_available_backends()->name[0]) == 0;
    const bool cuda = variant->device != bench_device_host();
    if (run->session->peers == NULL || !(widest || cuda) || bench_interrupted()) return;
    const bench_limits limits = limits_of(run->session);
    char reason[BENCH_TEXT] = "";
    row->num_peers =
        bench_run_peers(run->session->peers, &run->c, &run->golden, variant->device, row->num_sets,
                        variant->num_threads, &limits, row->peers, reason);
    if (reason[0] != '\0') fprintf(stderr, "merit_bench: peers of %s: %s\n", row->shape, reason);
}

// False when the variant left other bits after its times were taken.
static bool time_variant(point_run *run, const bench_variant *variant)
{
    bench_row row = run->row;
    bound_variant bound;
    snprintf(row.backend, sizeof row.backend, "%s", variant->backend);
    row.num_threads = variant->num_threads;
    if (!bind(run, variant, &bound, row.reason)) {
        emit(run, &row, BENCH_SKIPPED);
        return true;
    }
    time_bound(run, &bound, &row);
    const bool good = check_run(run, &bound, 0xa5, "after the times were taken", row.reason);
    row.counts = run->row.counts;
    row.bit_comparisons = run->row.bit_comparisons;
    unbind(&bound);
    time_peers(run, variant, &row);
    const bench_roofs *const roofs =
        bench_roofs_of(run->session, variant->device->name, variant->num_threads);
    row.traffic = bench_matched_traffic(&row.work);
    if (roofs != NULL) {
        row.roof = roofs->roof[row.traffic].bytes_per_second;
        row.launch_floor = roofs->launch;
    }
    emit(run, &row, good ? BENCH_OK : BENCH_WRONG);
    return good;
}

static bool time_backend(point_run *run, const char *backend, int num_threads)
{
    const bool cuda = strcmp(backend, "cuda") == 0;
    const bool elsewhere = cuda && run->c.point.op->across_ranks;
    const bench_variant *const variant = bench_variant_of(backend, num_threads);
    if (variant != NULL && !elsewhere) return time_variant(run, variant);
    bench_row row = run->row;
    snprintf(row.backend, sizeof row.backend, "%s", backend);
    row.num_threads = num_threads;
    snprintf(row.reason, sizeof row.reason, "this machine does not run %s", backend);
    if (cuda) bench_device_cuda(row.reason);
    if (elsewhere) snprintf(row.reason, sizeof row.reason, "its ranks are threads of the CPU");
    emit(run, &row, BENCH_SKIPPED);
    return true;
}

static bool time_point(point_run *run)
{
    const bench_options *const options = run->session->options;
    const bench_backends *const wanted = &options->backends;
    const bool across_ranks = run->c.point.op->across_ranks;
    bool good = true;
    for (int b = 0; b < wanted->count; b++) {
        const bool one = across_ranks || strcmp(wanted->name[b], "cuda") == 0;
        good &= time_backend(run, wanted->name[b], one ? 1 : options->num_threads);
    }
    for (int s = 0; s < options->num_sweep && wanted->num_cpu > 0 && !across_ranks; s++) {
        for (int b = 0; b < wanted->count; b++) {
            const bool cuda = strcmp(wanted->name[b], "cuda") == 0;
            if (!cuda) good &= time_backend(run, wanted->name[b], options->sweep[s]);
        }
    }
    if (!(run->c.point.flags & BENCH_EACH_ISA) || wanted->num_cpu == 0 || options->cold_only) {
        return good;
    }

    const bench_backends *const here = bench_available_backends();
    for (int b = 0; b < here->num_cpu; b++) {
        const bool asked = bench_asks_for(options, here->name[b], 1);
        const bool baseline = b > 0 && strcmp(here->name[b], "cpu_v2") == 0; // no FMA: for checks
        if (!asked && !baseline) good &= time_backend(run, here->name[b], 1);
    }
    return good;
}

bool bench_run_point(const bench_session *session, const bench_point *point)
{
    point_run run = {.session = session};
    run.c = (bench_case){
        .point = *point, .seed = session->options->seed, .data_dir = session->options->data_dir};
    run.row.op = point->op;
    run.row.point = *point;
    bench_point_name(point, run.row.shape);

    bool good = true;
    char missing[BENCH_TEXT] = "";
    if ((point->flags & BENCH_DEVICE) && bench_device_cuda(missing) == NULL) {
        snprintf(run.row.reason, sizeof run.row.reason, "a size for CUDA devices: %.200s", missing);
        emit(&run, &run.row, BENCH_SKIPPED);
    } else if (!point->op->setup(&run.c)) {
        snprintf(run.row.reason, sizeof run.row.reason, "%s", run.c.reason);
        emit(&run, &run.row, BENCH_SKIPPED);
    } else {
        snprintf(run.row.data, sizeof run.row.data, "%s", run.c.data);
        run.row.work = point->op->work(*point);
        good = check_point(&run, run.row.reason);
        if (!good) {
            emit(&run, &run.row, BENCH_WRONG);
        } else {
            good = time_point(&run);
        }
    }
    bench_free_outputs(&run.c, &run.golden);
    bench_free_outputs(&run.c, &run.again);
    for (int place = 0; place < NUM_PLACES; place++) {
        if (run.sets[place].count > 0) bench_free_sets(&run.sets[place]);
    }
    if (point->op->teardown != NULL) point->op->teardown(&run.c);
    for (int i = 0; i < run.c.num_arrays; i++) {
        bench_device_host()->release(run.c.arrays[i].host, run.c.arrays[i].bytes);
    }
    return good;
}
