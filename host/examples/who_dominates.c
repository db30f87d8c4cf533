// Returns of several algorithms in, who dominates whom out, game by game and over all games.
//
//   example_who_dominates [returns.csv [theta]]   lines "game,algorithm,return", one per run, in any order;
//                                                 theta 0.5 to 1, default 0.75; without a file a small study
//
// Runs are compared as distributions. Sorted, they are quantiles: merit_dominance_pairwise lays the quantile
// curves of two algorithms over each other and splits the area between them into P, where the first is
// ahead, and M, where the second is. The share P / (P + M) is 1 when the first is nowhere behind (it
// dominates outright), 1/2 when the means agree. P + M is the distance of the two. merit_dominance_subset
// then keeps, per game, the algorithms that nobody beats with a share of at least theta.
#include <merit/merit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_GAMES = 256, MAX_ALGORITHMS = 32, MAX_RUNS = 512, MAX_LEVELS = 4096, NAME_LENGTH = 48 };

typedef struct names {
    char name[MAX_GAMES][NAME_LENGTH];
    int count;
} names;

static names games, algorithms;
static float *runs[MAX_GAMES][MAX_ALGORITHMS];
static int num_runs[MAX_GAMES][MAX_ALGORITHMS];

// Three algorithms on four games, five runs each (two more of one).
static const char *const study[] = {
    "breakout,ada,31", "breakout,ada,44", "breakout,ada,38", "breakout,ada,52", "breakout,ada,47",
    "breakout,bob,30", "breakout,bob,41", "breakout,bob,36", "breakout,bob,49", "breakout,bob,45",
    "breakout,cyd,12", "breakout,cyd,90", "breakout,cyd,15", "breakout,cyd,71", "breakout,cyd,18",
    "freeway,ada,29",  "freeway,ada,30",  "freeway,ada,30",  "freeway,ada,31",  "freeway,ada,32",
    "freeway,bob,29",  "freeway,bob,30",  "freeway,bob,30",  "freeway,bob,31",  "freeway,bob,32",
    "freeway,cyd,0",   "freeway,cyd,0",   "freeway,cyd,31",  "freeway,cyd,0",   "freeway,cyd,33",
    "pong,ada,-3",     "pong,ada,5",      "pong,ada,12",     "pong,ada,15",     "pong,ada,18",
    "pong,bob,2",      "pong,bob,6",      "pong,bob,10",     "pong,bob,11",     "pong,bob,12",
    "pong,cyd,14",     "pong,cyd,17",     "pong,cyd,18",     "pong,cyd,20",     "pong,cyd,21",
    "qbert,ada,420",   "qbert,ada,880",   "qbert,ada,910",   "qbert,ada,1300",  "qbert,ada,1450",
    "qbert,bob,600",   "qbert,bob,780",   "qbert,bob,940",   "qbert,bob,1020",  "qbert,bob,1100",
    "qbert,cyd,650",   "qbert,cyd,720",   "qbert,cyd,1210",  "qbert,cyd,1260",  "qbert,cyd,1330",
    "qbert,cyd,1390",  "qbert,cyd,1400"};

static void fail(const char *what, const char *more)
{
    fprintf(stderr, "who_dominates: %s: %s\n", what, more);
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

// Returns -----------------------------------------------------------------------------------------

static int index_of(names *list, int most, const char *name)
{
    for (int i = 0; i < list->count; i++) {
        if (strcmp(list->name[i], name) == 0) return i;
    }
    if (list->count == most) fail("too many games or algorithms", name);
    strcpy(list->name[list->count], name);
    return list->count++;
}

static void add_return(const char *line)
{
    char game[NAME_LENGTH], algorithm[NAME_LENGTH];
    float value;
    if (sscanf(line, "%47[^,],%47[^,],%f", game, algorithm, &value) != 3) {
        fail("not \"game,algorithm,return\"", line);
    }
    const int g = index_of(&games, MAX_GAMES, game);
    const int a = index_of(&algorithms, MAX_ALGORITHMS, algorithm);
    if (runs[g][a] == NULL) runs[g][a] = allocate(MAX_RUNS, sizeof(float));
    if (num_runs[g][a] == MAX_RUNS) fail("too many runs", line);
    runs[g][a][num_runs[g][a]++] = value;
}

static void read_returns(const char *path)
{
    char line[256];
    FILE *const file = fopen(path, "r");
    if (file == NULL) fail("cannot open", path);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0') add_return(line);
    }
    fclose(file);
}

