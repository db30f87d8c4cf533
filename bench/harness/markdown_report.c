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

// A cell: a bar or the end of a line would end it.
static void write_text(FILE *file, const char *text)
{
    fputc(' ', file);
    for (; *text != '\0'; text++) {
        if (*text == '|') fputc('\\', file);
        fputc(*text == '\n' ? ' ' : *text, file);
    }
    fputs(" |", file);
}

// Microseconds.
static void write_time(FILE *file, const json_t *time)
{
    if (!json_is_object(time)) {
        fputs(" - |", file);
        return;
    }
    fprintf(file, " %.4g us%s |", 1e6 * number_of(time, "median_s"),
            json_is_true(json_object_get(time, "ambiguous")) ? " ~" : "");
}

static void write_environment(FILE *file, const json_t *environment)
{
    const char *key;
    json_t *value;
    fprintf(file, "| environment | |\n|---|---|\n");
    json_object_foreach((json_t *)environment, key, value)
    {
        fprintf(file, "| %s |", key);
        if (json_is_string(value)) write_text(file, json_string_value(value));
        if (json_is_real(value)) fprintf(file, " %.4g |", json_real_value(value));
        if (json_is_integer(value)) fprintf(file, " %lld |", (long long)json_integer_value(value));
        if (json_is_boolean(value)) fprintf(file, " %s |", json_is_true(value) ? "yes" : "no");
        fputc('\n', file);
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

static void write_summary(FILE *file, const json_t *operations)
{
    const char *name;
    json_t *op, *entry;
    size_t i;
    fprintf(file,
            "\n| geometric means | of | rows | mean | worst | at |\n|---|---|---|---|---|---|\n");
    json_object_foreach((json_t *)operations, name, op)
    {
        json_array_foreach(json_object_get(op, "summary"), i, entry)
        {
            const bool is_share = strcmp(text_of(entry, "of"), "roof") == 0;
            const double mean = number_of(entry, "geometric_mean"),
                         worst = number_of(entry, "worst");
            fputc('|', file);
            write_text(file, name);
            write_text(file, text_of(entry, "of"));
            fprintf(file, is_share ? " %.0f | %.0f %% | %.0f %% |" : " %.0f | %.2fx | %.2fx |",
                    number_of(entry, "rows"), is_share ? 100 * mean : mean,
                    is_share ? 100 * worst : worst);
            write_text(file, text_of(entry, "worst_row"));
            fputc('\n', file);
        }
    }
}

static const char *const columns[] = {
    "operation", "point",    "backend",   "threads",    "cold",   "95 % interval", "hot",
    "items/s",   "GB/s",     "roof",      "limit",      "naive",  "ulp",           "equal bits",
    "alloc",     "launches", "host call", "graph node", "verdict"};
enum { NUM_COLUMNS = sizeof columns / sizeof columns[0] };

static void write_head(FILE *file)
{
    fputs("\n|", file);
    for (int i = 0; i < NUM_COLUMNS; i++)
        write_text(file, columns[i]);
    fputs("\n|", file);
    for (int i = 0; i < NUM_COLUMNS; i++)
        fputs("---|", file);
    fputc('\n', file);
}

static void write_rates(FILE *file, const json_t *row)
{
    fprintf(file, " %.4g | %.2f |", number_of(row, "items_per_s"),
            1e-9 * number_of(row, "bytes_per_s"));
    if (!json_is_number(json_object_get(row, "share_of_roof"))) {
        fputs(" - | - |", file);
        return;
    }
    const json_t *const limit = json_object_get(row, "limit");
    fprintf(file, " %.0f %% %s | %s %.4g us |", 100 * number_of(row, "share_of_roof"),
            text_of(row, "traffic"), text_of(limit, "by"), 1e6 * number_of(limit, "seconds"));
}

static void write_results(FILE *file, const json_t *row)
{
    const json_t *const cold = json_object_get(row, "cold");
    write_time(file, cold);
    if (json_is_number(json_object_get(cold, "ci_low_s"))) {
        fprintf(file, " %.4g .. %.4g us |", 1e6 * number_of(cold, "ci_low_s"),
                1e6 * number_of(cold, "ci_high_s"));
    } else {
        fputs(" - |", file);
    }
    write_time(file, json_object_get(row, "hot"));
    write_rates(file, row);
    const json_t *const peer = json_object_get(row, "peer");
    if (json_is_object(peer)) {
        fprintf(file, " %.1fx |", number_of(peer, "ratio"));
    } else {
        fputs(" - |", file);
    }
    fprintf(file, " %.3f | %.0f | %.0f |", number_of(row, "max_ulp"), number_of(row, "equal_bits"),
            number_of(row, "allocations"));
    if (json_is_integer(json_object_get(row, "launches"))) {
        fprintf(file, " %.0f |", number_of(row, "launches"));
    } else {
        fputs(" - |", file);
    }
    write_time(file, json_object_get(row, "host_call"));
    if (json_is_number(json_object_get(row, "graph_node_s"))) {
        fprintf(file, " %.4g us |", 1e6 * number_of(row, "graph_node_s"));
    } else {
        fputs(" - |", file);
    }
    write_text(file, text_of(json_object_get(row, "compare"), "verdict"));
}

static void write_row(FILE *file, const json_t *row)
{
    fputc('|', file);
    write_text(file, text_of(row, "op"));
    write_text(file, text_of(row, "shape"));
    write_text(file, text_of(row, "backend"));
    fprintf(file, " %.0f |", number_of(row, "threads"));
    if (strcmp(text_of(row, "status"), "ok") == 0) {
        write_results(file, row);
    } else {
        fprintf(file, " **%s**:", text_of(row, "status"));
        write_text(file, text_of(row, "reason"));
        for (int i = 5; i < NUM_COLUMNS; i++)
            fputs(" |", file);
    }
    fputc('\n', file);
}

static void write_models(FILE *file, const json_t *operations)
{
    const char *name;
    json_t *op;
    fprintf(file, "\n| operation | item | bytes |\n|---|---|---|\n");
    json_object_foreach((json_t *)operations, name, op)
    {
        fputc('|', file);
        write_text(file, name);
        write_text(file, text_of(op, "item"));
        write_text(file, text_of(op, "model"));
        fputc('\n', file);
    }
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
                    "ours | ulp | error | beyond our limits |\n"
                    "|---|---|---|---|---|---|---|---|---|---|\n");
        }
        *headed = true;
        fputc('|', file);
        write_text(file, text_of(row, "op"));
        write_text(file, text_of(row, "shape"));
        write_text(file, text_of(row, "backend"));
        fprintf(file, " %s", text_of(peer, "name"));
        write_text(file, text_of(peer, "version"));
        write_text(file, text_of(peer, "computes"));
        if (time == NULL) {
            fputs(" skipped:", file);
            write_text(file, text_of(peer, "reason"));
            fputs(" | | | |\n", file);
            continue;
        }
        write_time(file, time);
        if (json_is_number(json_object_get(peer, "ratio"))) {
            fprintf(file, " %.2fx |", number_of(peer, "ratio"));
        } else {
            fprintf(file, " other work |");
        }
        fprintf(file, " %.3g | %.2g |", number_of(peer, "max_ulp"),
                number_of(peer, "max_abs_error"));
        write_text(file, text_of(peer, "beyond_limits"));
        fputc('\n', file);
    }
}

bool bench_write_markdown(FILE *file, const json_t *report)
{
    size_t i;
    json_t *row;
    write_environment(file, json_object_get(report, "environment"));
    write_roofs(file, json_object_get(report, "roofs"));
    write_models(file, json_object_get(report, "operations"));
    write_summary(file, json_object_get(report, "operations"));
    write_head(file);
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
