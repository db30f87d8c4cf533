"""advantage_group: rewards of the members of each group to advantages.

    x = clip(r, reward_low, reward_high)    u = transform(x)    c = u - center    a = c / d(scale)
    A = gain * clip(map(a), low, high) + add[add_index]

An advantage is known to the error that the header promises, 2^-50 max|x| / d, and is then rounded once."""
import math
import struct

from formula_advantage_layout import Layout
from formula_advantage_options import options_of
from formula_advantage_statistics import (LOST, Moments, centered, deviation_of_others, moments, scale_of, transformed,
                                          weighted_mean)
from formula_values import Value, held

NAN = math.nan
UNTOUCHED, = struct.unpack("<f", b"\xcd" * 4)  # what lies in outputs before the call
ALL_EQUAL, SINGLETON, EMPTY, NONFINITE, ZERO_RULE, INCOMPLETE = 1, 2, 4, 8, 16, 32
PAIRWISE = 4096  # members of a group that is compared pair by pair


def clip(x, low, high):
    return x if math.isnan(x) else min(max(x, low), high)


def skipped(o, r):
    return o.invalid != "propagate" and math.isnan(r) or o.invalid == "skip_nonfinite" and math.isinf(r)


def sets_of(o, case, rows, columns, read):
    """x of each set of statistics by row; None: not read, or skipped."""
    rewards = case.inputs["rewards"]
    w = case.inputs.get("column_weights") or [1.0] * columns

    def row(i):
        values = [rewards[i * columns + k] for k in range(columns)]
        return [None if skipped(o, r) else r for r in values] if read[i] else [None] * columns

    table = [row(i) for i in range(rows)]
    if o.columns != "combine_first":
        return [[r if r is None else clip(r, o.reward_low, o.reward_high) for r in column] for column in zip(*table)], w
    combined = []
    for values in table:
        acc = 0.0  # by rising column, fused: the product of two binary32 is exact as it is
        for weight, r in zip(w, values):
            acc = acc if r is None else acc + weight * r
        combined.append(None if all(r is None for r in values) else clip(acc, o.reward_low, o.reward_high))
    return [combined], w


class Group:
    """Members of one group under one set: values, who is in the statistics, and what is found of them."""

    def __init__(self, o, rows, x, stats):
        self.rows = [i for i in rows if x[i] is not None]
        self.inside = [bool(stats[i]) for i in self.rows]
        self.x = [x[i] for i in self.rows]
        self.u, self.lost = transformed(o, self.x, self.inside)
        self.values = [v for v, member in zip(self.u, self.inside) if member]
        self.moments = moments(self.values)
        own = moments([v for v, member in zip(self.x, self.inside) if member])
        self.all_equal = own.count > 0 and own.low == own.high and math.isfinite(own.low)
        self.scale, self.flags, self.alone, self.lacking = NAN, 0, False, False


def divisor(o, s):
    return {"add": lambda: s + o.eps, "floor": lambda: max(s, o.eps), "root": lambda: math.sqrt(s * s + o.eps),
            "root_floor": lambda: math.sqrt(max(s * s, o.eps))}[o.eps_rule]()


def quotient(o, group, c, s):
    """a and the divisor it was formed with."""
    if math.isnan(s):
        return NAN, 1.0
    if c == 0:
        return 0.0, divisor(o, s) or 1.0
    if s <= o.zero_threshold and o.zero_rule != "divide":
        return (c, 1.0) if o.zero_rule == "unscaled" else (0.0, 1.0)
    d = divisor(o, s)
    return c / d if d != 0 else math.copysign(math.inf, c), d or 1.0


def advantages_of(o, g, levels, masked, baselines, weights):
    """[(a, error)] of the members; None: not in the mask. levels: moments for center and scale, and the scale that is
    not of the group (None: it is of the group)."""
    of_center, of_scale, given_scale = levels
    mean = of_center.mean
    if weights is not None and of_center is g.moments:
        mean = weighted_mean(g.values, [w for w, member in zip(weights, g.inside) if member])
    needs = o.transform != "none" or o.center in ("mean", "leave_one_out", "runner_up") or o.scale != "none"
    empty = (of_center.count == 0 and o.center in ("mean", "leave_one_out", "runner_up") or
             of_scale.count == 0 and o.scale != "none" or o.transform != "none" and not g.values)
    if empty and needs:
        g.lacking = any(masked)
        return [(NAN, 0.0) if m else None for m in masked]
    c = centered(o, g.u, g.inside, mean, baselines)
    s = None
    if o.scale != "none":
        s = scale_of(o, g.u, c, g.inside, of_scale) if given_scale is None else given_scale
        g.scale = NAN if s is None or not g.values else s
    top = max([abs(v) for v in g.u if math.isfinite(v)] + [abs(of_center.mean)] * (o.center_level != "group"), default=0.0)
    result = []
    for i, member in enumerate(g.inside):
        if not masked[i]:
            result.append(None)
            continue
        lone = of_center.count == 1 and o.center in ("mean", "leave_one_out", "runner_up") and member
        lone_transform = o.transform == "leave_one_out_lme" and len(g.values) == 1 and member
        own = s
        if o.scale == "leave_one_out_std" and member:
            own = deviation_of_others(o, g.values, sum(g.inside[:i]))
        undefined = o.scale in ("std", "rms", "leave_one_out_std") and own is None
        if lone or lone_transform or undefined:
            if o.singleton != "unit":
                g.alone |= o.singleton == "nan"
                result.append(({"zero": 0.0, "raw": g.u[i], "nan": NAN}[o.singleton], g.lost[i]))
                continue
            own = 1.0 if undefined else own
        moved = g.u[i] if lone else c[i]
        lost = g.lost[i] + (LOST * top if o.center != "none" or o.scale != "none" else 0.0)
        if o.scale == "none":
            result.append((moved, lost))
            continue
        if o.zero_rule != "divide" and own <= o.zero_threshold:
            g.flags |= ZERO_RULE
        a, d = quotient(o, g, moved, own)
        result.append((a, lost / abs(d)))
    return result


