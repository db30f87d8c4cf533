// advantage_group, CPU, the common case (merit_advantage_is_plain) at full speed.
//
// As many groups as a vector has elements are worked on side by side: their rewards are transposed so
// that a vector holds member m of each. Sums over members are then plain vector additions in the order
// of the canonical tree, and divisions by a group's divisor are one multiplication and two fused
// multiply-adds (quotient.h). Vectors with a NaN, an infinity or a scale of 0 among them, and the
// remainder, go through the general path.
//
// A vector of groups is a block. Blocks go through three steps in batches: center, divisors, quotients.
// The square roots and divisions of a batch are then neighbors and overlap; one block after the other,
// their latencies would be twice the time of all the rest.
//
// Why no check per member: rewards are binary32, so a sum of at most 128 and a deviation from their mean
// are 0 or between 2^-210 and 2^140, and squares and their sums between 2^-420 and 2^290: inside the
// range of quotient.h. Nothing underflows, so m2 is 0 only for equal rewards, whose mean is exact.
#ifndef MERIT_ADVANTAGE_GROUP_DENSE_CPU_H
#define MERIT_ADVANTAGE_GROUP_DENSE_CPU_H

#include "../core/wide_cpu.h"
#include "advantage_group.h"

enum {
    DENSE_MAX_SIZE = WIDE_MAX_SIZE,
    DENSE_MAX_BLOCKS = 16, // of a batch
    DENSE_LINE = 16, // rewards in a line of the cache
    ADVANTAGE_DENSE_GRAIN = 2048 // groups; a multiple of the width
};

// Per group ---------------------------------------------------------------------------------------

// merit_advantage_std with a divisor that all groups share.
WIDE_INLINE wide_d dense_std(wide_d m2, merit_divisor64 degrees)
{
    wide_divide(&m2, 1, wide_splat(degrees.d), wide_splat(degrees.reciprocal));
    return wide_sqrt(m2);
}

// merit_advantage_divisor.
WIDE_INLINE wide_d dense_divisor(int32_t eps_rule, double eps, wide_d s)
{
    const wide_d e = wide_splat(eps);
    switch (eps_rule) {
    case MERIT_EPS_RULE_FLOOR: return wide_max(s, e);
    case MERIT_EPS_RULE_ROOT: return wide_sqrt(s * s + e);
    case MERIT_EPS_RULE_ROOT_FLOOR: return wide_sqrt(wide_max(s * s, e));
    default: return s + e;
    }
}

// Groups side by side -----------------------------------------------------------------------------

// Four members at a time; the last four again where fewer are left.
WIDE_INLINE void dense_read(const float *rewards, int64_t stride, int size, wide_d *x)
{
    for (int next = 0; next < size && size >= 4; next += 4) {
        const int m = next + 4 <= size ? next : size - 4;
        wide_f v[4];
        wide_load_columns(rewards + m, stride, v);
        for (int j = 0; j < 4; j++) {
            x[m + j] = wide_widen(v[j]);
        }
    }
    for (int m = 0; m < size && size < 4; m++) {
        for (int l = 0; l < WIDE_WIDTH; l++) {
            x[m][l] = (double)rewards[l * stride + m];
        }
    }
}

WIDE_INLINE void dense_write(float *advantages, int64_t stride, int size, const wide_d *a)
{
    for (int next = 0; next < size && size >= 4; next += 4) {
        const int m = next + 4 <= size ? next : size - 4;
        wide_f v[4];
        for (int j = 0; j < 4; j++) {
            v[j] = wide_round(a[m + j]);
        }
        wide_store_columns(advantages + m, stride, v);
    }
    for (int m = 0; m < size && size < 4; m++) {
        for (int l = 0; l < WIDE_WIDTH; l++) {
            advantages[l * stride + m] = (float)a[m][l];
        }
    }
}

typedef struct dense_block {
    wide_d mean;
    wide_d m2;
    wide_d min; // min and max: for the group outputs
    wide_d max;
    wide_d divisor;
    wide_d reciprocal;
    int32_t is_general; // nothing is written: the general path has to take it
} dense_block;

