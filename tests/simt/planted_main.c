// simt_planted NAME SEEDS [sound]: runs one planted bug, or its sound twin, with the seeds 0 ... SEEDS - 1.
// Prints how many runs gave other bits than the sound kernel and how many launches failed, as
// `NAME: W wrong, F failed of N`; the exit status is 1 if there was any. NAME `all` with `sound`
// runs every twin.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planted.h"
#include "simt_control.h"

enum { SMALLEST_GROUP = 90, GROUP_STEP = 23 };

static planted_args make_args(void)
{
    int *const offsets = simt_malloc((PLANTED_GROUPS + 1) * sizeof *offsets);
    offsets[0] = 0;
    for (int g = 0; g < PLANTED_GROUPS; g++) {
        offsets[g + 1] = offsets[g] + SMALLEST_GROUP + GROUP_STEP * g;
    }
    planted_args args = {.offsets = offsets, .count = offsets[PLANTED_GROUPS], .one = 1};
    float *const in = simt_malloc((size_t)args.count * sizeof *in);
    unsigned state = 1;
    for (int i = 0; i < args.count; i++) {
        state = state * 1664525u + 1013904223u; // Numerical Recipes, section 7.1
        in[i] = (float)(state >> 8) / (1 << 24);
    }
    args.in = in;
    args.out = simt_malloc((size_t)args.count * sizeof *args.out);
    args.partials = simt_malloc(PLANTED_BLOCKS * sizeof *args.partials);
    args.ticket = simt_malloc(sizeof *args.ticket);
    return args;
}

static void free_args(planted_args args)
{
    simt_free((void *)args.in);
    simt_free((void *)args.offsets);
    simt_free(args.out);
    simt_free(args.partials);
    simt_free(args.ticket);
}

static int launch(const planted_bug *bug, planted_args args, uint64_t seed, int sound)
{
    simt_set_seed(seed);
    memset(args.out, 0, (size_t)args.count * sizeof *args.out);
    *args.ticket = 0;
    return bug->launch(&args, sound);
}

// Returns the number of runs that show something.
static int run(const planted_bug *bug, int seeds, int sound)
{
    const planted_args args = make_args();
    const size_t bytes = (size_t)args.count * sizeof *args.out;
    float *const expected = malloc(bytes);
    if (expected == NULL || launch(bug, args, 0, 1) != 0) exit(3);
    memcpy(expected, args.out, bytes);
    int wrong = 0, failed = 0;
    for (int seed = 0; seed < seeds; seed++) {
        if (launch(bug, args, (uint64_t)seed, sound) != 0) {
            failed++;
        } else if (memcmp(expected, args.out, bytes) != 0) {
            wrong++;
        }
    }
    printf("%s: %d wrong, %d failed of %d\n", bug->name, wrong, failed, seeds);
    free(expected);
    free_args(args);
    return wrong + failed;
}

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    const int seeds = atoi(argv[2]), sound = argc > 3;
    int shown = 0, found = 0;
    for (int i = 0; i < num_planted_bugs; i++) {
        if (strcmp(argv[1], planted_bugs[i].name) != 0 && strcmp(argv[1], "all") != 0) continue;
        found = 1;
        shown += run(&planted_bugs[i], seeds, sound);
    }
    if (!found) return 2;
    return shown > 0;
}
