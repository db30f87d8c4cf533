// Preference pairs in, a two-objective reward model out: one head of two scores, trained on the last
// hidden states of chosen and rejected responses.
//
//   score_forward -> preference_pair -> score_backward -> gradient descent
//
// The hidden states are generated: bf16, 16 tokens per response of which some are padding. Each
// pair is about one objective: in that one's direction the chosen response lies above the rejected one,
// under noise that differs from feature to feature. Stops when more than 95 % of held-out pairs are
// ranked right.
#include <math.h>
#include <merit/merit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAIRS = 1024, TRAINED = 768, TOKENS = 16, SIZE = 64, OBJECTIVES = 2, MAX_STEPS = 500 };
enum { RESPONSES = 2 * PAIRS }; // chosen 2 i, rejected 2 i + 1

static uint16_t hidden[RESPONSES][TOKENS][SIZE];
static int32_t lengths[RESPONSES];
static float weight[OBJECTIVES][SIZE], bias[OBJECTIVES];
static float grad_weight[OBJECTIVES][SIZE], grad_bias[OBJECTIVES];
static float pair_weights[OBJECTIVES][PAIRS]; // of a pair in each objective's loss
static float scores[RESPONSES][OBJECTIVES], grad_scores[RESPONSES][OBJECTIVES];

static void check(merit_context *ctx, merit_status status)
{
    if (status == MERIT_STATUS_OK) return;
    fprintf(stderr, "reward_model: %s: %s\n", merit_status_string(status),
            merit_context_last_error(ctx));
    exit(1);
}

// Data --------------------------------------------------------------------------------------------

static uint64_t state = 1;

// Roughly normal (SplitMix64; Steele, Lea, Flood 2014).
static float normal(void)
{
    float sum = 0;
    for (int i = 0; i < 4; i++) {
        uint64_t z = state += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        sum += (float)((z ^ (z >> 31)) >> 40) / 16777216.0f - 0.5f;
    }
    return 1.7320508f * sum;
}

static uint16_t bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static void generate(void)
{
    float direction[OBJECTIVES][SIZE];
    for (int k = 0; k < OBJECTIVES; k++) {
        for (int h = 0; h < SIZE; h++)
            direction[k][h] = normal();
    }
    for (int i = 0; i < PAIRS; i++)
        pair_weights[i % OBJECTIVES][i] = 1.0f;
    for (int r = 0; r < RESPONSES; r++) {
        const float sign = r % 2 == 0 ? 1.0f : -1.0f;
        lengths[r] = 1 + (r * 7) % TOKENS;
        for (int t = 0; t < TOKENS; t++) {
            for (int h = 0; h < SIZE; h++) {
                // Padding holds NaN: nothing but the last token is read.
                const float quality = 0.25f * sign * direction[r / 2 % OBJECTIVES][h];
                const float noise = (0.25f + 0.75f * (float)(h % 8)) * normal();
                hidden[r][t][h] = bf16(t < lengths[r] ? noise + quality : NAN);
            }
        }
    }
}

// Model -------------------------------------------------------------------------------------------

static void *workspace_of(merit_context *ctx, size_t bytes)
{
    void *const memory = aligned_alloc(256, (bytes + 255) / 256 * 256 + 256);
    if (memory == NULL) exit(1);
    check(ctx, merit_workspace_init(ctx, memory, bytes, NULL));
    return memory;
}

static double accuracy(int first, int count)
{
    int right = 0;
    for (int i = first; i < first + count; i++) {
        right += scores[2 * i][0] + scores[2 * i][1] > scores[2 * i + 1][0] + scores[2 * i + 1][1];
    }
    return (double)right / count;
}

