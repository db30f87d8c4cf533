// The losses of published stacks, written down as their sources have them, in long double.
#ifndef MERIT_TESTS_POLICY_STACKS_H
#define MERIT_TESTS_POLICY_STACKS_H

#include <stdint.h>

enum { STACK_ROWS = 4, STACK_LENGTH = 6, STACK_TOKENS = STACK_ROWS * STACK_LENGTH };

// What a formula sees: rows of tokens. lp moves; now is where it stands, for what is detached.
typedef struct stack_batch {
    const double *lp, *now; // [STACK_TOKENS]
    const float *old, *ref, *rollout;
    const float *A; // [STACK_ROWS]
    const uint8_t *mask, *mode;
} stack_batch;

typedef long double stack_token(const stack_batch *b, int row, int token);

typedef enum stack_mean {
    STACK_GLOBAL_TOKENS,
    STACK_ALL_ROWS,
    STACK_NONEMPTY_ROWS,
    STACK_CONSTANT
} stack_mean;

// A preset of policy_loss, its loss of a token and what it is divided by.
typedef struct policy_stack {
    const char *preset;
    stack_token *loss;
    stack_mean kind;
} policy_stack;

const policy_stack *policy_stack_at(int i); // NULL past the last

long double policy_stack_loss(const policy_stack *stack, const stack_batch *b);
double policy_stack_denominator(const policy_stack *stack, const stack_batch *b);

#endif
