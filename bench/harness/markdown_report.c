#include <math.h>
#include <stdio.h>
#include <string.h>

#include "device.h"
#include "report.h"

// The report as Markdown, from its JSON: what an issue or a release note quotes.

static const char *text_of(const json_t *object, const char *key)
{
    const char *const text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void write_environment(FILE *file, const json_t *environment)
{
    const char *key;
    json_t *value;
    fprintf(file, "| environment | |\n|---|---|\n");
    json_object_foreach((json_t *)environment, key, value)
    {
        fprintf(file, "| %s | ", key);
        if (json_is_string(value)) fprintf(file, "%s", json_string_value(value));
        if (json_is_number(value)) fprintf(file, "%g", json_number_value(value));
        if (json_is_boolean(value)) fprintf(file, "%s", json_is_true(value) ? "yes" : "no");
        fprintf(file, " |\n");
    }
}

static void write_roofs(FILE *file, const json_t *roofs)
{
    size_t i;
    json_t *r;
    fprintf(file, "\n| roofs, GB/s | device | threads | read | write | copy | 2R1W | launch, us |\n"
                  "|---|---|---|---|---|---|---|---|\n");
    json_array_foreach((json_t *)roofs, i, r)
    {
        fprintf(file, "| %s | %s | %.0f |", text_of(r, "when"), text_of(r, "device"),
                number_of(r, "threads"));
        for (int t = 0; t < BENCH_NUM_TRAFFIC; t++) {
            const json_t *const roof = json_object_get(r, bench_traffic_name((bench_traffic)t));
            fprintf(file, " %.1f |", 1e-9 * number_of(roof, "bytes_per_s"));
        }
        fprintf(file, " %.2f |\n", 1e6 * number_of(r, "launch_s"));
    }
}

static void write_row(FILE *file, const json_t *row)
{
    fprintf(file, "| %s | %s | %s | %.0f |", text_of(row, "op"), text_of(row, "shape"),
            text_of(row, "backend"), number_of(row, "threads"));
    if (strcmp(text_of(row, "status"), "ok") != 0) {
        fprintf(file, " %s: %s | | | | | | |\n", text_of(row, "status"), text_of(row, "reason"));
        return;
    }
    const json_t *const cold = json_object_get(row, "cold");
    fprintf(file, " %.4g us%s | %.2f | %.0f %% %s | %s |", 1e6 * number_of(cold, "median_s"),
            json_is_true(json_object_get(cold, "ambiguous")) ? " ~" : "",
            1e-9 * number_of(row, "bytes_per_s"), 100 * number_of(row, "share_of_roof"),
            text_of(row, "traffic"), text_of(json_object_get(row, "limit"), "by"));
    const json_t *const peer = json_object_get(row, "peer");
    if (json_is_object(peer)) {
        fprintf(file, " %.1fx |", number_of(peer, "ratio"));
    } else {
        fprintf(file, " - |");
    }
    const json_t *const compare = json_object_get(row, "compare");
    fprintf(file, " %.3f | %.0f | %s |\n", number_of(row, "max_ulp"), number_of(row, "equal_bits"),
            compare != NULL ? text_of(compare, "verdict") : "");
}

static void write_peers(FILE *file, const json_t *row, bool *headed)
{
    size_t i;
    json_t *peer;
    json_array_foreach(json_object_get(row, "peers"), i, peer)
    {
        const json_t *const time = json_object_get(peer, "time");
        if (!*headed) {
            fprintf(file,
                    "\n| operation | point | backend | other library | computes | cold | over "
                    "ours | ulp | error |\n|---|---|---|---|---|---|---|---|---|\n");
        }
        *headed = true;
        fprintf(file, "| %s | %s | %s | %s %s | %s |", text_of(row, "op"), text_of(row, "shape"),
                text_of(row, "backend"), text_of(peer, "name"), text_of(peer, "version"),
                text_of(peer, "computes"));
        if (time == NULL) {
            fprintf(file, " skipped: %s | | | |\n", text_of(peer, "reason"));
            continue;
        }
        fprintf(file, " %.4g us%s |", 1e6 * number_of(time, "median_s"),
                json_is_true(json_object_get(time, "ambiguous")) ? " ~" : "");
        if (json_is_number(json_object_get(peer, "ratio"))) {
            fprintf(file, " %.2fx |", number_of(peer, "ratio"));
        } else {
            fprintf(file, " other work |");
        }
        fprintf(file, " %.3g | %.2g |\n", number_of(peer, "max_ulp"),
                number_of(peer, "max_abs_error"));
    }
}

bool bench_write_markdown(FILE *file, const json_t *report)
{
    size_t i;
    json_t *row;
    write_environment(file, json_object_get(report, "environment"));
    write_roofs(file, json_object_get(report, "roofs"));
    fprintf(
        file,
        "\n| operation | point | backend | threads | cold | GB/s | roof | limit | naive | ulp | "
        "equal bits | verdict |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    json_array_foreach(json_object_get(report, "rows"), i, row)
    {
        write_row(file, row);
    }
    bool headed = false;
    json_array_foreach(json_object_get(report, "rows"), i, row)
    {
        write_peers(file, row, &headed);
    }
    return ferror(file) == 0;
}
