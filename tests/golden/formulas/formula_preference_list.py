"""preference_list: one loss over each set of scores, as the header and the cited papers state them."""
import math
from array import array

from formula_groups import spans
from formula_preference import DOUBLE_SLACK, INF, LOSS_SLACK, NAN, SLOPE_SLACK, added, link, over, scaled, tiles, words
from formula_values import ULP, f32_options, held
from golden_preference_list import lse, s, sp

LEFT_OUT = {}
COUNTERS = ("nonfinite", "bad_target", "bad_weight", "bad_rank", "empty_group", "zero_denominator")

# The exponential of binary32 is within 1 ulp, and its argument, the gap to the largest, is rounded to binary32.
EXP_SLACK, GAP_SLACK = ULP["F32"], ULP["F32"] / 2

DEFAULTS = {
    "groups": {}, "num_items": 0, "score_stride": 1, "grad_stride": 1, "score_dtype": "f32", "mode": "cross_entropy",
    "target": "index", "tau": 1.0, "center": "none", "smoothing": 0.0, "top_k": 0, "link": "logistic", "margin": 0.0,
    "anchored": "split", "inner": "sum", "require_both": False, "reduction": "mean_valid", "skip_invalid": False,
}
REAL = {"mode": "anchored", "tau": .5, "require_both": True, "reduction": "mean_groups"}
PRESETS = {
    "yojo": {}, "prm_steps": {}, "op_gfn": {"target": "weights"},
    "plackett_luce": {"mode": "plackett_luce"}, "listmle": {"mode": "plackett_luce"},
    "instruct_gpt": {"mode": "all_pairs", "inner": "mean"},
    "real": {**REAL, "anchored": "split"}, "real.product": {**REAL, "anchored": "product"},
    "real.bce": {"mode": "anchored", "anchored": "pointwise"},
    "pacs": {"mode": "anchored", "anchored": "pointwise", "center": "leave_one_out", "inner": "mean", "tau": NAN},
}


class Loss:
    """Loss and slopes wrt x, both (value, slack); positives and negatives by position; what inner MEAN divides by."""

    def __init__(self, loss, slopes, positives, negatives, count=1, pairs=(0, 0, 0)):
        self.loss, self.slopes, self.count, self.pairs = loss, slopes, count, pairs
        self.positives, self.negatives = positives, negatives


def log_sum(xs, double=False):
    """Log-sum-exp and its slack: the largest term is 1 exactly. double: all of it in binary64."""
    value, top = lse(xs), max(xs, default=-INF)
    if double or math.isinf(value):
        return value, 0.0 if math.isinf(value) else (1 + abs(value)) * DOUBLE_SLACK
    slack = math.fsum(math.exp(x - value) * (EXP_SLACK + (top - x) * GAP_SLACK) for x in xs if x != top and x != -INF)
    return value, slack + (1 + abs(value)) * DOUBLE_SLACK


def share(x, total, top, factor=1.0):
    """exp(x - total) of a set whose largest is top, times a factor. top None: in binary64."""
    value = factor * math.exp(x - total)
    relative = DOUBLE_SLACK * (8 + abs(x - total)) if top is None else SLOPE_SLACK + (top - x) * GAP_SLACK
    return value, abs(value) * relative if value else 0.0


def others(n, positives):
    chosen = set(positives)
    return [i for i in range(n) if i not in chosen]


# Losses by mode: x of the members, what says which are good -------------------------------------------

def content(o, n, label):
    """Whether there is a loss at all; label: position of the target, or a value of each member."""
    if o["mode"] in ("cross_entropy", "plackett_luce") and n < 2:
        return False
    if o["mode"] == "cross_entropy":
        return label is not None if o["target"] == "index" else any(label)
    if o["mode"] == "plackett_luce":
        return bool(stages_of(o, label))
    if o["mode"] == "all_pairs":
        return len(set(label)) > 1
    return len(set(label) - {0}) > (1 if o["require_both"] else 0)


