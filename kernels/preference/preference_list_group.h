// preference_list: the steps of one group, the same text for a CPU thread and a team of GPU threads.
//
// The backend that includes this has defined
//
//   LIST_FUNCTION         how a function begins: static, or a template over the kind of team
//   LIST_WORK             the type of the state that follows
//       a, g              arguments and the group; every thread of a team has the same g
//       keys, xs, slopes, losses   [size] arrays of a group whose mode compares items
//   LIST_EACH(w, i, n)    for (...): every i in [0, n), each by one thread of the team
//   list_read, list_item  item i with and without what it showed
//   list_settle           scores become x from here on
//   list_sum, list_sum_of canonical sums over items: of a term, of an array
//   list_total, list_top, list_bottom, list_or   of one value per thread
//   list_sync             arrays written so far can be read
//   list_sort             keys in rising order
//   list_run_back, list_run_forth   running sums over 32 positions at a time
//   list_meet_all         ALL_PAIRS: slopes and losses of all items
//   list_leads            true in one thread of the team

// Reading -----------------------------------------------------------------------------------------

LIST_FUNCTION void list_find_shape(LIST_WORK *w)
{
    const merit_preference_list_args *const a = w->a;
    merit_list_shape s = merit_list_shape_empty();
    int saw = 0;
    LIST_EACH(w, i, w->g.span.size)
    {
        merit_list_shape_add(a, &s, list_read(w, i, &saw));
    }
    merit_list_shape *const all = &w->g.shape;
    all->content.members = list_total(w, s.content.members);
    all->content.positives = list_total(w, s.content.positives);
    all->content.negatives = list_total(w, s.content.negatives);
    all->in_sets = list_total(w, s.in_sets);
    all->saw = list_or(w, saw);
    all->s_min = list_bottom(w, s.s_min);
    all->s_max = list_top(w, s.s_max);
    all->key_min = list_bottom(w, s.key_min);
    all->key_max = list_top(w, s.key_max);
}

// From scores to x.
LIST_FUNCTION void list_center(LIST_WORK *w)
{
    const merit_preference_list_args *const a = w->a;
    merit_list_group *const g = &w->g;
    if (a->d.center != MERIT_LIST_CENTER_NONE) {
        g->mean = m_div64(list_sum(w, MERIT_LIST_TERM_SCORE), (double)g->shape.content.members);
    }
    g->x_min = merit_list_x(a, g, g->shape.s_min);
    g->x_max = merit_list_x(a, g, g->shape.s_max);
    g->settled = 1;
    list_settle(w);
}

// Best and worst of the positives, best of the negatives. Returns 1 when there are both.
LIST_FUNCTION int list_find_extremes(LIST_WORK *w)
{
    merit_list_group *const g = &w->g;
    double best = -m_inf64();
    double worst = m_inf64();
    double negative = -m_inf64();
    int found = 0;
    int saw = 0;
    LIST_EACH(w, i, g->span.size)
    {
        const merit_list_item item = list_item(w, i, &saw);
        if (!(item.state & MERIT_LIST_MEMBER)) continue;
        if (merit_list_is_positive(w->a, g, item)) {
            best = item.x > best ? item.x : best;
            worst = item.x < worst ? item.x : worst;
            found |= 1;
        } else if (merit_list_is_negative(w->a, g, item)) {
            negative = item.x > negative ? item.x : negative;
            found |= 2;
        }
    }
    g->best_positive = list_top(w, best);
    g->worst_positive = list_bottom(w, worst);
    g->best_negative = list_top(w, negative);
    return list_or(w, found) == 3;
}

// Modes -------------------------------------------------------------------------------------------

LIST_FUNCTION void list_cross_entropy(LIST_WORK *w)
{
    merit_list_group *const g = &w->g;
    if (w->a->d.target == MERIT_LIST_TARGET_WEIGHTS) {
        g->sum_weight = list_sum(w, MERIT_LIST_TERM_WEIGHT);
    }
    if (!g->is_pair) {
        g->sum_exp = list_sum(w, MERIT_LIST_TERM_EXP);
        g->log_sum = m_log64(g->sum_exp);
    }
    g->loss = list_sum(w, MERIT_LIST_TERM_LOSS);
}