// A common number of levels: the least common multiple of all numbers of runs. Every run then counts as
// levels / runs equal levels, which loses nothing.
static int common_levels(void)
{
    int64_t levels = 1;
    for (int g = 0; g < games.count; g++) {
        for (int a = 0; a < algorithms.count; a++) {
            const int64_t n = num_runs[g][a];
            if (n == 0) fail("no run of this algorithm on every game", algorithms.name[a]);
            int64_t x = levels, y = n; // Euclid
            while (y != 0) {
                const int64_t rest = x % y;
                x = y, y = rest;
            }
            levels = levels / x * n;
            if (levels > MAX_LEVELS)
                fail("numbers of runs with too large a multiple", games.name[g]);
        }
    }
    return (int)levels;
}

// [games, algorithms, levels]
static float *make_levels(int levels)
{
    float *const q = allocate((size_t)games.count * (size_t)algorithms.count * (size_t)levels, 4);
    for (int g = 0; g < games.count; g++) {
        for (int a = 0; a < algorithms.count; a++) {
            for (int n = 0; n < levels; n++) {
                q[(g * algorithms.count + a) * levels + n] = runs[g][a][n % num_runs[g][a]];
            }
        }
    }
    return q;
}

// The calls ---------------------------------------------------------------------------------------

static void *new_workspace(merit_context *ctx, size_t bytes)
{
    void *const memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (memory == NULL) fail("out of memory", "");
    check(ctx, merit_workspace_init(ctx, memory, bytes, NULL));
    return memory;
}

// qd, gain: [games, algorithms, algorithms]
static void compare(merit_context *ctx, const float *q, int levels, float *qd, float *gain)
{
    merit_dominance_pairwise_desc d;
    check(NULL, merit_dominance_pairwise_desc_init(&d, sizeof d));
    d.num_states = games.count;
    d.num_actions = algorithms.count;
    d.num_levels = levels;
    d.sort_levels = 1; // runs come in any order
    const merit_dominance_pairwise_io io = {
        .struct_size = sizeof io, .q = q, .qd = qd, .gain = gain};
    size_t bytes;
    check(ctx, merit_dominance_pairwise_workspace(ctx, &d, &bytes));
    void *const workspace = new_workspace(ctx, bytes);
    check(ctx, merit_dominance_pairwise(ctx, &d, &io, workspace, bytes, NULL));
    free(workspace);
}

// kept: [games], a bit per algorithm
static void keep_unbeaten(merit_context *ctx, const float *q, int levels, float theta,
                          uint32_t *kept)
{
    merit_dominance_subset_desc d;
    check(NULL, merit_dominance_subset_desc_init(&d, sizeof d));
    d.num_states = games.count;
    d.num_actions = algorithms.count;
    d.num_levels = levels;
    d.sort_levels = 1;
    d.theta = &theta; // of the one objective
    const merit_dominance_subset_io io = {.struct_size = sizeof io, .q = q, .final = kept};
    size_t bytes;
    check(ctx, merit_dominance_subset_workspace(ctx, &d, &bytes));
    void *const workspace = new_workspace(ctx, bytes);
    check(ctx, merit_dominance_subset(ctx, &d, &io, workspace, bytes, NULL));
    free(workspace);
}

// Printing ----------------------------------------------------------------------------------------

// behind: the area in which the better one is behind.
static const char *verdict(double share, double behind, double distance, double theta)
{
    if (distance == 0) return "the same";
    if (behind == 0) return "dominates outright";
    if (share >= theta) return "dominates";
    return share > 0.5 ? "is ahead, but not by enough" : "equal means";
}