def mapped(o, a):
    if math.isnan(a) or o.map == "identity":
        return a, 1.0
    if o.map == "sign":
        return (math.copysign(1.0, a) if a != 0 else o.sign_tie), 0.0
    return clip(a / (2 * o.map_range) + .5, 0.0, 1.0), 1 / (2 * o.map_range)


class Call:
    def __init__(self, case):
        self.case, self.o = case, options_of(case)
        rewards = case.inputs["rewards"]
        self.rows = rewards.shape[0]
        self.columns = rewards.shape[1] if len(rewards.shape) > 1 else 1
        o = self.o
        pairwise = o.transform in ("rank", "leave_one_out_lme") or o.scale == "leave_one_out_std"
        self.layout = Layout(case, self.rows, PAIRWISE if pairwise else math.inf)
        self.mask = case.inputs.get("mask") or [1] * self.rows
        self.stats = case.inputs.get("stats_mask") or self.mask
        self.read = [bool(m or s) for m, s in zip(self.mask, self.stats)]
        self.sets, self.column_weights = sets_of(o, case, self.rows, self.columns, self.read)
        self.groups = [[None if rows is None else Group(o, rows, x, self.stats) for rows in self.layout.groups]
                       for x in self.sets]
        self.batch = [moments([v for g in found if g for v in g.values]) for found in self.groups]
        self.single = [self.advantages(k) for k in range(len(self.sets))]

    def advantages(self, k):
        """(a, error) by row of set k, before map."""
        o, case, found = self.o, self.case, {}
        levels = {"batch": self.batch[k]}
        if "moments" in case.inputs:
            levels["given"] = Moments(*case.inputs["moments"].values[5 * k:5 * k + 5])
        elsewhere = None
        if o.scale_level != "group" and o.scale != "none":
            values = [v for g in self.groups[k] if g for v in g.values]
            elsewhere = scale_of(o, values, None, [True] * len(values), levels[o.scale_level])
        by_row, by_group = case.inputs.get("baseline"), case.inputs.get("baseline_per_group")
        weights = case.inputs.get("weights")
        for n, g in enumerate(self.groups[k]):
            if g is None:
                continue
            of_center, of_scale = levels.get(o.center_level, g.moments), levels.get(o.scale_level, g.moments)
            baselines = [by_row[i] for i in g.rows] if by_row else [by_group[n]] * len(g.rows) if by_group else None
            results = advantages_of(o, g, (of_center, of_scale, elsewhere), [self.mask[i] for i in g.rows], baselines,
                                    [weights[i] for i in g.rows] if weights else None)
            found.update((i, result) for i, result in zip(g.rows, results) if result is not None)
        return found

    def finished(self, i, parts):
        """A of row i from the weights and (a, error) of its sets."""
        o, case = self.o, self.case
        if not parts:  # not in the mask, or skipped
            return 0.0, 0.0
        a = lost = 0.0
        for weight, part in parts:
            a, lost = a + weight * part[0], lost + abs(weight * part[1])
            lost += abs(weight * part[0]) * 2.0 ** -53 if len(parts) > 1 else 0.0
        m, slope = mapped(o, a)
        result = o.gain * clip(m, o.low, o.high)
        lost = abs(o.gain) * (lost * slope + abs(m) * 2.0 ** -51)
        if "add" in case.inputs:
            add = case.inputs["add"]
            j = case.inputs["add_index"][i] if "add_index" in case.inputs else i
            result, lost = (result + add[j], lost + abs(add[j]) * 2.0 ** -53) if 0 <= j < len(add) else (NAN, 0.0)
        return result, lost

    def bad_add(self):
        if "add_index" not in self.case.inputs:
            return 0
        count = len(self.case.inputs["add"])
        return sum(not 0 <= self.case.inputs["add_index"][i] < count for i in range(self.rows) if self.mask[i])


