// preference_list: a batch of ragged groups in parts, each with the denominator of the whole.
#include <math.h>
#include <string.h>

#include "list_random.h"

enum { GROUPS = 6300, TILES = (GROUPS + 2047) / 2048 };

// Neighbors first; an odd one out passes through.
static double fold(double *values, int64_t count)
{
    while (count > 1) {
        for (int64_t i = 0; i < count / 2; i++) {
            values[i] = values[2 * i] + values[2 * i + 1];
        }
        if (count % 2 == 1) values[count / 2] = values[count - 1];
        count = (count + 1) / 2;
    }
    return values[0];
}

// Groups first .. first + count - 1; their rows stay where they are.
static list_case part(const list_case *c, int64_t first, int64_t count)
{
    list_case p = *c;
    p.d.groups.num_groups = count;
    p.d.groups.offsets += first;
    if (p.io.target_index != NULL) p.io.target_index += first;
    p.io.group_weight += first;
    return p;
}

static void compare_parts(tk_fixture *tk, const list_random *l, const list_case *c,
                          const int64_t *parts, int is_aligned)
{
    list_result whole = list_run(tk, c);
    double loss = 0, tiles[TILES + 1];
    int64_t first = 0, num_tiles = 0;
    for (int k = 0; first < GROUPS; k++) {
        const int64_t rest = GROUPS - first, count = parts[k] < rest ? parts[k] : rest;
        const list_case some = part(c, first, count);
        list_result p = list_run(tk, &some);
        const int64_t begin = l->offsets[first], items = l->offsets[first + count] - begin;
        tk_expect_bits((char *)p.grad_raw + 4 * begin, (char *)whole.grad_raw + 4 * begin, items,
                       4);
        tk_expect_bits(p.group_loss, whole.group_loss + first, count, 8);
        for (int64_t t = 0; t < (count + 2047) / 2048 && is_aligned; t++) {
            tiles[num_tiles++] = p.tiles[t];
        }
        loss += p.loss;
        first += count;
        list_free(&p);
    }
    tk_expect_close(&loss, &whole.loss, 1, 0, 1e-15 + 4e-16); // the last term: of adding them here
    if (is_aligned) {
        const double folded = fold(tiles, num_tiles) / c->io.denominator[0];
        tk_expect_bits(&folded, &whole.loss, 1, 8);
    }
    list_free(&whole);
}

TK_TEST(preference_list, parts_of_every_mode_have_the_gradients_of_the_batch)
{
    static const int64_t ragged[] = {1, 31, 300, 17, 256, 999, 2048, GROUPS};
    static const int64_t whole_tiles[] = {2048, 4096, GROUPS};
    static const double given = 1234.5;
    static int64_t sizes[GROUPS];
    for (int n = 0; n < GROUPS; n++) {
        sizes[n] = n % 5;
    }
    list_random l = list_random_make(sizes, GROUPS, 61);
    for (int k = 0; k < LIST_NUM_MODES; k += tk->kind == TK_SIMT ? 5 : TK_RARER) {
        list_case c = list_random_case(&l, list_modes[k]);
        c.d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN;
        c.io.denominator = &given;
        c.io.group_weight = l.group_weight;
        tk_case("%s", list_modes[k]);
        if (tk->kind != TK_SIMT || k == 0)
            compare_parts(tk, &l, &c, ragged + 5 * (tk->kind == TK_SIMT), 0);
        compare_parts(tk, &l, &c, whole_tiles, 1);
    }
    list_random_free(&l);
}