typedef struct dense_batch {
    wide_d x[DENSE_MAX_SIZE]; // rewards, then what is divided: block b, member m at b * size + m
    dense_block blocks[DENSE_MAX_BLOCKS];
} dense_batch;

// Sums of the others of each member, in the order of wide_sum with a 0 in the place of the member: of the nodes of
// that tree, those beside the way from the member to the root.
WIDE_INLINE void dense_sums_of_others(const wide_d *x, int size, wide_d *sums)
{
    wide_d nodes[2 * DENSE_MAX_SIZE];
    for (int m = 0; m < size; m++) {
        nodes[m] = x[m];
        sums[m] = (wide_d){0.0};
    }
    int first = 0; // node of the level
    int level = 0;
#pragma GCC unroll 7
    for (int count = size; count > 1; count = (count + 1) / 2, level++) {
        for (int m = 0; m < size; m++) {
            const int beside = (m >> level) ^ 1;
            if (beside < count) sums[m] = sums[m] + nodes[first + beside];
        }
        for (int n = 0; n < count / 2; n++) {
            nodes[first + count + n] = nodes[first + 2 * n] + nodes[first + 2 * n + 1];
        }
        if (count % 2 != 0) nodes[first + count + count / 2] = nodes[first + count - 1];
        first += count;
    }
}

// Advantages under LEAVE_ONE_OUT_STD from the rewards x and the centered c: each member is divided by the
// deviation of the others. A member that is left out keeps its place in the trees, as a 0. Equal others
// have a deviation of exactly 0. No c is -0, so that zeros need no rule of their own.
WIDE_INLINE void dense_own_scales(const merit_advantage_group_args *a, int size, wide_d *x,
                                  wide_d *c)
{
    const wide_d zero = {0.0};
    const double others = (double)(size - 1);
    const merit_divisor64 members = m_divisor64(others);
    const merit_divisor64 degrees = m_divisor64(m_sub64(others, (double)a->d.ddof));
    const wide_d threshold = wide_splat(a->d.zero_threshold);
    wide_d means[DENSE_MAX_SIZE];
    dense_sums_of_others(x, size, means);
    wide_divide(means, size, wide_splat(members.d), wide_splat(members.reciprocal));
    for (int m = 0; m < size; m++) {
        const wide_d own = x[m];
        x[m] = means[m];
        wide_d s = dense_std(wide_sum(x, size, means[m], 1), degrees);
        x[m] = own;
        if (size < 3) s = zero;
        const wide_d value = c[m];
        const wide_l is_zero = s <= threshold;
        c[m] = value / dense_divisor(a->d.eps_rule, a->d.eps, s);
        if (!wide_any(is_zero)) continue;
        wide_d ruled = c[m];
        if (a->d.zero_rule == MERIT_ZERO_RULE_UNSCALED) ruled = value;
        if (a->d.zero_rule == MERIT_ZERO_RULE_ZERO) ruled = zero;
        c[m] = wide_select(value == zero, zero, wide_select(is_zero, ruled, c[m]));
    }
}

