"""preference_ordinal: pairs of distributions over rating levels, as the header states them; all of it in logarithms."""
import math

from formula_preference import DOUBLE_SLACK, INF, NAN, added, over, scaled, tiles, times, words
from formula_values import f32_options, held
from golden_preference_list import lse

COUNTERS = ("nonfinite", "bad_region", "bad_weight", "zero_denominator")
# e to a gap to the largest logit: by a remainder below 0.35 that is rounded to binary32. Sums, logarithms: binary64.
TERM_SLACK = 2.0 ** -26

DEFAULTS = {
    "num_pairs": 0, "num_levels": 9, "logit_dtype": "f32", "chosen_stride": 0, "rejected_stride": 0, "grad_chosen_stride": 0,
    "grad_rejected_stride": 0, "temperature": 1.0, "tie_share": 0.0, "first_value": 1.0, "value_step": 1.0,
    "reduction": "mean_valid", "skip_invalid": False,
}
PRESETS = {"oprm": {}, "oprm.half_tie": {"tie_share": .5}, "oprm.rgft": {}}
ABSENT, ZERO, INVALID, GOOD = range(4)  # not valid; valid, of weight 0; valid, NaN; valid


def logs(logits, temperature):
    """Log probabilities, up to a constant, from gaps to the largest."""
    top = max(logits)
    gaps = [x / temperature - top / temperature for x in logits]
    total = lse(gaps)
    return [x - total for x in gaps]


def both(a, b):
    """log(e^a + e^b)"""
    high, low = max(a, b), min(a, b)
    return high if low == -INF else high + math.log1p(math.exp(low - high))


def running(values):
    """Log-sum-exp of what comes before each, and of all at the end."""
    result = [-INF]
    for x in values:
        result.append(both(result[-1], x))
    return result


def shares(p, r, region, h):
    """log S, and for each level of either side the log of its part of S."""
    (low_p, high_p), (low_r, high_r) = region
    p = [x if low_p <= k <= high_p else -INF for k, x in enumerate(p)]
    r = [x if low_r <= k <= high_r else -INF for k, x in enumerate(r)]
    tie = math.log(h) if h > 0 else -INF
    under, above = running(r), running(p[::-1])[::-1]
    of_p = [x + both(under[k], r[k] + tie) for k, x in enumerate(p)]
    of_r = [x + both(above[k + 1], p[k] + tie) for k, x in enumerate(r)]
    return lse(of_p), of_p, of_r


