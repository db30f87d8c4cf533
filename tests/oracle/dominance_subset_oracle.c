#include "dominance_subset_oracle.h"

#include <math.h>
#include <string.h>

typedef struct state {
    const merit_dominance_subset_desc *d;
    const dominance_oracle *o;
    int64_t b;
    int M, A;
    uint8_t above[SUBSET_MAX_OBJECTIVES][SUBSET_MAX_OBJECTIVES];
    subset_oracle *r;
} state;

typedef uint8_t set[SUBSET_MAX_ACTIONS];

static int size_of(const state *s, const uint8_t *c)
{
    int n = 0;
    for (int a = 0; a < s->A; a++)
        n += c[a];
    return n;
}

static int beats(const state *s, int m, int a, int b)
{
    int near;
    const dominance_oracle_pair p = dominance_oracle_compare(s->o, s->b, m, a, b);
    const int result =
        dominance_oracle_beats(s->o, p, s->d->theta == NULL ? 0.75 : (double)s->d->theta[m],
                               s->d->eta == NULL ? 0 : (double)s->d->eta[m], &near);
    s->r->near |= near;
    return result;
}

// Classes -----------------------------------------------------------------------------------------

static void read_above(state *s)
{
    for (int m = 0; m < s->M; m++) {
        for (int k = 0; k < s->M; k++) {
            s->above[m][k] = s->d->above != NULL  ? s->d->above[m * s->M + k]
                             : s->d->rank != NULL ? s->d->rank[m] < s->d->rank[k]
                                                  : m < k;
        }
    }
}

static int same_class(const state *s, int m, int k)
{
    for (int j = 0; j < s->M; j++) {
        if (s->above[m][j] != s->above[k][j] || s->above[j][m] != s->above[j][k]) return 0;
    }
    return !s->above[m][k] && !s->above[k][m];
}

// The lowest objective of m's class names the class.
static int class_of(const state *s, int m)
{
    int k = 0;
    while (!same_class(s, k, m))
        k++;
    return k;
}

static int directly_above(const state *s, int m, int k)
{
    if (!s->above[m][k]) return 0;
    for (int j = 0; j < s->M; j++) {
        if (s->above[m][j] && s->above[j][k]) return 0;
    }
    return 1;
}

// b beats a by the relation of the class of m (RULEBOOK: of all).
static int class_beats(const state *s, int m, int b, int a)
{
    int wins = 0, losses = 0, unexcused = 0;
    const int rulebook = s->d->mode == MERIT_DOMINANCE_MODE_RULEBOOK;
    for (int k = 0; k < s->M; k++) {
        if (!rulebook && class_of(s, k) != m) continue;
        const int win = beats(s, k, b, a), loss = beats(s, k, a, b);
        wins += win, losses += loss;
        int excused = 0;
        for (int j = 0; loss && j < s->M; j++)
            excused |= s->above[j][k] && beats(s, j, b, a);
        unexcused += loss && !excused;
    }
    if (rulebook) return wins > 0 && unexcused == 0;
    const int pareto = s->d->within_class == MERIT_DOMINANCE_WITHIN_PARETO;
    return wins > 0 && (!pareto || losses == 0);
}

static void undominated(const state *s, int m, const uint8_t *c, uint8_t *nd)
{
    for (int a = 0; a < s->A; a++) {
        nd[a] = c[a];
        for (int b = 0; b < s->A && nd[a]; b++) {
            if (b != a && c[b] && beats(s, m, b, a)) nd[a] = 0;
        }
    }
}

// On empty ----------------------------------------------------------------------------------------

static int in_class(const state *s, int m, int k)
{
    return m < 0 || s->d->mode == MERIT_DOMINANCE_MODE_RULEBOOK || class_of(s, k) == m;
}

// The least QD of a over the others; NaN if there are others but nothing to compare with. m < 0: under any.
static double least(const state *s, int m, const uint8_t *c, int a)
{
    double low = INFINITY;
    for (int k = 0; k < s->M; k++) {
        for (int b = 0; b < s->A; b++) {
            if (!in_class(s, m, k) || !c[b] || b == a) continue;
            const double qd =
                dominance_oracle_qd(s->o, dominance_oracle_compare(s->o, s->b, k, a, b));
            if (qd < low) low = qd;
        }
    }
    return isinf(low) && size_of(s, c) > 1 ? NAN : (float)low;
}

static void keep_maximin(const state *s, int m, const uint8_t *c, uint8_t *kept)
{
    double best = -1;
    for (int a = 0; a < s->A; a++) {
        const double score = c[a] ? least(s, m, c, a) : NAN;
        if (score > best) best = score;
    }
    for (int a = 0; a < s->A; a++) {
        const double score = c[a] ? least(s, m, c, a) : NAN;
        kept[a] = c[a] && (best < 0 || score == best);
        if (c[a] && score != best && fabs(score - best) < 1e-5) s->r->near = 1;
    }
}

