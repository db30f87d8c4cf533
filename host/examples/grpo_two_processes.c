// One step of GRPO on two processes, with the bits of one.
//
// Each process has sampled and scored half of the rollouts of every prompt, and holds part of the columns of
// the output layer (tensor parallel). Messages go through an all-gather of this file, over shared memory;
// with merit_comm_create_nccl or merit_comm_create_mpi in its place nothing else changes.
//
//   samples      gathered: a group of rollouts lies on both processes
//   advantages   of all rollouts, on each process
//   log-probs    each process reads its columns of the logits; the records are gathered and merged
//   loss         of all rollouts, over the valid tokens of all: D is not that of one process
//   gradient     each process writes its columns
//
// step() takes any communicator. Each process runs it with the other, then alone with a communicator of
// one rank on everything, and compares.
#include <merit/merit.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PROCESSES = 2,
    GROUPS = 3,
    PER_GROUP = 4, // rollouts of a prompt
    ROLLOUTS = GROUPS * PER_GROUP,
    LENGTH = 5, // tokens of a rollout, at most
    TOKENS = ROLLOUTS * LENGTH,
    VOCAB = 5000 // cut at a multiple of 2048: 4096 columns and 904
};

// The batch, as sampling and the model would leave it -------------------------------------------------

// What the process that made a rollout knows of it. Rollout i answers prompt i mod GROUPS.
typedef struct rollout {
    float reward;
    int32_t length;
    int32_t tokens[LENGTH]; // sampled ids
    float old[LENGTH]; // their log-probs under the policy that sampled
} rollout;

static rollout sample(int i)
{
    rollout r = {.reward = (float)(i * 7 % 5) / 4.0f, .length = 2 + i % 4};
    for (int t = 0; t < r.length; t++) {
        r.tokens[t] = (i * LENGTH + t) * 761 % VOCAB;
        r.old[t] = -9.5f - 0.125f * (float)(t + i % 3);
    }
    return r;
}

static float logit(int token, int v)
{
    const uint32_t hash = ((uint32_t)token * 8191u + (uint32_t)v) * 2654435761u;
    return (float)(hash >> 8) / 2097152.0f - 4.0f;
}

// The all-gather -----------------------------------------------------------------------------------

typedef struct shared {
    pthread_barrier_t barrier;
    unsigned char messages[PROCESSES][1 << 16];
} shared;

typedef struct seat {
    shared *memory;
    int rank;
} seat;

static int all_gather(void *user, const void *send, void *receive, size_t bytes,
                      merit_stream stream)
{
    const seat *const s = user;
    (void)stream; // the CPU backend has none
    if (bytes > sizeof s->memory->messages[0]) return 1;
    memcpy(s->memory->messages[s->rank], send, bytes);
    pthread_barrier_wait(&s->memory->barrier); // all have sent
    for (int i = 0; i < PROCESSES; i++) {
        memcpy((unsigned char *)receive + (size_t)i * bytes, s->memory->messages[i], bytes);
    }
    pthread_barrier_wait(&s->memory->barrier); // all have received: the messages may change
    return 0;
}

// The step -----------------------------------------------------------------------------------------

typedef struct process {
    merit_context *ctx;
    merit_comm *comm;
    int begin, end; // columns of the logits
    float *logits; // [TOKENS, end - begin]; the gradient afterwards
    rollout rollouts[ROLLOUTS]; // of all processes
    float advantages[ROLLOUTS];
    uint8_t mask[TOKENS];
    int64_t targets[TOKENS];
    float old[TOKENS], logprob[TOKENS], grad_logprob[TOKENS];
    double loss;
} process;

static void check(merit_context *ctx, merit_status status)
{
    if (status == MERIT_STATUS_OK) return;
    fprintf(stderr, "%s: %s\n", merit_status_string(status), merit_context_last_error(ctx));
    exit(1);
}

// Memory of the CPU backend, zeroed; a CUDA program uses cudaMalloc.
static void *room(const process *p, size_t bytes)
{
    void *const memory = aligned_alloc(256, (bytes + 256) / 256 * 256);
    if (memory == NULL) exit(1);
    check(p->ctx, merit_workspace_init(p->ctx, memory, bytes, NULL));
    return memory;
}

