// One rank of several processes as the programs of tests/mpi and tests/nccl make it, and the operations
// they let it run.
//
// An operation computes its result twice on every rank: alone on the whole batch, then with the others
// on a shard; world_expect_bits holds the shard against its part of the whole. Inputs come from
// world_random with a fixed seed, so all ranks have the same. To add one: a file operation_<op>.c and an
// entry in world_operations.c.
#ifndef MERIT_TESTS_WORLD_H
#define MERIT_TESTS_WORLD_H

#include <merit/merit.h>
#include <stddef.h>

typedef struct world {
    merit_context *ctx;
    merit_comm *comm;
    int rank, size;
    int on_device; // arrays are memory of a GPU
    int emulated; // kernels run on the emulator: small sizes
    struct world_block *blocks;
    const char *doing;
    int64_t checks, failures;
} world;

// A variant is one way of splitting one batch; the operation picks its sizes by it. It makes one
// collective.
typedef struct world_operation {
    const char *name;
    int variants;
    int cpu_only;
    void (*run)(world *w, int variant);
} world_operation;

extern const world_operation world_operations[];
extern const int world_num_operations;

// Every variant of every operation; counts the collectives.
void world_run_operations(world *w);

// Wrong use that all ranks find out, whatever moves the bytes: ranks that disagree about counts or about
// the operation, calls in another order. The communicator stays usable. For two ranks or more.
void world_run_wrong_use(world *w);

// The collective alone, with a payload of `bytes` and no runtime call outside it.
merit_status world_gather_bytes(world *w, size_t bytes);

// Expectations: counted, and printed with the rank when they fail.
int world_expect(world *w, int condition, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int world_expect_ok(world *w, merit_status status);
void world_expect_status(world *w, merit_status status, merit_status expected, const char *word);
void world_expect_bits(world *w, const char *what, const void *actual, const void *expected,
                       size_t bytes);
// Two arrays of the context.
void world_expect_same(world *w, const char *what, const void *actual, const void *expected,
                       size_t bytes);

// Memory of the context, until world_release. world_copy takes it from host memory, NULL gives NULL;
// world_workspace is initialized.
void *world_room(world *w, size_t bytes);
void *world_copy(world *w, const void *host, size_t bytes);
void *world_workspace(world *w, size_t bytes);
void world_read(world *w, void *host, const void *block, size_t bytes);
void world_release(world *w);

uint32_t world_random(uint32_t *state);

// This rank's part of `total` rows cut at random at multiples of `unit`: some ranks may have none. Returns
// the most rows of any. The same `state` on all ranks.
int64_t world_part(const world *w, uint32_t *state, int64_t total, int64_t unit, int64_t *first,
                   int64_t *rows);

#endif
