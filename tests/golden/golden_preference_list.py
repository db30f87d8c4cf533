"""preference_list and preference_ordinal: groups and pairs worked by hand. `printed` was worked out on paper;
the files hold the textbook formula in double, which has to agree with it to the printed digits."""
import itertools
import math

from golden_file import Tensor, f32
from golden_preference_pair import word

CHECK = {"atol": 1e-7, "rtol": 4e-7}  # binary32 results
NAN, INF = math.nan, math.inf


def sp(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def s(x):
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def lse(xs):
    xs = list(xs)
    top = max(xs, default=-INF)
    return top if math.isinf(top) else top + math.log(math.fsum(math.exp(x - top) for x in xs))


def agree(values, printed, digits=6e-12):
    """printed: as many digits as there are."""
    assert len(values) == len(printed), (values, printed)
    for a, b in zip(values, printed):
        assert abs(a - b) <= digits + digits * abs(b), (values, printed)


# Lists ---------------------------------------------------------------------------------------------

def cross_entropy(x, q):
    top = lse(x)
    return math.fsum(w * (top - y) for w, y in zip(q, x) if w), [math.exp(y - top) - w for w, y in zip(q, x)]


def plackett_luce(x, ranks, top_k=0):
    loss, grad = 0.0, [0.0] * len(x)
    for j, rank in enumerate(ranks):
        if rank < 0 or (top_k and rank >= top_k):
            continue
        risk = [i for i, r in enumerate(ranks) if r >= rank or r < 0]
        top = lse(x[i] for i in risk)
        loss += top - x[j]
        for i in risk:
            grad[i] += math.exp(x[i] - top)
        grad[j] -= 1
    return loss, grad


def all_pairs(x, labels):
    loss, grad = 0.0, [0.0] * len(x)
    for i, j in itertools.permutations(range(len(x)), 2):
        if labels[i] > labels[j]:
            loss += sp(x[j] - x[i])
            grad[i] -= s(x[j] - x[i])
            grad[j] += s(x[j] - x[i])
    return loss, grad


def anchored(kind, x, signs):
    if kind == "pointwise":
        return (math.fsum(sp(-g * y) for g, y in zip(signs, x) if g), [-g * s(-g * y) if g else 0.0 for g, y in zip(signs, x)])
    anchor = [0.0] if kind == "split" else []
    a = lse(anchor + [-y for g, y in zip(signs, x) if g > 0])
    b = lse(anchor + [y for g, y in zip(signs, x) if g < 0])
    factor = 1.0 if kind == "split" else s(a + b)
    grad = [-factor * math.exp(-y - a) if g > 0 else factor * math.exp(y - b) if g < 0 else 0.0 for g, y in zip(signs, x)]
    return (a + b if kind == "split" else sp(a + b)), grad


class Lists:
    def __init__(self, golden):
        self.golden = golden

    def write(self, name, note, groups, loss, grad, inputs, desc=None, preset=None, outputs=None, counters=None, check=None,
              status=None):
        desc = {"reduction": "sum", "score_dtype": "f32", **(desc or {})}
        tensors = {}
        sizes = {len(g) for g in groups}
        if len(sizes) == 1:
            desc["groups"] = {"group_size": sizes.pop()}
        else:
            offsets = [0, *itertools.accumulate(len(g) for g in groups)]
            tensors["in.groups.offsets"] = Tensor("I64", offsets)
        tensors["in.scores"] = Tensor("F32", [x for g in groups for x in g])
        for key, (kind, values) in inputs.items():
            tensors["in." + key] = Tensor(kind, values)
        checks = {}
        if loss is not None:
            tensors["out.loss"], checks["loss"] = Tensor("F64", [loss]), CHECK
        if grad is not None:
            tensors["out.grad_scores"], checks["grad_scores"] = Tensor("F64", grad), CHECK
        for key, (kind, values) in (outputs or {}).items():
            tensors["out." + key] = Tensor(kind, values)
        for key, value in (counters or {}).items():
            tensors["out.diagnostics." + key] = Tensor("U64", [value])
        folder = "preference_list" if status is None else "preference_list/rejected"
        self.golden.case(folder, name, "preference_list", desc, tensors, note, preset=preset, check={**checks, **(check or {})},
                         status=status)

    def hand(self, name, note, scores, result, printed, inputs, desc=None, preset=None):
        loss, grad = result
        agree([loss], printed[:1])
        if len(printed) > 1:
            agree(grad, printed[1:])
        self.write(name, note, [scores], loss, grad, inputs, desc, preset)


def write_lists(golden):
    w = Lists(golden)
    x = [1.0, 2.0, 0.0, 2.0]
    w.hand("01_list_cross_entropy", "one-hot target", x, cross_entropy(x, [0, 1, 0, 0]),
           [.917575795589, .146962798510, -.600513695350, .054064592189, .399486304650], {"target_index": ("I32", [1])})
    w.hand("02_list_pair", "two items: Bradley-Terry", [2.0, 0.0], cross_entropy([2.0, 0.0], [1, 0]),
           [.126928011043, -.119202922022, .119202922022], {"target_index": ("I32", [0])}, preset="yojo")
    x = [0.0, 1.0, 2.0]
    w.hand("03_list_weights", "two targets of equal weight", x, cross_entropy(x, [0, .5, .5]),
           [.907605964444, .09003057317, -.255271528945, .165240955775], {"weights": ("F32", [0.0, 1.0, 1.0])}, preset="op_gfn")
    e = f32(.1)
    loss, grad = cross_entropy(x, [e / 3, e / 3, 1 - e + e / 3])
    agree([loss, *grad], [.507605964444, .056697239837, .211395137721, -.268092377559], 1e-8)
    w.write("04_list_smoothing", "label smoothing 0.1", [x], loss, grad, {"target_index": ("I32", [2])}, {"smoothing": e})
    loss, grad = cross_entropy([0.0, 2.0, 4.0], [0, 0, 1])
    w.hand("05_list_tau", "temperature 1/2", x, (loss, [2 * g for g in grad]),
           [.142931628500, .031752479953, .234620855652, -.266373335605], {"target_index": ("I32", [2])}, {"tau": .5})
    x, ranks = [.5, -.5, 1.0], {"ranks": ("I32", [1, 2, 0])}
    w.hand("06_list_top_1", "the best item against all", x, plackett_luce(x, [1, 2, 0], 1),
           [.604130605337, .331498960424, .121951652310, -.453450612734], ranks, {"top_k": 1}, "plackett_luce")
    w.hand("07_list_ranking", "a whole ranking", x, plackett_luce(x, [1, 2, 0]),
           [.917392292855, .062557539054, .390893073680, -.453450612734], ranks, preset="plackett_luce")
    w.hand("08_list_equal", "equal scores: log 4!", [3.0] * 4, plackett_luce([3.0] * 4, [2, 0, 1, 3]), [3.17805383035],
           {"ranks": ("I32", [2, 0, 1, 3])}, preset="listmle")
    x = [1.0, 0.0, -1.0]
    w.hand("09_list_equal_ranks", "equal ranks share their risk set", x, plackett_luce(x, [0, 0, 1]),
           [1.81521192889, .330481911550, -.510543057890, .180061146341], {"ranks": ("I32", [0, 0, 1])}, preset="plackett_luce")
    w.hand("10_list_unranked", "one ranked item: cross entropy", x, plackett_luce(x, [0, -1, -1]),
           [.407605964444, -.334759044225, .244728471055, .090030573170], {"ranks": ("I32", [0, -1, -1])}, preset="plackett_luce")
    x, labels = [1.0, 0.0, .5, -1.0], [3.0, 1.0, 1.0, 2.0]
    loss, grad = all_pairs(x, labels)
    w.hand("11_list_all_pairs", "five pairs", x, (loss, grad),
           [3.92894164824, -.765685012190, 1, 1.195115144992, -1.429430132802], {"labels": ("F32", labels)}, {"mode": "all_pairs"})
    w.hand("11_list_all_pairs_mean", "their mean", x, (loss / 5, [g / 5 for g in grad]), [.785788329648],
           {"labels": ("F32", labels)}, preset="instruct_gpt")
    x, signs = [f32(.2), f32(-.1), f32(.3)], [1, 1, -1]
    for kind, preset, printed in (("split", "real", [2.09934040102, -.463612933482, -.844757842203, 1.291312612452]),
                                  ("product", "real.product", [1.49221704823, -.549322341016, -1.000930565041, 1.550252906057])):
        loss, grad = anchored(kind, [2 * y for y in x], signs)
        grad = [2 * g for g in grad]
        agree([loss, *grad], printed, 1e-7)
        w.write(f"12_list_{kind}", "two positives and a negative at tau 1/2", [x], loss, grad, {"signs": ("I8", signs)}, preset=preset)
    w.hand("14_list_split_pair", "2 sp(-1)", [1.0, -1.0], anchored("split", [1.0, -1.0], [1, -1]), [.626523375036],
           {"signs": ("I8", [1, -1])}, {"tau": 1.0}, "real")
    x, signs = [1.0, 0.0, -1.0], [1, -1, -1]
    for center, factor, printed in (("none", None, [.439890185199, -.089647140457, .166666666667, .089647140457]),
                                    ("mean", 1.0, [.439890185199, -.145202696012, .111111111111, .034091584901]),
                                    ("leave_one_out", 1.5, [.365324578842, -.174546095237, .166666666667, .007879428570])):
        loss, grad = anchored("pointwise", [y * (factor or 1) for y in x], signs)
        loss, grad = loss / 3, [g / 3 for g in grad]
        if factor:
            grad = [factor * (g - math.fsum(grad) / 3) for g in grad]
        w.hand(f"15_list_pointwise_{center}", f"centering {center}", x, (loss, grad), printed, {"signs": ("I8", signs)},
               {"center": center, "tau": 1.0}, "pacs")
    x, signs = [2.0, 1.0, 2.0, 0.0], [1, -1, -1, -1]
    loss, grad = anchored("pointwise", x, signs)
    w.write("16_list_reciprocal_rank", "a tie counts against the positive: rank 2", [x], loss, grad, {"signs": ("I8", signs)},
            preset="real.bce", check={"metrics": {"atol": 2.0 ** 30}},  # binary64 words
            outputs={"metrics": ("I64", [1, 1, 0, 0, 1, 0, 1, 0, 0, 0, word(.5), word(1.0), word(loss)])})
    # Wide gaps, -inf members, groups without content, bad groups.
    n = 40
    w.write("list_gaps", "gaps of 1e4, worst first", [[-1e4 * i for i in range(n)]], 1e4 * n * (n - 1) / 2, [n - 1.0] + [-1.0] * (n - 1),
            {"ranks": ("I32", list(range(n))[::-1])}, preset="listmle")
    w.write("list_minus_infinity", "a member of probability 0", [[1.0, -INF, 2.0]],
            cross_entropy([1.0, 2.0], [1, 0])[0], [-s(1.0), 0.0, s(1.0)], {"target_index": ("I32", [0])}, counters={"nonfinite": 0})
    w.write("list_all_minus_infinity", "nothing finite: NaN", [[-INF, -INF], [1.0, 1.0]], NAN, [NAN, NAN, -.5, .5],
            {"target_index": ("I32", [0, 0])}, counters={"nonfinite": 1})
    w.write("list_unlabeled", "a group without a label is in no mean", [[5.0, NAN], [1.0, 1.0], [3.0], []], math.log(2), [0.0, 0.0, -.5, .5, 0.0],
            {"target_index": ("I32", [-100, 0, 0, 0])}, {"reduction": "mean_valid"}, counters={"empty_group": 3, "nonfinite": 0})
    w.write("list_masked", "masked items may hold anything", [[NAN, 1.0, 1.0, INF]], math.log(2), [0.0, -.5, .5, 0.0],
            {"target_index": ("I32", [1]), "mask": ("U8", [0, 1, 2, 0])})
    w.write("list_weight_zero", "a group of weight 0 counts in the mean", [[NAN, 1.0], [1.0, 1.0]], math.log(2), [0.0, 0.0, -.5, .5],
            {"target_index": ("I32", [7, 0]), "group_weight": ("F32", [0.0, 2.0])}, {"reduction": "mean_valid"})
    for name, note, inputs, preset, counter in (
            ("target", "an index beyond the group", {"target_index": ("I32", [2, 0])}, "yojo", "bad_target"),
            ("weight", "a negative weight", {"weights": ("F32", [-1.0, 1.0, 1.0, 0.0])}, "op_gfn", "bad_weight"),
            ("rank", "a rank below -1", {"ranks": ("I32", [-2, 0, 0, -1])}, "listmle", "bad_rank"),
            ("sign", "a sign of 2", {"signs": ("I8", [2, -1, 0, 0])}, "real.bce", "bad_target")):
        loss = NAN
        grad = [NAN, NAN, -.5, .5] if name != "sign" else [NAN, NAN, 0.0, 0.0]
        w.write(f"list_bad_{name}", f"{note}: NaN, alone", [[1.0, 2.0], [1.0, 1.0]], loss, grad, inputs, preset=preset, counters={counter: 1})
    target = {"target_index": ("I32", [0])}
    for name, desc in (("mode", {"mode": 4}), ("tau", {"tau": 0.0}), ("smoothing", {"smoothing": 1.0}), ("top_k", {"top_k": -1}),
                       ("link", {"link": 2}), ("margin", {"margin": INF}), ("reduction", {"reduction": "mean_weight"}),
                       ("given", {"reduction": "given"})):
        w.write(f"rejected_list_{name}", "an option outside its range, or without its array", [[1.0, 2.0]], None, None, target, desc,
                status="invalid_argument")
    w.write("rejected_list_ranks_missing", "a ranking needs ranks", [[1.0, 2.0]], None, None, {}, preset="listmle", status="invalid_argument")
    w.write("rejected_list_tau_missing", "the preset leaves tau to the caller", [[1.0, 2.0]], None, None, {"signs": ("I8", [1, -1])},
            preset="pacs", status="invalid_argument")
    w.write("rejected_list_labels_unused", "labels belong to all pairs", [[1.0, 2.0]], None, None, {**target, "labels": ("F32", [1.0, 2.0])},
            status="invalid_argument")
    w.write("rejected_list_pairs_8193", "all pairs stop at 8192 items", [[0.0] * 8193], None, None, {"labels": ("F32", [0.0] * 8193)},
            {"mode": "all_pairs"}, status="unsupported")


# Ordinal levels ------------------------------------------------------------------------------------

def ordinal(a, b, h=0.0, region_a=None, region_b=None):
    levels = range(len(a))
    low_a, high_a = region_a or (0, len(a) - 1)
    low_b, high_b = region_b or (0, len(b) - 1)
    p, r = [x - lse(a) for x in a], [x - lse(b) for x in b]

    def share(i, j):
        inside = low_a <= i <= high_a and low_b <= j <= high_b
        if not inside or i < j or (i == j and h == 0):
            return -INF
        return p[i] + r[j] + (math.log(h) if i == j else 0.0)

    total = lse(share(i, j) for i in levels for j in levels)
    grad_a = [math.exp(p[i]) - math.exp(lse(share(i, j) for j in levels) - total) for i in levels]
    grad_b = [math.exp(r[j]) - math.exp(lse(share(i, j) for i in levels) - total) for j in levels]
    return -total, grad_a, grad_b


class Ordinal:
    def __init__(self, golden):
        self.golden = golden

    def write(self, name, note, a, b, loss, grads, desc=None, preset=None, inputs=None, outputs=None, counters=None, status=None):
        tensors = {"in.chosen_logits": Tensor("F32", a), "in.rejected_logits": Tensor("F32", b)}
        checks = {}
        for key, (kind, values) in (inputs or {}).items():
            tensors["in." + key] = Tensor(kind, values)
        if loss is not None:
            tensors["out.loss"], checks["loss"] = Tensor("F64", [loss]), CHECK
        for side, grad in zip(("chosen", "rejected"), grads or ()):
            tensors[f"out.grad_{side}_logits"], checks[f"grad_{side}_logits"] = Tensor("F64", grad), CHECK
        for key, values in (outputs or {}).items():
            tensors["out." + key], checks[key] = Tensor("F64", values), CHECK
        for key, value in (counters or {}).items():
            tensors["out.diagnostics." + key] = Tensor("U64", [value])
        folder = "preference_ordinal" if status is None else "preference_ordinal/rejected"
        self.golden.case(folder, name, "preference_ordinal", {"reduction": "sum", "logit_dtype": "f32", **(desc or {})}, tensors, note, preset=preset,
                         check=checks, status=status)

    def hand(self, name, note, a, b, printed, h=0.0, regions=(None, None), desc=None, preset=None, outputs=None, digits=1e-7):
        loss, grad_a, grad_b = ordinal(a, b, h, *regions)
        agree([loss, *grad_a, *grad_b][:len(printed)], printed, digits)
        inputs = {}
        if regions[0]:
            inputs = {"chosen_region": ("I32", [list(regions[0])]), "rejected_region": ("I32", [list(regions[1])])}
        self.write(name, note, [a], [b], loss, ([grad_a], [grad_b]), {"tie_share": h, **(desc or {})}, preset, inputs, outputs)


def write_ordinal(golden):
    w = Ordinal(golden)
    a = [f32(math.log(x)) for x in (.2, .3, .5)]
    b = a[::-1]
    strict = [.2, .0272727272727, -.227272727273, -.227272727273, .0272727272727, .2]
    w.hand("01_ordinal_strict", "S = 0.55", a, b, [.597837000756, *strict], preset="oprm",
           outputs={"win": [.55], "tie": [.29], "mean": [[2.3, 1.7]]})
    w.hand("02_ordinal_half", "half of the ties: S = 0.695", a, b,
           [.363843433417, .128057553957, .019424460432, -.147482014388, -.147482014388, .019424460432, .128057553957], h=.5)
    w.hand("03_ordinal_regions", "regions that hold every pair", a, b, [.597837000756, *strict], regions=((1, 2), (0, 1)))
    w.hand("04_ordinal_top_region", "S = 0.4", a, b, [.916290731874, .2, .3, -.5, -.125, -.075, .2], regions=((2, 2), (0, 1)))
    w.hand("05_ordinal_one_region", "both in one region: S = 0.15", a, b, [1.89711998489, .2, .3, -.5, .5, -.7, .2],
           regions=((1, 2), (1, 2)))
    w.hand("06_ordinal_uniform_3", "log(2 K / (K - 1))", [0.0] * 3, [0.0] * 3, [1.09861228867, 1 / 3, 0, -1 / 3])
    w.hand("06_ordinal_uniform_9", "log(2 K / (K - 1))", [0.0] * 9, [0.0] * 9, [.810930216216])
    w.hand("06_ordinal_uniform_half", "log 2", [0.0] * 9, [0.0] * 9, [.693147180560], h=.5)
    w.hand("07_ordinal_two_levels", "S = s(2) / 2", [0.0, 2.0], [0.0, 0.0], [.820075191603, .119202922022, -.119202922022, -.5, .5])
    w.hand("08_ordinal_underflow", "S = 3 e^-400", [0.0, -200.0, -200.0], [-200.0, -200.0, 0.0],
           [398.901387711, 1, -1 / 3, -2 / 3, -2 / 3, -1 / 3, 1])
    w.hand("ordinal_wide", "S = 3 e^-20000", [0.0, -1e4, -1e4], [-1e4, -1e4, 0.0], [2e4 - math.log(3), 1, -1 / 3, -2 / 3, -2 / 3, -1 / 3, 1])
    w.write("ordinal_certain", "one-hot and above: nothing is lost", [[-INF, -INF, 0.0]], [[0.0, -INF, -INF]], 0.0,
            ([[0.0] * 3], [[0.0] * 3]), outputs={"win": [1.0], "tie": [0.0]})
    w.write("ordinal_impossible", "one-hot and below: NaN", [[0.0, -INF, -INF]], [[-INF, -INF, 0.0]], NAN, ([[NAN] * 3], [[NAN] * 3]),
            counters={"bad_region": 1})
    w.write("ordinal_bad_pair", "a NaN poisons its own pair", [[NAN, 0.0], [0.0, 2.0]], [[0.0, 0.0]] * 2, NAN,
            ([[NAN, NAN], [1 - s(2.0), s(2.0) - 1]], [[NAN, NAN], [-.5, .5]]), counters={"nonfinite": 1})
    w.write("ordinal_masked", "masked pairs may hold anything", [[NAN, 0.0], [0.0, 2.0]], [[0.0, INF], [0.0, 0.0]], ordinal([0.0, 2.0], [0.0, 0.0])[0],
            ([[0.0, 0.0], [1 - s(2.0), s(2.0) - 1]], [[0.0, 0.0], [-.5, .5]]), {"reduction": "mean_valid"}, inputs={"mask": ("U8", [0, 1])})
    region = {"chosen_region": ("I32", [[1, 0]]), "rejected_region": ("I32", [[0, 1]])}
    w.write("ordinal_bad_region", "lo above hi", [[0.0, 1.0]], [[0.0, 0.0]], NAN, ([[NAN] * 2], [[NAN] * 2]), inputs=region,
            counters={"bad_region": 1})
    for name, desc in (("temperature", {"temperature": 0.0}), ("tie_share", {"tie_share": 1.5}), ("value_step", {"value_step": 0.0}),
                       ("reduction", {"reduction": "mean_groups"}), ("given", {"reduction": "given"})):
        w.write(f"rejected_ordinal_{name}", "an option outside its range, or without its array", [[0.0, 1.0]], [[0.0, 1.0]], None, None, desc,
                status="invalid_argument")
    w.write("rejected_ordinal_one_region", "both regions or neither", [[0.0, 1.0]], [[0.0, 1.0]], None, None,
            inputs={"chosen_region": ("I32", [[0, 1]])}, status="invalid_argument")
    w.write("rejected_ordinal_levels_65", "at most 64 levels", [[0.0] * 65], [[0.0] * 65], None, None, status="invalid_argument")


def write(golden):
    write_lists(golden)
    write_ordinal(golden)