def cross_entropy(o, x, label):
    n = len(x)
    if o["target"] == "index":
        q = [float(i == label) for i in range(n)]
    else:
        total = math.fsum(label)
        q = [w / total for w in label]
    positives = [i for i in range(n) if q[i] > 0]
    e = o["smoothing"]
    q = [(1 - e) * w + e / n for w in q]
    total, slack = log_sum(x)
    top = max(x)
    loss = added([(w * (total - y), w * (slack + (top - y) * GAP_SLACK)) for w, y in zip(q, x) if w])
    slopes = [added([share(y, total, top), (-w, 0.0)]) for w, y in zip(q, x)]
    if n == 2:  # as a pair: the sigmoids are those of binary32
        slopes = [(value, slack + abs(value) * SLOPE_SLACK) for value, slack in slopes]
    return Loss(loss, slopes, positives, others(n, positives))


def stages_of(o, ranks):
    return [i for i, rank in enumerate(ranks) if rank >= 0 and (o["top_k"] == 0 or rank < o["top_k"])]


def plackett_luce(o, x, ranks):
    """Items of one rank have one risk set (Breslow 1974)."""
    n, stages = len(x), stages_of(o, ranks)
    marked = set(stages)
    loss, slopes = [], [[(-1.0, 0.0)] if i in marked else [] for i in range(n)]
    for rank in sorted({ranks[i] for i in stages}):
        at = [i for i in stages if ranks[i] == rank]
        risk = [i for i in range(n) if ranks[i] >= rank or ranks[i] < 0]
        total, slack = log_sum([x[i] for i in risk], True)
        loss += [(total - x[i], slack) for i in at]
        for i in risk:
            slopes[i].append(share(x[i], total, None, len(at)))
    best = min(r for r in ranks if r >= 0)
    positives = [i for i in range(n) if ranks[i] == best]
    return Loss(added(loss), [added(terms) for terms in slopes], positives, others(n, positives), len(stages))


def logistic_pairs(z):
    """Sum of log(1 + e^-z), and s(-z) of each, for gaps that are not far."""
    far = [math.exp(-y) for y in z]
    loss = math.fsum(math.log(math.prod([1 + e for e in far[i:i + 16]])) for i in range(0, len(far), 16))
    return loss, [e / (1 + e) for e in far]


def all_pairs(o, x, labels):
    n = len(x)
    order = sorted(range(n), key=lambda i: labels[i])
    loss, down, up, counts, total, below = [], [0.0] * n, [[] for _ in range(n)], [0, 0, 0], 0, 0
    near = o["link"] == "logistic" and max(x, default=0) - min(x, default=0) + abs(o["margin"]) < 40
    for i in order:
        while labels[order[below]] < labels[i]:
            below += 1
        losers = order[:below]
        if not losers:
            continue
        total += len(losers)
        gaps = [x[i] - x[j] for j in losers]
        counts[0] += sum(g > 0 for g in gaps)
        counts[1] += sum(g < 0 for g in gaps)
        z = array("f", [g - o["margin"] for g in gaps])
        if near:
            value, slopes = logistic_pairs(z)
            loss.append((value, value * LOSS_SLACK))
        else:
            both = [link(o["link"], g - o["margin"]) for g in gaps]
            loss.append(added([value for value, _ in both]))
            slopes = [-slope for _, (slope, _) in both]
        down[i] = math.fsum(slopes)
        for j, slope in zip(losers, slopes):
            up[j].append(slope)
    counts[2] = total - counts[0] - counts[1]
    top = max(labels)
    positives = [i for i in range(n) if labels[i] == top]
    slopes = []
    for i in range(n):
        raised = math.fsum(up[i])
        slopes.append((raised - down[i], (raised + down[i]) * SLOPE_SLACK))
    return Loss(added(loss), slopes, positives, others(n, positives), total, tuple(counts))


