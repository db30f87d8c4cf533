// What the ranks of several processes run.
#include "world_operations.h"

const world_operation world_operations[] = {
    {"gather", 5, 0, operation_gather},
    {"comm_fold_moments", 8, 0, operation_fold_moments},
    {"comm_fold_sums", 4, 0, operation_fold_sums},
    {"comm_fold_stats", 2, 0, operation_fold_stats},
    {"comm_gather_rows", 8, 0, operation_gather_rows},
    {"comm_policy_logprob", 6, 0, operation_policy_logprob},
    {"comm_score", 6, 0, operation_score},
    {"comm_score_gradients", 6, 0, operation_score_gradients},
};

const int world_num_operations = (int)(sizeof world_operations / sizeof world_operations[0]);

void world_run_operations(world *w)
{
    for (int i = 0; i < world_num_operations; i++) {
        const world_operation *const operation = &world_operations[i];
        if (operation->cpu_only && (w->on_device || w->emulated)) continue;
        w->doing = operation->name;
        for (int variant = 0; variant < operation->variants; variant++) {
            const uint64_t before = merit_comm_collectives(w->comm);
            operation->run(w, variant);
            const uint64_t made = merit_comm_collectives(w->comm) - before;
            world_expect(w, made == 1, "variant %d made %llu collectives", variant,
                         (unsigned long long)made);
            world_release(w);
        }
    }
}
