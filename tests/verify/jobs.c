#include "jobs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

// Process w takes the tasks w, w + processes, ... and writes one line each into its pipe, after an empty
// one for a good start or a sentence for a bad one.
typedef struct worker {
    pid_t pid;
    FILE *lines;
} worker;

static void write_line(FILE *out, const char *text)
{
    fprintf(out, "%s\n", text);
    fflush(out);
}

static _Noreturn void work_in_child(const job_plan *plan, void *context, int first, FILE *out)
{
    case_error error = {.text = ""};
    const bool good = plan->start(context, first, &error);
    write_line(out, error.text);
    for (int i = first; good && i < plan->count; i += plan->processes) {
        char *const result = plan->work(context, i);
        if (result == NULL) break;
        write_line(out, result);
        free(result);
    }
    _exit(0);
}

static bool open_worker(worker *w, const job_plan *plan, void *context, int first,
                        case_error *error)
{
    int ends[2];
    if (pipe(ends) != 0) return case_fail(error, "no pipe: %s", strerror(errno));
    fflush(NULL); // what is buffered here must not be printed twice
    w->pid = fork();
    if (w->pid == 0) {
        close(ends[0]);
        FILE *const out = fdopen(ends[1], "w");
        if (out == NULL) _exit(1);
        work_in_child(plan, context, first, out);
    }
    close(ends[1]);
    w->lines = w->pid > 0 ? fdopen(ends[0], "r") : NULL;
    if (w->lines != NULL) return true;
    close(ends[0]);
    return case_fail(error, "no process: %s", strerror(errno));
}

// Waits for the process, and says how it ended.
static void close_worker(worker *w, case_error *end)
{
    int status = 0;
    if (w->lines == NULL) return;
    fclose(w->lines); // a process that still writes gets SIGPIPE
    w->lines = NULL;
    while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status)) {
        case_fail(end, "its process was ended by signal %d (%s)", WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
    } else {
        case_fail(end, "its process ended early, with status %d", WEXITSTATUS(status));
    }
}

// The next line without its end, NULL at the end.
static char *read_line(worker *w)
{
    char *line = NULL;
    size_t size = 0;
    const ssize_t length = getline(&line, &size, w->lines);
    if (length <= 0 || line[length - 1] != '\n') {
        free(line);
        return NULL;
    }
    line[length - 1] = '\0';
    return line;
}

static bool start_worker(worker *w, const job_plan *plan, void *context, int first,
                         case_error *error)
{
    if (!open_worker(w, plan, context, first, error)) return false;
    char *const line = read_line(w);
    if (line == NULL) {
        close_worker(w, error);
        return false;
    }
    const bool good = line[0] == '\0';
    if (!good) case_fail(error, "%s", line);
    free(line);
    return good;
}

static bool collect(const job_plan *plan, void *context, worker *workers, case_error *error)
{
    for (int w = 0; w < plan->processes; w++) {
        if (!start_worker(&workers[w], plan, context, w, error)) return false;
    }
    for (int i = 0; i < plan->count; i++) {
        worker *const w = &workers[i % plan->processes];
        char *const line = read_line(w);
        case_error end = {.text = ""};
        if (line == NULL) close_worker(w, &end);
        plan->take(context, i, line, end.text);
        const int next = i + plan->processes;
        const bool goes_on =
            line != NULL || next >= plan->count || start_worker(w, plan, context, next, error);
        free(line);
        if (!goes_on) return false;
    }
    return true;
}

static bool run_here(const job_plan *plan, void *context, case_error *error)
{
    if (!plan->start(context, 0, error)) return false;
    for (int i = 0; i < plan->count; i++) {
        char *const result = plan->work(context, i);
        plan->take(context, i, result, "no memory");
        free(result);
    }
    return true;
}

bool jobs_run(const job_plan *plan, void *context, case_error *error)
{
    if (plan->processes <= 1) return run_here(plan, context, error);
    worker *const workers = calloc((size_t)plan->processes, sizeof *workers);
    if (workers == NULL) return case_fail(error, "no memory for %d processes", plan->processes);
    const bool good = collect(plan, context, workers, error);
    for (int w = 0; w < plan->processes; w++) {
        case_error end;
        close_worker(&workers[w], &end);
    }
    free(workers);
    return good;
}
