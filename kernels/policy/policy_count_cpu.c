// policy_count, CPU.
#include "../backend.h"
#include "policy_count.h"
#include "policy_terms_cpu.h"

enum { COUNT_GRAIN_TOKENS = 1 << 18 };

typedef struct count_work {
    const merit_policy_count_args *a;
    merit_policy_counts counts;
} count_work;

static void count_sequences(void *state, int64_t begin, int64_t end)
{
    count_work *const w = state;
    const merit_policy_count_args *const a = w->a;
    merit_policy_counts mine = {0, 0};
    for (int64_t n = begin; n < end; n++) {
        const merit_policy_span span = merit_policy_span_of(&a->layout, n);
        merit_policy_tell(&span, a->io.diagnostics);
        if (span.refusal != MERIT_POLICY_FINE) continue;
        const int64_t valid = policy_count_valid(&span, a->io.mask);
        mine.tokens += valid;
        mine.nonempty_sequences += valid > 0;
    }
    __atomic_fetch_add(&w->counts.tokens, mine.tokens, __ATOMIC_RELAXED);
    __atomic_fetch_add(&w->counts.nonempty_sequences, mine.nonempty_sequences, __ATOMIC_RELAXED);
}

int MERIT_BACKEND_FN(policy_count)(const merit_policy_count_args *args, const merit_launch *launch);

int MERIT_BACKEND_FN(policy_count)(const merit_policy_count_args *args, const merit_launch *launch)
{
    count_work w = {args, {0, 0}};
    const int64_t sequences = args->num_sequences;
    const int64_t per_sequence = sequences > 0 ? args->layout.num_tokens / sequences + 1 : 1;
    const int64_t grain = COUNT_GRAIN_TOKENS / per_sequence + 1;
    merit_parallel_ranges(launch->num_threads, sequences, grain, count_sequences, &w);
    *args->io.counts = w.counts;
    return 0;
}