static void print_game(int g, const float *qd, const float *gain, double theta, uint32_t kept)
{
    const int A = algorithms.count;
    printf("%s\n", games.name[g]);
    for (int x = 0; x < A; x++) {
        for (int y = x + 1; y < A; y++) {
            const int at = (g * A + x) * A + y, turned = (g * A + y) * A + x;
            const int first = qd[at] >= qd[turned]; // the better one goes first
            const double share = first ? qd[at] : qd[turned];
            const double behind = first ? gain[turned] : gain[at];
            const double distance = (double)gain[at] + gain[turned];
            const char *const better = algorithms.name[first ? x : y];
            const char *const worse = algorithms.name[first ? y : x];
            printf("  %-12s %-12s share %.3f, distance %8.4g: %s\n", better, worse, share, distance,
                   verdict(share, behind, distance, theta));
        }
    }
    printf("  unbeaten:");
    for (int a = 0; a < A; a++) {
        if (kept >> a & 1u) printf(" %s", algorithms.name[a]);
    }
    printf("\n\n");
}

// In how many games the row dominates the column.
static void print_summary(const float *qd, const float *gain, double theta, const uint32_t *kept)
{
    const int A = algorithms.count;
    printf("games in which the row dominates the column (theta %g), and in which nobody beats it\n"
           "%-12s",
           theta, "");
    for (int a = 0; a < A; a++) {
        printf(" %8.8s", algorithms.name[a]);
    }
    printf(" unbeaten\n");
    for (int x = 0; x < A; x++) {
        int unbeaten = 0;
        printf("%-12s", algorithms.name[x]);
        for (int y = 0; y < A; y++) {
            int count = 0;
            for (int g = 0; g < games.count; g++) {
                const double share = qd[(g * A + x) * A + y];
                const double behind = gain[(g * A + y) * A + x];
                count += share > 0.5 && (theta < 1 ? share >= theta : behind == 0);
            }
            printf(x == y ? "        -" : " %8d", count);
        }
        for (int g = 0; g < games.count; g++) {
            unbeaten += (int)(kept[g] >> x & 1u);
        }
        printf(" %8d\n", unbeaten);
    }
}

int main(int argc, char **argv)
{
    if (argc > 3) fail("usage", "who_dominates [returns.csv [theta]]");
    if (argc > 1) read_returns(argv[1]);
    for (size_t i = 0; argc < 2 && i < sizeof study / sizeof study[0]; i++) {
        add_return(study[i]);
    }
    if (games.count == 0) fail("no returns", argc > 1 ? argv[1] : "");
    const float theta = argc > 2 ? strtof(argv[2], NULL) : 0.75f;
    const int levels = common_levels();
    const size_t pairs = (size_t)games.count * (size_t)algorithms.count * (size_t)algorithms.count;
    float *const q = make_levels(levels);
    float *const qd = allocate(pairs, sizeof *qd), *const gain = allocate(pairs, sizeof *gain);
    uint32_t *const kept = allocate((size_t)games.count, sizeof *kept);

    merit_context *ctx;
    const merit_context_desc context = {.struct_size = sizeof context,
                                        .backend = MERIT_BACKEND_CPU};
    check(NULL, merit_context_create(&context, &ctx));
    compare(ctx, q, levels, qd, gain);
    keep_unbeaten(ctx, q, levels, theta, kept);
    merit_context_destroy(ctx);

    printf("%d games, %d algorithms, %d levels\n"
           "distance: the area between the sorted runs of two algorithms\n"
           "share: the part of it in which the first is above the second\n\n",
           games.count, algorithms.count, levels);
    for (int g = 0; g < games.count; g++) {
        print_game(g, qd, gain, theta, kept[g]);
    }
    print_summary(qd, gain, theta, kept);
    for (int g = 0; g < games.count; g++) {
        for (int a = 0; a < algorithms.count; a++) {
            free(runs[g][a]);
        }
    }
    free(q), free(qd), free(gain), free(kept);
    return 0;
}