int main(void)
{
    const merit_context_desc cpu = {.struct_size = sizeof cpu, .backend = MERIT_BACKEND_CPU};
    merit_context *ctx = NULL;
    check(NULL, merit_context_create(&cpu, &ctx));
    generate();

    merit_score_desc head;
    check(NULL, merit_score_desc_init(&head, sizeof head));
    check(NULL, merit_score_preset("aligner.regression", &head)); // last token by lengths
    head.num_rows = RESPONSES;
    head.row_tokens = TOKENS;
    head.hidden_size = SIZE;
    head.num_heads = OBJECTIVES;
    merit_score_desc trained = head; // the pairs that gradients come from
    trained.num_rows = 2 * TRAINED;

    merit_preference_pair_desc pair;
    check(NULL, merit_preference_pair_desc_init(&pair, sizeof pair));
    check(NULL, merit_preference_pair_preset("bt", &pair));
    pair.num_pairs = TRAINED;
    pair.chosen_stride = pair.rejected_stride = 2 * OBJECTIVES; // scores as they lie
    pair.grad_chosen_stride = pair.grad_rejected_stride = 2 * OBJECTIVES;

    size_t forward_bytes = 0, pair_bytes = 0, backward_bytes = 0;
    check(ctx, merit_score_forward_workspace(ctx, &head, &forward_bytes));
    check(ctx, merit_preference_pair_workspace(ctx, &pair, &pair_bytes));
    check(ctx, merit_score_backward_workspace(ctx, &trained, &backward_bytes));
    void *const forward_scratch = workspace_of(ctx, forward_bytes);
    void *const pair_scratch = workspace_of(ctx, pair_bytes);
    void *const backward_scratch = workspace_of(ctx, backward_bytes);

    int step = 0;
    double held_out = 0;
    for (; step < MAX_STEPS; step++) {
        const merit_score_forward_io forward = {.struct_size = sizeof forward,
                                                .hidden = hidden,
                                                .weight = weight,
                                                .bias = bias,
                                                .lengths = lengths,
                                                .scores = scores};
        check(ctx, merit_score_forward(ctx, &head, &forward, forward_scratch, forward_bytes, NULL));
        held_out = accuracy(TRAINED, PAIRS - TRAINED);
        double loss[OBJECTIVES];
        for (int k = 0; k < OBJECTIVES; k++) { // a Bradley-Terry loss per objective
            const merit_preference_pair_io io = {.struct_size = sizeof io,
                                                 .chosen = &scores[0][k],
                                                 .rejected = &scores[1][k],
                                                 .weights = pair_weights[k],
                                                 .loss = &loss[k],
                                                 .grad_chosen = &grad_scores[0][k],
                                                 .grad_rejected = &grad_scores[1][k]};
            check(ctx, merit_preference_pair(ctx, &pair, &io, pair_scratch, pair_bytes, NULL));
        }
        if (step % 20 == 0 || held_out > 0.95) {
            printf("step %3d  loss %.4f %.4f  accuracy %.3f, held out %.3f\n", step, loss[0],
                   loss[1], accuracy(0, TRAINED), held_out);
        }
        if (held_out > 0.95) break;
        const merit_score_backward_io backward = {.struct_size = sizeof backward,
                                                  .hidden = hidden,
                                                  .lengths = lengths,
                                                  .grad_scores = grad_scores[0],
                                                  .grad_weight = grad_weight,
                                                  .grad_bias = grad_bias};
        check(ctx, merit_score_backward(ctx, &trained, &backward, backward_scratch, backward_bytes,
                                        NULL));
        for (int k = 0; k < OBJECTIVES; k++) {
            bias[k] -= 0.1f * grad_bias[k];
            for (int h = 0; h < SIZE; h++)
                weight[k][h] -= 0.1f * grad_weight[k][h];
        }
    }
    free(forward_scratch), free(pair_scratch), free(backward_scratch);
    merit_context_destroy(ctx);
    if (held_out <= 0.95) {
        printf("not learned: held-out accuracy %.3f after %d steps\n", held_out, step);
        return 1;
    }
    printf("learned after %d steps\n", step);
    return 0;
}
