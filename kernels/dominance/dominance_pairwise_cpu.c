// dominance_pairwise, CPU. A thread takes states and objectives; each block of actions becomes columns,
// and every earlier action is compared with all of the block at once. Bound by subtraction, minimum,
// maximum and two additions per pair and level.
#include "../backend.h"
#include "../core/parallel.h"
#include "dominance_means_cpu.h"
#include "dominance_pairwise_args.h"
#include "dominance_rows_cpu.h"
#include "dominance_turns_cpu.h"

typedef struct block_results {
    float qd[DOM_WIDTH], gain[DOM_WIDTH]; // of a over the block
    float qd_turned[DOM_WIDTH], gain_turned[DOM_WIDTH]; // of the block over a
} block_results;

// The same as vectors.
typedef struct pair_results {
    dom_f qd, gain, qd_turned, gain_turned;
} pair_results;

DOM_INLINE pair_results results_of_means(const merit_dominance_compare *c, const dominance_means *m,
                                         int wants_gain)
{
    const dom_d zero = {0.0};
    dom_d qd[2], gain[2], turned_qd[2], turned_gain[2];
    for (int half = 0; half < 2; half++) {
        const dom_d violation = dom_widen(m->violation, half);
        const dom_d total = (violation + violation) + m->distance[half];
        const dom_d part = violation / total;
        const dom_l none = total == zero;
        const dom_d small = dom_select64(none, dom_splat64(0.5), part);
        const dom_d large = dom_select64(none, dom_splat64(0.5), 1.0 - part);
        const dom_d other = violation + m->distance[half];
        qd[half] = dom_select64(m->larger[half], large, small);
        gain[half] = dom_select64(m->larger[half], other, violation);
        turned_qd[half] = dom_select64(m->larger[half], small, large);
        turned_gain[half] = dom_select64(m->larger[half], violation, other);
    }
    pair_results r = {.qd = dom_round(qd[0], qd[1]),
                      .qd_turned = dom_round(turned_qd[0], turned_qd[1])};
    if (wants_gain) {
        r.gain = dom_round(gain[0] / c->unit, gain[1] / c->unit);
        r.gain_turned = dom_round(turned_gain[0] / c->unit, turned_gain[1] / c->unit);
    }
    return r;
}

static void finish_by_means(const merit_dominance_compare *c, const dominance_means *m,
                            int wants_gain, block_results *r)
{
    const pair_results v = results_of_means(c, m, wants_gain);
    memcpy(r->qd, &v.qd, sizeof v.qd);
    memcpy(r->qd_turned, &v.qd_turned, sizeof v.qd_turned);
    if (!wants_gain) return;
    memcpy(r->gain, &v.gain, sizeof v.gain);
    memcpy(r->gain_turned, &v.gain_turned, sizeof v.gain_turned);
}

// Of pairs that are all defined, from sums of both sides.
static void finish_by_sums(const merit_dominance_compare *c, int m, const dominance_sums *sums,
                           int wants_gain, int wants_turned, block_results *r)
{
    const int negative = merit_dominance_is_negative(c, m);
    const int halves = merit_dominance_halves_ties(c);
    const dom_d zero = {0.0};
    dom_d gain[2], loss[2], qd[2], turned[2];
    for (int half = 0; half < 2; half++) {
        const dom_d more = dom_load64(sums->more + half * DOM_HALF);
        const dom_d less = dom_load64(sums->less + half * DOM_HALF);
        const dom_d tie = dom_load64(sums->tie + half * DOM_HALF);
        gain[half] = negative ? less : more;
        loss[half] = negative ? more : less;
        const dom_d won = halves ? gain[half] + 0.5 * tie : gain[half];
        const dom_d lost = halves ? loss[half] + 0.5 * tie : loss[half];
        const dom_d total = won + lost;
        const dom_l none = total == zero;
        qd[half] = dom_select64(none, dom_splat64(0.5), won / total);
        turned[half] = dom_select64(none, dom_splat64(0.5), lost / total);
    }
    const dom_f qd32 = dom_round(qd[0], qd[1]);
    memcpy(r->qd, &qd32, sizeof qd32);
    if (wants_turned) {
        const dom_f turned32 = dom_round(turned[0], turned[1]);
        memcpy(r->qd_turned, &turned32, sizeof turned32);
    }
    if (!wants_gain) return;
    const dom_f gain32 = dom_round(gain[0] / c->unit, gain[1] / c->unit);
    const dom_f loss32 = dom_round(loss[0] / c->unit, loss[1] / c->unit);
    memcpy(r->gain, &gain32, sizeof gain32);
    memcpy(r->gain_turned, &loss32, sizeof loss32);
}