// The first step: rewards less their center, and the moments. Groups first .. first + WIDE_WIDTH - 1.
WIDE_INLINE void dense_center(const merit_advantage_group_args *a, int64_t first, int size,
                              int64_t stride, int center, int scale, int clips, int outputs,
                              wide_d *values, dense_block *block)
{
    const double count = (double)size;
    const wide_d zero = {0.0};
    wide_d x[DENSE_MAX_SIZE];
    dense_read((const float *)a->io.rewards + first * stride, stride, size, x);
    wide_d sum = wide_sum(x, size, zero, 0);
    // A NaN or an infinity shows in the sum. A bound of the clip may be infinite as well.
    block->is_general = wide_any(~(sum - sum == zero));
    if (clips) {
        const wide_d low = wide_splat((double)a->d.reward_low);
        const wide_d high = wide_splat((double)a->d.reward_high);
        for (int m = 0; m < size; m++) {
            x[m] = wide_min(wide_max(x[m], low), high);
        }
        sum = wide_sum(x, size, zero, 0);
        block->is_general |= wide_any(~(sum - sum == zero));
    }
    if (outputs) {
        block->min = x[0];
        block->max = x[0];
        for (int m = 1; m < size; m++) {
            block->min = wide_min(block->min, x[m]);
            block->max = wide_max(block->max, x[m]);
        }
        block->min += zero;
        block->max += zero;
    }

    const merit_divisor64 members = m_divisor64(count);
    wide_d mean = sum;
    wide_divide(&mean, 1, wide_splat(members.d), wide_splat(members.reciprocal));
    const int own_scales = scale == MERIT_SCALE_LEAVE_ONE_OUT_STD;
    const int scaled = scale == MERIT_SCALE_STD;
    const int centered = center != MERIT_CENTER_NONE;
    wide_d rewards[DENSE_MAX_SIZE];
    for (int m = 0; m < size && own_scales; m++) {
        rewards[m] = x[m];
    }
    if (centered) {
        for (int m = 0; m < size; m++) {
            x[m] = x[m] - mean;
        }
    }
    wide_d m2 = zero;
    if (scaled) m2 = wide_sum(x, size, centered ? zero : mean, 1);
    if (outputs) block->mean = mean + zero;
    block->m2 = m2;
    if (!scaled) {
        for (int m = 0; m < size; m++) {
            x[m] = x[m] + zero; // makes -0 a +0, as the general path does with rewards
        }
    }
    if (center == MERIT_CENTER_LEAVE_ONE_OUT) {
        const merit_divisor64 others = m_divisor64(m_sub64(count, 1.0));
        for (int m = 0; m < size; m++) {
            x[m] = x[m] * wide_splat(count);
        }
        wide_divide(x, size, wide_splat(others.d), wide_splat(others.reciprocal));
    }
    if (own_scales) dense_own_scales(a, size, rewards, x);
    for (int m = 0; m < size; m++) {
        values[m] = x[m];
    }
}

// The second step under STD. A zero scale and a divisor out of range are for the general path; equal
// rewards stay 0, unless there is no center.
WIDE_INLINE void dense_find_divisor(const merit_advantage_group_args *a, int size, int center,
                                    dense_block *block)
{
    const wide_d zero = {0.0};
    const merit_divisor64 degrees = m_divisor64(m_sub64((double)size, (double)a->d.ddof));
    const wide_d s = dense_std(block->m2, degrees);
    const wide_d divisor = dense_divisor(a->d.eps_rule, a->d.eps, s);
    const wide_l outside = s <= wide_splat(m_max64(a->d.zero_threshold, 0.0));
    const wide_l equal = block->m2 == zero;
    block->is_general |= wide_any(center != MERIT_CENTER_NONE ? outside & ~equal : outside);
    block->divisor = wide_select(outside, wide_splat(1.0), divisor);
    block->reciprocal = wide_splat(1.0) / block->divisor;
}

// Asks for the lines of a block: what a CPU fetches on its own ends with the page, of which a batch is a
// good part. 7 % of the time of a large call.
#define DENSE_PREFETCH(block, size, to_write)                   \
    for (int i = 0; i < WIDE_WIDTH * (size); i += DENSE_LINE) { \
        __builtin_prefetch((block) + i, to_write);              \
    }

