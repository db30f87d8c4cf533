// policy_logprob_merge: one row from the records of all ranks.
#ifndef MERIT_POLICY_LOGPROB_MERGE_H
#define MERIT_POLICY_LOGPROB_MERGE_H

#include "../core/gathered.h"
#include "policy_logprob_row.h"

// Of one rank, tile being its number.
MERIT_HD static inline merit_logprob_sums
merit_logprob_sums_of_shard(const merit_policy_logprob_shard *shard, int32_t p)
{
    merit_logprob_sums s;
    s.sum = shard->sum;
    s.moment = shard->moment;
    s.squares = shard->squares;
    s.exponent = shard->exponent;
    s.tile = p;
    s.max = shard->max;
    return s;
}

MERIT_HD static inline const merit_policy_logprob_shard *
merit_logprob_shard_at(const merit_policy_logprob_merge_args *args, int64_t t, int32_t p)
{
    return (const merit_policy_logprob_shard *)merit_gathered_at(args->io.shards, args->shard_step,
                                                                 p) +
           t;
}

// The segments of rank p in row t.
MERIT_HD static inline void merit_logprob_push_segments(const merit_policy_logprob_merge_args *args,
                                                        int64_t t, int32_t p,
                                                        merit_logprob_stack *stack)
{
    int64_t tiles = p == args->d.num_shards - 1 ? args->last_tiles : args->tiles;
    if (args->sizes != NULL) tiles = merit_gathered_tiles(args->sizes, args->shard_step, p);
    const merit_policy_logprob_segment *const segments =
        (const merit_policy_logprob_segment *)merit_gathered_at(args->io.segments,
                                                                args->segment_step, p) +
        t * tiles;
    for (int64_t i = 0; i < tiles; i++) {
        merit_logprob_segment s;
        s.max = segments[i].max;
        s.sum = segments[i].sum;
        s.moment = segments[i].moment;
        s.squares = segments[i].squares;
        merit_logprob_stack_push(stack, merit_logprob_sums_of(&s, stack->factor, p));
    }
}

// What forward knows of rows, from the same options.
MERIT_HD static inline merit_policy_logprob_forward_args
merit_logprob_merge_whole(const merit_policy_logprob_merge_args *args)
{
    merit_policy_logprob_forward_args whole;
    whole.d = args->d;
    whole.d.vocab_begin = 0;
    whole.d.vocab_size = args->d.vocab_total;
    whole.io.logits = NULL;
    whole.io.targets = args->io.targets;
    whole.io.temperatures = args->io.temperatures;
    whole.io.logprob = args->io.logprob;
    whole.io.lse = args->io.lse;
    whole.io.entropy = args->io.entropy;
    whole.io.sum_sq = args->io.sum_sq;
    whole.io.mass = NULL;
    whole.io.argmax = args->io.argmax;
    whole.io.state = args->io.state;
    whole.io.diagnostics = args->io.diagnostics;
    return whole;
}

MERIT_HD static inline void merit_logprob_merge_row(const merit_policy_logprob_merge_args *args,
                                                    const merit_policy_logprob_forward_args *whole,
                                                    int64_t t)
{
    const merit_logprob_row row = merit_logprob_row_begin(whole, t);
    merit_logprob_stack stack = merit_logprob_stack_empty(row.factor);
    float x = -m_inf32();
    for (int32_t p = 0; p < args->d.num_shards && merit_logprob_row_is_read(&row); p++) {
        const merit_policy_logprob_shard *const shard = merit_logprob_shard_at(args, t, p);
        const float target = shard->target;
        x = (target > x) | m_is_nan32(target) ? target
                                              : x; // chosen, not jumped to: any rank may have it
        if (args->io.segments != NULL) {
            merit_logprob_push_segments(args, t, p, &stack);
        } else {
            merit_logprob_stack_push(&stack, merit_logprob_sums_of_shard(shard, p));
        }
    }
    const merit_logprob_sums all = merit_logprob_stack_finish(&stack);
    const int32_t argmax =
        all.max > -m_inf32() ? merit_logprob_shard_at(args, t, all.tile)->argmax : -1;
    const merit_logprob_results r = merit_logprob_row_finish(&row, &all, &all, argmax, x);
    merit_logprob_row_write(whole, t, &r);
}

#endif
