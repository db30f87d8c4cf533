"""preference_list: one loss over each set of scores, as the header and the cited papers state them."""
import math

from formula_groups import spans
from formula_preference import INF, NAN, added, over, scaled, tiles, times, words
from formula_preference_list_losses import MODES, content, log_sum
from formula_values import f32_options, held

COUNTERS = ("nonfinite", "bad_target", "bad_weight", "bad_rank", "bad_index", "bad_offsets", "group_too_large", "empty_group",
            "zero_denominator")
LARGEST = {"plackett_luce": 65536, "all_pairs": 8192}

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
LABELS = {"plackett_luce": "ranks", "all_pairs": "labels", "anchored": "signs"}


class Group:
    """valid: it contributed; bad: NaN; result: its Loss, None of a group of weight 0."""

    def __init__(self, case, o, g, span, count):
        self.valid = self.bad = False
        self.result = self.lse = None
        self.members, self.rows, self.weight = [], [], case.inputs["group_weight"][g] if "group_weight" in case.inputs else 1.0
        if self.weight == 0:
            self.valid = True
            return
        index, items = case.inputs.get("groups.index"), len(case.inputs["scores"])
        refused = self.refusal(case, o, g, span)
        if refused:
            count[refused] += 1
            self.valid = self.bad = True
            begin, end = case.inputs["groups.offsets"][g], case.inputs["groups.offsets"][g + 1]
            self.rows = list(range(begin, min(end, items))) if index is None and begin >= 0 else []
            return
        rows = list(range(*span)) if index is None else [index[i] for i in range(*span)]
        if not all(0 <= row < items for row in rows):
            count["bad_index"] += 1
            self.valid = self.bad = True
            self.rows = [row for row in rows if 0 <= row < items]
            return
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

    @staticmethod
    def refusal(case, o, g, span):
        if span is None:
            return "bad_offsets"
        bounds = case.desc.get("groups", {}).get("max_size", 0), LARGEST.get(o["mode"], 0)
        return "group_too_large" if any(b and span[1] - span[0] > b for b in bounds) else None

    def label(self, case, o, g, rows, inside, wrong):
        """What tells good members from others, in their order; reasons why it cannot go into wrong."""
        if o["mode"] == "cross_entropy" and o["target"] == "index":
            at = case.inputs["target_index"][g]
            if at >= len(rows) > 0:
                wrong.add("bad_target")
            return inside.index(at) if at in inside else None
        name = LABELS.get(o["mode"], "weights")
        values = [case.inputs[name][r] for r in self.members]
        allowed = {"weights": lambda w: w >= 0, "ranks": lambda r: r >= -1, "labels": lambda y: not math.isnan(y),
                   "signs": lambda k: k in (-1, 0, 1)}[name]
        if not all(map(allowed, values)):
            wrong.add({"weights": "bad_weight", "ranks": "bad_rank"}.get(name, "bad_target"))
        if name == "weights" and not all(map(math.isfinite, values)):
            wrong.add("nonfinite")  # besides, where it is negative or NaN
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
            slopes[row] = times(g.weight * scale, g.slopes[i])
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
