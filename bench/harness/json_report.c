#include <math.h>
#include <string.h>

#include "report.h"
#include "summary.h"

// Infinities (the confidence interval of few samples) are null.
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static void set(json_t *object, const char *key, json_t *value)
{
    if (value == NULL || json_object_set_new(object, key, value) != 0) {
        bench_die("no memory for the JSON report");
    }
}

static json_t *text(const char *value)
{
    json_t *const made = json_string(value);
    return made != NULL ? made : json_string("not UTF-8");
}

json_t *bench_json_environment(const bench_environment *e, const bench_options *options,
                               const char *command)
{
    json_t *const o = json_object();
    set(o, "cpu", text(e->cpu));
    set(o, "cores", json_integer(e->cores));
    set(o, "caches", text(e->caches));
    set(o, "memory", text(e->memory));
    set(o, "system", text(e->system));
    set(o, "load", number(e->load));
    set(o, "device", text(e->device));
    set(o, "build", text(e->build));
    set(o, "numerics_version", json_integer(merit_numerics_version()));
    set(o, "compiler", text(e->compiler));
    set(o, "command", text(command));
    set(o, "seed", json_integer((json_int_t)options->seed));
    set(o, "min_time_s", number(options->min_time));
    set(o, "threads", json_integer(options->num_threads));
    set(o, "real_data", json_boolean(options->data_dir != NULL));
    set(o, "date", text(e->date));
    return o;
}

json_t *bench_json_roofs(const bench_roofs *roofs, const char *when)
{
    json_t *const o = json_object();
    set(o, "when", text(when));
    set(o, "device", text(roofs->device->name));
    set(o, "threads", json_integer(roofs->num_threads));
    set(o, "array_bytes", json_integer((json_int_t)roofs->bytes));
    set(o, "launch_s", number(roofs->launch));
    set(o, "disturbed", json_boolean(roofs->disturbed));
    const double data_sheet = roofs->device->peak_bytes_per_second;
    set(o, "data_sheet_bytes_per_s", data_sheet > 0 ? number(data_sheet) : json_null());
    for (int t = 0; t < BENCH_NUM_TRAFFIC; t++) {
        const bench_roof *const roof = &roofs->roof[t];
        json_t *const r = json_object();
        set(r, "bytes_per_s", number(roof->bytes_per_second));
        set(r, "method", text(roof->method != NULL ? roof->method : ""));
        set(r, "ordinary_bytes_per_s", number(roof->ordinary));
        set(o, bench_traffic_name((bench_traffic)t), r);
    }
    return o;
}

static json_t *timing(const bench_timing *t)
{
    json_t *const o = json_object();
    const bench_summary *const s = &t->seconds;
    set(o, "median_s", number(s->median));
    set(o, "ci_low_s", number(s->ci_low));
    set(o, "ci_high_s", number(s->ci_high));
    set(o, "min_s", number(s->min));
    set(o, "p5_s", number(s->p5));
    set(o, "p25_s", number(s->p25));
    set(o, "p75_s", number(s->p75));
    set(o, "p95_s", number(s->p95));
    set(o, "samples", json_integer(s->count));
    set(o, "calls_per_sample", json_integer(t->calls_per_sample));
    set(o, "ambiguous", json_boolean(t->ambiguous));
    set(o, "ambiguous_reason", text(t->reason != NULL ? t->reason : ""));
    return o;
}

static json_t *clocks(const bench_clocks *c)
{
    json_t *const o = json_object();
    set(o, "sm_mhz", json_integer(c->sm_mhz));
    set(o, "memory_mhz", json_integer(c->memory_mhz));
    set(o, "temperature_c", json_integer(c->temperature));
    set(o, "watts", number(c->watts));
    set(o, "throttle_reasons", json_integer((json_int_t)c->throttle));
    char reasons[BENCH_TEXT];
    bench_throttle_text(c, reasons);
    set(o, "throttle", text(reasons));
    return o;
}

json_t *bench_json_axes(const bench_point *point)
{
    json_t *const o = json_object();
    for (int a = 0; a < BENCH_MAX_AXES && point->op->axes[a].name != NULL; a++) {
        const bench_axis *const axis = &point->op->axes[a];
        const int64_t value = point->v[a];
        set(o, axis->name,
            axis->labels != NULL ? text(axis->labels[value - 1]) : json_integer(value));
    }
    return o;
}