static void keep_top_cycle(const state *s, int m, const uint8_t *c, uint8_t *kept)
{
    static uint8_t reach[64][64]; // small states only
    for (int a = 0; a < s->A; a++) {
        for (int b = 0; b < s->A; b++)
            reach[a][b] = a != b && c[a] && c[b] && class_beats(s, m, a, b);
    }
    for (int k = 0; k < s->A; k++) {
        for (int a = 0; a < s->A; a++) {
            for (int b = 0; b < s->A; b++)
                reach[a][b] |= reach[a][k] && reach[k][b];
        }
    }
    for (int a = 0; a < s->A; a++) {
        kept[a] = c[a];
        for (int b = 0; b < s->A; b++)
            kept[a] &= !reach[b][a] || reach[a][b];
    }
}

// Running -----------------------------------------------------------------------------------------

static double mean(const state *s, int m, int a)
{
    const merit_dominance_pairwise_desc *const d = &s->o->d;
    const double *const row =
        s->o->levels + ((s->b * s->M + m) * s->A + a) * (int64_t)d->num_levels;
    const float *const w =
        s->o->weights == NULL ? NULL : s->o->weights + s->b * d->weights_stride_state;
    double sum = 0;
    if (s->o->bad_weights[s->b]) return NAN;
    for (int n = 0; n < d->num_levels; n++)
        sum += (w == NULL ? 1 : w[n]) * row[n];
    return d->sign != NULL && d->sign[m] < 0 ? -sum : sum;
}

static int best_of(const state *s, const uint8_t *c, double (*score)(const state *, int, int),
                   int m)
{
    int best = -1, first = -1;
    double high = 0;
    for (int a = 0; a < s->A; a++) {
        if (!c[a]) continue;
        if (first < 0) first = a;
        const double x = score(s, m, a);
        if (best >= 0 && x != high && fabs(x - high) < 1e-9 * (fabs(x) + fabs(high)))
            s->r->near = 1;
        if (!isnan(x) && (best < 0 || x > high)) best = a, high = x;
    }
    return best >= 0 ? best : first;
}

static double weighted_mean(const state *s, int last, int a)
{
    double sum = 0;
    for (int m = 0; m < s->M; m++) {
        const double w =
            s->d->pick_weights != NULL ? s->d->pick_weights[m] : class_of(s, m) == last;
        if (w != 0) sum += w * mean(s, m, a);
    }
    return sum;
}

static double least_of_final(const state *s, int m, int a)
{
    (void)m;
    return least(s, -1, s->r->final, a);
}

static int intersect(const state *s, const uint8_t *with, uint8_t *into)
{
    int common = 0, some = 0;
    for (int a = 0; a < s->A; a++)
        common += into[a] && with[a], some += into[a];
    if (common == 0) return some > 0;
    for (int a = 0; a < s->A; a++)
        into[a] = into[a] && with[a];
    return 0;
}

// What class m keeps of c.
static void settle(const state *s, int m, const uint8_t *c, uint8_t *kept)
{
    const int rulebook = s->d->mode == MERIT_DOMINANCE_MODE_RULEBOOK;
    const int meet = !rulebook && s->d->within_class == MERIT_DOMINANCE_WITHIN_MEET;
    int members = 0, cycle = 0;
    for (int a = 0; a < s->A; a++) {
        kept[a] = c[a];
        for (int b = 0; b < s->A && kept[a]; b++) {
            if (b != a && c[b] && class_beats(s, m, b, a)) kept[a] = 0;
        }
    }
    for (int k = 0; k < s->M; k++)
        members += in_class(s, m, k);
    const int fell = size_of(s, kept) == 0 && size_of(s, c) > 0;
    cycle = fell && (!meet || members == 1);
    if (fell) {
        s->r->flags |= MERIT_DOMINANCE_FLAG_FALLBACK;
        if (s->d->on_empty == MERIT_DOMINANCE_ON_EMPTY_KEEP) memcpy(kept, c, (size_t)s->A);
        if (s->d->on_empty == MERIT_DOMINANCE_ON_EMPTY_MAXIMIN) keep_maximin(s, m, c, kept);
        if (s->d->on_empty == MERIT_DOMINANCE_ON_EMPTY_TOP_CYCLE) keep_top_cycle(s, m, c, kept);
    }
    for (int k = 0; k < s->M; k++) {
        set own;
        if (!in_class(s, m, k)) continue;
        memcpy(own, kept, (size_t)s->A);
        if (meet && members > 1) undominated(s, k, c, own);
        cycle |= size_of(s, own) == 0 && size_of(s, c) > 0;
        memcpy(s->r->subset[k], own, (size_t)s->A);
        s->r->greedy[k] = best_of(s, size_of(s, own) == 0 ? kept : own, mean, k);
    }
    if (cycle) s->r->flags |= MERIT_DOMINANCE_FLAG_CYCLE;
}

