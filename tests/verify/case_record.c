#include <stdlib.h>
#include <string.h>

#include "case_run.h"

// The shape as the files write it: optional dimensions of 1 are left out.
static void set_shape(st_tensor *t, const case_slot *s)
{
    const char *p = s->array->shape;
    t->rank = 0;
    for (int d = 0; d < s->rank; d++) {
        const size_t length = strcspn(p, " ");
        const bool optional = length > 0 && p[length - 1] == '?';
        if (!(optional && s->dims[d] == 1)) t->shape[t->rank++] = s->dims[d];
        p += length + (p[length] == ' ');
    }
}

static json_t *metadata_of(const case_file *c, json_t *check)
{
    json_t *const metadata = json_copy(c->file.metadata);
    char *const text = json_dumps(check, JSON_COMPACT);
    if (json_object_size(check) > 0) {
        json_object_set_new(metadata, "merit.check", json_string(text));
    } else {
        json_object_del(metadata, "merit.check");
    }
    free(text);
    return metadata;
}

static int add_outputs(const case_file *c, const case_report *report, json_t *check,
                       st_tensor *tensors, int n, char (*names)[64])
{
    for (int i = 0; i < c->num_slots; i++) {
        const case_slot *const s = &c->slots[i];
        if (report->actual[i] == NULL) continue;
        st_tensor *const t = &tensors[n];
        snprintf(names[n], sizeof names[n], "out.%.40s", s->array->name);
        *t = (st_tensor){.name = names[n],
                         .dtype = s->dtype,
                         .count = s->count,
                         .bytes = (size_t)s->count * st_dtype_bytes(s->dtype),
                         .data = report->actual[i]};
        set_shape(t, s);
        json_object_set_new(check, s->array->name, json_pack("{s:b}", "bits", 1));
        n++;
    }
    return n;
}

static int add_counters(const case_file *c, const case_report *report, st_tensor *tensors, int n)
{
    for (int i = 0; i < MERIT_NUM_COUNTERS; i++) {
        if (c->counters[i].expected == NULL) continue;
        tensors[n] = *c->counters[i].expected;
        tensors[n++].data = (const unsigned char *)&report->counters[i];
    }
    return n;
}

bool case_record(const case_file *c, const case_report *report, const char *path, case_error *error)
{
    const int most = c->file.num_tensors + CASE_MAX_ARRAYS + MERIT_NUM_COUNTERS;
    st_tensor *const tensors = calloc((size_t)most, sizeof *tensors);
    char(*const names)[64] = calloc((size_t)most, sizeof *names);
    json_t *const check = json_object();
    bool good = tensors != NULL && names != NULL && check != NULL;
    if (good) {
        const bool computed = c->status == MERIT_STATUS_OK && report->status == MERIT_STATUS_OK;
        int n = 0;
        for (int i = 0; i < c->file.num_tensors; i++) {
            const st_tensor *const t = &c->file.tensors[i];
            if (!computed || strncmp(t->name, "in.", 3) == 0) tensors[n++] = *t;
        }
        if (computed) {
            n = add_outputs(c, report, check, tensors, n, names);
            n = add_counters(c, report, tensors, n);
        }
        json_t *const metadata = metadata_of(c, computed ? check : c->check);
        good = st_write(path, metadata, tensors, n, error);
        json_decref(metadata);
    } else {
        case_fail(error, "no memory to record");
    }
    json_decref(check);
    free(names);
    free(tensors);
    return good;
}
