#include "case_file.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int counter;
} counters[] = {
    {"empty_row", MERIT_COUNTER_EMPTY_ROW},
    {"bad_position", MERIT_COUNTER_BAD_POSITION},
    {"repeated_position", MERIT_COUNTER_REPEATED_POSITION},
    {"bad_std", MERIT_COUNTER_BAD_STD},
    {"zero_direction", MERIT_COUNTER_ZERO_DIRECTION},
    {"crossing", MERIT_COUNTER_CROSSING},
    {"nan_in", MERIT_COUNTER_NAN_IN},
    {"inf_in", MERIT_COUNTER_INF_IN},
    {"singleton", MERIT_COUNTER_SINGLETON},
    {"no_statistics", MERIT_COUNTER_NO_STATISTICS},
    {"ungrouped", MERIT_COUNTER_UNGROUPED},
    {"bad_offsets", MERIT_COUNTER_BAD_OFFSETS},
    {"bad_index", MERIT_COUNTER_BAD_INDEX},
    {"group_too_large", MERIT_COUNTER_GROUP_TOO_LARGE},
    {"incomplete_group", MERIT_COUNTER_INCOMPLETE_GROUP},
    {"bad_id", MERIT_COUNTER_BAD_ID},
    {"empty_sequence", MERIT_COUNTER_EMPTY_SEQUENCE},
    {"empty_statistics", MERIT_COUNTER_EMPTY_STATISTICS},
    {"nonfinite", MERIT_COUNTER_NONFINITE},
    {"bad_target", MERIT_COUNTER_BAD_TARGET},
    {"bad_route", MERIT_COUNTER_BAD_ROUTE},
    {"bad_length", MERIT_COUNTER_BAD_LENGTH},
    {"bad_weight", MERIT_COUNTER_BAD_WEIGHT},
    {"bad_tie", MERIT_COUNTER_BAD_TIE},
    {"zero_denominator", MERIT_COUNTER_ZERO_DENOMINATOR},
    {"bad_region", MERIT_COUNTER_BAD_REGION},
    {"bad_rank", MERIT_COUNTER_BAD_RANK},
    {"empty_group", MERIT_COUNTER_EMPTY_GROUP},
    {"unsorted", MERIT_COUNTER_UNSORTED},
    {"bad_count", MERIT_COUNTER_BAD_COUNT},
    {"bad_action", MERIT_COUNTER_BAD_ACTION},
    {"bad_tau", MERIT_COUNTER_BAD_TAU},
    {"bad_label", MERIT_COUNTER_BAD_LABEL},
    {"target_outside_support", MERIT_COUNTER_TARGET_OUTSIDE_SUPPORT},
    {"empty_support", MERIT_COUNTER_EMPTY_SUPPORT},
    {"logit_range", MERIT_COUNTER_LOGIT_RANGE},
    {"bad_temperature", MERIT_COUNTER_BAD_TEMPERATURE},
};
enum { NUM_COUNTERS = (int)(sizeof counters / sizeof counters[0]) };

static const char *const statuses[] = {
    [MERIT_STATUS_OK] = "ok",
    [MERIT_STATUS_INVALID_ARGUMENT] = "invalid_argument",
    [MERIT_STATUS_UNSUPPORTED] = "unsupported",
    [MERIT_STATUS_OUT_OF_MEMORY] = "out_of_memory",
    [MERIT_STATUS_WORKSPACE_TOO_SMALL] = "workspace_too_small",
    [MERIT_STATUS_NOT_FOUND] = "not_found",
    [MERIT_STATUS_CUDA_ERROR] = "cuda_error",
    [MERIT_STATUS_BLAS_ERROR] = "blas_error",
    [MERIT_STATUS_COMM_ERROR] = "comm_error",
    [MERIT_STATUS_COMM_TIMEOUT] = "comm_timeout",
    [MERIT_STATUS_INTERNAL_ERROR] = "internal_error",
};
enum { NUM_STATUSES = (int)(sizeof statuses / sizeof statuses[0]) };

const char *case_counter_name(int i)
{
    for (int n = 0; n < NUM_COUNTERS; n++) {
        if (counters[n].counter == i) return counters[n].name;
    }
    return NULL;
}

const char *case_status_name(merit_status status)
{
    return (int)status >= 0 && (int)status < NUM_STATUSES ? statuses[status] : "an unknown status";
}

// Metadata ----------------------------------------------------------------------------------------

static const char *const keys[] = {"merit.case",  "merit.op",   "merit.preset", "merit.desc",
                                   "merit.check", "merit.note", "merit.status", "merit.alias"};
enum { NUM_KEYS = (int)(sizeof keys / sizeof keys[0]) };

static const char *metadata(const case_file *c, const char *key)
{
    return json_string_value(json_object_get(c->file.metadata, key));
}