// What other libraries took; a ratio only where they compute the same.
static json_t *peers(const bench_row *row)
{
    json_t *const list = json_array();
    for (int i = 0; i < row->num_peers; i++) {
        const bench_peer *const peer = &row->peers[i];
        json_t *const o = json_object();
        const double ratio = peer->timing.seconds.median / row->cold.seconds.median;
        set(o, "name", text(peer->name));
        set(o, "version", text(peer->version));
        set(o, "computes", text(peer->computes));
        set(o, "same_work", json_boolean(peer->same_work));
        set(o, "bytes_read", number(peer->bytes_read));
        set(o, "bytes_written", number(peer->bytes_written));
        if (peer->reason[0] != '\0') {
            set(o, "reason", text(peer->reason));
        } else {
            set(o, "time", timing(&peer->timing));
            set(o, "ratio", peer->same_work ? number(ratio) : json_null());
            set(o, "max_ulp", number(peer->error.max_ulp));
            set(o, "max_abs_error", number(peer->error.max_abs));
            set(o, "beyond_limits", text(peer->error.text));
        }
        json_array_append_new(list, o);
    }
    return list;
}

static void set_results(json_t *o, const bench_row *row)
{
    const double seconds = row->cold.seconds.median;
    const double bytes = row->work.bytes_read + row->work.bytes_written;
    set(o, "items", number(row->work.items));
    set(o, "bytes_read", number(row->work.bytes_read));
    set(o, "bytes_written", number(row->work.bytes_written));
    set(o, "cold", timing(&row->cold));
    set(o, "preemptions_per_s", number(row->cold.preemptions));
    set(o, "buffer_sets", json_integer(row->num_sets));
    set(o, "cache_cold", json_boolean(row->cache_cold));
    set(o, "hot", row->has_hot ? timing(&row->hot) : json_null());
    set(o, "items_per_s", number(row->work.items / seconds));
    set(o, "bytes_per_s", number(bytes / seconds));
    set(o, "traffic", text(bench_traffic_name(row->traffic)));
    set(o, "roof_bytes_per_s", row->roof > 0 ? number(row->roof) : json_null());
    set(o, "share_of_roof", row->roof > 0 ? number(bytes / seconds / row->roof) : json_null());
    set(o, "max_ulp", number(row->error.max_ulp));
    set(o, "max_abs_error", number(row->error.max_abs));
    set(o, "equal_bits", json_integer(row->bit_comparisons));
    set(o, "allocations", json_integer(row->counts.allocations));
    set(o, "launches",
        strcmp(row->backend, "cuda") == 0 ? json_integer(row->counts.launches) : json_null());
    const bench_limit limit = bench_limit_of(row);
    json_t *const l = json_object();
    set(l, "by", text(limit.by));
    set(l, "seconds", number(limit.seconds));
    set(o, "limit", l);
    set(o, "host_call", row->host.seconds.count > 0 ? timing(&row->host) : json_null());
    set(o, "graph_node_s", row->graph_node > 0 ? number(row->graph_node) : json_null());
    set(o, "clocks", row->clocks.known ? clocks(&row->clocks) : json_null());
    json_t *peer = json_null();
    if (row->has_peer) {
        peer = json_object();
        set(peer, "name", text("naive C"));
        set(peer, "time", timing(&row->peer));
        set(peer, "ratio", number(row->peer.seconds.median / seconds));
    }
    set(o, "peer", peer);
    set(o, "peers", peers(row));
}

json_t *bench_json_operations(const bench_op *const *ops, const json_t *rows)
{
    json_t *const o = json_object();
    size_t r;
    json_t *row;
    json_array_foreach((json_t *)rows, r, row)
    {
        const char *const name = json_string_value(json_object_get(row, "op"));
        for (int i = 0; ops[i] != NULL; i++) {
            if (strcmp(ops[i]->name, name) != 0 || json_object_get(o, name) != NULL) continue;
            json_t *const op = json_object();
            set(op, "item", text(ops[i]->item));
            set(op, "model", text(ops[i]->model));
            set(op, "summary", bench_json_summary(name, rows));
            set(o, name, op);
        }
    }
    return o;
}

json_t *bench_json_row(const bench_row *row)
{
    static const char *const statuses[] = {"ok", "skipped", "wrong"};
    json_t *const o = json_object();
    set(o, "op", text(row->op->name));
    set(o, "item", text(row->op->item));
    set(o, "shape", text(row->shape));
    set(o, "axes", bench_json_axes(&row->point));
    set(o, "dtype", text(bench_point_dtype(&row->point)));
    set(o, "backend", text(row->backend));
    set(o, "threads", json_integer(row->num_threads));
    set(o, "status", text(statuses[row->status]));
    if (row->status == BENCH_OK) {
        set(o, "data", text(row->data));
        set_results(o, row);
    } else {
        set(o, "reason", text(row->reason));
    }
    return o;
}
