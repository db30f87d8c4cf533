#include "sets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CACHES_TO_FILL = 5, MAX_SETS = 4096 };

// Arrays of a case ------------------------------------------------------------------------------------

static int add_array(bench_case *c, size_t bytes, bool output)
{
    if (c->num_arrays == BENCH_MAX_ARRAYS) bench_die("more than %d arrays", BENCH_MAX_ARRAYS);
    bench_array *const array = &c->arrays[c->num_arrays];
    *array = (bench_array){.bytes = bytes, .output = output};
    if (!output) {
        array->host = bench_device_host()->alloc(bytes);
        if (array->host == NULL) bench_die("no memory for an input of %zu bytes", bytes);
    }
    return c->num_arrays++;
}

int bench_add_input(bench_case *c, size_t bytes, void **host)
{
    const int number = add_array(c, bytes, false);
    if (host != NULL) *host = c->arrays[number].host;
    return number;
}

int bench_add_output(bench_case *c, size_t bytes)
{
    return add_array(c, bytes, true);
}

size_t bench_set_bytes(const bench_case *c)
{
    size_t bytes = 0;
    for (int i = 0; i < c->num_arrays; i++)
        bytes += c->arrays[i].bytes;
    return bytes;
}

// Sets ------------------------------------------------------------------------------------------------

static bool make_set(bench_sets *sets, bench_buffers *buffers)
{
    const bench_case *const c = sets->c;
    for (int i = 0; i < c->num_arrays; i++) {
        buffers->array[i] = sets->device->alloc(c->arrays[i].bytes);
        if (buffers->array[i] == NULL) return false;
        if (!c->arrays[i].output) {
            sets->device->upload(buffers->array[i], c->arrays[i].host, c->arrays[i].bytes);
        }
    }
    return true;
}

static int wanted_sets(const bench_sets *sets)
{
    const size_t enough = CACHES_TO_FILL * sets->device->cache_bytes;
    if (sets->bytes == 0) return 1;
    const size_t wanted = (enough + sets->bytes - 1) / sets->bytes;
    return wanted < 1 ? 1 : (wanted > MAX_SETS ? MAX_SETS : (int)wanted);
}

bool bench_make_sets(const bench_case *c, const bench_device *device, bench_sets *sets,
                     char reason[BENCH_TEXT])
{
    *sets = (bench_sets){.device = device, .c = c, .bytes = bench_set_bytes(c)};
    const int wanted = wanted_sets(sets);
    const double needed = (double)sets->bytes * wanted;
    if (needed > 0.6 * (double)device->memory_bytes) {
        snprintf(reason, BENCH_TEXT, "needs %.1f GiB of %.1f GiB free memory", needed / 0x1p30,
                 (double)device->memory_bytes / 0x1p30);
        return false;
    }
    sets->buffers = calloc((size_t)wanted, sizeof *sets->buffers);
    sets->calls = calloc((size_t)wanted, sizeof *sets->calls);
    bool good = sets->buffers != NULL && sets->calls != NULL;
    if (!good) snprintf(reason, BENCH_TEXT, "no memory for %d sets", wanted);
    for (int i = 0; good && i < wanted; i++) {
        sets->count = i + 1;
        good = make_set(sets, &sets->buffers[i]);
        if (!good) {
            snprintf(reason, BENCH_TEXT, "no memory for %d sets of %zu bytes", wanted, sets->bytes);
            break;
        }
        bench_poison_outputs(sets, i, 0); // no page is new when a time is taken
        const merit_status status = c->point.op->bind(c, &sets->buffers[i], &sets->calls[i]);
        good = status == MERIT_STATUS_OK;
        if (!good) snprintf(reason, BENCH_TEXT, "arguments: %s", merit_status_string(status));
    }
    if (!good) bench_free_sets(sets);
    return good;
}

void bench_free_sets(bench_sets *sets)
{
    for (int s = 0; s < sets->count; s++) {
        for (int i = 0; i < sets->c->num_arrays; i++) {
            void *const memory = sets->buffers[s].array[i];
            if (memory != NULL) sets->device->release(memory, sets->c->arrays[i].bytes);
        }
    }
    free(sets->buffers);
    free(sets->calls);
    *sets = (bench_sets){0};
}

// Outputs ---------------------------------------------------------------------------------------------

void bench_poison_outputs(const bench_sets *sets, int set, int byte)
{
    const bench_case *const c = sets->c;
    for (int i = 0; i < c->num_arrays; i++) {
        if (!c->arrays[i].output) continue;
        void *const filled = bench_device_host()->alloc(c->arrays[i].bytes);
        if (filled == NULL) bench_die("no memory for %zu bytes", c->arrays[i].bytes);
        memset(filled, byte, c->arrays[i].bytes);
        sets->device->upload(sets->buffers[set].array[i], filled, c->arrays[i].bytes);
        bench_device_host()->release(filled, c->arrays[i].bytes);
    }
}

bool bench_new_outputs(const bench_case *c, bench_buffers *outputs)
{
    *outputs = (bench_buffers){{NULL}};
    bool good = true;
    for (int i = 0; i < c->num_arrays; i++) {
        if (!c->arrays[i].output) continue;
        outputs->array[i] = bench_device_host()->alloc(c->arrays[i].bytes);
        good = good && outputs->array[i] != NULL;
    }
    return good;
}

void bench_read_outputs(const bench_sets *sets, int set, const bench_buffers *outputs)
{
    for (int i = 0; i < sets->c->num_arrays; i++) {
        if (outputs->array[i] == NULL) continue;
        sets->device->download(outputs->array[i], sets->buffers[set].array[i],
                               sets->c->arrays[i].bytes);
    }
}

void bench_free_outputs(const bench_case *c, bench_buffers *outputs)
{
    for (int i = 0; i < c->num_arrays; i++) {
        bench_device_host()->release(outputs->array[i], c->arrays[i].bytes);
        outputs->array[i] = NULL;
    }
}