LIST_FUNCTION void list_anchored(LIST_WORK *w)
{
    merit_list_group *const g = &w->g;
    if (w->a->d.anchored == MERIT_ANCHORED_POINTWISE) {
        g->loss = list_sum(w, MERIT_LIST_TERM_LOSS);
    } else {
        const int split = w->a->d.anchored == MERIT_ANCHORED_SPLIT;
        list_find_extremes(w);
        g->top_positive = split && !(g->worst_positive < 0.0) ? 0.0 : -g->worst_positive;
        g->top_negative = split && !(g->best_negative > 0.0) ? 0.0 : g->best_negative;
        g->sum_positive = list_sum(w, MERIT_LIST_TERM_EXP_POSITIVE);
        g->sum_negative = list_sum(w, MERIT_LIST_TERM_EXP_NEGATIVE);
        if (split) {
            g->sum_positive = m_add64(g->sum_positive, merit_list_exp(0.0, g->top_positive));
            g->sum_negative = m_add64(g->sum_negative, merit_list_exp(0.0, g->top_negative));
        }
        const double positive = m_add64(g->top_positive, m_log64(g->sum_positive));
        const double negative = m_add64(g->top_negative, m_log64(g->sum_negative));
        const double both = m_add64(positive, negative);
        g->joint = merit_preference_sigmoid64(both);
        g->loss = split ? both : m_softplus64(both);
    }
    if (g->terms > 1) g->loss = m_div64(g->loss, (double)g->terms);
}

// dx of sorted position p: exp(x + log-sum-exp over the stages up to its rank of -lse), minus 1 for a
// stage. losses holds that log-sum-exp by then, and -inf stands for no stage.
LIST_FUNCTION double list_ranked_slope(LIST_WORK *w, int64_t p)
{
    const merit_list_group *const g = &w->g;
    const int64_t members = g->shape.content.members;
    const int64_t last = merit_list_find_rank(w->keys, members, w->keys[p], 1) - 1;
    const double x = w->xs[p];
    const double over = w->losses[last];
    const double chosen = x > -m_inf64() && over > -m_inf64() ? m_exp64(m_add64(x, over)) : 0.0;
    const int64_t first = merit_list_find_rank(w->keys, members, w->keys[p], 0);
    const int is_stage = merit_list_key_is_stage(w->a, w->keys[p]) && w->slopes[first] > -m_inf64();
    const double slope = m_sub64(chosen, is_stage ? 1.0 : 0.0);
    return g->terms == 1 ? slope : m_div64(slope, (double)g->terms);
}

LIST_FUNCTION void list_plackett_luce(LIST_WORK *w)
{
    merit_list_group *const g = &w->g;
    const int64_t size = g->span.size;
    const int64_t members = g->shape.content.members;
    int saw = 0;
    LIST_EACH(w, i, size)
    {
        w->keys[i] = merit_list_key(list_item(w, i, &saw), i);
    }
    list_sync(w);
    list_sort(w, size);
    LIST_EACH(w, p, members)
    {
        w->xs[p] = list_item(w, merit_list_key_item(w->keys[p]), &saw).x;
    }
    list_sync(w);
    list_run_back(w, members); // slopes: log-sum-exp of x from p on
    list_sync(w);
    LIST_EACH(w, p, members)
    {
        const uint64_t key = w->keys[p];
        const int64_t first = merit_list_find_rank(w->keys, members, key, 0);
        const int is_stage = merit_list_key_is_stage(w->a, key);
        w->losses[p] = is_stage ? merit_list_stage_loss(w->slopes[first], w->xs[p]) : 0.0;
    }
    list_sync(w);
    g->loss = list_sum_of(w, w->losses, members);
    if (g->terms > 1) g->loss = m_div64(g->loss, (double)g->terms);
    if (w->a->io.grad_scores == NULL) return;
    list_sync(w); // the sum has read the losses of all
    LIST_EACH(w, p, members)
    {
        const uint64_t key = w->keys[p];
        const double lse = w->slopes[merit_list_find_rank(w->keys, members, key, 0)];
        const int is_stage = merit_list_key_is_stage(w->a, key) && lse > -m_inf64();
        w->losses[p] = is_stage ? -lse : -m_inf64();
    }
    list_sync(w);
    list_run_forth(w, members); // losses: log-sum-exp of itself up to p
    list_sync(w);
    LIST_EACH(w, p, members)
    {
        w->xs[p] = list_ranked_slope(w, p);
    }
    list_sync(w);
    g->slope_mean = 0.0;
    if (w->a->d.center != MERIT_LIST_CENTER_NONE) {
        g->slope_mean = m_div64(list_sum_of(w, w->xs, members), (double)members);
    }
}

