#include "case_run.h"

#include <stdlib.h>
#include <string.h>

#include "number.h"

// Everything that one run holds.
typedef struct run {
    const case_file *c;
    const case_backend *backend;
    case_report *report;
    void *desc, *io; // with the pointers
    unsigned char *before[CASE_MAX_ARRAYS], *after[CASE_MAX_ARRAYS]; // contents, on the host
    void *memory[CASE_MAX_ARRAYS]; // of the backend
    size_t bytes[CASE_MAX_ARRAYS]; // of each: the larger of two that share it
    merit_diagnostics *diagnostics;
    void *workspace;
    size_t workspace_bytes;
    char sentence[512]; // last error of the call
} run;

// Contents ----------------------------------------------------------------------------------------

// Offset of element i, counted row-major, in a strided buffer.
static size_t offset_of(const case_slot *s, int64_t i)
{
    size_t offset = 0;
    for (int d = s->rank - 1; d >= 0; d--) {
        offset += (size_t)(i % s->dims[d]) * (size_t)s->strides[d];
        i /= s->dims[d];
    }
    return offset * st_dtype_bytes(s->dtype);
}

static void scatter(const case_slot *s, unsigned char *to)
{
    const size_t bytes = st_dtype_bytes(s->dtype);
    if (s->given->dtype != s->dtype) { // the descriptor names no type: to be rejected
        memcpy(to, s->given->data, s->given->bytes < s->bytes ? s->given->bytes : s->bytes);
        return;
    }
    for (int64_t i = 0; i < s->count; i++) {
        memcpy(to + offset_of(s, i), s->given->data + (size_t)i * bytes, bytes);
    }
}

static void *gather(const case_slot *s, const unsigned char *from)
{
    const size_t bytes = st_dtype_bytes(s->dtype);
    unsigned char *const dense = malloc((size_t)s->count * bytes + 1);
    for (int64_t i = 0; i < s->count && dense != NULL; i++) {
        memcpy(dense + (size_t)i * bytes, from + offset_of(s, i), bytes);
    }
    return dense;
}

// Set-up ------------------------------------------------------------------------------------------

static int home_of(const case_slot *slots, int i)
{
    return slots[i].alias >= 0 ? slots[i].alias : i;
}

static bool make_buffers(run *r, case_error *error)
{
    const case_slot *const slots = r->c->slots;
    for (int i = 0; i < r->c->num_slots; i++) {
        const int home = home_of(slots, i);
        if (slots[i].used && slots[i].bytes > r->bytes[home]) r->bytes[home] = slots[i].bytes;
    }
    for (int i = 0; i < r->c->num_slots; i++) {
        if (!slots[i].used || home_of(slots, i) != i) continue;
        r->before[i] = malloc(r->bytes[i] + 1);
        r->after[i] = malloc(r->bytes[i] + 1);
        r->memory[i] = case_memory_new(r->backend, r->bytes[i]);
        if (r->before[i] == NULL || r->after[i] == NULL || r->memory[i] == NULL) {
            return case_fail(error, "no memory for %s (%zu bytes)", slots[i].array->name,
                             r->bytes[i]);
        }
        memset(r->before[i], CASE_FILL, r->bytes[i]);
        if (!slots[i].array->output) scatter(&slots[i], r->before[i]);
        if (!case_memory_put(r->backend, r->memory[i], r->before[i], r->bytes[i])) {
            return case_fail(error, "%s could not be copied to %s", slots[i].array->name,
                             r->backend->name);
        }
    }
    return true;
}

static bool make_arguments(run *r, case_error *error)
{
    const case_op *const op = r->c->op;
    static const merit_diagnostics zeros;
    r->desc = malloc(op->desc_bytes);
    r->io = malloc(op->io_bytes);
    r->diagnostics = case_memory_new(r->backend, sizeof zeros);
    if (r->desc == NULL || r->io == NULL || r->diagnostics == NULL ||
        !case_memory_put(r->backend, r->diagnostics, &zeros, sizeof zeros)) {
        return case_fail(error, "no memory for the arguments");
    }
    memcpy(r->desc, r->c->desc, op->desc_bytes);
    memcpy(r->io, r->c->io, op->io_bytes);
    memcpy((unsigned char *)r->io + op->diagnostics_offset, &r->diagnostics, sizeof(void *));
    for (int i = 0; i < r->c->num_slots; i++) {
        const case_slot *const s = &r->c->slots[i];
        unsigned char *const base = s->array->in_desc ? r->desc : r->io;
        if (!s->used) continue;
        memcpy(base + s->array->offset, &r->memory[home_of(r->c->slots, i)], sizeof(void *));
    }
    return true;
}

