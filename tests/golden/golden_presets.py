"""Presets by name: advantages and losses from the formulas that the presets stand for, with the constants
of the stacks and papers written down here once more."""
import math
import types

from golden_advantage import leave_one_out_lme, mean, over, rank, softmax, std, without
from golden_file import Tensor, f32
from golden_preference_list import Lists, Ordinal, cross_entropy, ordinal
from golden_preference_pair import Pairs, s, sp, tie

NAN = math.nan
CHECK = {"atol": 1e-6, "rtol": 1e-6}  # binary32 results

# advantage_group ---------------------------------------------------------------------------------------

# Typical, one that differs, one alone, equal, far apart, two, with a NaN.
GROUPS = [[1.0, 0.0, 0.0, 1.0, .5], [0.0, .75, .75, .75], [.75], [.5, .5, .5], [1.0, 3.0, 25.0], [2.0, -1.0],
          [1.0, NAN, 0.0, .25]]

DEFAULTS = {"center": "mean", "scale": "std", "batch": False, "ddof": 1, "eps": 1e-6, "floor": False, "zero": "divide",
            "threshold": 0.0, "alone": "zero", "skip_nan": False, "clip": math.inf, "finish": lambda a: a,
            "transform": lambda v: v, "columns": 1, "arrays": {}, "desc": {}}


def options(**changes):
    return types.SimpleNamespace(**{**DEFAULTS, **changes})


NONE = {"scale": "none"}
LOO = {"center": "leave_one_out", "scale": "none"}
TRL = {"eps": 1e-4, "skip_nan": True}
NEMO = {"center": "leave_one_out", "scale": "leave_one_out_std", "zero": "unscaled"}
SHARE = {"scale": "nonzero_share", "batch": True, "eps": 0.0, "alone": "unit"}
ROWS = sum(map(len, GROUPS))
LENGTHS = [float(1 + i % 4) for i in range(ROWS)]
FIRSTS = [i % 2 for g in GROUPS for i in range(len(g))]  # 0: in the statistics, 1: judged
BASELINES = [.5, .25, 1.0, .5, 2.0, 0.0, -1.0]

PRESETS = {
    "grpo": {}, "slime": {}, "par.grpo": {"eps": 1e-8}, "oi.standard": {"ddof": 0, "eps": 1e-8},
    **{name: NONE for name in ("dr_grpo", "prime", "oi.centered", "verpo", "harmo", "critique_grpo", "nemo.rf_pp")},
    **{name: {**NONE, "alone": "nan"} for name in ("orlhf.dr_grpo", "orlhf.reinforce_baseline")},
    **{name: {**NONE, "alone": "raw"} for name in ("verl.dr_grpo", "verl.rf_pp_baseline")},
    **{name: LOO for name in ("rloo", "verl.rloo_vectorized", "skyrl.rloo")},
    "verl.rloo": {**LOO, "alone": "raw"}, "orlhf.rloo": {**LOO, "alone": "nan"},
    "trl.group": TRL, "trl.batch": {**TRL, "batch": True}, "trl.none": {**TRL, **NONE}, "trl.rloo": {**TRL, **LOO},
    "trl.gdpo": {**TRL, "columns": 2}, "swift.grpo": TRL, "swift.rloo": {**TRL, "center": "leave_one_out"},
    "swift.gdpo": {**TRL, "eps": 1e-8, "columns": 2},
    **{name: {"alone": "unit"} for name in ("verl.grpo", "verl.grpo_vectorized", "skyrl.grpo")},
    "verl.gdpo": {"alone": "unit", "columns": 2}, "verl.passk": {"center": "runner_up", "alone": "nan"},
    **{name: {**NONE, "center": "weighted", "alone": "raw", "arrays": {"in.weights": Tensor("F32", LENGTHS)}}
       for name in ("verl.opo", "opo")},
    "verl.gpg": SHARE, "gpg": SHARE, "orlhf.group_norm": {"eps": 1e-9, "alone": "nan"},
    "nemo.grpo": NEMO, "nemo.grpo_all": {"zero": "unscaled"}, "nemo.gdpo": {**NEMO, "columns": 2},
    "roll": {"alone": "nan"}, "roll.agentic": {"zero": "zero", "threshold": 1e-6},
    "areal": {"eps": 1e-5, "clip": 20.0},
    "areal.loo": {"center": "leave_one_out", "scale": "rms", "eps": 1e-5, "alone": "unit", "clip": 20.0},
    "rlk": {"ddof": 0, "floor": True},
    "maxrl": {"scale": "mean", "eps": 0.0, "zero": "zero"}, "skyrl.maxrl": {"scale": "mean", "alone": "raw"},
    "remax": {**NONE, "center": "baseline", "arrays": {"in.baseline_per_group": Tensor("F32", BASELINES)}},
    "rltf": {**NONE, "center": "firsts"},
    "brpo": {**NONE, "center": "firsts", "finish": lambda a: a if math.isnan(a) else 1.0 if a > 0 else -1.0},
    "arena_rl": {"transform": lambda v: rank(v, "min") if len(v) > 1 else [0.0] * len(v)},
    "rational_rewards": {"ddof": 0, "eps": 1e-4, "desc": {"map_range": 2.0},
                         "finish": lambda a: a if math.isnan(a) else min(max(a / 4 + .5, 0.0), 1.0)},
    "jepo": {"scale": "none", "center": "none",
             "transform": lambda v: leave_one_out_lme(v) if len(v) > 1 else [0.0] * len(v)},
    "tilted": {"scale": "none", "center": "none", "desc": {"temperature": .5}, "transform": lambda v: softmax(v, .5)},
}