static bool check_keys(const case_file *c, case_error *error)
{
    const char *key;
    json_t *value;
    json_object_foreach(c->file.metadata, key, value)
    {
        if (strncmp(key, "merit.", strlen("merit.")) != 0) continue;
        int i = 0;
        while (i < NUM_KEYS && strcmp(keys[i], key) != 0) {
            i++;
        }
        if (i < NUM_KEYS) continue;
        case_fail(error, "__metadata__ has the unknown key \"%.80s\", expected", key);
        for (i = 0; i < NUM_KEYS; i++) {
            case_append(error, "%s %s", i == 0 ? "" : ",", keys[i]);
        }
        return false;
    }
    const char *const version = metadata(c, "merit.case");
    if (version == NULL) return case_fail(error, "is no case: __metadata__ has no \"merit.case\"");
    if (strcmp(version, "1") == 0) return true;
    return case_fail(error, "merit.case is \"%.40s\", this program reads \"1\"", version);
}

// The object that a metadata string holds; an empty one when the key is absent.
static bool parse_object(const case_file *c, const char *key, json_t **object, case_error *error)
{
    const char *const text = metadata(c, key);
    json_error_t at;
    *object = text == NULL ? json_object() : json_loads(text, JSON_REJECT_DUPLICATES, &at);
    if (*object == NULL) {
        return case_fail(error, "%s is no valid JSON: %.120s at byte %d", key, at.text,
                         at.position);
    }
    return json_is_object(*object) || case_fail(error, "%s is no JSON object", key);
}

static bool find_op(case_file *c, case_error *error)
{
    const char *const name = metadata(c, "merit.op");
    if (name == NULL) return case_fail(error, "__metadata__ has no \"merit.op\"");
    c->op = case_op_by_name(name);
    if (c->op != NULL) return true;
    case_fail(error, "merit.op is \"%.80s\", expected one of", name);
    for (int i = 0; case_op_at(i) != NULL; i++) {
        case_append(error, "%s %s", i == 0 ? "" : ",", case_op_at(i)->name);
    }
    return false;
}

static bool find_status(case_file *c, case_error *error)
{
    const char *const name = metadata(c, "merit.status");
    for (int i = 0; name != NULL && i < NUM_STATUSES; i++) {
        if (strcmp(statuses[i], name) != 0) continue;
        c->status = (merit_status)i;
        return true;
    }
    if (name == NULL) return true;
    case_fail(error, "merit.status is \"%.80s\", expected one of", name);
    for (int i = 0; i < NUM_STATUSES; i++) {
        case_append(error, "%s %s", i == 0 ? "" : ",", statuses[i]);
    }
    return false;
}

static bool set_desc(case_file *c, case_error *error)
{
    c->desc = calloc(1, c->op->desc_bytes);
    c->io = calloc(1, c->op->io_bytes);
    if (c->desc == NULL || c->io == NULL) return case_fail(error, "no memory for a descriptor");
    memcpy(c->io, &c->op->io_bytes, sizeof c->op->io_bytes);
    if (c->op->desc_init(c->desc, c->op->desc_bytes) != MERIT_STATUS_OK) {
        return case_fail(error, "%s", merit_context_last_error(NULL));
    }
    if (c->preset != NULL && c->op->preset == NULL) {
        return case_fail(error, "merit.preset is \"%.80s\", but %s has no presets", c->preset,
                         c->op->name);
    }
    if (c->preset != NULL && c->op->preset(c->preset, c->desc) != MERIT_STATUS_OK) {
        return case_fail(error, "merit.preset \"%.80s\" is none of %s: see --list", c->preset,
                         c->op->name);
    }
    return fields_set(c->op->fields, c->desc_json, c->desc, "merit.desc", &c->lists, error);
}

// Tensors -----------------------------------------------------------------------------------------

static void list_arrays(const case_op *op, bool output, case_error *error)
{
    const char *separator = "";
    for (const case_array *a = op->arrays; a->name != NULL; a++) {
        if (a->output != output) continue;
        case_append(error, "%s %s.%s", separator, output ? "out" : "in", a->name);
        separator = ",";
    }
}

static bool take_counter(case_file *c, const st_tensor *t, const char *name, case_error *error)
{
    for (int i = 0; i < NUM_COUNTERS; i++) {
        if (strcmp(counters[i].name, name) != 0) continue;
        if (t->dtype != ST_U64 || t->count != 1) {
            return case_fail(error, "tensor \"%.80s\" is not one U64", t->name);
        }
        case_counter *const counter = &c->counters[counters[i].counter];
        counter->expected = t;
        json_t *const entry = json_object_get(c->check, t->name + strlen("out."));
        return compare_rule_read(&counter->rule, entry, t->name + strlen("out."), error);
    }
    case_fail(error, "tensor \"%.80s\" names no counter, expected one of", t->name);
    for (int i = 0; i < NUM_COUNTERS; i++) {
        case_append(error, "%s %s", i == 0 ? "" : ",", counters[i].name);
    }
    return false;
}

