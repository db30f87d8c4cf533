// Makes every CUDA runtime call and every allocation of every operation fail once, one at a time. Each
// failure must come back as the right status with a sentence, leave the caller's device current, leak
// nothing and leave the context usable.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault_steps.h"

enum { CALLERS_DEVICE = 1, LAUNCH_FAILURE = 719, INSUFFICIENT_DRIVER = 35, NO_DEVICE = 100 };

// Sanitizers look at what a failure leaves behind: of the many places of one call, a third shows it.
#ifdef __SANITIZE_ADDRESS__
enum { STRIDE = 3 };
#else
enum { STRIDE = 1 };
#endif

static int failures;

static void expect(int condition, const fault_step *s, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void expect(int condition, const fault_step *s, const char *format, ...)
{
    if (condition) return;
    failures++;
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s, %s: ", s->function, s->what);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
}

// Faults ------------------------------------------------------------------------------------------

// Brings a context to where the step can be called.
static void prepare(fault_world *w, const fault_step *s)
{
    w->ctx = NULL;
    fault_set_device(CALLERS_DEVICE);
    if (!s->creates) {
        const merit_status status = fault_create(&w->ctx);
        expect(status == MERIT_STATUS_OK, s, "no context: %s", merit_context_last_error(NULL));
    }
}

static void expect_refusal(fault_world *w, const fault_step *s, merit_status status,
                           merit_status expected, const char *word)
{
    const char *const sentence = merit_context_last_error(s->creates ? NULL : w->ctx);
    expect(status == expected, s, "status is %s, expected %s", merit_status_string(status),
           merit_status_string(expected));
    expect(
        strncmp(sentence, s->function, strlen(s->function)) == 0 && strstr(sentence, word) != NULL,
        s, "the sentence \"%s\" does not begin with the function or lacks \"%s\"", sentence, word);
    expect(!s->creates || w->ctx == NULL, s, "a failed creation left a context");
}

static void recover(fault_world *w, const fault_step *s)
{
    if (!s->creates) fault_reset_workspace(w);
    const merit_status status = s->call(w);
    expect(status == MERIT_STATUS_OK, s, "the call after the fault is %s: %s",
           merit_status_string(status), merit_context_last_error(w->ctx));
    merit_context_destroy(w->ctx);
}

// Fails the runtime calls of a step, one at a time; returns how many there are.
static int fail_calls(fault_world *w, const fault_step *s, int code)
{
    // Operations across ranks make the device current for the gather, and again for the kernel.
    const int visits = strncmp(s->function, "merit_comm_", 11) == 0 ? 2 : 1;
    int not_restored = 0;
    for (uint64_t k = 1;; k += STRIDE) {
        prepare(w, s);
        fault_arm_calls(k, code);
        const merit_status status = s->call(w);
        const uint64_t calls = fault_calls();
        fault_arm_calls(0, 0);
        const int restored = fault_device() == CALLERS_DEVICE;
        if (calls < k) {
            expect(status == MERIT_STATUS_OK, s, "without a fault: %s",
                   merit_status_string(status));
            expect(restored, s, "without a fault, the caller's device is not current");
            merit_context_destroy(w->ctx);
            return (int)calls;
        }
        // The call that gives the caller's device back may itself be the one that fails.
        not_restored += !restored;
        expect(restored || calls == k, s, "fault %llu: the caller's device is not current",
               (unsigned long long)k);
        expect(not_restored <= visits, s, "fault %llu: nobody tried to restore the caller's device",
               (unsigned long long)k);
        expect_refusal(w, s, status, MERIT_STATUS_CUDA_ERROR,
                       code == LAUNCH_FAILURE ? "unspecified launch failure" : "code ");
        fault_set_device(CALLERS_DEVICE);
        recover(w, s);
    }
}

// The same for its allocations.
static int fail_allocations(fault_world *w, const fault_step *s)
{
    for (uint64_t k = 1;; k += STRIDE) {
        prepare(w, s);
        fault_arm_allocations(k);
        const merit_status status = s->call(w);
        const uint64_t allocations = fault_allocations();
        const int64_t live = fault_live_allocations();
        fault_arm_allocations(0);
        if (allocations < k) {
            expect(status == MERIT_STATUS_OK, s, "without a fault: %s",
                   merit_status_string(status));
            expect(live == (s->creates), s, "%lld allocations stay", (long long)live);
            merit_context_destroy(w->ctx);
            expect(fault_live_allocations() == -1, s, "a destroyed context leaves allocations");
            return (int)allocations;
        }
        expect(live == 0, s, "a failed call leaves %lld allocations", (long long)live);
        expect_refusal(w, s, status, MERIT_STATUS_OUT_OF_MEMORY, "memory");
        recover(w, s);
    }
}

// Every operation of the library has a step.
static void expect_every_operation(void)
{
    static const fault_step operations[] = {
#define MERIT_OPERATION(op) {"merit_" #op, "the operation", NULL, 0},
#include "../../kernels/backend_list.h"
#undef MERIT_OPERATION
    };
    // Steps of score_forward beside a library's product: test_score_blas lets that fail.
    static const char *const parts[] = {"merit_score_gather", "merit_score_products"};
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        int found = 0;
        for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
            found += strcmp(parts[k], operations[i].function) == 0;
        }
        const fault_step *s;
        for (int k = 0; (s = fault_step_at(k)) != NULL; k++) {
            found += strcmp(s->function, operations[i].function) == 0;
        }
        expect(found > 0, &operations[i], "no step calls it");
    }
}

int main(void)
{
    expect_every_operation();
    fault_world w;
    fault_fill(&w);
    const fault_step *s;
    int total = 0, steps = 0;
    for (; (s = fault_step_at(steps)) != NULL; steps++) {
        if (fault_num_devices() > 0) {
            const int calls = fail_calls(&w, s, LAUNCH_FAILURE);
            printf("%s, %s: %d runtime calls\n", s->function, s->what, calls);
            expect(calls > 0, s, "it never called the runtime");
            total += calls;
        }
        if (fault_counts_allocations()) {
            const int allocations = fail_allocations(&w, s);
            expect((allocations > 0) == (s->creates), s, "it allocated %d times", allocations);
            total += allocations;
        }
    }
    if (fault_num_devices() > 0) {
        total += fail_calls(&w, fault_step_at(0), INSUFFICIENT_DRIVER);
        total += fail_calls(&w, fault_step_at(0), NO_DEVICE);
    }
    fault_release(&w);
    printf("%d faults in %d steps, %d failures\n", total, steps, failures);
    return failures > 0 || total == 0;
}