def centers(o, v, group, begin):
    """What is taken from each member of a group with more than one."""
    if o.center == "mean":
        return [mean(v)] * len(v)
    if o.center == "leave_one_out":
        return [mean(without(v, i)) for i in range(len(v))]
    if o.center == "weighted":
        weights = LENGTHS[begin:begin + len(v)]
        return [math.fsum(w * x for w, x in zip(weights, v)) / math.fsum(weights)] * len(v)
    if o.center == "runner_up":  # of the best the runner-up, the others get 0
        first, second = sorted(v, reverse=True)[:2]
        return [second if i == v.index(first) else x for i, x in enumerate(v)]
    return [0.0] * len(v)


def deviation(o, v, i, taken):
    if o.scale == "std":
        return std(v, o.ddof)
    if o.scale == "leave_one_out_std":
        others = without(v, i)
        return std(others, o.ddof) if len(others) > o.ddof and min(others) != max(others) else 0.0
    if o.scale == "rms":
        return math.sqrt(math.fsum((x - c) ** 2 for x, c in zip(v, taken)) / (len(v) - o.ddof))
    return mean(v)


def scaled(o, c, d):
    if c == 0:
        return 0.0
    if d <= o.threshold and o.zero != "divide":
        return c if o.zero == "unscaled" else 0.0
    d = max(d, o.eps) if o.floor else d + o.eps
    return c / d


def alone(o, x):
    """The only member of its group."""
    if o.center == "none":
        return None
    if o.alone == "unit":
        return x / (1 + o.eps)
    return {"zero": 0.0, "raw": x, "nan": NAN}[o.alone]


def group_advantages(o, v, group, begin, of_batch):
    if o.center == "baseline":  # nothing of the group
        return [x - BASELINES[group] for x in v]
    if any(map(math.isnan, v)):
        if not o.skip_nan:
            return [NAN] * len(v)
        valid = [x for x in v if not math.isnan(x)]
        results = iter(group_advantages(o, valid, group, begin, of_batch))
        return [0.0 if math.isnan(x) else next(results) for x in v]
    v = o.transform([min(max(x, -o.clip), o.clip) for x in v])
    if len(v) == 1 and o.scale == "nonzero_share":  # the center is undefined, the share is that of the batch
        return [scaled(o, v[0], of_batch)]
    if len(v) == 1 and alone(o, v[0]) is not None:
        return [alone(o, v[0])]
    taken = centers(o, v, group, begin)
    moved = [x - c for x, c in zip(v, taken)]
    if o.scale == "none":
        return moved
    if min(v) == max(v):
        return [0.0] * len(v)
    return [scaled(o, c, of_batch if o.batch else deviation(o, v, i, taken)) for i, c in enumerate(moved)]


def against_firsts(o, v, begin):
    """rltf, brpo: the even members give the mean, the odd ones are judged."""
    reference = [x for i, x in enumerate(v) if not FIRSTS[begin + i]]
    if any(map(math.isnan, v)) and any(map(math.isnan, reference)):
        return [NAN if FIRSTS[begin + i] else 0.0 for i in range(len(v))]
    return [x - mean(reference) if FIRSTS[begin + i] else 0.0 for i, x in enumerate(v)]