static void finish(const merit_dominance_compare *c, const dominance_slot *s,
                   const dominance_sums *sums, int a, int block, block_results *r)
{
    for (int j = 0; j < DOM_WIDTH && block + j < c->num_actions; j++) {
        const int b = block + j;
        const int unknown = s->bad_weights || sums->undefined[j] ||
                            ((s->flags[a] | s->flags[b]) & MERIT_DOMINANCE_ROW_UNKNOWN) != 0;
        const merit_dominance_pair p =
            merit_dominance_make(c, s->objective, sums->more[j], sums->less[j], sums->tie[j],
                                 s->sums[a], s->sums[b], a < b, unknown);
        const merit_dominance_pair turned = merit_dominance_turned(p);
        r->qd[j] = merit_dominance_qd(c, p);
        r->gain[j] = merit_dominance_gain(c, p);
        r->qd_turned[j] = merit_dominance_qd(c, turned);
        r->gain_turned[j] = merit_dominance_gain(c, turned);
    }
}

// Rows a of the block, and columns a of the rows that came before it.
static void write_results(const dominance_slot *s, float *out, int a, int block, const float *row,
                          const float *turned)
{
    if (out == NULL) return;
    const int64_t A = s->c->num_actions;
    float *const matrix = out + (s->state * s->c->num_objectives + s->objective) * A * A;
    const int count = (int)(A - block < DOM_WIDTH ? A - block : DOM_WIDTH);
    if (count == DOM_WIDTH) {
        memcpy(matrix + a * A + block, row, DOM_WIDTH * sizeof *row);
    } else {
        memcpy(matrix + a * A + block, row, (size_t)count * sizeof *row);
    }
    if (a >= block) return; // the block's own rows are compared both ways
    for (int j = 0; j < count; j++) {
        matrix[(block + j) * A + a] = turned[j];
    }
}

#if DOMINANCE_HAS_TURNS

static void write_rows(const dominance_slot *s, float *out, int block, const dom_f *rows)
{
    if (out == NULL) return;
    const int64_t A = s->c->num_actions;
    float *const matrix = out + (s->state * s->c->num_objectives + s->objective) * A * A;
    const int count = (int)(A - block < DOM_WIDTH ? A - block : DOM_WIDTH);
    for (int i = 0; i < count; i++) {
        float *const to = matrix + (block + i) * A + block;
        if (count == DOM_WIDTH) {
            memcpy(to, &rows[i], sizeof rows[i]);
        } else {
            memcpy(to, &rows[i], (size_t)count * sizeof *to);
        }
    }
}

// The rows of a block among themselves.
static void run_turns(const merit_dominance_pairwise_args *args, const dominance_slot *s, int block,
                      const double sums[DOM_WIDTH])
{
    const int wants_gain = args->gain != NULL;
    dom_f qd[DOM_WIDTH], gain[DOM_WIDTH];
    double twice[2 * DOM_WIDTH];
    memcpy(twice, sums, DOM_WIDTH * sizeof *sums);
    memcpy(twice + DOM_WIDTH, sums, DOM_WIDTH * sizeof *sums);
    qd[0] = dom_splat(0.5f);
    gain[0] = (dom_f){0.0f};
    for (int k = 1; k <= DOM_WIDTH / 2; k += 2) {
        dominance_means means[2];
        dominance_compare_turns(s->c, s->objective, s->columns, s->weights, twice, k, means);
        for (int i = 0; i < 2; i++) {
            // element j: row j over row j + k, which lies k places on; and row j + k over row j
            const pair_results r = results_of_means(s->c, &means[i], wants_gain);
            const dom_i back = dominance_turned_places(DOM_WIDTH - k - i);
            qd[k + i] = dom_pick(r.qd, back);
            qd[DOM_WIDTH - k - i] = r.qd_turned;
            if (!wants_gain) continue;
            gain[k + i] = dom_pick(r.gain, back);
            gain[DOM_WIDTH - k - i] = r.gain_turned;
        }
    }
    if (args->qd != NULL) dominance_turns_to_rows(qd);
    write_rows(s, args->qd, block, qd);
    if (wants_gain) dominance_turns_to_rows(gain);
    write_rows(s, args->gain, block, gain);
}

