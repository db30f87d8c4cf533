// Battles in, ratings out: Bradley-Terry strengths with standard errors, ties as half a win.
//
//   example_battle_ratings [battles.csv]      lines "left,right,outcome": 1 left won, 0 right won,
//                                             0.5 a tie; without a file a small tournament
//
// Newton's method on the gradients of merit_preference_pair. The gradient of a battle is p - q, its
// predicted minus its observed result, so it also gives p (1 - p), the battle's share of the
// information matrix.
#include <math.h>
#include <merit/merit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PLAYERS = 256, MAX_BATTLES = 1 << 20, NAME_LENGTH = 48 };

static char names[MAX_PLAYERS][NAME_LENGTH];
static int num_players;
static int left[MAX_BATTLES], right[MAX_BATTLES];
static int8_t outcomes[MAX_BATTLES]; // of left: 1, 0, -1
static int64_t num_battles;

static const char *const tournament[] = {
    "ada,bob,1",   "ada,bob,1", "ada,bob,0",   "ada,cyd,1", "ada,cyd,0.5", "ada,dan,1",
    "bob,ada,0.5", "bob,cyd,1", "bob,cyd,0",   "bob,dan,1", "bob,dan,1",   "cyd,ada,0",
    "cyd,dan,0.5", "cyd,dan,1", "cyd,bob,0.5", "dan,ada,0", "dan,bob,1",   "dan,cyd,1"};

static void fail(const char *what, const char *more)
{
    fprintf(stderr, "battle_ratings: %s: %s\n", what, more);
    exit(1);
}

static void check(merit_context *ctx, merit_status status)
{
    if (status != MERIT_STATUS_OK) fail(merit_status_string(status), merit_context_last_error(ctx));
}

static void *allocate(size_t count, size_t size)
{
    void *const memory = calloc(count, size);
    if (memory == NULL) fail("out of memory", "");
    return memory;
}

// Battles -----------------------------------------------------------------------------------------

static int player(const char *name)
{
    for (int k = 0; k < num_players; k++) {
        if (strcmp(names[k], name) == 0) return k;
    }
    if (num_players == MAX_PLAYERS) fail("too many players", name);
    strcpy(names[num_players], name);
    return num_players++;
}

static void add_battle(const char *line)
{
    char first[NAME_LENGTH], second[NAME_LENGTH];
    double outcome;
    if (sscanf(line, "%47[^,],%47[^,],%lf", first, second, &outcome) != 3 ||
        (outcome != 0 && outcome != 0.5 && outcome != 1)) {
        fail("not \"left,right,outcome\" with outcome 0, 0.5 or 1", line);
    }
    if (num_battles == MAX_BATTLES) fail("too many battles", line);
    left[num_battles] = player(first);
    right[num_battles] = player(second);
    outcomes[num_battles++] = (int8_t)(2 * outcome - 1);
}

static void read_battles(const char *path)
{
    char line[256];
    FILE *const file = fopen(path, "r");
    if (file == NULL) fail("cannot open", path);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0') add_battle(line);
    }
    fclose(file);
}

// The call ----------------------------------------------------------------------------------------

// One row per battle, and what merit makes of it.
typedef struct battle_call {
    merit_context *ctx;
    merit_preference_pair_desc desc;
    merit_preference_pair_io io;
    float *left_scores, *right_scores, *gradients;
    void *workspace;
    size_t bytes;
    double loss; // minus the log likelihood
} battle_call;

static battle_call new_call(void)
{
    const size_t n = (size_t)num_battles;
    battle_call c = {.bytes = 0};
    const merit_context_desc context = {.struct_size = sizeof context,
                                        .backend = MERIT_BACKEND_CPU};
    check(NULL, merit_context_create(&context, &c.ctx));
    check(NULL, merit_preference_pair_desc_init(&c.desc, sizeof c.desc));
    c.desc.num_pairs = num_battles;
    c.desc.target = MERIT_PAIR_TARGET_OUTCOME; // ties: HALF
    c.desc.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
    c.left_scores = allocate(n, sizeof(float));
    c.right_scores = allocate(n, sizeof(float));
    c.gradients = allocate(n, sizeof(float));
    c.io.struct_size = sizeof c.io;
    c.io.chosen = c.left_scores;
    c.io.rejected = c.right_scores;
    c.io.outcomes = outcomes;
    c.io.grad_chosen = c.gradients;
    check(c.ctx, merit_preference_pair_workspace(c.ctx, &c.desc, &c.bytes));
    c.workspace = aligned_alloc(256, (c.bytes + 255) / 256 * 256);
    if (c.workspace == NULL) fail("out of memory", "");
    check(c.ctx, merit_workspace_init(c.ctx, c.workspace, c.bytes, NULL));
    return c;
}