// `count` blocks of groups, the first of group `first`; the lines of the next batch are asked for.
WIDE_INLINE void dense_run(const merit_advantage_group_args *a, int64_t first, int count, int size,
                           int64_t stride, int center, int scale, int clips, int outputs,
                           dense_batch *batch)
{
    if (size < 2 || size > DENSE_MAX_SIZE) __builtin_unreachable(); // merit_advantage_is_plain
    const int scaled = scale == MERIT_SCALE_STD;
    float *const advantages = (float *)a->io.advantages;
    const float *const rewards = (const float *)a->io.rewards;
    const int64_t next = first + count * WIDE_WIDTH;
    const int64_t following = next * stride;
    const int has_next = next + count * WIDE_WIDTH <= a->d.groups.num_groups;
    for (int b = 0; b < count; b++) {
        if (has_next) {
            DENSE_PREFETCH(rewards + following + b * WIDE_WIDTH * stride, size, 0);
        }
        dense_center(a, first + b * WIDE_WIDTH, size, stride, center, scale, clips, outputs,
                     &batch->x[b * size], &batch->blocks[b]);
    }
    for (int b = 0; b < count && scaled; b++) {
        dense_find_divisor(a, size, center, &batch->blocks[b]);
    }
    for (int b = 0; b < count && advantages != NULL; b++) {
        const dense_block *const block = &batch->blocks[b];
        if (has_next) {
            DENSE_PREFETCH(advantages + following + b * WIDE_WIDTH * stride, size, 1);
        }
        if (block->is_general) continue;
        wide_d *const x = &batch->x[b * size];
        if (scaled) wide_divide(x, size, block->divisor, block->reciprocal);
        dense_write(advantages + (first + b * WIDE_WIDTH) * stride, stride, size, x);
    }
}

static inline int dense_clips(const merit_advantage_group_args *a)
{
    return a->d.reward_low != -INFINITY || a->d.reward_high != INFINITY;
}

// Whether anything but the advantages is asked for.
static inline int dense_has_outputs(const merit_advantage_group_args *a)
{
    const merit_advantage_group_io *const io = &a->io;
    return io->keep != NULL || io->group_count != NULL || io->group_mean != NULL ||
           io->group_scale != NULL || io->group_min != NULL || io->group_max != NULL ||
           io->group_flags != NULL || (io->diagnostics != NULL && a->d.expected_size > 0);
}

// Of group `group`, which begins at row `begin`: element l of a block.
static inline void dense_output(const merit_advantage_group_args *a, int64_t group, int64_t begin,
                                int size, const dense_block *s, int l)
{
    merit_advantage_partial p = merit_advantage_partial_empty();
    p.record.moments = (merit_moments){(double)size, s->mean[l], s->m2[l], s->min[l], s->max[l]};
    const merit_advantage_shape shape = {size, s->min[l], s->max[l], 0.0};
    const merit_advantage_rule rule = merit_advantage_rule_of(a, &p, 0);
    const int zero_rule = a->d.scale != MERIT_SCALE_NONE && rule.scale <= a->d.zero_threshold &&
                          a->d.zero_rule != MERIT_ZERO_RULE_DIVIDE;
    merit_advantage_write_group(a, group, 0, size, &shape, &p, &rule,
                                zero_rule ? MERIT_ADVANTAGE_SAW_ZERO_RULE : 0);
    if (a->io.keep == NULL) return;
    memset(a->io.keep + begin, !merit_moments_all_equal(s->min[l], s->max[l]), (size_t)size);
}

// Whether dense_run knows the options of the call. Outputs that tell of a zero rule need the general
// path where members have scales of their own.
static int dense_knows(const merit_advantage_group_args *a)
{
    const int own_scales = a->d.scale == MERIT_SCALE_LEAVE_ONE_OUT_STD &&
                           a->io.group_flags == NULL && a->io.group_scale == NULL;
    const int scale = own_scales || a->d.scale == MERIT_SCALE_NONE || a->d.scale == MERIT_SCALE_STD;
    if (!(a->d.eps >= 0.0 && a->d.eps <= 0x1p400)) return 0; // divisors stay in range of quotient.h
    return merit_advantage_has_plain_options(a, scale);
}

static int dense_takes(const merit_advantage_group_args *a)
{
    const int64_t size = a->d.groups.group_size;
    return size >= 2 && size <= DENSE_MAX_SIZE && dense_knows(a);
}

