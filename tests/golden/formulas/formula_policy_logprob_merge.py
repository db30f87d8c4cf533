"""policy_logprob_merge: the softmax of rows of which each rank holds a part, by the ranks' records."""
import math
import struct

from formula_logprob import COUNTERS, DEFAULTS, IGNORED, INF, INVALID, PRESETS, SEGMENT, Scale, finish, held, label, temperatures
from formula_values import f32_options, rounded

MERGED = 1e-12  # everything is binary64 up to the last rounding
RECORD = struct.Struct("<dddiiff")  # merit_policy_logprob_shard


class Merged:
    """Sums of parts, each (M, sum, moment, squares), under the largest M."""

    def __init__(self, parts):
        parts = [p for p in parts if p[1] != 0]
        self.M = max((M for M, *_ in parts), default=0)
        moved = [(M - self.M, s, moment, squares) for M, s, moment, squares in parts]
        self.sum = math.fsum(2.0 ** k * s for k, s, _, _ in moved)
        self.moment = math.fsum(2.0 ** k * (moment + s * k) for k, s, moment, _ in moved)
        self.squares = math.fsum(4.0 ** k * squares for k, _, _, squares in moved)

    def total(self):
        return self.M + math.log2(self.sum)


def parts_of(case, o, records, t, tokens, scale):
    """What the ranks say of row t."""
    if o["partials"] == "shard":
        return [(exponent, *sums) for *sums, exponent, _, _, _ in records]
    result, begin = [], 0
    for p in range(o["num_shards"]):
        width = -(-min(o["vocab_size"], o["vocab_total"] - p * o["vocab_size"]) // SEGMENT)
        for i in range(begin + t * width, begin + (t + 1) * width):
            top, *sums = case.inputs["segments"].values[4 * i:4 * i + 4]
            if top > -INF:
                result.append((math.ceil(rounded(top * scale.c, "F32")), *sums))
        begin += tokens * -(-o["vocab_size"] // SEGMENT)
    return result


def evaluate(case, o, t, records, tokens, temperature, target, count):
    skip, known = label(o, target, o["vocab_total"]) if target is not None else (False, True)
    if skip:
        return IGNORED
    scale = Scale(o, temperature)
    if not scale.good:
        count["bad_temperature"] += 1
        return INVALID
    count["bad_label"] += not known
    tops = [top * scale.c for *_, top, _ in records]
    if any(math.isnan(b) or b == INF for b in tops):
        count["nonfinite"] += 1
        return INVALID
    if -INF < max(tops) and abs(max(tops)) >= 2 ** 22:
        count["logit_range"] += 1
        return INVALID
    sums = Merged(parts_of(case, o, records, t, tokens, scale))
    if sums.sum == 0:
        count["empty_support"] += 1
        return {**INVALID, "lse": (-INF, 0.0)}
    entering = max(y * scale.c if y > -INF else y for *_, y in records) if target is not None else None
    count["target_outside_support"] += known and entering == -INF
    found = finish(sums, sums, entering if known else None, 0.0, MERGED)
    first = min(record[4] for record, b in zip(records, tops) if b == max(tops))
    return {**found, "argmax": first}


def results(case):
    o = f32_options(case.options(DEFAULTS, PRESETS))
    shards = case.inputs["shards"]
    ranks, tokens, words = shards.shape
    records = [RECORD.unpack(struct.pack("<5q", *shards.values[i:i + words])) for i in range(0, len(shards), words)]
    heat = temperatures(case, o, tokens)
    targets = case.inputs["targets"].values if "targets" in case.inputs else [None] * tokens
    count = dict.fromkeys(COUNTERS, 0)
    found = [evaluate(case, o, t, records[t::tokens], tokens, heat[t], targets[t], count) for t in range(tokens)]
    return held(case, found, count)
