#include "group_oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *memory)
{
    if (memory == NULL) abort();
    return memory;
}

// group_index -------------------------------------------------------------------------------------

typedef struct labeled_row {
    int64_t label; // -1: in no group
    int64_t row;
} labeled_row;

// Rows in no group come last; equal labels keep their order.
static int by_label(const void *left, const void *right)
{
    const labeled_row *const a = left;
    const labeled_row *const b = right;
    if (a->label != b->label) {
        if (a->label < 0) return 1;
        if (b->label < 0) return -1;
        return a->label < b->label ? -1 : 1;
    }
    return a->row < b->row ? -1 : 1;
}

group_oracle group_oracle_index(group_oracle_kind kind, const int64_t *ids, int64_t num_rows,
                                int64_t num_groups)
{
    group_oracle o = {0};
    labeled_row *const rows = checked(calloc((size_t)num_rows + 1, sizeof *rows));
    int64_t run = -1;
    for (int64_t i = 0; i < num_rows; i++) {
        const int bad = kind == GROUP_ORACLE_DENSE && ids[i] >= num_groups;
        if (ids[i] < 0) o.ungrouped++;
        if (bad) o.bad_ids++;
        if (i == 0 || ids[i] != ids[i - 1]) run += ids[i] >= 0;
        rows[i].row = i;
        rows[i].label = ids[i] < 0 || bad ? -1 : kind == GROUP_ORACLE_RUNS ? run : ids[i];
    }
    qsort(rows, (size_t)num_rows, sizeof *rows, by_label);

    o.num_offsets = (kind == GROUP_ORACLE_DENSE ? num_groups : num_rows) + 1;
    o.offsets = checked(calloc((size_t)o.num_offsets, sizeof *o.offsets));
    o.index = checked(calloc((size_t)num_rows + 1, sizeof *o.index));
    o.group_of = checked(calloc((size_t)num_rows + 1, sizeof *o.group_of));
    int64_t grouped = 0;
    int64_t group = -1;
    int32_t size = 0;
    for (int64_t p = 0; p < num_rows; p++) {
        const labeled_row *const r = &rows[p];
        o.index[p] = (int32_t)r->row;
        o.group_of[r->row] = -1;
        if (r->label < 0) continue;
        grouped++;
        const int first = p == 0 || r->label != rows[p - 1].label;
        size = first ? 1 : size + 1;
        if (first) group = kind == GROUP_ORACLE_DENSE ? r->label : group + 1;
        if (first) o.offsets[group] = p;
        if (size > o.max_size) o.max_size = size;
        o.group_of[r->row] = (int32_t)group;
    }
    o.num_groups = kind == GROUP_ORACLE_DENSE ? num_groups : group + 1;
    if (kind == GROUP_ORACLE_DENSE) {
        // Where no row wrote: the number of rows with smaller ids.
        memset(o.offsets, 0, (size_t)o.num_offsets * sizeof *o.offsets);
        for (int64_t p = 0; p < grouped; p++) {
            o.offsets[rows[p].label + 1]++;
        }
        for (int64_t n = 0; n < num_groups; n++) {
            o.offsets[n + 1] += o.offsets[n];
        }
    } else {
        for (int64_t n = o.num_groups; n < o.num_offsets; n++) {
            o.offsets[n] = grouped;
        }
    }
    free(rows);
    return o;
}

void group_oracle_free(group_oracle *o)
{
    free(o->offsets);
    free(o->index);
    free(o->group_of);
}

// advantage_spread --------------------------------------------------------------------------------

void spread_oracle_segments(const spread_layout *layout, int32_t *segment_of)
{
    const int64_t T = layout->num_tokens;
    for (int64_t t = 0; t < T; t++) {
        segment_of[t] = layout->index == NULL ? -1 : -3;
    }
    for (int64_t p = 0; p < T && layout->index != NULL; p++) {
        const int64_t token = layout->index[p];
        if (token >= 0 && token < T) segment_of[token] = -1;
    }
    for (int64_t n = 0; n < layout->num_segments; n++) {
        const int64_t stride = layout->stride != 0 ? layout->stride : layout->size;
        const int64_t begin = layout->size != 0 ? n * stride : layout->offsets[n];
        const int64_t end = layout->size != 0 ? begin + layout->size : layout->offsets[n + 1];
        const int bad = begin < 0 || end < begin || end > T;
        const int large = layout->max_size > 0 && end - begin > layout->max_size;
        for (int64_t p = begin < 0 ? 0 : begin; p < end && p < T; p++) {
            const int64_t token = layout->index == NULL ? p : layout->index[p];
            if (token < 0 || token >= T) continue;
            segment_of[token] = bad ? -3 : large ? -2 : (int32_t)n;
        }
    }
}

// Nearest multiple of the last place of a `bits`-bit significand, ties to even.
static double round_to(double x, int bits, int lowest_exponent)
{
    if (x == 0.0 || !isfinite(x)) return x;
    int exponent;
    frexp(x, &exponent);
    if (exponent < lowest_exponent) exponent = lowest_exponent;
    return ldexp(rint(ldexp(x, bits - exponent)), exponent - bits);
}

uint32_t spread_oracle_word(double gain, double value, int has_add, double add, int is_bf16)
{
    double x = gain * value;
    if (has_add) x += add;
    if (isnan(x)) return is_bf16 ? 0x7fc0 : 0x7fc00000;
    // binary32 and bf16 share the exponents: the smallest normal number is 2^-126.
    const float rounded = (float)round_to(x, is_bf16 ? 8 : 24, -125);
    uint32_t word;
    memcpy(&word, &rounded, sizeof word);
    return is_bf16 ? word >> 16 : word;
}