def anchored(o, x, signs):
    n = len(x)
    positives, negatives = [[i for i in range(n) if signs[i] == side] for side in (1, -1)]
    slopes = [(0.0, 0.0)] * n
    if o["anchored"] == "pointwise":
        terms = []
        for i in positives + negatives:
            terms.append((sp(-signs[i] * x[i]), sp(-signs[i] * x[i]) * LOSS_SLACK))
            slopes[i] = scaled(-signs[i], (s(-signs[i] * x[i]), s(-signs[i] * x[i]) * SLOPE_SLACK))
        return Loss(added(terms), slopes, positives, negatives, len(terms))
    anchor = [0.0] if o["anchored"] == "split" else []
    raised, held_down = anchor + [-x[i] for i in positives], anchor + [x[i] for i in negatives]
    (a, slack_a), (b, slack_b) = log_sum(raised), log_sum(held_down)
    factor = 1.0
    if anchor:
        loss = added([(a, slack_a), (b, slack_b)])
    else:
        factor = s(a + b)
        loss = sp(a + b), sp(a + b) * LOSS_SLACK + factor * (slack_a + slack_b + abs(a + b) * ULP["F32"])
    for i in positives:
        slopes[i] = share(-x[i], a, max(raised), -factor)
    for i in negatives:
        slopes[i] = share(x[i], b, max(held_down), factor)
    return Loss(loss, slopes, positives, negatives, len(positives) + len(negatives))


MODES = {"cross_entropy": cross_entropy, "plackett_luce": plackett_luce, "all_pairs": all_pairs, "anchored": anchored}
LABELS = {"plackett_luce": "ranks", "all_pairs": "labels", "anchored": "signs"}


# Groups -------------------------------------------------------------------------------------------

class Group:
    """valid: it contributed; bad: NaN; result: its Loss, None of a group of weight 0."""

    def __init__(self, case, o, g, span, count):
        self.valid = self.bad = False
        self.result = self.lse = None
        self.members, self.rows, self.weight = [], [], case.inputs["group_weight"][g] if "group_weight" in case.inputs else 1.0
        self.span, self.tau = span, o["tau"]
        if self.weight == 0:
            self.valid = True
            return
        index = case.inputs.get("groups.index")
        rows = list(range(*span)) if index is None else [index[i] for i in range(*span)]
        mask = case.inputs.get("mask")
        inside = [i for i, row in enumerate(rows) if mask is None or mask[row] != 0]
        there = [rows[i] for i in inside]
        if o["skip_invalid"]:
            held_numbers = [case.inputs[name] for name in ("scores", "weights", "labels") if name in case.inputs]
            finite = [i for i in inside if all(math.isfinite(a[rows[i]]) for a in held_numbers)]
            count["nonfinite"] += len(finite) < len(inside)
            inside = finite
        self.members, self.rows = [rows[i] for i in inside], there
        wrong = set()
        label = self.label(case, o, g, rows, inside, wrong)
        scores = [case.inputs["scores"][r] for r in self.members]
        infinite = o["mode"] in ("cross_entropy", "plackett_luce") and o["center"] == "none"
        if not all(math.isfinite(y) or (infinite and y == -INF) for y in scores) or (scores and max(scores) == -INF):
            wrong.add("nonfinite")
        if not self.weight >= 0:
            wrong.add("bad_weight")
        if not content(o, len(scores), label) and "bad_target" not in wrong:
            count["empty_group"] += 1
            return
        self.valid, self.bad = True, bool(wrong)
        for name in wrong:
            count[name] += 1
        if not wrong:
            self.x = self.logits(o, scores)
            self.result, self.lse = MODES[o["mode"]](o, self.x, label), log_sum(self.x)
            self.slopes = self.chained(o)

    def label(self, case, o, g, rows, inside, wrong):
        """What tells good members from others, in their order; reasons why it cannot go into wrong."""
        if o["mode"] == "cross_entropy" and o["target"] == "index":
            at = case.inputs["target_index"][g]
            if at >= len(rows) > 0:
                wrong.add("bad_target")
            return inside.index(at) if at in inside else None
        name = LABELS.get(o["mode"], "weights")
        values = [case.inputs[name][r] for r in self.members]
        allowed = {"weights": lambda w: 0 <= w < INF, "ranks": lambda r: r >= -1, "labels": lambda y: not math.isnan(y),
                   "signs": lambda k: k in (-1, 0, 1)}[name]
        if not all(map(allowed, values)):
            wrong.add({"weights": "bad_weight", "ranks": "bad_rank"}.get(name, "bad_target"))
        return values

    def logits(self, o, scores):
        """x, in binary64."""
        n = len(scores)
        self.factor = n / (n - 1) if o["center"] == "leave_one_out" and n > 1 else 1.0
        mean = 0.0 if o["center"] == "none" or not n else math.fsum(scores) / n
        if o["center"] != "none" and n == 1:
            return [0.0]
        return [(y - mean) * self.factor / o["tau"] for y in scores]

    def chained(self, o):
        """From x back to the scores; inner MEAN divides the loss, too."""
        r = self.result
        count = r.count if o["inner"] == "mean" else 1
        r.loss = scaled(1 / count, r.loss)
        slopes = [scaled(1 / count, slope) for slope in r.slopes]
        if o["center"] != "none":
            mean = scaled(1 / len(slopes), added(slopes))
            slopes = [added([slope, scaled(-1.0, mean)]) for slope in slopes]
        return [scaled(self.factor / o["tau"], slope) for slope in slopes]

    def weighted(self):
        if self.bad:
            return NAN, 0.0
        return scaled(self.weight, self.result.loss) if self.valid and self.result else (0.0, 0.0)


