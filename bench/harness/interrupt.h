// Ctrl-C: a run ends early and still reports what was measured.
#ifndef MERIT_BENCH_INTERRUPT_H
#define MERIT_BENCH_INTERRUPT_H

#include <stdbool.h>

// From here on the first SIGINT or SIGTERM is remembered; a second one ends the program.
void bench_catch_interrupts(void);

bool bench_interrupted(void);

#endif