// xs and keys (bits of labels; NaN outside the set), then slopes and losses.
LIST_FUNCTION void list_all_pairs(LIST_WORK *w, merit_list_gathered *counts)
{
    merit_list_group *const g = &w->g;
    const int64_t size = g->span.size;
    int saw = 0;
    LIST_EACH(w, i, size)
    {
        const merit_list_item item = list_item(w, i, &saw);
        w->xs[i] = item.x;
        w->keys[i] = m_bits64(item.state & MERIT_LIST_MEMBER ? item.key : m_nan64());
    }
    list_sync(w);
    list_meet_all(w, counts);
    list_sync(w);
    counts->concordant = (int32_t)list_total(w, counts->concordant);
    counts->discordant = (int32_t)list_total(w, counts->discordant);
    counts->tied = (int32_t)list_total(w, counts->tied);
    const int64_t pairs = (int64_t)counts->concordant + counts->discordant + counts->tied;
    g->loss = list_sum_of(w, w->losses, size);
    if (w->a->d.inner == MERIT_LIST_INNER_MEAN && pairs > 1) {
        g->terms = pairs;
        g->loss = m_div64(g->loss, (double)pairs);
        LIST_EACH(w, i, size)
        {
            w->slopes[i] = m_div64(w->slopes[i], (double)pairs);
        }
        list_sync(w);
    }
    if (w->a->d.center != MERIT_LIST_CENTER_NONE) {
        g->slope_mean = m_div64(list_sum_of(w, w->slopes, size), (double)g->shape.content.members);
    }
}

// Writing -----------------------------------------------------------------------------------------

// value in all rows in mask, +0 in the others.
LIST_FUNCTION void list_fill(LIST_WORK *w, double value)
{
    const merit_preference_list_args *const a = w->a;
    LIST_EACH(w, i, w->g.span.size)
    {
        const int64_t row = merit_list_row(a, w->g.span.begin, i);
        if (row < 0) continue;
        const int in_mask = a->io.mask == NULL || a->io.mask[row] != 0;
        merit_list_store(a, row, in_mask ? value : 0.0);
    }
}

LIST_FUNCTION void list_write_gradients(LIST_WORK *w)
{
    const merit_preference_list_args *const a = w->a;
    merit_list_group *const g = &w->g;
    const int64_t begin = g->span.begin;
    int saw = 0;
    switch (a->d.mode) {
    case MERIT_LIST_MODE_PLACKETT_LUCE:
        LIST_EACH(w, p, g->span.size)
        {
            const int64_t row = merit_list_row(a, begin, merit_list_key_item(w->keys[p]));
            if (p < g->shape.content.members) {
                merit_list_finish(a, g, w->scale, row, w->xs[p]);
            } else {
                merit_list_store(a, row, 0.0);
            }
        }
        break;
    case MERIT_LIST_MODE_ALL_PAIRS:
        LIST_EACH(w, i, g->span.size)
        {
            const int64_t row = merit_list_row(a, begin, i);
            if (!m_is_nan64(m_from_bits64(w->keys[i]))) {
                merit_list_finish(a, g, w->scale, row, w->slopes[i]);
            } else {
                merit_list_store(a, row, 0.0);
            }
        }
        break;
    default:
        if (a->d.center != MERIT_LIST_CENTER_NONE) {
            g->slope_mean =
                m_div64(list_sum(w, MERIT_LIST_TERM_SLOPE), (double)g->shape.content.members);
        }
        LIST_EACH(w, i, g->span.size)
        {
            const merit_list_item item = list_item(w, i, &saw);
            const int64_t row = merit_list_row(a, begin, i);
            if (item.state & MERIT_LIST_MEMBER) {
                merit_list_finish(a, g, w->scale, row, merit_list_slope(a, g, item));
            } else {
                merit_list_store(a, row, 0.0);
            }
        }
        break;
    }
}