def advantages(o, groups):
    valid = [x for g in groups for x in g if not math.isnan(x)]
    of_batch = None
    if o.batch:
        of_batch = std(valid, o.ddof) if o.scale == "std" else max(sum(x != 0 for x in valid), 1) / len(valid)
    out, begin = [], 0
    for group, v in enumerate(groups):
        found = against_firsts(o, v, begin) if o.center == "firsts" else group_advantages(o, v, group, begin, of_batch)
        out += [o.finish(a) if o.center != "firsts" or FIRSTS[begin + i] else a for i, a in enumerate(found)]
        begin += len(v)
    return out


def write_advantages(golden):
    for name, changes in PRESETS.items():
        o = options(**changes)
        # Over the batch a NaN that is not skipped reaches everything: a member less.
        groups = [[x for x in g if not (math.isnan(x) and o.batch and not o.skip_nan)] for g in GROUPS]
        offsets = [0]
        for g in groups:
            offsets.append(offsets[-1] + len(g))
        expected = advantages(o, groups)
        rewards = [x for g in groups for x in g]
        tensors = {"in.groups.offsets": Tensor("I64", offsets), "in.rewards": Tensor("F32", rewards), **o.arrays}
        if o.columns == 2:  # the second column: the first, halved and turned around within the group
            second = [x / 2 for g in groups for x in g[::-1]]
            turned = [[x / 2 for x in g[::-1]] for g in groups]
            tensors["in.rewards"] = Tensor("F32", [list(row) for row in zip(rewards, second)])
            expected = [a + b for a, b in zip(expected, advantages(o, turned))]
        if o.center == "firsts":
            tensors["in.stats_mask"] = Tensor("U8", [1 - first for first in FIRSTS])
            tensors["in.mask"] = Tensor("U8", FIRSTS)
        tensors["out.advantages"] = Tensor("F64", expected)
        golden.case("advantage_group/presets", "preset_" + name, "advantage_group", o.desc, tensors,
                    f"{name} on groups of every kind", preset=name, check={"advantages": CHECK})


# preference_pair ---------------------------------------------------------------------------------------

CHOSEN, REJECTED = [1.5, -.5, 2.0, 0.0], [.5, .25, 2.0, 3.0]
DIFFERENCES = [c - r for c, r in zip(CHOSEN, REJECTED)]
MARGINS = [.5, 0.0, -.25, 1.0]
REFERENCES = {"ref_chosen": ("F32", [1.0, 0.0, .5, -.5]), "ref_rejected": ("F32", [0.0, .5, 1.5, 1.0])}
REFERRED = [d - (a - b) for d, a, b in zip(DIFFERENCES, REFERENCES["ref_chosen"][1], REFERENCES["ref_rejected"][1])]
TENTH = f32(.1)


def mean_of(pairs):
    return math.fsum(value for value, _ in pairs) / len(pairs), [slope / len(pairs) for _, slope in pairs]


def logistic(z, beta=1.0, q=1.0):
    return q * sp(-z) + (1 - q) * sp(z), beta * (-q * s(-z) + (1 - q) * s(z))


