#include "sort_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

sort_case sort_make(const float *values, int64_t rows, int levels)
{
    sort_case c = {.values = values};
    cr_assert(merit_dominance_quantile_sort_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    c.d.num_rows = rows, c.d.num_levels = levels;
    return c;
}

static int64_t span(int64_t rows, int64_t stride, int64_t row)
{
    return rows == 0 ? 0 : (rows - 1) * (stride == 0 ? row : stride) + row;
}

sort_result sort_run(tk_fixture *tk, const sort_case *c)
{
    const merit_dominance_quantile_sort_desc *const d = &c->d;
    const int64_t R = d->num_rows, N = d->num_levels;
    sort_result r = {.results = d->num_taus > 0 ? d->num_taus : d->num_levels};
    const int64_t pitch = d->ld_sorted == 0 ? r.results : d->ld_sorted;
    const int64_t values = span(R, d->ld_values, N);
    const int64_t written = c->in_place ? values : span(R, d->ld_sorted, r.results);
    merit_dominance_quantile_sort_io io = {.struct_size = sizeof io};
    if (c->in_place) {
        io.sorted = tk_inout(tk, c->values, values, sizeof(float));
        io.values = io.sorted;
    } else {
        io.values = tk_input(tk, c->values, values, sizeof(float));
        io.sorted = c->without_sorted ? NULL : tk_output(tk, written, sizeof(float));
    }
    io.index = c->without_index ? NULL : tk_output(tk, R * r.results, sizeof(int32_t));
    size_t bytes = 0;
    merit_status status = merit_dominance_quantile_sort_workspace(tk->ctx, d, &bytes);
    if (status == MERIT_STATUS_OK) {
        void *const workspace = tk_workspace(tk, bytes);
        status = merit_dominance_quantile_sort(tk->ctx, d, &io, workspace, bytes, NULL);
    }
    tk_expect_ok(tk->ctx, status);
    r.sorted = calloc((size_t)(R * r.results) + 1, sizeof(float));
    r.index = calloc((size_t)(R * r.results) + 1, sizeof(int32_t));
    if (io.sorted != NULL) {
        float *const spread = calloc((size_t)written + 1, sizeof(float));
        tk_read(tk, io.sorted, spread, written, sizeof(float));
        for (int64_t row = 0; row < R; row++) {
            const float *const from = spread + row * pitch;
            const int64_t gap = row + 1 < R ? pitch - r.results : 0;
            memcpy(r.sorted + row * r.results, from, (size_t)r.results * sizeof(float));
            TK_EXPECT(c->in_place || tk_untouched(from + r.results, gap, sizeof(float)),
                      "something was written behind row %lld", (long long)row);
        }
        free(spread);
    }
    if (io.index != NULL) tk_read(tk, io.index, r.index, R * r.results, sizeof(int32_t));
    tk_release(tk);
    return r;
}

void sort_free(sort_result *r)
{
    free(r->sorted), free(r->index);
}

void sort_check(tk_fixture *tk, const sort_case *c)
{
    sort_result r = sort_run(tk, c);
    if (tk->is_first_run) {
        const int64_t N = c->d.num_levels, ld = c->d.ld_values == 0 ? N : c->d.ld_values;
        int32_t *const index = malloc((size_t)N * sizeof *index);
        for (int64_t row = 0; row < c->d.num_rows; row++) {
            const float *const values = c->values + row * ld;
            sort_oracle_row(values, (int)N, index);
            for (int q = 0; q < r.results; q++) {
                const int place = c->d.num_taus > 0 ? (int)ceil(c->d.tau[q] * (double)N) - 1 : q;
                const float v = values[index[place]];
                const float expected = isnan(v) ? NAN : v;
                const int64_t at = row * r.results + q;
                TK_EXPECT(c->without_index || r.index[at] == index[place],
                          "index %d of row %lld is %d, not %d", q, (long long)row, r.index[at],
                          index[place]);
                TK_EXPECT(c->without_sorted || memcmp(&r.sorted[at], &expected, 4) == 0,
                          "result %d of row %lld is %.9g, not %.9g", q, (long long)row,
                          (double)r.sorted[at], (double)expected);
            }
        }
        free(index);
    }
    sort_free(&r);
}