static void find_valid(const state *s, const uint8_t *given, uint8_t *valid)
{
    for (int a = 0; a < s->A; a++) {
        int unknown = 0, has_nan = 0;
        valid[a] = given == NULL || given[a] != 0;
        for (int m = 0; m < s->M; m++) {
            const int64_t row = (s->b * s->M + m) * s->A + a;
            unknown |= s->o->unknown[row];
            for (int n = 0; n < s->o->d.num_levels; n++)
                has_nan |= isnan(s->o->levels[row * s->o->d.num_levels + n]) != 0;
        }
        if (valid[a] && s->d->drop_nan && has_nan) {
            valid[a] = 0;
            s->r->flags |= MERIT_DOMINANCE_FLAG_NAN_SEEN;
        }
        if (valid[a] && (unknown || s->o->bad_weights[s->b])) {
            s->r->flags |= MERIT_DOMINANCE_FLAG_NAN_SEEN;
        }
    }
}

void subset_oracle_run(const merit_dominance_subset_desc *d, const dominance_oracle *o, int64_t b,
                       const uint8_t *valid_bytes, uint32_t random, subset_oracle *r)
{
    static uint8_t kept[SUBSET_MAX_OBJECTIVES][SUBSET_MAX_ACTIONS];
    state s = {.d = d, .o = o, .b = b, .M = d->num_objectives, .A = d->num_actions, .r = r};
    set valid, c;
    memset(r, 0, sizeof *r);
    read_above(&s);
    find_valid(&s, valid_bytes, valid);
    if (size_of(&s, valid) == 0) r->flags |= MERIT_DOMINANCE_FLAG_NO_VALID_ACTION;
    const int rulebook = d->mode == MERIT_DOMINANCE_MODE_RULEBOOK;
    int done[SUBSET_MAX_OBJECTIVES] = {0}, last = 0, most = -1;
    for (int rest = s.M; rest > 0 && !rulebook;) { // a class once all above it are settled
        for (int m = 0; m < s.M; m++) {
            int ready = !done[m] && class_of(&s, m) == m, over = 0;
            for (int k = 0; k < s.M; k++)
                ready &= !s.above[k][m] || done[k];
            if (!ready) continue;
            memcpy(c, valid, sizeof c);
            for (int k = 0; k < s.M; k++) {
                if (class_of(&s, k) != k || !directly_above(&s, k, m)) continue;
                if (intersect(&s, kept[k], c)) r->flags |= MERIT_DOMINANCE_FLAG_BRANCH_SKIPPED;
            }
            settle(&s, m, c, kept[m]);
            for (int k = 0; k < s.M; k++) {
                over += class_of(&s, k) == k && s.above[k][m];
                if (class_of(&s, k) != m) continue;
                done[k] = 1;
                rest--;
            }
            if (over > most || (over == most && m > last)) last = m, most = over;
        }
    }
    for (int m = 0; m < s.M && rulebook; m++) { // the weights of MEAN still go by the preorder
        int over = 0;
        for (int k = 0; k < s.M; k++)
            over += class_of(&s, k) == k && s.above[k][m];
        if (class_of(&s, m) == m && (over > most || (over == most && m > last)))
            last = m, most = over;
    }
    memcpy(r->final, valid, sizeof valid);
    if (rulebook) settle(&s, 0, valid, r->final);
    for (int m = 0; m < s.M && !rulebook; m++) {
        int below = 0;
        for (int k = 0; k < s.M; k++)
            below |= s.above[m][k];
        if (class_of(&s, m) != m || below) continue;
        if (intersect(&s, kept[m], r->final)) r->flags |= MERIT_DOMINANCE_FLAG_BRANCH_SKIPPED;
    }
    const int size = size_of(&s, r->final);
    int64_t member = d->pick == MERIT_DOMINANCE_PICK_RANDOM
                         ? (int64_t)(((uint64_t)random * (uint64_t)size) >> 32)
                         : 0;
    r->action = -1;
    for (int a = 0; a < s.A; a++) {
        if (r->final[a] && member-- == 0) r->action = a;
    }
    if (d->pick == MERIT_DOMINANCE_PICK_NONE) r->action = -1;
    if (d->pick == MERIT_DOMINANCE_PICK_MEAN)
        r->action = best_of(&s, r->final, weighted_mean, last);
    if (d->pick == MERIT_DOMINANCE_PICK_MAXIMIN)
        r->action = best_of(&s, r->final, least_of_final, 0);
}
