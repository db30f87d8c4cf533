#include "summary.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "device.h"

static const char roof_name[] = "roof";

static const char *text_of(const json_t *object, const char *key)
{
    const char *const text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void set(json_t *object, const char *key, json_t *value)
{
    if (value == NULL || json_object_set_new(object, key, value) != 0) {
        bench_die("no memory for the JSON report");
    }
}

// The entry of `name` in a summary, made where there is none.
static json_t *entry_of(json_t *summary, const char *name)
{
    size_t i;
    json_t *entry;
    json_array_foreach(summary, i, entry)
    {
        if (strcmp(text_of(entry, "of"), name) == 0) return entry;
    }
    entry = json_object();
    set(entry, "of", json_string(name));
    set(entry, "rows", json_integer(0));
    set(entry, "geometric_mean", json_real(0)); // until the end: the sum of logarithms
    if (json_array_append_new(summary, entry) != 0) bench_die("no memory for the JSON report");
    return entry;
}

static void add(json_t *summary, const char *name, const json_t *row, const json_t *value)
{
    const double x = json_number_value(value);
    if (!json_is_number(value) || !(x > 0)) return;
    json_t *const entry = entry_of(summary, name);
    const json_int_t rows = json_integer_value(json_object_get(entry, "rows"));
    set(entry, "geometric_mean", json_real(number_of(entry, "geometric_mean") + log(x)));
    set(entry, "rows", json_integer(rows + 1));
    if (rows > 0 && x >= number_of(entry, "worst")) return;
    set(entry, "worst", json_real(x));
    set(entry, "worst_row",
        json_sprintf("%s %s, %.0f thread%s", text_of(row, "shape"), text_of(row, "backend"),
                     number_of(row, "threads"), number_of(row, "threads") == 1 ? "" : "s"));
}

json_t *bench_json_summary(const char *op, const json_t *rows)
{
    json_t *const summary = json_array();
    size_t i, p;
    json_t *row, *peer, *entry;
    json_array_foreach((json_t *)rows, i, row)
    {
        if (strcmp(text_of(row, "op"), op) != 0) continue;
        add(summary, roof_name, row, json_object_get(row, "share_of_roof"));
        const json_t *const naive = json_object_get(row, "peer");
        add(summary, text_of(naive, "name"), row, json_object_get(naive, "ratio"));
        json_array_foreach(json_object_get(row, "peers"), p, peer)
        {
            add(summary, text_of(peer, "name"), row, json_object_get(peer, "ratio"));
        }
    }
    json_array_foreach(summary, i, entry)
    {
        const double mean = number_of(entry, "geometric_mean") / number_of(entry, "rows");
        set(entry, "geometric_mean", json_real(exp(mean)));
    }
    return summary;
}

static void print_value(double x, bool is_share)
{
    if (is_share) {
        printf("%7.0f %%", 100 * x);
    } else {
        printf("%8.2fx", x);
    }
}

void bench_print_summary(const json_t *operations)
{
    const char *name;
    json_t *op, *entry;
    size_t i;
    bool headed = false;
    json_object_foreach((json_t *)operations, name, op)
    {
        json_array_foreach(json_object_get(op, "summary"), i, entry)
        {
            const char *const of = text_of(entry, "of");
            const bool is_share = strcmp(of, roof_name) == 0;
            if (!headed) {
                printf("\ngeometric means and worst rows: the share of the roof, the time of "
                       "others over "
                       "ours\n  %-26s %-20s %4s %9s %9s  %s\n",
                       "operation", "of", "rows", "mean", "worst", "at");
            }
            headed = true;
            printf("  %-26s %-20s %4.0f ", name, of, number_of(entry, "rows"));
            print_value(number_of(entry, "geometric_mean"), is_share);
            printf(" ");
            print_value(number_of(entry, "worst"), is_share);
            printf("  %s\n", text_of(entry, "worst_row"));
        }
    }
}
