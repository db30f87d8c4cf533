#include "verify_report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"

// Table -------------------------------------------------------------------------------------------

static int case_width;

void report_width(int width)
{
    case_width = width;
}

void report_header(FILE *out)
{
    fprintf(out, "%-*s %-18s %-7s %-24s %9s %11s %8s %9s  %s\n", case_width, "case", "operation",
            "backend", "output", "elements", "abs error", "ulp", "bits", "verdict");
}

static void ulp_text(uint64_t ulp, char text[24])
{
    if (ulp == UINT64_MAX) {
        snprintf(text, 24, "nan");
    } else {
        snprintf(text, 24, "%" PRIu64, ulp);
    }
}

static void print_element(FILE *out, const char *which, int64_t i, st_dtype dtype,
                          uint64_t expected, uint64_t actual)
{
    char wanted[64], got[64];
    number_text(dtype, expected, wanted, sizeof wanted);
    number_text(dtype, actual, got, sizeof got);
    fprintf(out, "    %s index %" PRId64 ": expected %s, got %s\n", which, i, wanted, got);
}

static void print_row(FILE *out, const char *path, const case_file *c, const case_backend *backend,
                      const case_row *row)
{
    const compare_result *const r = &row->result;
    fprintf(out, "%-*s %-18s %-7s %-24s ", case_width, path, c->op->name, backend->name,
            row->output);
    if (row->compared) {
        char ulp[24];
        ulp_text(r->worst_ulp, ulp);
        fprintf(out, "%9" PRId64 " %11.3g %8s %9" PRIu64, r->elements, r->worst_error,
                number_is_float(row->dtype) ? ulp : "-", r->differing_bits);
    } else {
        fprintf(out, "%9s %11s %8s %9s", "-", "-", "-", "-");
    }
    fprintf(out, "  %s\n", case_verdict_name(row->verdict));
    if (row->verdict != CASE_FAILS) return;
    if (row->text[0] != '\0') fprintf(out, "    %s%s\n", row->compared ? "wanted " : "", row->text);
    if (!row->compared || r->failing == 0) return;
    fprintf(out, "    %" PRId64 " of %" PRId64 " elements fall short\n", r->failing, r->elements);
    print_element(out, "first", r->first, row->dtype, r->first_expected, r->first_actual);
    print_element(out, "worst", r->worst, row->dtype, r->worst_expected, r->worst_actual);
}

void report_table(FILE *out, const char *path, const case_file *c, const case_backend *backend,
                  const case_report *report)
{
    for (int i = 0; i < report->num_rows; i++) {
        print_row(out, path, c, backend, &report->rows[i]);
    }
}

// JSON --------------------------------------------------------------------------------------------

json_t *report_string(const char *text)
{
    json_t *const good = json_string(text);
    if (good != NULL) return good;
    char *const plain = strdup(text);
    for (char *c = plain; c != NULL && *c != '\0'; c++) {
        if ((unsigned char)*c >= 0x80) *c = '?';
    }
    json_t *const replaced = json_string(plain);
    free(plain);
    return replaced;
}

static json_t *real(double value)
{
    if (isnan(value)) return json_string("nan");
    if (isinf(value)) return json_string(value > 0 ? "inf" : "-inf");
    return json_real(value);
}

static json_t *element(int64_t i, st_dtype dtype, uint64_t expected, uint64_t actual)
{
    char wanted[64], got[64];
    number_text(dtype, expected, wanted, sizeof wanted);
    number_text(dtype, actual, got, sizeof got);
    return json_pack("{s:I, s:s, s:s}", "index", (json_int_t)i, "expected", wanted, "actual", got);
}

static json_t *row_json(const char *path, const case_file *c, const case_backend *backend,
                        const case_row *row)
{
    const compare_result *const r = &row->result;
    json_t *const object = json_pack("{s:o, s:s, s:s, s:s, s:s}", "case", report_string(path),
                                     "operation", c->op->name, "backend", backend->name, "output",
                                     row->output, "verdict", case_verdict_name(row->verdict));
    if (row->text[0] != '\0') {
        json_object_set_new(object, row->compared ? "rule" : "reason", report_string(row->text));
    }
    if (!row->compared) return object;
    const bool nan = r->worst_ulp == UINT64_MAX;
    json_object_set_new(object, "dtype", json_string(st_dtype_name(row->dtype)));
    json_object_set_new(object, "elements", json_integer((json_int_t)r->elements));
    json_object_set_new(object, "worst_abs_error", real(r->worst_error));
    json_object_set_new(object, "worst_ulp",
                        nan ? json_string("nan") : json_integer((json_int_t)r->worst_ulp));
    json_object_set_new(object, "differing_bits", json_integer((json_int_t)r->differing_bits));
    json_object_set_new(object, "differing_elements", json_integer((json_int_t)r->differing));
    json_object_set_new(object, "failing_elements", json_integer((json_int_t)r->failing));
    if (r->failing == 0) return object;
    json_object_set_new(object, "first",
                        element(r->first, row->dtype, r->first_expected, r->first_actual));
    json_object_set_new(object, "worst",
                        element(r->worst, row->dtype, r->worst_expected, r->worst_actual));
    return object;
}

void report_json(json_t *rows, const char *path, const case_file *c, const case_backend *backend,
                 const case_report *report)
{
    for (int i = 0; i < report->num_rows; i++) {
        json_array_append_new(rows, row_json(path, c, backend, &report->rows[i]));
    }
}
