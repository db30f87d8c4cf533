// Rows of all ranks in one array each: numbers and bytes of uneven parts.
#include <stdlib.h>

#include "world_operations.h"

void operation_gather_rows(world *w, int variant)
{
    const int64_t rows = 1 + 97 * (int64_t)variant;
    uint32_t state = 3 + (uint32_t)variant;
    double *const numbers = malloc((size_t)rows * sizeof *numbers);
    uint8_t *const bytes = malloc((size_t)rows);
    if (numbers == NULL || bytes == NULL) abort();
    for (int64_t i = 0; i < rows; i++) {
        numbers[i] = (double)world_random(&state);
        bytes[i] = (uint8_t)world_random(&state);
    }
    int64_t first;
    merit_comm_rows found = {0};
    merit_comm_gather_rows_desc d;
    merit_comm_gather_rows_desc_init(&d, sizeof d);
    d.max_rows = world_part(w, &state, rows, 1, &first, &d.num_rows);
    d.max_total = rows;
    d.num_arrays = 2;
    d.row_bytes[0] = sizeof *numbers;
    d.row_bytes[1] = 1;
    const merit_comm_gather_rows_io io = {
        .struct_size = sizeof io,
        .local = {world_copy(w, numbers + first, (size_t)d.num_rows * sizeof *numbers),
                  world_copy(w, bytes + first, (size_t)d.num_rows)},
        .gathered = {world_room(w, (size_t)rows * sizeof *numbers), world_room(w, (size_t)rows)},
        .rows = &found};
    size_t need = 0;
    world_expect_ok(w, merit_comm_gather_rows_workspace(w->ctx, w->comm, &d, &need));
    void *const workspace = world_workspace(w, need);
    if (world_expect_ok(w,
                        merit_comm_gather_rows(w->ctx, w->comm, &d, &io, workspace, need, NULL))) {
        const void *const all_numbers = world_copy(w, numbers, (size_t)rows * sizeof *numbers);
        world_expect_same(w, "numbers", io.gathered[0], all_numbers,
                          (size_t)rows * sizeof *numbers);
        world_expect_same(w, "bytes", io.gathered[1], world_copy(w, bytes, (size_t)rows),
                          (size_t)rows);
        world_expect(w, found.first == first && found.count == d.num_rows && found.total == rows,
                     "rows %lld of %lld", (long long)found.first, (long long)found.total);
    }
    free(numbers);
    free(bytes);
}