static bool make_workspace(run *r, case_error *error)
{
    // A descriptor to be rejected has no workspace; the call says what it thinks of it.
    if (r->c->op->workspace(r->backend->ctx, r->desc, &r->workspace_bytes) != MERIT_STATUS_OK) {
        r->workspace_bytes = 0;
        return true;
    }
    if (r->workspace_bytes > r->c->extra_bytes) {
        return case_fail(error, "the call asks for %zu bytes of workspace", r->workspace_bytes);
    }
    r->workspace = case_memory_new(r->backend, r->workspace_bytes);
    if (r->workspace == NULL) return case_fail(error, "no memory for the workspace");
    if (merit_workspace_init(r->backend->ctx, r->workspace, r->workspace_bytes, NULL) !=
        MERIT_STATUS_OK) {
        return case_fail(error, "%s", merit_context_last_error(r->backend->ctx));
    }
    if (r->c->status == MERIT_STATUS_WORKSPACE_TOO_SMALL && r->workspace_bytes > 0) {
        r->workspace_bytes--;
    }
    return true;
}

static bool call(run *r, case_error *error)
{
    merit_context *const ctx = r->backend->ctx;
    r->report->status = r->c->op->call(ctx, r->desc, r->io, r->workspace, r->workspace_bytes);
    if (r->report->status != MERIT_STATUS_OK) {
        snprintf(r->sentence, sizeof r->sentence, "%s", merit_context_last_error(ctx));
    }
    for (int i = 0; i < r->c->num_slots; i++) {
        if (r->memory[i] == NULL) continue;
        if (!case_memory_get(r->backend, r->after[i], r->memory[i], r->bytes[i])) {
            return case_fail(error, "%s could not be copied from %s", r->c->slots[i].array->name,
                             r->backend->name);
        }
    }
    merit_diagnostics counted;
    if (!case_memory_get(r->backend, &counted, r->diagnostics, sizeof counted)) {
        return case_fail(error, "the counters could not be copied from %s", r->backend->name);
    }
    memcpy(r->report->counters, counted.count, sizeof r->report->counters);
    return true;
}

static void release(run *r)
{
    for (int i = 0; i < r->c->num_slots; i++) {
        free(r->before[i]);
        free(r->after[i]);
        if (r->memory[i] != NULL) case_memory_free(r->backend, r->memory[i]);
    }
    if (r->diagnostics != NULL) case_memory_free(r->backend, r->diagnostics);
    if (r->workspace != NULL) case_memory_free(r->backend, r->workspace);
    free(r->desc);
    free(r->io);
}

// Judgment ----------------------------------------------------------------------------------------

static case_row *add_row(case_report *report, const char *prefix, const char *name,
                         case_verdict verdict)
{
    case_row *const row = &report->rows[report->num_rows++];
    *row = (case_row){.verdict = verdict};
    snprintf(row->output, sizeof row->output, "%.16s%.40s", prefix, name);
    return row;
}

static void judge_status(run *r)
{
    const bool good = r->report->status == r->c->status;
    case_row *const row = add_row(r->report, "", "status", good ? CASE_HOLDS : CASE_FAILS);
    if (good) return;
    snprintf(row->text, sizeof row->text, "expected %s, got %s%s%.400s",
             case_status_name(r->c->status), case_status_name(r->report->status),
             r->sentence[0] != '\0' ? ": " : "", r->sentence);
}

// Memory that the call must leave alone: inputs, and the outputs of a rejected call.
static void judge_untouched(run *r, int i)
{
    const case_slot *const s = &r->c->slots[i];
    size_t at = 0;
    while (at < r->bytes[i] && r->before[i][at] == r->after[i][at]) {
        at++;
    }
    if (at == r->bytes[i]) return;
    case_row *const row =
        add_row(r->report, s->array->output ? "" : "in.", s->array->name, CASE_FAILS);
    snprintf(row->text, sizeof row->text,
             "must stay untouched, but byte %zu of %zu was 0x%02x, is 0x%02x", at, r->bytes[i],
             r->before[i][at], r->after[i][at]);
}

