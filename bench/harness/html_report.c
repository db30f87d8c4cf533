#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "report.h"

extern const char bench_report_page[]; // report_page.html

static const char mark[] = "@REPORT@";

// JSON inside a <script>, where "</script" and "<!--" have meanings: "<" occurs in strings alone.
static bool write_json_text(FILE *file, const json_t *report)
{
    char *const text = json_dumps(report, JSON_COMPACT);
    if (text == NULL) bench_die("no memory for the report");
    bool good = true;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '<') {
            good &= fputs("\\u003c", file) >= 0;
        } else {
            good &= fputc(*c, file) != EOF;
        }
    }
    free(text);
    return good;
}

bool bench_write_html(FILE *file, const json_t *report)
{
    const char *const at = strstr(bench_report_page, mark);
    if (at == NULL) bench_die("the page has no place for the report");
    const size_t before = (size_t)(at - bench_report_page);
    return fwrite(bench_report_page, 1, before, file) == before && write_json_text(file, report) &&
           fputs(at + strlen(mark), file) >= 0;
}