// Runners: dense_run with literal sizes of dense groups and literal options for the common calls, so that
// loops unroll and rewards stay in registers, and dense_run_any for all others.
typedef void dense_runner(const merit_advantage_group_args *a, int64_t first, int count,
                          dense_batch *batch);

#define DENSE_RUNNER(name, size, stride, center, scale, clips, outputs)                 \
    static void name(const merit_advantage_group_args *a, int64_t first, int count,     \
                     dense_batch *batch)                                                \
    {                                                                                   \
        dense_run(a, first, count, size, stride, center, scale, clips, outputs, batch); \
    }

#define DENSE_RUNNERS(name, center, scale)                                                         \
    DENSE_RUNNER(name##_4, 4, 4, center, scale, 0, 0)                                              \
    DENSE_RUNNER(name##_8, 8, 8, center, scale, 0, 0)                                              \
    DENSE_RUNNER(name##_10, 10, 10, center, scale, 0, 0)                                           \
    DENSE_RUNNER(name##_12, 12, 12, center, scale, 0, 0)                                           \
    DENSE_RUNNER(name##_16, 16, 16, center, scale, 0, 0)                                           \
    DENSE_RUNNER(name##_32, 32, 32, center, scale, 0, 0)                                           \
    DENSE_RUNNER(name##_64, 64, 64, center, scale, 0, 0)                                           \
    DENSE_RUNNER(name##_any, (int)a->d.groups.group_size, a->d.groups.group_stride, center, scale, \
                 0, 0)

DENSE_RUNNERS(dense_run_standard, MERIT_CENTER_MEAN, MERIT_SCALE_STD)
DENSE_RUNNERS(dense_run_mean, MERIT_CENTER_MEAN, MERIT_SCALE_NONE)
DENSE_RUNNERS(dense_run_others, MERIT_CENTER_LEAVE_ONE_OUT, MERIT_SCALE_NONE)
DENSE_RUNNERS(dense_run_own, MERIT_CENTER_LEAVE_ONE_OUT, MERIT_SCALE_LEAVE_ONE_OUT_STD)
DENSE_RUNNER(dense_run_any, (int)a->d.groups.group_size, a->d.groups.group_stride, a->d.center,
             a->d.scale, dense_clips(a), dense_has_outputs(a))

#define DENSE_RUNNER_OF(name)                        \
    switch (is_dense ? a->d.groups.group_size : 0) { \
    case 4: return name##_4;                         \
    case 8: return name##_8;                         \
    case 10: return name##_10;                       \
    case 12: return name##_12;                       \
    case 16: return name##_16;                       \
    case 32: return name##_32;                       \
    case 64: return name##_64;                       \
    default: return name##_any;                      \
    }

static dense_runner *dense_runner_of(const merit_advantage_group_args *a)
{
    const int32_t center = a->d.center;
    const int32_t scale = a->d.scale;
    const int is_dense = a->d.groups.group_stride == a->d.groups.group_size;
    if (dense_clips(a) || dense_has_outputs(a)) return dense_run_any;
    if (center == MERIT_CENTER_MEAN && scale == MERIT_SCALE_STD) {
        DENSE_RUNNER_OF(dense_run_standard);
    }
    if (center == MERIT_CENTER_MEAN && scale == MERIT_SCALE_NONE) {
        DENSE_RUNNER_OF(dense_run_mean);
    }
    if (center == MERIT_CENTER_LEAVE_ONE_OUT && scale == MERIT_SCALE_NONE) {
        DENSE_RUNNER_OF(dense_run_others);
    }
    if (center == MERIT_CENTER_LEAVE_ONE_OUT && scale == MERIT_SCALE_LEAVE_ONE_OUT_STD) {
        DENSE_RUNNER_OF(dense_run_own);
    }
    return dense_run_any;
}

// Blocks of a batch: as many as there is room for.
static int dense_batch_blocks(int size)
{
    const int blocks = DENSE_MAX_SIZE / size;
    return blocks < DENSE_MAX_BLOCKS ? blocks : DENSE_MAX_BLOCKS;
}

#endif
