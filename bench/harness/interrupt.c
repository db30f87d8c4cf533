#include "interrupt.h"

#include <signal.h>

static volatile sig_atomic_t caught;

static void remember(int signal)
{
    (void)signal;
    caught = 1;
}

void bench_catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = remember, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool bench_interrupted(void)
{
    return caught != 0;
}
