#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

static int num_axes(const bench_op *op)
{
    int n = 0;
    while (n < BENCH_MAX_AXES && op->axes[n].name != NULL)
        n++;
    return n;
}

static int num_values(const int64_t *values)
{
    int n = 0;
    while (n < BENCH_MAX_VALUES && values[n] != 0)
        n++;
    return n;
}

static void value_text(const bench_axis *axis, int64_t value, char text[BENCH_TEXT])
{
    if (axis->labels != NULL) {
        snprintf(text, BENCH_TEXT, "%s", axis->labels[value - 1]);
    } else {
        snprintf(text, BENCH_TEXT, "%" PRId64, value);
    }
}

void bench_point_name(const bench_point *point, char name[BENCH_TEXT])
{
    const bench_axis *const axes = point->op->axes;
    size_t used = 0;
    name[0] = '\0';
    for (int a = 0; a < num_axes(point->op) && used < BENCH_TEXT; a++) {
        char text[BENCH_TEXT];
        value_text(&axes[a], point->v[a], text);
        const bool numbers = a > 0 && axes[a].labels == NULL && axes[a - 1].labels == NULL;
        used += (size_t)snprintf(name + used, BENCH_TEXT - used, "%s%.100s",
                                 a == 0 ? "" : (numbers ? "x" : " "), text);
    }
}

bool bench_point_at(const bench_op *op, int i, bench_point *point)
{
    const int axes = num_axes(op);
    for (const bench_sweep *sweep = op->sweeps; sweep->values[0][0] != 0; sweep++) {
        int product = 1;
        for (int a = 0; a < axes; a++)
            product *= num_values(sweep->values[a]);
        if (i >= product) {
            i -= product;
            continue;
        }
        *point = (bench_point){.op = op, .flags = sweep->flags};
        for (int a = axes - 1; a >= 0; a--) { // the last axis changes fastest
            const int n = num_values(sweep->values[a]);
            point->v[a] = sweep->values[a][i % n];
            i /= n;
        }
        return true;
    }
    return false;
}

static bool axis_matches(const bench_point *point, const char *term, size_t length)
{
    const char *const equal = memchr(term, '=', length);
    if (equal == NULL) return false;
    const size_t name_length = (size_t)(equal - term);
    for (int a = 0; a < num_axes(point->op); a++) {
        const bench_axis *const axis = &point->op->axes[a];
        if (strlen(axis->name) != name_length || strncmp(axis->name, term, name_length) != 0) {
            continue;
        }
        char text[BENCH_TEXT];
        value_text(axis, point->v[a], text);
        const size_t value_length = length - name_length - 1;
        return strlen(text) == value_length && strncmp(text, equal + 1, value_length) == 0;
    }
    return false;
}

bool bench_point_matches(const bench_point *point, const char *filter)
{
    if (filter == NULL) return true;
    if (strchr(filter, '=') == NULL) {
        char name[BENCH_TEXT];
        bench_point_name(point, name);
        return strstr(name, filter) != NULL;
    }
    for (const char *term = filter; *term != '\0';) {
        const size_t length = strcspn(term, ",");
        if (!axis_matches(point, term, length)) return false;
        term += length + (term[length] == ',');
    }
    return true;
}

const char *bench_point_dtype(const bench_point *point)
{
    for (int a = 0; a < num_axes(point->op); a++) {
        const bench_axis *const axis = &point->op->axes[a];
        if (strcmp(axis->name, "dtype") == 0) return axis->labels[point->v[a] - 1];
    }
    return point->op->dtype != NULL ? point->op->dtype : "f32";
}
