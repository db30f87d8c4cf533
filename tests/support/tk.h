// What every test uses: one body that runs on each backend, memory of the backend with guard zones,
// comparisons that NaN fails, random numbers.
//
// TK_TEST(advantage_group, equal_rewards_give_zero) { ... tk->ctx ... } makes the Criterion tests
// advantage_group_cpu/..., advantage_group_simt/... and advantage_group_cuda/... of one body:
//
//   cpu   the body once per CPU backend that runs here, each with another number of threads
//   simt  the body on the widest CPU backend, then on the emulated CUDA backend, once per seed
//   cuda  the body on the widest CPU backend, then on the GPU
//
// Everything that tk_read brings back in the first run is kept, and every later run must read back
// the same bits in the same order. So a body may choose sizes by tk->kind, never by the backend.
#ifndef MERIT_TESTS_TK_H
#define MERIT_TESTS_TK_H

#include <criterion/criterion.h>
#include <merit/merit.h>

#ifdef __cplusplus
extern "C" {
#endif

// Sanitizers look at accesses: of what a test repeats for the sake of numbers, a quarter shows them all.
#ifdef __SANITIZE_ADDRESS__
enum { TK_RARER = 4 };
#else
enum { TK_RARER = 1 };
#endif

typedef enum tk_kind { TK_CPU, TK_SIMT, TK_CUDA } tk_kind;

typedef struct tk_fixture {
    merit_context *ctx;
    tk_kind kind; // which of the three tests this is
    int on_device; // arrays live in device memory
    int emulated; // this run is one on the emulator
    int is_first_run; // later runs only have to repeat its bits: compare with oracles here
    int shift; // elements by which arrays are moved off their 256-byte boundary; default 0
    struct tk_memory *memory;
    struct tk_journal *journal;
} tk_fixture;

typedef void tk_body(tk_fixture *tk);

#define TK_TEST(suite, name)                    \
    static tk_body suite##_##name##_body;       \
    Test(suite##_cpu, name)                     \
    {                                           \
        tk_run(TK_CPU, suite##_##name##_body);  \
    }                                           \
    Test(suite##_simt, name)                    \
    {                                           \
        tk_run(TK_SIMT, suite##_##name##_body); \
    }                                           \
    Test(suite##_cuda, name)                    \
    {                                           \
        tk_run(TK_CUDA, suite##_##name##_body); \
    }                                           \
    static void suite##_##name##_body(tk_fixture *tk)

void tk_run(tk_kind kind, tk_body *body);

// A context on the same backend with another number of threads; destroyed by the caller.
merit_context *tk_context(tk_fixture *tk, int num_threads);

// Kernel launches since the last call, on the emulator; -1 on other backends.
int tk_launches(tk_fixture *tk);

// Memory ------------------------------------------------------------------------------------------
//
// All blocks live until tk_release. It checks that no byte around any block changed, nor any byte
// of an input.

// count elements of `size` bytes, copied from data. NULL gives NULL.
const void *tk_input(tk_fixture *tk, const void *data, int64_t count, size_t size);

// An array the call reads and writes.
void *tk_inout(tk_fixture *tk, const void *data, int64_t count, size_t size);

// An array filled with TK_GUARD.
void *tk_output(tk_fixture *tk, int64_t count, size_t size);

// Scratch that merit_workspace_init has seen; NULL for 0 bytes. Not shifted.
void *tk_workspace(tk_fixture *tk, size_t bytes);

// Copies a block back and compares it with what the first run read here.
void tk_read(tk_fixture *tk, const void *block, void *host, int64_t count, size_t size);

// Overwrites a block.
void tk_write(tk_fixture *tk, void *block, const void *host, int64_t count, size_t size);

void tk_release(tk_fixture *tk);

enum { TK_GUARD = 0xa5 };

// 1 when all bytes are TK_GUARD: the call left the array alone.
int tk_untouched(const void *host, int64_t count, size_t size);

// Expectations ------------------------------------------------------------------------------------

// What follows is about this: printed with every failure of the run.
void tk_case(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Records a failure and goes on; ends the test after some twenty.
void tk_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define TK_EXPECT(condition, ...)                                   \
    do {                                                            \
        if (!(condition)) tk_fail(__FILE__, __LINE__, __VA_ARGS__); \
    } while (0)

// NaN matches NaN and infinities match themselves; else !(error <= atol + rtol * abs(expected))
// fails, with index, both values and the limit.
#define tk_expect_close(actual, expected, n, atol, rtol) \
    tk_expect_close_at(__FILE__, __LINE__, #actual, actual, expected, n, atol, rtol)

// As above with one limit per element.
#define tk_expect_within(actual, expected, limits, n) \
    tk_expect_within_at(__FILE__, __LINE__, #actual, actual, expected, limits, n)

#define tk_expect_bits(actual, expected, count, size) \
    tk_expect_bits_at(__FILE__, __LINE__, #actual, actual, expected, count, size)

// The status, and each word of `words` (separated by '|') in the last error of the context.
#define tk_expect_rejected(ctx, status, expected, words) \
    tk_expect_rejected_at(__FILE__, __LINE__, ctx, status, expected, words)

#define tk_expect_ok(ctx, status) tk_expect_rejected(ctx, status, MERIT_STATUS_OK, NULL)

void tk_expect_close_at(const char *file, int line, const char *name, const double *actual,
                        const double *expected, int64_t n, double atol, double rtol);
void tk_expect_within_at(const char *file, int line, const char *name, const double *actual,
                         const double *expected, const double *limits, int64_t n);
void tk_expect_bits_at(const char *file, int line, const char *name, const void *actual,
                       const void *expected, int64_t count, size_t size);
void tk_expect_rejected_at(const char *file, int line, merit_context *ctx, merit_status status,
                           merit_status expected, const char *words);

// Distance from a to the next larger magnitude in binary32 (binary64); the smallest step at 0.
double tk_ulp32(double a);
double tk_ulp64(double a);

// Random numbers ----------------------------------------------------------------------------------

// splitmix64 (Steele, Lea, Flood 2014). Set the state to any seed.
typedef struct tk_random {
    uint64_t state;
} tk_random;

uint64_t tk_bits(tk_random *random);
int64_t tk_below(tk_random *random, int64_t n); // 0 .. n - 1
double tk_uniform(tk_random *random); // [0, 1)
double tk_normal(tk_random *random);
int tk_chance(tk_random *random, double probability);

#ifdef __cplusplus
}
#endif

#endif