def write_pairs(golden):
    p = Pairs(golden)

    def case(name, note, pairs, inputs, desc=None, rejected=None):
        loss, slopes = mean_of(pairs)
        p.write("presets/preset_" + name, note, CHOSEN, REJECTED, loss, slopes, rejected, preset=name, inputs=inputs,
                desc={"reduction": "mean_valid", **(desc or {})})

    margins = {"margins": ("F32", MARGINS)}
    for name in ("bt", "trl.reward", "openrlhf.sigmoid", "openrlhf.logexp", "areal.rw", "rlhflow.bt"):
        case(name, "Bradley-Terry with margins", [logistic(d - m) for d, m in zip(DIFFERENCES, MARGINS)], margins)
    given = [logistic(2 * d, 2.0) for d in DIFFERENCES]
    loss, slopes = mean_of(given)
    p.write("presets/preset_nemo.bt", "divided by the valid pairs of the global batch", CHOSEN, REJECTED, loss / 2,
            [x / 2 for x in slopes], preset="nemo.bt", desc={"beta": 2.0, "reduction": "given"},
            inputs={"denominators": ("F64", [8.0])})
    signs = [1, -1, 1, -1]
    case("helpsteer2.regular", "the sign of the label", [logistic(d, q=1.0 if k > 0 else 0.0) for d, k in zip(DIFFERENCES, signs)],
         {"outcomes": ("I8", signs)})
    outcomes = [1, 0, -1, 0]
    for model in ("rao_kupper", "davidson"):  # log_tie 1/2
        case(model, "a win, a loss and two ties", [tie(model, .5, d, k)[:2] for d, k in zip(DIFFERENCES, outcomes)],
             {"outcomes": ("I8", outcomes)}, {"log_tie": .5})
    plain = [logistic(TENTH * d, TENTH) for d in REFERRED]
    for name in ("dpo", "aot"):
        case(name, "beta 0.1 against a reference", plain, REFERENCES)
    weights = [1.0, .5, 2.0, 0.0]
    weighted = [(w * value, w * slope) for w, (value, slope) in zip(weights, plain)]
    case("wpo", "and weighted", weighted, {**REFERENCES, "weights": ("F32", weights)})
    for name, q in (("cdpo", 1 - TENTH), ("rdpo", (1 - TENTH) / (1 - 2 * TENTH))):
        case(name, "a tenth of the labels is wrong", [logistic(TENTH * d, TENTH, q) for d in REFERRED], REFERENCES,
             {"smoothing": .1})
    lengths = {"chosen_length": ("I32", [2, 4, 1, 3]), "rejected_length": ("I32", [1, 2, 4, 2])}
    own = [[(x - ref) / n for x, ref, n in zip(scores, REFERENCES[f"ref_{side}"][1], lengths[f"{side}_length"][1])]
           for side, scores in (("chosen", CHOSEN), ("rejected", REJECTED))]
    by_length = [logistic(TENTH * (c - r), TENTH) for c, r in zip(*own)]
    loss, slopes = mean_of(by_length)
    p.write("presets/preset_dpo_norm", "log-probabilities per token", CHOSEN, REJECTED, loss,
            [g / n for g, n in zip(slopes, lengths["chosen_length"][1])],
            [-g / n for g, n in zip(slopes, lengths["rejected_length"][1])], preset="dpo_norm",
            desc={"reduction": "mean_valid"}, inputs={**REFERENCES, **lengths})
    routes = [0, 1, 0, 0]
    count = [routes.count(k) for k in routes]
    p.write("presets/preset_mah_dpo", "two heads, the mean of their means", CHOSEN, REJECTED,
            math.fsum(value / (2 * n) for (value, _), n in zip(plain, count)), [g / (2 * n) for (_, g), n in zip(plain, count)],
            preset="mah_dpo", desc={"reduction": "mean_valid", "num_routes": 2},
            inputs={**REFERENCES, "routes": ("I32", routes), "alpha": ("F32", [.5, .5])})
    for name, one in (("discriminator", lambda y: (sp(-y), -s(-y))),
                      ("discriminator_hinge", lambda y: (max(0.0, 1 - y), -1.0 if y < 1 else 0.0))):
        up, down = [one(c) for c in CHOSEN], [one(-r) for r in REJECTED]
        case(name, "chosen up, rejected down", [(a + b, g) for (a, g), (b, _) in zip(up, down)], {},
             rejected=[-g / 4 for _, g in down])


# preference_list, preference_ordinal --------------------------------------------------------------------

def write_lists(golden):
    steps = [[2.0, 0.0], [.5, 1.0], [1.0, -1.0]]
    labels = [0, -100, 1]
    results = [cross_entropy(x, [k == 0, k == 1]) if k >= 0 else (0.0, [0.0, 0.0]) for x, k in zip(steps, labels)]
    Lists(golden).write("presets/preset_prm_steps", "a step without a label is not judged", steps,
                        math.fsum(loss for loss, _ in results) / 2, [g / 2 for _, grad in results for g in grad],
                        {"target_index": ("I32", labels)}, {"reduction": "mean_valid"}, "prm_steps")
    a, b = [.5, 1.0, -1.0, 2.0], [1.0, 0.0, .25, -.5]
    w = Ordinal(golden)
    for name, h, regions in (("oprm", 0.0, (None, None)), ("oprm.half_tie", .5, (None, None)),
                             ("oprm.rgft", 0.0, ((1, 3), (0, 2)))):
        loss, grad_a, grad_b = ordinal(a, b, h, *regions)
        inputs = {f"{side}_region": ("I32", [list(region)]) for side, region in zip(("chosen", "rejected"), regions) if region}
        w.write(f"presets/preset_{name}", "four levels", [a], [b], loss, ([grad_a], [grad_b]), preset=name, inputs=inputs)


def write(golden):
    write_advantages(golden)
    write_pairs(golden)
    write_lists(golden)
