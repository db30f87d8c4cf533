"""policy_logprob_forward: a softmax of each row, or the records of one rank's part of it."""
import math

from formula_logprob import (CAP, COUNTERS, DEFAULTS, IGNORED, INF, INVALID, LN2, NAN, PRESETS, SEGMENT, SUM, Scale, Sums,
                             Supports, finish, held, label, temperatures)
from formula_values import Packed, Value, f32_options, stored

def refused(scale, bits, row, ids, whole):
    """Which counter takes the row, if any."""
    read = row if whole else [row[v] for v in ids]
    if any(math.isnan(x) or x == INF for x in read):
        return "nonfinite"
    top = max((bits[v] for v in (range(len(row)) if whole else ids)), default=-INF)
    return "logit_range" if math.isfinite(top) and abs(top) >= 2 ** 22 else None


def first(row, bits, ids, slack):
    """The lowest id of the largest logit; None where the rounding of a capped logit decides."""
    top = max(bits[v] for v in ids)
    near = [v for v in ids if bits[v] >= top - slack]
    return near[0] if all(row[v] == row[near[0]] for v in near) else None


def results_of(row, bits, ids, target, full, slack, count):
    """Of a row that is in order."""
    inside = Sums([bits[v] for v in ids])
    if inside.sum == 0:
        count["empty_support"] += 1
        return {**INVALID, "lse": (-INF, 0.0)}
    if target is None:
        entering = None
    elif target in ids:
        entering = bits[target]
    else:
        entering = -INF
    count["target_outside_support"] += entering == -INF
    found = finish(inside, Sums(bits) if full else inside, entering, slack)
    return {**found, "argmax": first(row, bits, ids, 2 * slack / LN2)}


def evaluate(case, o, t, row, supports, temperature, target, count):
    """Results of one row."""
    skip, known = label(o, target, len(row)) if target is not None else (False, True)
    if skip:
        return IGNORED
    scale = Scale(o, temperature)
    if not scale.good:
        count["bad_temperature"] += 1
        return INVALID
    if not supports.good(t):
        count["bad_label"] += 1
        return INVALID
    count["bad_label"] += not known
    ids, bits, full = supports.ids(t), scale.bits(row), o["normalize"] == "full"
    reason = refused(scale, bits, row, ids, full)
    if reason:
        count[reason] += 1
        return INVALID
    found = results_of(row, bits, ids, target if known else None, full, scale.slack(), count)
    return found if known else {**found, "logprob": (NAN, 0.0)}


def record(scale, sums, begin, row, ids, bits, target):
    """merit_policy_logprob_shard in words of 64 bits. Where nothing is above -inf, any exponent will do."""
    top = max((bits[v] for v in ids), default=-INF)
    here = target is not None and target - begin in ids
    first = begin + min(v for v in ids if bits[v] == top) if top > -INF else -1
    return [Value(sums.sum, SUM, 0.0, True), Value(sums.moment, 0.0, moment_slack(sums), True),
            Value(sums.squares, 3 * SUM, 0.0, True), Packed((Value(sums.M) if top > -INF else None, Value(first)), "ii"),
            Packed((largest(scale, row, ids, bits), entering(scale, row[target - begin] if here else -INF)), "ff")]


def entering(scale, x):
    """A logit as it enters the sums."""
    value = scale.entering([x])[0]
    return Value(value, 0.0, CAP * scale.cap if value > -INF else 0.0)


def largest(scale, row, ids, bits):
    """The logit that is the largest once scaled."""
    return entering(scale, max(((bits[v], row[v]) for v in ids), default=(-INF, -INF))[1])


def moment_slack(sums):
    """Its terms have one sign: bits - M is not positive."""
    return abs(sums.moment) * SUM + sums.sum * 3e-7  # bits - M in binary32


def partials(case, o, rows, supports, heat, targets):
    """Records and, per 2048 logits, sums of the rows of one rank."""
    shards, segments = [], []
    for t, row in enumerate(rows):
        scale = Scale(o, heat[t])
        ids, bits = supports.ids(t), scale.bits(row)
        shards += record(scale, Sums([bits[v] for v in ids]), o["vocab_begin"], row, ids, bits, targets[t])
        for begin in range(0, len(row), SEGMENT):
            part = [v for v in ids if begin <= v < begin + SEGMENT]
            sums = Sums([bits[v] for v in part])
            segments += [largest(scale, row, part, bits), stored(sums.sum, "F32", SUM),
                         stored(sums.moment, "F32", 0.0, moment_slack(sums)), stored(sums.squares, "F32", 3 * SUM)]
    return {"shards": shards, "segments": segments}


def results(case):
    o = f32_options(case.options(DEFAULTS, PRESETS))
    rows = case.inputs["logits"].rows()
    supports, heat = Supports(case, o, len(rows), len(rows[0])), temperatures(case, o, len(rows))
    targets = case.inputs["targets"].values if "targets" in case.inputs else [None] * len(rows)
    if o["partials"] != "none":
        return partials(case, o, rows, supports, heat, targets)
    count = dict.fromkeys(COUNTERS, 0)
    return held(case, [evaluate(case, o, t, row, supports, heat[t], targets[t], count) for t, row in enumerate(rows)], count)