static bool shared(const case_file *c, int i)
{
    for (int o = 0; o < c->num_slots; o++) {
        if (c->slots[o].used && c->slots[o].alias == i) return true;
    }
    return false;
}

static bool judge_output(run *r, int i, case_error *error)
{
    const case_slot *const s = &r->c->slots[i];
    void *const actual = gather(s, r->after[home_of(r->c->slots, i)]);
    if (actual == NULL) return case_fail(error, "no memory for %s", s->array->name);
    r->report->actual[i] = actual;
    case_row *const row = add_row(r->report, "", s->array->name, CASE_UNCOMPARED);
    row->dtype = s->dtype;
    row->result.elements = s->count;
    if (s->given == NULL) return true;
    row->compared = true;
    if (!compare_arrays(&row->result, &s->rule, s->given, s->dtype, actual, error)) return false;
    row->verdict = row->result.failing == 0 ? CASE_HOLDS : CASE_FAILS;
    if (row->verdict == CASE_FAILS) case_rule_text(&s->rule, row->text, sizeof row->text);
    return true;
}

static bool judge_counter(run *r, int i, case_error *error)
{
    const case_counter *const counter = &r->c->counters[i];
    if (counter->expected == NULL) return true;
    case_row *const row = add_row(r->report, "diagnostics.", case_counter_name(i), CASE_FAILS);
    row->dtype = ST_U64;
    row->compared = true;
    if (!compare_arrays(&row->result, &counter->rule, counter->expected, ST_U64,
                        &r->report->counters[i], error)) {
        return false;
    }
    if (row->result.failing == 0) row->verdict = CASE_HOLDS;
    return true;
}

static bool judge(run *r, case_error *error)
{
    const case_file *const c = r->c;
    if (r->report->status != MERIT_STATUS_OK || c->status != MERIT_STATUS_OK) judge_status(r);
    for (int i = 0; i < c->num_slots; i++) {
        const bool rejected = r->report->status != MERIT_STATUS_OK;
        if (r->memory[i] == NULL) continue;
        if (rejected || (!c->slots[i].array->output && !shared(c, i))) judge_untouched(r, i);
    }
    if (r->report->status != MERIT_STATUS_OK || c->status != MERIT_STATUS_OK) return true;
    for (int i = 0; i < c->num_slots; i++) {
        const case_slot *const s = &c->slots[i];
        if (s->used && s->array->output && !judge_output(r, i, error)) return false;
    }
    for (int i = 0; i < MERIT_NUM_COUNTERS; i++) {
        if (!judge_counter(r, i, error)) return false;
    }
    return true;
}

bool case_run(const case_file *c, const case_backend *backend, case_report *report,
              case_error *error)
{
    *report = (case_report){0};
    run r = {.c = c, .backend = backend, .report = report};
    const bool good = make_buffers(&r, error) && make_arguments(&r, error) &&
                      make_workspace(&r, error) && call(&r, error) && judge(&r, error);
    release(&r);
    if (!good) case_report_free(report);
    return good;
}

// Reports -----------------------------------------------------------------------------------------

void case_report_free(case_report *report)
{
    for (int i = 0; i < CASE_MAX_ARRAYS; i++) {
        free(report->actual[i]);
        report->actual[i] = NULL;
    }
}

bool case_report_holds(const case_report *report)
{
    for (int i = 0; i < report->num_rows; i++) {
        if (report->rows[i].verdict == CASE_FAILS) return false;
    }
    return true;
}

const char *case_verdict_name(case_verdict verdict)
{
    static const char *const names[] = {"ok", "FAIL", "not compared", "recorded"};
    return names[verdict];
}

void case_rule_text(const compare_rule *rule, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    if (rule->bits) used += (size_t)snprintf(text, size, "the same bits");
    if (rule->has_tolerance && used < size) {
        used += (size_t)snprintf(text + used, size - used, "%sabs error <= %g + %g |expected|",
                                 used > 0 ? ", " : "", rule->atol, rule->rtol);
    }
    if (rule->has_ulp && used < size) {
        snprintf(text + used, size - used, "%s%llu ulp", used > 0 ? ", " : "",
                 (unsigned long long)rule->ulp);
    }
}
