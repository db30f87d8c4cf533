#include "case_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void write_at(case_error *error, size_t used, const char *format, va_list list)
{
    vsnprintf(error->text + used, sizeof error->text - used, format, list);
    for (unsigned char *c = (unsigned char *)error->text + used; *c != '\0'; c++) {
        if (*c < 0x20 || *c == 0x7f) *c = '?';
    }
}

bool case_fail(case_error *error, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    write_at(error, 0, format, list);
    va_end(list);
    return false;
}

void case_append(case_error *error, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    write_at(error, strlen(error->text), format, list);
    va_end(list);
}
