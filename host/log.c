#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static merit_log_level chosen_level = MERIT_LOG_OFF;
static pthread_once_t level_once = PTHREAD_ONCE_INIT;

static void read_level(void)
{
    static const char *const names[] = {"off", "error", "info", "debug"};
    const char *const wanted = getenv("MERIT_LOG_LEVEL");
    if (wanted == NULL) return;
    for (int i = 0; i < 4; i++) {
        if (strcmp(wanted, names[i]) == 0) {
            chosen_level = (merit_log_level)i;
            return;
        }
    }
    fprintf(stderr, "merit: MERIT_LOG_LEVEL is \"%s\", expected off, error, info or debug\n",
            wanted);
}

void merit_log(merit_log_level level, const char *format, ...)
{
    pthread_once(&level_once, read_level);
    if (level > chosen_level) return;
    char line[MERIT_ERROR_LENGTH + 64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    fprintf(stderr, "merit: %s\n", line);
}
