"""Losses of one set of scores by the modes of preference_list, each with its slopes."""
import math
from array import array

from formula_preference import DOUBLE_SLACK, INF, LOSS_SLACK, SLOPE_SLACK, added, link, scaled
from formula_values import ULP
from golden_preference_list import lse, s, sp

# The exponential of binary32 is within 1 ulp, and its argument, the gap to the largest, is rounded to binary32.
EXP_SLACK, GAP_SLACK = ULP["F32"], ULP["F32"] / 2


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
