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
//   list_meet             ALL_PAIRS: slopes and losses of a range of items
//   list_leads            true in one thread of the team

// Reading -----------------------------------------------------------------------------------------

// The shape of items [first, first + count).
LIST_FUNCTION void list_find_shape(LIST_WORK *w, int64_t first, int64_t count)
{
    const merit_preference_list_args *const a = w->a;
    merit_list_shape s = merit_list_shape_empty();
    int saw = 0;
    LIST_EACH(w, i, count)
    {
        merit_list_shape_add(a, &s, list_read(w, first + i, &saw));
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
    const int centers = w->a->d.center != MERIT_LIST_CENTER_NONE;
    merit_list_settle(w->a, &w->g, centers ? list_sum(w, MERIT_LIST_TERM_SCORE) : 0.0);
    list_settle(w);
}

// Best and worst of the positives, best of the negatives, over items [first, first + count).
LIST_FUNCTION merit_list_extremes list_find_extremes(LIST_WORK *w, int64_t first, int64_t count)
{
    merit_list_extremes e = merit_list_extremes_empty();
    int saw = 0;
    LIST_EACH(w, i, count)
    {
        const merit_list_item item = list_item(w, first + i, &saw);
        if (!(item.state & MERIT_LIST_MEMBER)) continue;
        if (merit_list_is_positive(w->a, &w->g, item)) {
            e.best_positive = item.x > e.best_positive ? item.x : e.best_positive;
            e.worst_positive = item.x < e.worst_positive ? item.x : e.worst_positive;
            e.found |= MERIT_LIST_POSITIVE;
        } else if (merit_list_is_negative(w->a, &w->g, item)) {
            e.best_negative = item.x > e.best_negative ? item.x : e.best_negative;
            e.found |= MERIT_LIST_NEGATIVE;
        }
    }
    e.best_positive = list_top(w, e.best_positive);
    e.worst_positive = list_bottom(w, e.worst_positive);
    e.best_negative = list_top(w, e.best_negative);
    e.found = list_or(w, e.found);
    return e;
}

// Negatives among items [first, first + count) at or above the best positive.
LIST_FUNCTION int64_t list_count_above(LIST_WORK *w, int64_t first, int64_t count)
{
    int64_t above = 0;
    int saw = 0;
    LIST_EACH(w, i, count)
    {
        above += merit_list_is_above(w->a, &w->g, list_item(w, first + i, &saw));
    }
    return list_total(w, above);
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
    double first;
    double second = 0.0;
    if (w->a->d.anchored == MERIT_ANCHORED_POINTWISE) {
        first = list_sum(w, MERIT_LIST_TERM_LOSS);
    } else {
        g->extremes = list_find_extremes(w, 0, g->span.size);
        merit_list_place_anchors(w->a, g);
        first = list_sum(w, MERIT_LIST_TERM_EXP_POSITIVE);
        second = list_sum(w, MERIT_LIST_TERM_EXP_NEGATIVE);
    }
    merit_list_close_anchored(w->a, g, first, second);
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
        w->xs[p] = list_item(w, merit_list_key_item(w->keys[p], size), &saw).x;
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

// xs and keys (bits of labels; NaN outside the set) of items [first, first + count).
LIST_FUNCTION void list_lay_out(LIST_WORK *w, int64_t first, int64_t count)
{
    int saw = 0;
    LIST_EACH(w, i, count)
    {
        const merit_list_item item = list_item(w, first + i, &saw);
        w->xs[first + i] = item.x;
        w->keys[first + i] = m_bits64(item.state & MERIT_LIST_MEMBER ? item.key : m_nan64());
    }
}

// The loss and the mean slope from losses and slopes of all items; pairs: their number.
LIST_FUNCTION void list_close_pairs(LIST_WORK *w, int64_t pairs)
{
    merit_list_group *const g = &w->g;
    const int64_t size = g->span.size;
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

LIST_FUNCTION void list_all_pairs(LIST_WORK *w, merit_list_outcome *o)
{
    const int64_t size = w->g.span.size;
    merit_list_gathered counts = {0.0, 0.0, 0, 0, 0};
    list_lay_out(w, 0, size);
    list_sync(w);
    list_meet(w, 0, size, &counts);
    list_sync(w);
    o->concordant = list_total(w, counts.concordant);
    o->discordant = list_total(w, counts.discordant);
    o->tied = list_total(w, counts.tied);
    list_close_pairs(w, o->concordant + o->discordant + o->tied);
}

// Writing -----------------------------------------------------------------------------------------

// value in all rows in mask, +0 in the others, of items [first, first + count).
LIST_FUNCTION void list_fill(LIST_WORK *w, int64_t first, int64_t count, double value)
{
    const merit_preference_list_args *const a = w->a;
    LIST_EACH(w, i, count)
    {
        const int64_t row = merit_list_row(a, w->g.span.begin, first + i);
        if (row < 0) continue;
        const int in_mask = a->io.mask == NULL || a->io.mask[row] != 0;
        merit_list_store(a, row, in_mask ? value : 0.0);
    }
}

// Gradients of a ranked group, by sorted position.
LIST_FUNCTION void list_write_ranked(LIST_WORK *w)
{
    const merit_preference_list_args *const a = w->a;
    const merit_list_group *const g = &w->g;
    const int64_t size = g->span.size;
    LIST_EACH(w, p, size)
    {
        const int64_t row = merit_list_row(a, g->span.begin, merit_list_key_item(w->keys[p], size));
        if (p < g->shape.content.members) {
            merit_list_finish(a, g, w->scale, row, w->xs[p]);
        } else {
            merit_list_store(a, row, 0.0);
        }
    }
}

// Gradients of items [first, first + count) in the other modes.
LIST_FUNCTION void list_write_gradients(LIST_WORK *w, int64_t first, int64_t count)
{
    const merit_preference_list_args *const a = w->a;
    const merit_list_group *const g = &w->g;
    const int by_pairs = a->d.mode == MERIT_LIST_MODE_ALL_PAIRS;
    int saw = 0;
    LIST_EACH(w, i, count)
    {
        const int64_t row = merit_list_row(a, g->span.begin, first + i);
        double slope = 0.0;
        int member;
        if (by_pairs) {
            member = !m_is_nan64(m_from_bits64(w->keys[first + i]));
            if (member) slope = w->slopes[first + i];
        } else {
            const merit_list_item item = list_item(w, first + i, &saw);
            member = (item.state & MERIT_LIST_MEMBER) != 0;
            if (member) slope = merit_list_slope(a, g, item);
        }
        if (member) {
            merit_list_finish(a, g, w->scale, row, slope);
        } else {
            merit_list_store(a, row, 0.0);
        }
    }
}

LIST_FUNCTION void list_write_all(LIST_WORK *w)
{
    const merit_preference_list_args *const a = w->a;
    merit_list_group *const g = &w->g;
    if (a->d.mode == MERIT_LIST_MODE_PLACKETT_LUCE) {
        list_write_ranked(w);
        return;
    }
    if (a->d.mode != MERIT_LIST_MODE_ALL_PAIRS && a->d.center != MERIT_LIST_CENTER_NONE) {
        const double sum = list_sum(w, MERIT_LIST_TERM_SLOPE);
        g->slope_mean = m_div64(sum, (double)g->shape.content.members);
    }
    list_write_gradients(w, 0, g->span.size);
}

// Groups ------------------------------------------------------------------------------------------

LIST_FUNCTION void list_run_present(LIST_WORK *w)
{
    const merit_preference_list_args *const a = w->a;
    merit_list_group *const g = &w->g;
    merit_list_outcome o = merit_list_outcome_empty();
    list_center(w);
    switch (a->d.mode) {
    case MERIT_LIST_MODE_PLACKETT_LUCE: list_plackett_luce(w); break;
    case MERIT_LIST_MODE_ALL_PAIRS: list_all_pairs(w, &o); break;
    case MERIT_LIST_MODE_ANCHORED: list_anchored(w); break;
    default: list_cross_entropy(w); break;
    }
    if (a->io.metrics != NULL) {
        g->extremes = list_find_extremes(w, 0, g->span.size);
        if (merit_list_has_both(g)) o.above = list_count_above(w, 0, g->span.size);
    }
    if (a->io.lse != NULL) {
        const double sum = list_sum(w, MERIT_LIST_TERM_EXP);
        if (list_leads(w)) a->io.lse[g->group] = merit_list_lse(g, sum);
    }
    if (a->io.grad_scores != NULL) list_write_all(w);
    if (list_leads(w)) merit_list_record(a, g, &o);
}

// Rows between this group and the next.
LIST_FUNCTION void list_write_gap(LIST_WORK *w)
{
    const merit_list_span *const span = &w->g.span;
    if (w->a->io.grad_scores == NULL) return;
    LIST_EACH(w, i, span->gap)
    {
        merit_list_store(w->a, span->begin + span->size + i, 0.0);
    }
}

LIST_FUNCTION void list_run_group(LIST_WORK *w, int64_t group)
{
    const merit_preference_list_args *const a = w->a;
    merit_list_group *const g = &w->g;
    merit_list_begin(a, g, group);
    if (g->fate == MERIT_LIST_PRESENT) {
        list_find_shape(w, 0, g->span.size);
        merit_list_judge(a, g);
    }
    list_write_gap(w);
    if (g->fate == MERIT_LIST_PRESENT) {
        list_run_present(w);
        return;
    }
    const int invalid = g->fate == MERIT_LIST_NAN;
    if (a->io.grad_scores != NULL) list_fill(w, 0, g->span.size, invalid ? m_nan64() : 0.0);
    if (list_leads(w)) merit_list_record_unread(a, g);
}
