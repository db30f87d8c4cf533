// Feeds bytes to the reader of cases, and runs what it accepts. The entry is libFuzzer's:
//
//   clang -fsanitize=fuzzer,address ... fuzz_case.c case_*.c ...
//
// fuzz_main.c drives it with any compiler.
#include <stdlib.h>

#include "case_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Small: an accepted case is to take microseconds.
enum { EXTRA_BYTES = 1 << 16 };

static case_backend *backend(void)
{
    static case_backend one;
    static int count;
    case_error skipped, error;
    if (count == 0 && !case_backends_open("cpu", &one, &count, &skipped, &error)) abort();
    return &one;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    // Exactly as long as it is said to be, so that a read beyond the end is seen.
    uint8_t *const copy = malloc(size > 0 ? size : 1);
    case_file *const c = malloc(sizeof *c);
    case_report *const report = malloc(sizeof *report);
    case_error error = {.text = ""};
    if (copy == NULL || c == NULL || report == NULL) abort();
    for (size_t i = 0; i < size; i++) {
        copy[i] = data[i];
    }
    int accepted = 0;
    if (case_parse(c, copy, size, EXTRA_BYTES, &error)) {
        if (case_run(c, backend(), report, &error)) {
            accepted = 1;
            case_report_free(report);
        }
        case_free(c);
    }
    if (!accepted && error.text[0] == '\0') abort(); // refused without a reason
    free(report);
    free(c);
    free(copy);
    return 0;
}