// The group's share of loss and metrics, for the fold over groups.
LIST_FUNCTION void list_record(LIST_WORK *w, uint32_t flags, double reciprocal_rank,
                               merit_list_gathered counts)
{
    const merit_preference_list_args *const a = w->a;
    const merit_list_group *const g = &w->g;
    if (!list_leads(w)) return;
    const int present = g->fate == MERIT_LIST_PRESENT;
    const double lost = g->fate == MERIT_LIST_NAN ? m_nan64() : 0.0;
    const double weighted = present ? m_mul64(g->weight, g->loss) : lost;
    merit_list_tell(a, g);
    if (a->io.group_loss != NULL) {
        a->io.group_loss[g->group] = m_canonical32(m_round32(weighted));
    }
    if (!a->needs_fold) return;
    const int valid = g->fate != MERIT_LIST_EMPTY;
    const int invalid = g->fate == MERIT_LIST_NAN;
    double *const sums = a->terms.sums + g->group;
    const int64_t groups = a->d.groups.num_groups;
    a->terms.flags[g->group] = flags | (uint32_t)valid << MERIT_LIST_COUNT_VALID |
                               (uint32_t)invalid << MERIT_LIST_COUNT_INVALID;
    sums[MERIT_LIST_SUM_WEIGHTED * groups] = weighted;
    if (a->terms.num_sums == 1) return;
    sums[MERIT_LIST_SUM_LOSS * groups] = present ? g->loss : 0.0;
    sums[MERIT_LIST_SUM_WEIGHT * groups] = present ? g->weight : 0.0;
    sums[MERIT_LIST_SUM_RECIPROCAL_RANK * groups] = reciprocal_rank;
    sums[MERIT_LIST_SUM_CONCORDANT * groups] = (double)counts.concordant;
    sums[MERIT_LIST_SUM_DISCORDANT * groups] = (double)counts.discordant;
    sums[MERIT_LIST_SUM_TIED * groups] = (double)counts.tied;
}

// Groups ------------------------------------------------------------------------------------------

// 1 / (1 + negatives at or above the best positive).
LIST_FUNCTION double list_reciprocal_rank(LIST_WORK *w)
{
    const merit_list_group *const g = &w->g;
    int64_t above = 0;
    int saw = 0;
    LIST_EACH(w, i, g->span.size)
    {
        const merit_list_item item = list_item(w, i, &saw);
        above += (item.state & MERIT_LIST_MEMBER) && merit_list_is_negative(w->a, g, item) &&
                 item.x >= g->best_positive;
    }
    return m_div64(1.0, (double)(1 + list_total(w, above)));
}

LIST_FUNCTION void list_run_present(LIST_WORK *w)
{
    const merit_preference_list_args *const a = w->a;
    merit_list_group *const g = &w->g;
    merit_list_gathered counts = {0.0, 0.0, 0, 0, 0};
    uint32_t flags = 0;
    double reciprocal_rank = 0.0;
    list_center(w);
    switch (a->d.mode) {
    case MERIT_LIST_MODE_PLACKETT_LUCE: list_plackett_luce(w); break;
    case MERIT_LIST_MODE_ALL_PAIRS: list_all_pairs(w, &counts); break;
    case MERIT_LIST_MODE_ANCHORED: list_anchored(w); break;
    default: list_cross_entropy(w); break;
    }
    if (a->io.metrics != NULL && list_find_extremes(w)) {
        flags = merit_list_rank_flags(g);
        reciprocal_rank = list_reciprocal_rank(w);
    }
    if (a->io.lse != NULL) {
        const double sum = list_sum(w, MERIT_LIST_TERM_EXP);
        if (list_leads(w)) a->io.lse[g->group] = m_round32(m_add64(g->x_max, m_log64(sum)));
    }
    if (a->io.grad_scores != NULL) list_write_gradients(w);
    list_record(w, flags, reciprocal_rank, counts);
}

LIST_FUNCTION void list_run_group(LIST_WORK *w, int64_t group)
{
    const merit_preference_list_args *const a = w->a;
    merit_list_group *const g = &w->g;
    merit_list_begin(a, g, group);
    if (g->fate == MERIT_LIST_PRESENT) {
        list_find_shape(w);
        merit_list_judge(a, g);
    }
    if (a->io.grad_scores != NULL) {
        LIST_EACH(w, i, g->span.gap)
        {
            merit_list_store(a, g->span.begin + g->span.size + i, 0.0);
        }
    }
    if (g->fate == MERIT_LIST_PRESENT) {
        list_run_present(w);
        return;
    }
    const merit_list_gathered none = {0.0, 0.0, 0, 0, 0};
    const int invalid = g->fate == MERIT_LIST_NAN;
    if (a->io.grad_scores != NULL) list_fill(w, invalid ? m_nan64() : 0.0);
    if (a->io.lse != NULL && list_leads(w)) a->io.lse[group] = invalid ? m_nan32() : 0.0f;
    list_record(w, 0, 0.0, none);
}
