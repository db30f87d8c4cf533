// dominance_quantile_sort, CPU: without places to report, a row per vector element; else, and for long rows,
// a row at a time in words of the thread's slot.
#include "../backend.h"
#include "../core/parallel.h"
#include "dominance_quantile_sort.h"
#include "dominance_sort_columns_cpu.h"
#include "dominance_sort_cpu.h"

typedef merit_dominance_quantile_sort_args sort_args;

typedef struct sort_run {
    const sort_args *args;
    int64_t rows_per_slot;
} sort_run;

static void run_row(const sort_args *args, int64_t r, uint64_t *words, uint64_t *spare)
{
    const int levels = args->d.num_levels;
    const float *const values = args->io.values + r * args->d.ld_values;
    for (int n = 0; n < levels; n++) {
        words[n] = merit_dominance_word(values[n], n);
    }
    dominance_sort_words(words, spare, levels);
    for (int q = 0; q < args->num_results; q++) {
        merit_sort_write(args, r, q, words[merit_sort_place(args, q)]);
    }
}

// `count` rows from r on, at most DOM_WIDTH. The elements beyond repeat the first row.
static void run_columns(const sort_args *args, int64_t r, int count, dom_u *columns)
{
    const float *rows[DOM_WIDTH];
    float *results[DOM_WIDTH];
    for (int j = 0; j < DOM_WIDTH; j++) {
        const int64_t row = r + (j < count ? j : 0);
        rows[j] = args->io.values + row * args->d.ld_values;
        results[j] = args->io.sorted + row * args->d.ld_sorted;
    }
    dominance_sort_columns(rows, args->d.num_levels, columns);
    if (args->d.num_taus == 0) {
        dominance_rows_of_columns(columns, args->d.num_levels, results);
        return;
    }
    for (int q = 0; q < args->d.num_taus; q++) {
        float levels[DOM_WIDTH];
        memcpy(levels, &columns[args->places[q]], sizeof levels);
        for (int j = 0; j < count; j++) {
            results[j][q] = levels[j];
        }
    }
}

// Whether rows go by columns where there are enough.
static int takes_columns(const sort_args *args)
{
    return args->io.index == NULL && args->d.num_levels <= MERIT_SORT_COLUMNS;
}

// A slot is a contiguous part of the rows.
static void run_slots(void *state, int64_t begin, int64_t end)
{
    const sort_run *const run = state;
    const sort_args *const args = run->args;
    const int64_t levels = args->d.num_levels;
    for (int64_t slot = begin; slot < end; slot++) {
        uint64_t *const words = args->words + slot * args->words_per_slot;
        const int64_t first = slot * run->rows_per_slot;
        const int64_t left = args->d.num_rows - first;
        const int64_t count = left < run->rows_per_slot ? left : run->rows_per_slot;
        int64_t r = first;
        for (; takes_columns(args) && first + count - r >= DOM_WIDTH / 4; r += DOM_WIDTH) {
            const int64_t rows = first + count - r;
            run_columns(args, r, rows < DOM_WIDTH ? (int)rows : DOM_WIDTH, (dom_u *)(void *)words);
        }
        for (; r < first + count; r++) {
            run_row(args, r, words, words + levels);
        }
    }
}

// Launcher ----------------------------------------------------------------------------------------

merit_dominance_quantile_sort_launcher MERIT_BACKEND_FN(dominance_quantile_sort);

int MERIT_BACKEND_FN(dominance_quantile_sort)(const merit_dominance_quantile_sort_args *args,
                                              const merit_launch *launch)
{
    sort_run run = {.args = args};
    run.rows_per_slot = (args->d.num_rows + args->num_slots - 1) / args->num_slots;
    merit_parallel_ranges(launch->num_threads, args->num_slots, 1, run_slots, &run);
    return 0;
}