def metrics(groups):
    counts, present = [0] * 10, [g for g in groups if g.valid and g.result and not g.bad]
    counts[0], counts[2] = sum(g.valid for g in groups), sum(g.bad for g in groups)
    reciprocal = []
    for g in present:
        r = g.result
        for k in range(3):
            counts[7 + k] += r.pairs[k]
        if not (r.positives and r.negatives):
            continue
        best, worst, rival = (f(g.x[i] for i in side) for f, side in
                              ((max, r.positives), (min, r.positives), (max, r.negatives)))
        counts[1] += 1
        for k, holds in enumerate((best > rival, best >= rival, worst > rival, worst >= rival)):
            counts[3 + k] += holds
        reciprocal.append((1 / (1 + sum(g.x[i] >= best for i in r.negatives)), 0.0))
    return words(counts, [added(reciprocal), added([(g.weight, 0.0) for g in present]), added([g.result.loss for g in present])])


def results(case):
    o = f32_options(case.options(DEFAULTS, PRESETS))
    count = dict.fromkeys(COUNTERS, 0)
    rows = len(case.inputs["scores"])
    groups = [Group(case, o, g, span, count) for g, span in enumerate(spans(case, elements=rows))]
    weighted = [g.weighted() for g in groups]
    valid = sum(g.valid for g in groups)
    divisor = {"sum": 1.0, "mean_valid": valid, "mean_groups": len(groups)}
    d = case.inputs["denominator"][0] if o["reduction"] == "given" else divisor[o["reduction"]]
    total, slack = added(weighted)
    count["zero_denominator"] += valid > 0 and d == 0
    scale = over(case.inputs["grad_scale"][0] if "grad_scale" in case.inputs else 1.0, d) if valid else 0.0
    slopes = [(0.0, 0.0)] * rows
    for g in groups:
        for row in g.rows if g.bad else []:
            slopes[row] = NAN, 0.0
        for i, row in enumerate(g.members if g.result else []):
            slopes[row] = scaled(g.weight * scale, g.slopes[i])
    found = {"loss": [(over(total, d), abs(over(slack, d)))], "loss_tiles": tiles(weighted, [0] * len(groups), 1),
             "group_loss": weighted, "grad_scores": slopes,
             "lse": [(NAN, 0.0) if g.bad else g.lse or (0.0, 0.0) for g in groups]}
    result = {"diagnostics." + name: [n] for name, n in count.items()}
    for name, terms in found.items():
        if name in case.outputs:
            narrow = o["score_dtype"].upper() if name == "grad_scores" and o["score_dtype"] != "f32" else None
            result[name] = held(case, name, [x for x, _ in terms], 2.0 ** -52, [e for _, e in terms], narrow)
    result["metrics"] = metrics(groups)
    return result