#else

static void run_turns(const merit_dominance_pairwise_args *args, const dominance_slot *s, int block,
                      const double sums[DOM_WIDTH])
{
    (void)args, (void)s, (void)block, (void)sums;
}

#endif

static void run_block(const merit_dominance_pairwise_args *args, dominance_slot *s, int block)
{
    const merit_dominance_compare *const c = s->c;
    const int A = c->num_actions;
    const int end = block + DOM_WIDTH < A ? block + DOM_WIDTH : A;
    double sums[DOM_WIDTH];
    uint32_t flags[DOM_WIDTH];
    dominance_load_block(s, block, NULL, s->columns);
    dominance_describe_block(s, s->columns, sums, flags);
    uint32_t seen = 0;
    uint64_t unsorted = 0;
    for (int b = block; b < end; b++) {
        s->sums[b] = sums[b - block];
        s->flags[b] = flags[b - block];
        seen |= s->flags[b];
        unsorted += (s->flags[b] & MERIT_DOMINANCE_ROW_UNSORTED) != 0;
    }
    m_count(c->diagnostics, MERIT_COUNTER_UNSORTED, unsorted);
    const int turns = DOMINANCE_HAS_TURNS && end - block > DOM_WIDTH / 2 && c->by_means &&
                      seen == 0 && !s->bad_weights;
    if (turns) run_turns(args, s, block, sums);
    for (int a = 0; a < (turns ? block : end); a++) {
        dominance_sums compared;
        block_results r;
        const float *const row = dominance_row(s, a, dominance_buffer(s, DOM_WIDTH));
        const uint32_t both = seen | s->flags[a];
        if (c->by_means && both == 0 && !s->bad_weights) {
            const dominance_means means = dominance_compare_means(
                c, s->objective, row, s->columns, s->weights, s->sums[a], sums, a - block);
            finish_by_means(c, &means, args->gain != NULL, &r);
        } else {
            dominance_block_sums(c, s->objective, row, s->columns, s->weights,
                                 (both & MERIT_DOMINANCE_ROW_INF) != 0, &compared);
            if (both == 0 && !s->bad_weights && !c->by_means) {
                finish_by_sums(c, s->objective, &compared, args->gain != NULL, a < block, &r);
            } else {
                finish(c, s, &compared, a, block, &r);
            }
        }
        if (a >= block) {
            r.qd[a - block] = 0.5f;
            r.gain[a - block] = 0.0f;
        }
        write_results(s, args->qd, a, block, r.qd, r.qd_turned);
        write_results(s, args->gain, a, block, r.gain, r.gain_turned);
    }
}

static void run_slots(void *state, int64_t begin, int64_t end)
{
    const merit_dominance_pairwise_args *const args = state;
    const merit_dominance_compare *const c = &args->c;
    const int M = c->num_objectives;
    const int64_t items = c->num_states * M;
    for (int64_t slot = begin; slot < end; slot++) {
        dominance_slot s = dominance_slot_of(c, &args->scratch, slot);
        const int64_t first =
            items / args->scratch.num_slots * slot +
            (slot < items % args->scratch.num_slots ? slot : items % args->scratch.num_slots);
        const int64_t count =
            items / args->scratch.num_slots + (slot < items % args->scratch.num_slots);
        for (int64_t item = first; item < first + count; item++) {
            s.objective = (int)(item % M);
            if (s.objective == 0 || item == first) dominance_set_state(&s, item / M);
            if (s.objective == 0) {
                m_count(c->diagnostics, MERIT_COUNTER_BAD_WEIGHT, (uint64_t)s.bad_weights);
            }
            for (int a = 0; c->sort_levels && a < c->num_actions; a++) {
                dominance_sort_row(&s, a);
            }
            for (int block = 0; block < c->num_actions; block += DOM_WIDTH) {
                run_block(args, &s, block);
            }
        }
    }
}

// Launcher ----------------------------------------------------------------------------------------

merit_dominance_pairwise_launcher MERIT_BACKEND_FN(dominance_pairwise);

int MERIT_BACKEND_FN(dominance_pairwise)(const merit_dominance_pairwise_args *args,
                                         const merit_launch *launch)
{
    merit_parallel_ranges(launch->num_threads, args->scratch.num_slots, 1, run_slots, (void *)args);
    return 0;
}