def rows_of(call):
    """Advantages, their errors and keep, in the order of the outputs."""
    o = call.o
    separate = o.columns == "separate"
    count = len(call.sets) if separate else 1
    grouped = {i: n for n, rows in enumerate(call.layout.groups) if rows for i in rows}
    values, errors, keep = [], [], []
    for i in range(call.rows):
        for p in range(count):
            sets = [p] if separate else range(len(call.sets))
            weights = [1.0] * len(call.sets) if len(call.sets) == 1 or separate else call.column_weights
            parts = [(weights[k], call.single[k][i]) for k in sets if i in call.single[k]]
            spoiled = i in call.layout.spoiled
            if not spoiled and i not in grouped:
                values.append(UNTOUCHED)
                errors.append(0.0)
                keep.append(None)
                continue
            a, lost = (NAN, 0.0) if spoiled else call.finished(i, parts)
            values.append(a)
            errors.append(lost)
            equal = not spoiled and all(call.groups[k][grouped[i]].all_equal for k in sets)
            keep.append(int(bool(call.mask[i]) and not spoiled and bool(parts) and not math.isnan(a) and not equal))
    return values, errors, keep


def flags_of(call, n, g):
    size = call.layout.sizes[n]
    if g is None:
        return 0
    if size == 0:
        return EMPTY
    k = next(k for k, found in enumerate(call.groups) if found[n] is g)
    rewards = call.case.inputs["rewards"]
    own = range(call.columns) if call.o.columns == "combine_first" else [k]
    strange = any(call.read[i] and not math.isfinite(rewards[i * call.columns + c]) for i in call.layout.groups[n] for c in own)
    flags = g.flags | (NONFINITE if strange else 0) | (ALL_EQUAL if g.all_equal else 0)
    flags |= {0: EMPTY, 1: SINGLETON}.get(len(g.values), 0)
    return flags | (INCOMPLETE if call.o.expected_size not in (0, size) else 0)


def record(m, top):
    """A record as five values: the mean to 2^-50 of the largest value, m2 to what that and its sum lose."""
    lost = LOST * top if math.isfinite(top) else 0.0
    return [Value(m.count), Value(m.mean, atol=lost), Value(m.m2, rtol=2.0 ** -49, atol=m.count * lost * lost), Value(m.low),
            Value(m.high)]


def statistics(call):
    o, out = call.o, {}
    count, mean, scale, low, high, flags, records = [], [], [], [], [], [], []
    weights = call.case.inputs.get("weights")
    for n in range(len(call.layout.groups)):
        for found in call.groups:
            g = found[n]
            m = g.moments if g else moments([])
            top = max(map(abs, (m.low, m.high)))
            center = m.mean
            if weights and g and g.values:
                center = weighted_mean(g.values, [weights[i] for i, member in zip(g.rows, g.inside) if member])
            lost = (max(g.lost, default=0.0) if g else 0.0) + (LOST * top if math.isfinite(top) else 0.0)
            edge = max(g.lost, default=0.0) if g else 0.0
            count.append(int(m.count))
            mean.append(Value(center, atol=lost))
            scale.append(Value(g.scale if g else NAN, rtol=2.0 ** -50, atol=lost))
            low.append(Value(m.low, atol=edge))
            high.append(Value(m.high, atol=edge))
            flags.append(flags_of(call, n, g))
            records += record(m, top)
    batch = [v for m in call.batch for v in record(m, max(map(abs, (m.low, m.high))))]
    tiles = batch if len(call.layout.groups) <= 2048 else None  # one tile: all of the batch
    out.update(group_count=count, group_mean=mean, group_scale=scale, group_min=low, group_max=high, group_flags=flags,
               group_moments=records, batch_moments=batch, tile_moments=tiles)
    return {name: values for name, values in out.items() if values is not None}


def counters(call):
    rewards = call.case.inputs["rewards"]
    elements = [rewards[i * call.columns + k] for rows in call.layout.groups if rows for i in rows if call.read[i]
                for k in range(call.columns)]
    found = [g for groups in call.groups for g in groups if g]
    filled = [size for rows, size in zip(call.layout.groups, call.layout.sizes) if rows]
    return {"nan_in": sum(map(math.isnan, elements)), "inf_in": sum(map(math.isinf, elements)),
            "singleton": sum(g.alone for g in found), "no_statistics": sum(g.lacking for g in found),
            "ungrouped": call.layout.ungrouped, "bad_offsets": call.layout.bad_offsets,
            "bad_index": call.layout.bad_index + call.bad_add(), "group_too_large": call.layout.too_large,
            "incomplete_group": sum(size != call.o.expected_size for size in filled) if call.o.expected_size else 0}


def results(case):
    call = Call(case)
    values, errors, keep = rows_of(call)
    out = {"advantages": held(case, "advantages", values, 0.0, errors)} if "advantages" in case.outputs else {}
    out.update(keep=keep, **statistics(call))
    out.update({"diagnostics." + name: [count] for name, count in counters(call).items()})
    return out