static bool take_tensor(case_file *c, const st_tensor *t, case_error *error)
{
    const bool output = strncmp(t->name, "out.", 4) == 0;
    if (!output && strncmp(t->name, "in.", 3) != 0) {
        return case_fail(error, "tensor \"%.80s\" begins neither with in. nor with out.", t->name);
    }
    const char *const name = t->name + (output ? 4 : 3);
    if (output && strncmp(name, "diagnostics.", strlen("diagnostics.")) == 0) {
        return take_counter(c, t, name + strlen("diagnostics."), error);
    }
    for (int i = 0; i < c->num_slots; i++) {
        case_slot *const s = &c->slots[i];
        if (s->array->output != output || strcmp(s->array->name, name) != 0) continue;
        s->given = t;
        s->used = true;
        return true;
    }
    case_fail(error, "%s has no tensor \"%.80s\", expected one of", c->op->name, t->name);
    list_arrays(c->op, output, error);
    return false;
}

static case_slot *find_slot(case_file *c, const char *name, bool output)
{
    for (int i = 0; i < c->num_slots; i++) {
        case_slot *const s = &c->slots[i];
        if (s->array->output == output && strcmp(s->array->name, name) == 0) return s;
    }
    return NULL;
}

static bool take_tensors(case_file *c, case_error *error)
{
    for (const case_array *a = c->op->arrays; a->name != NULL; a++) {
        c->slots[c->num_slots++] = (case_slot){.array = a, .alias = -1, .used = a->always};
    }
    bool any = false;
    for (int i = 0; i < c->file.num_tensors; i++) {
        const st_tensor *const t = &c->file.tensors[i];
        if (!take_tensor(c, t, error)) return false;
        any = any ||
              (strncmp(t->name, "out.", 4) == 0 && strncmp(t->name, "out.diagnostics.", 16) != 0);
    }
    // A case without results, counters aside, asks for all of them: to record, or to see that
    // none is touched.
    for (int i = 0; i < c->num_slots && !any; i++) {
        const case_array *const a = c->slots[i].array;
        if (a->output && (a->allowed == NULL || a->allowed(c->desc))) c->slots[i].used = true;
    }
    return true;
}

static bool take_rules(case_file *c, case_error *error)
{
    const char *name;
    json_t *entry;
    json_object_foreach(c->check, name, entry)
    {
        char tensor[128];
        snprintf(tensor, sizeof tensor, "out.%.100s", name);
        if (st_find(&c->file, tensor) == NULL) {
            return case_fail(error, "merit.check names \"%.80s\", but there is no tensor \"%.80s\"",
                             name, tensor);
        }
    }
    for (int i = 0; i < c->num_slots; i++) {
        case_slot *const s = &c->slots[i];
        if (!s->array->output) continue;
        entry = json_object_get(c->check, s->array->name);
        if (!compare_rule_read(&s->rule, entry, s->array->name, error)) return false;
    }
    return true;
}

static bool take_aliases(case_file *c, case_error *error)
{
    const char *name;
    json_t *value;
    json_object_foreach(c->alias, name, value)
    {
        const char *const input = json_string_value(value);
        case_slot *const out = find_slot(c, name, true);
        case_slot *const in = input != NULL ? find_slot(c, input, false) : NULL;
        if (out == NULL || in == NULL || in->given == NULL || in->array->in_desc) {
            return case_fail(error,
                             "merit.alias puts \"%.80s\" in place of \"%.80s\", expected an output "
                             "and an input that the file holds",
                             name, input != NULL ? input : "?");
        }
        out->alias = (int)(in - c->slots);
        out->used = true;
    }
    return true;
}

// Reading -----------------------------------------------------------------------------------------

static bool build(case_file *c, size_t extra_bytes, case_error *error)
{
    c->extra_bytes = extra_bytes;
    if (!check_keys(c, error) || !find_op(c, error) || !find_status(c, error)) return false;
    c->preset = metadata(c, "merit.preset");
    c->note = metadata(c, "merit.note");
    return parse_object(c, "merit.desc", &c->desc_json, error) &&
           parse_object(c, "merit.check", &c->check, error) &&
           parse_object(c, "merit.alias", &c->alias, error) && set_desc(c, error) &&
           take_tensors(c, error) && take_rules(c, error) && take_aliases(c, error) &&
           case_bind(c, error);
}

bool case_read(case_file *c, const char *path, size_t extra_bytes, case_error *error)
{
    *c = (case_file){0};
    if (st_read(&c->file, path, error) && build(c, extra_bytes, error)) return true;
    case_free(c);
    return false;
}

bool case_parse(case_file *c, const void *bytes, size_t size, size_t extra_bytes, case_error *error)
{
    *c = (case_file){0};
    if (st_parse(&c->file, bytes, size, error) && build(c, extra_bytes, error)) return true;
    case_free(c);
    return false;
}

void case_free(case_file *c)
{
    field_memory_free(&c->lists);
    free(c->desc);
    free(c->io);
    json_decref(c->desc_json);
    json_decref(c->check);
    json_decref(c->alias);
    st_free(&c->file);
    *c = (case_file){0};
}
