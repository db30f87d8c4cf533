// Spreads tasks over processes, so that a task that crashes takes no other one with it.
#ifndef MERIT_VERIFY_JOBS_H
#define MERIT_VERIFY_JOBS_H

#include "case_error.h"

typedef struct job_plan {
    int count; // tasks 0 .. count - 1
    int processes; // 1: the calling one does all
    // In each process before its first task. False with a sentence ends everything.
    bool (*start)(void *context, int first, case_error *error);
    // Task i: its result as a line of text to be freed, NULL when there is no memory.
    char *(*work)(void *context, int i);
    // In the calling process and in order. A result of NULL: `end` says what became of the task.
    void (*take)(void *context, int i, const char *result, const char *end);
} job_plan;

bool jobs_run(const job_plan *plan, void *context, case_error *error);

#endif