class Pair:
    def __init__(self, case, o, i, count):
        self.weight = case.inputs["weights"][i] if "weights" in case.inputs else 1.0
        self.levels = levels = case.inputs["chosen_logits"].shape[-1]
        self.win = self.tie = 0.0, 0.0
        self.means = [(0.0, 0.0)] * 2
        self.loss, self.slopes, self.state = (0.0, 0.0), [[(0.0, 0.0)] * levels] * 2, ABSENT
        if "mask" in case.inputs and case.inputs["mask"][i] == 0:
            return
        if self.weight == 0:
            self.state = ZERO
            return
        sides = [case.inputs[name].values[i * levels:(i + 1) * levels] for name in ("chosen_logits", "rejected_logits")]
        spoiled = any(math.isnan(x) or x == INF for side in sides for x in side)
        if o["skip_invalid"] and (spoiled or not math.isfinite(self.weight)):
            count["nonfinite"] += 1
            return
        spoiled = spoiled or any(max(side) == -INF for side in sides)
        region = [(0, levels - 1)] * 2
        if "chosen_region" in case.inputs:
            region = [tuple(case.inputs[name].values[2 * i:2 * i + 2]) for name in ("chosen_region", "rejected_region")]
        bad = spoiled or not 0 <= self.weight < INF
        count["nonfinite"] += spoiled or not math.isfinite(self.weight)
        count["bad_weight"] += not self.weight >= 0
        outside = not all(0 <= low <= high < levels for low, high in region)
        if spoiled:
            count["bad_region"] += outside
            self.win, self.tie, self.means = (NAN, 0.0), (NAN, 0.0), [(NAN, 0.0)] * 2
        else:
            p, r = (logs(side, o["temperature"]) for side in sides)
            self.unrestricted(o, p, r)
            total = -INF if outside else shares(p, r, region, o["tie_share"])[0]
            bad = bad or total == -INF
            count["bad_region"] += total == -INF
        self.state = INVALID if bad else GOOD
        if bad:
            self.loss, self.slopes = (NAN, 0.0), [[(NAN, 0.0)] * levels] * 2
        else:
            self.evaluate(o, p, r, region)

    def unrestricted(self, o, p, r):
        """Whatever the regions; each probability is a quotient of sums of terms."""
        def sure(log):
            return math.exp(log), math.exp(log) * 4 * TERM_SLACK
        everywhere = [(0, self.levels - 1)] * 2
        self.win, self.lose = (sure(shares(*sides, everywhere, 0.0)[0]) for sides in ((p, r), (r, p)))
        self.tie = sure(lse(x + y for x, y in zip(p, r)))
        values = [o["first_value"] + k * o["value_step"] for k in range(self.levels)]
        self.means = [added([scaled(v, sure(x)) for v, x in zip(values, side)]) for side in (p, r)]
        self.same = p == r

    def evaluate(self, o, p, r, region):
        total, *parts = shares(p, r, region, o["tie_share"])
        self.loss = -total, 4 * TERM_SLACK + abs(total) * DOUBLE_SLACK
        self.slopes = []
        for side, part in zip((p, r), parts):
            terms = [(math.exp(x), math.exp(y - total)) for x, y in zip(side, part)]
            self.slopes.append([scaled(1 / o["temperature"], (a - b, (a + b) * 4 * TERM_SLACK)) for a, b in terms])


def metrics(pairs):
    valid = [p for p in pairs if p.state != ABSENT]
    good = [p for p in valid if p.state == GOOD]
    counts = [len(valid), sum(p.state == ZERO for p in valid), sum(not p.same and p.win[0] > p.lose[0] for p in good),
              sum(p.same or p.win[0] == p.lose[0] for p in good), sum(p.state == INVALID for p in valid)]
    difference = [added([p.means[0], scaled(-1.0, p.means[1])]) for p in good]
    return words(counts, [added([(p.weight, 0.0) for p in good]), added([p.loss for p in good]), added(difference)])


def results(case):
    o = f32_options(case.options(DEFAULTS, PRESETS))
    count = dict.fromkeys(COUNTERS, 0)
    pairs = [Pair(case, o, i, count) for i in range(case.inputs["chosen_logits"].shape[0])]
    valid = [p for p in pairs if p.state != ABSENT]
    weighted = [scaled(p.weight, p.loss) if p.state in (INVALID, GOOD) else (0.0, 0.0) for p in pairs]
    divisor = {"sum": 1.0, "mean_valid": len(valid), "mean_weight": math.fsum(p.weight for p in valid)}
    d = case.inputs["denominator"][0] if o["reduction"] == "given" else divisor[o["reduction"]]
    total, slack = added(weighted)
    count["zero_denominator"] += len(valid) > 0 and d == 0
    scale = over(case.inputs["grad_scale"][0] if "grad_scale" in case.inputs else 1.0, d) if valid else 0.0
    found = {"loss": [(over(total, d), abs(over(slack, d)))],
             "loss_tiles": tiles(weighted, [0] * len(pairs), 1), "pair_loss": weighted,
             "win": [p.win for p in pairs], "tie": [p.tie for p in pairs], "mean": [m for p in pairs for m in p.means]}
    for side, name in enumerate(("grad_chosen_logits", "grad_rejected_logits")):
        found[name] = [slope if p.state == ABSENT else times(p.weight * scale, slope) for p in pairs for slope in p.slopes[side]]
    result = {"diagnostics." + name: [n] for name, n in count.items()}
    for name, terms in found.items():
        if name in case.outputs:
            result[name] = held(case, name, [x for x, _ in terms], 2.0 ** -52, [e for _, e in terms])
    result["metrics"] = metrics(pairs)
    return result