static void run(battle_call *c, const double *strength)
{
    for (int64_t i = 0; i < num_battles; i++) {
        c->left_scores[i] = (float)strength[left[i]];
        c->right_scores[i] = (float)strength[right[i]];
    }
    c->io.loss = &c->loss;
    check(c->ctx, merit_preference_pair(c->ctx, &c->desc, &c->io, c->workspace, c->bytes, NULL));
}

static void free_call(battle_call *c)
{
    free(c->left_scores), free(c->right_scores), free(c->gradients), free(c->workspace);
    merit_context_destroy(c->ctx);
}

// Newton ------------------------------------------------------------------------------------------

// Gradient wrt strengths, and the information matrix plus 1 in every entry: the loss does not see
// the mean of all strengths, so this leaves the mean where it is.
static void gather(const battle_call *c, double *gradient, double *information)
{
    const int n = num_players;
    for (int i = 0; i < n * n; i++) {
        information[i] = 1;
    }
    memset(gradient, 0, (size_t)n * sizeof *gradient);
    for (int64_t i = 0; i < num_battles; i++) {
        const int a = left[i], b = right[i];
        const double g = c->gradients[i]; // p - q; that of the right side is -g
        const double p = g + (outcomes[i] + 1) / 2.0, v = p * (1 - p);
        gradient[a] += g, gradient[b] -= g;
        information[a * n + a] += v, information[b * n + b] += v;
        information[a * n + b] -= v, information[b * n + a] -= v;
    }
}

// A <- A^-1 of a symmetric positive definite A, by Gauss and Jordan.
static void invert(double *A, int n)
{
    for (int k = 0; k < n; k++) {
        const double pivot = A[k * n + k];
        if (!(pivot > 1e-12))
            fail("no finite rating, for it won or lost all, or is not connected", names[k]);
        A[k * n + k] = 1;
        for (int j = 0; j < n; j++) {
            A[k * n + j] /= pivot;
        }
        for (int i = 0; i < n; i++) {
            const double factor = A[i * n + k];
            if (i == k) continue;
            A[i * n + k] = 0;
            for (int j = 0; j < n; j++) {
                A[i * n + j] -= factor * A[k * n + j];
            }
        }
    }
}

// Strengths of mean 0 and the inverse of the information at them.
static void fit(battle_call *c, double *strength, double *inverse)
{
    const int n = num_players;
    double *const gradient = allocate((size_t)n, sizeof *gradient);
    double step = 1;
    for (int round = 0; step > 1e-6; round++) { // scores are binary32
        if (round == 50) fail("no convergence", "somebody won or lost every battle");
        run(c, strength);
        gather(c, gradient, inverse);
        invert(inverse, n);
        step = 0;
        for (int i = 0; i < n; i++) {
            double s = 0;
            for (int j = 0; j < n; j++) {
                s += inverse[i * n + j] * gradient[j];
            }
            strength[i] = (double)(float)strength[i] - s;
            step = fmax(step, fabs(s));
        }
    }
    free(gradient);
}

int main(int argc, char **argv)
{
    if (argc > 2) fail("usage", "battle_ratings [battles.csv]");
    if (argc == 2) read_battles(argv[1]);
    for (size_t i = 0; argc < 2 && i < sizeof tournament / sizeof tournament[0]; i++) {
        add_battle(tournament[i]);
    }
    if (num_battles == 0) fail("no battles", argc == 2 ? argv[1] : "");
    const int n = num_players;
    double *const strength = allocate((size_t)n, sizeof *strength);
    double *const inverse = allocate((size_t)n * (size_t)n, sizeof *inverse);
    battle_call c = new_call();
    fit(&c, strength, inverse);

    printf("%lld battles of %d players, log likelihood %.6f\n\n", (long long)num_battles, n,
           -c.loss);
    printf("%-26s %9s %9s %9s\n", "player", "strength", "error", "rating");
    char *const printed = allocate((size_t)n, 1);
    for (int rank = 0; rank < n; rank++) {
        int best = -1;
        for (int k = 0; k < n; k++) {
            if (!printed[k] && (best < 0 || strength[k] > strength[best])) best = k;
        }
        printed[best] = 1;
        // The 1 in every entry added 1 / n^2 to every entry of the inverse.
        const double variance = inverse[best * n + best] - 1.0 / n / n;
        printf("%-26s %9.4f %9.4f %9.0f\n", names[best], strength[best], sqrt(variance),
               1000 + 400 / log(10) * strength[best]);
    }
    free(printed), free(strength), free(inverse);
    free_call(&c);
    return 0;
}