// A process made ROLLOUTS / ranks of them; afterwards it has all, in rank order.
static void gather_rollouts(process *p)
{
    const int count = ROLLOUTS / merit_comm_size(p->comm);
    rollout own[ROLLOUTS];
    for (int i = 0; i < count; i++) {
        own[i] = sample(merit_comm_rank(p->comm) * count + i);
    }
    merit_comm_gather_rows_desc d;
    check(NULL, merit_comm_gather_rows_desc_init(&d, sizeof d));
    d.num_rows = count;
    d.row_bytes[0] = sizeof *own;
    const merit_comm_gather_rows_io io = {
        .struct_size = sizeof io, .local = {own}, .gathered = {p->rollouts}};
    size_t bytes;
    check(p->ctx, merit_comm_gather_rows_workspace(p->ctx, p->comm, &d, &bytes));
    void *const messages = room(p, bytes);
    check(p->ctx, merit_comm_gather_rows(p->ctx, p->comm, &d, &io, messages, bytes, NULL));
    free(messages);
}

static void take_advantages(process *p)
{
    float rewards[ROLLOUTS];
    int64_t offsets[GROUPS + 1];
    int32_t index[ROLLOUTS]; // merit_group_index makes both from ids of any order
    for (int i = 0; i < ROLLOUTS; i++) {
        rewards[i] = p->rollouts[i].reward;
        index[i % GROUPS * PER_GROUP + i / GROUPS] = i;
    }
    for (int g = 0; g <= GROUPS; g++) {
        offsets[g] = g * PER_GROUP;
    }
    merit_advantage_group_desc d;
    check(NULL, merit_advantage_group_desc_init(&d, sizeof d)); // GRPO
    d.num_rows = ROLLOUTS;
    d.groups.num_groups = GROUPS;
    d.groups.offsets = offsets;
    d.groups.index = index;
    d.groups.max_size = PER_GROUP;
    const merit_advantage_group_io io = {
        .struct_size = sizeof io, .rewards = rewards, .advantages = p->advantages};
    check(p->ctx, merit_advantage_group(p->ctx, &d, &io, NULL, 0, NULL));
}

// Log-probs of the sampled tokens under all columns, and what backward needs of them.
static void take_logprobs(process *p, const merit_policy_logprob_desc *d,
                          merit_policy_logprob_state *state)
{
    size_t bytes;
    merit_policy_logprob_forward_io own = {
        .struct_size = sizeof own, .logits = p->logits, .targets = p->targets};
    own.shards = room(p, TOKENS * sizeof *own.shards);
    own.segments =
        room(p, (size_t)(TOKENS * ((d->vocab_size + 2047) / 2048)) * sizeof *own.segments);
    check(p->ctx, merit_policy_logprob_forward_workspace(p->ctx, d, &bytes));
    void *const scratch = room(p, bytes);
    check(p->ctx, merit_policy_logprob_forward(p->ctx, d, &own, scratch, bytes, NULL));

    merit_comm_policy_logprob_desc all;
    check(NULL, merit_comm_policy_logprob_desc_init(&all, sizeof all));
    all.logprob = d;
    const merit_comm_policy_logprob_io io = {.struct_size = sizeof io,
                                             .shards = own.shards,
                                             .segments = own.segments,
                                             .targets = p->targets,
                                             .logprob = p->logprob,
                                             .state = state};
    check(p->ctx, merit_comm_policy_logprob_workspace(p->ctx, p->comm, &all, &bytes));
    void *const messages = room(p, bytes);
    check(p->ctx, merit_comm_policy_logprob(p->ctx, p->comm, &all, &io, messages, bytes, NULL));
    free(own.shards), free(own.segments), free(scratch), free(messages);
}

static void take_loss(process *p)
{
    merit_policy_loss_desc d;
    check(NULL, merit_policy_loss_desc_init(&d, sizeof d));
    check(NULL, merit_policy_loss_preset("dapo", &d)); // mean over the tokens of the batch
    d.num_tokens = TOKENS;
    d.sequences.num_groups = ROLLOUTS;
    d.sequences.group_size = LENGTH;
    d.denominator = 0;
    for (int i = 0; i < ROLLOUTS; i++) {
        d.denominator += p->rollouts[i].length;
    }
    const merit_policy_loss_io io = {.struct_size = sizeof io,
                                     .logprob = p->logprob,
                                     .old = p->old,
                                     .advantages = p->advantages,
                                     .mask = p->mask,
                                     .loss = &p->loss,
                                     .grad_logprob = p->grad_logprob};
    size_t bytes;
    check(p->ctx, merit_policy_loss_workspace(p->ctx, &d, &bytes));
    void *const scratch = room(p, bytes);
    check(p->ctx, merit_policy_loss(p->ctx, &d, &io, scratch, bytes, NULL));
    free(scratch);
}

static void step(process *p)
{
    const int width = p->end - p->begin;
    p->logits = room(p, (size_t)(TOKENS * width) * sizeof *p->logits);
    for (int i = 0; i < TOKENS * width; i++) {
        p->logits[i] = logit(i / width, p->begin + i % width);
    }
    gather_rollouts(p);
    take_advantages(p);
    for (int t = 0; t < TOKENS; t++) {
        const rollout *const r = &p->rollouts[t / LENGTH];
        p->mask[t] = t % LENGTH < r->length;
        p->targets[t] = p->mask[t] ? r->tokens[t % LENGTH] : -100; // ignore_index
        p->old[t] = p->mask[t] ? r->old[t % LENGTH] : 0;
    }
    merit_policy_logprob_desc d;
    check(NULL, merit_policy_logprob_desc_init(&d, sizeof d));
    d.num_tokens = TOKENS;
    d.dtype = MERIT_DTYPE_F32;
    d.vocab_begin = p->begin;
    d.vocab_size = width;
    d.vocab_total = VOCAB;
    d.partials = MERIT_LOGPROB_PARTIALS_SEGMENT;
    merit_policy_logprob_state state[TOKENS];
    take_logprobs(p, &d, state);
    take_loss(p);
    const merit_policy_logprob_backward_io io = {.struct_size = sizeof io,
                                                 .logits = p->logits,
                                                 .targets = p->targets,
                                                 .state = state,
                                                 .grad_logprob = p->grad_logprob,
                                                 .grad_logits = p->logits};
    check(p->ctx, merit_policy_logprob_backward(p->ctx, &d, &io, NULL, 0, NULL));
}

// The comparison -----------------------------------------------------------------------------------

static int run_rank(shared *memory, int rank)
{
    static process two, one; // with the other process, and alone
    seat own = {memory, rank};
    const merit_context_desc context = {.struct_size = sizeof context,
                                        .backend = MERIT_BACKEND_CPU};
    check(NULL, merit_context_create(&context, &two.ctx));
    one.ctx = two.ctx;
    check(NULL, merit_comm_create_custom(all_gather, &own, rank, PROCESSES, &two.comm));
    check(NULL, merit_comm_create_single(&one.comm));
    two.begin = rank == 0 ? 0 : 4096;
    two.end = rank == 0 ? 4096 : VOCAB;
    one.end = VOCAB;
    step(&two);
    step(&one);

    const int width = two.end - two.begin;
    int same = memcmp(two.advantages, one.advantages, sizeof one.advantages) == 0 &&
               memcmp(two.logprob, one.logprob, sizeof one.logprob) == 0 && two.loss == one.loss;
    for (int t = 0; t < TOKENS; t++) {
        same &= memcmp(two.logits + t * width, one.logits + t * VOCAB + two.begin,
                       (size_t)width * sizeof *one.logits) == 0;
    }
    printf("process %d: columns %d to %d, loss %.17g (alone %.17g), %s\n", rank, two.begin,
           two.end - 1, two.loss, one.loss,
           same ? "advantages, log-probs, loss and gradient have the bits of one process"
                : "NOT the bits of one process");
    merit_comm_destroy(two.comm), merit_comm_destroy(one.comm);
    merit_context_destroy(two.ctx);
    free(two.logits), free(one.logits);
    return same ? 0 : 1;
}

int main(void)
{
    shared *const memory =
        mmap(NULL, sizeof *memory, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 1;
    pthread_barrierattr_t attributes;
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&memory->barrier, &attributes, PROCESSES);
    const pid_t child = fork(); // before the first context: threads do not survive a fork
    if (child < 0) return 1;
    if (child == 0) exit(run_rank(memory, 1));
    const int failed = run_rank(memory, 0);
    int status = 0;
    if (waitpid(child, &status, 0) != child) return 1;
    return failed || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}
