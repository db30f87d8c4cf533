"""Inputs of the recorded cases of preference_list and preference_ordinal: what merit computes for them today is
pinned bit for bit."""
import itertools
import math
import random

from golden_file import Tensor, counted

FOLDER = "."
SIZES = [1, 2, 3, 4, 5, 8, 9, 0, 31, 32, 33, 64, 100, 255, 256, 257, 600]
PRESETS = {"yojo": "target_index", "op_gfn": "weights", "plackett_luce": "ranks", "instruct_gpt": "labels", "real": "signs",
           "real.product": "signs", "real.bce": "signs", "pacs": "signs"}


def lists(golden, name, note, preset, sizes, desc=None, dtype="F32", extra=False):
    rng = random.Random("list " + name)
    rows = sum(sizes)
    make = {"target_index": lambda: Tensor("I32", [rng.randrange(n) if n else -1 for n in sizes]),
            "weights": lambda: Tensor("F32", [rng.choice([0.0, 1.0, rng.random()]) for _ in range(rows)]),
            "ranks": lambda: Tensor("I32", [rng.randrange(-1, 30) for _ in range(rows)]),
            "labels": lambda: Tensor("F32", [float(rng.randrange(6)) for _ in range(rows)]),
            "signs": lambda: Tensor("I8", [rng.randrange(-1, 2) for _ in range(rows)])}
    tensors = {"in.groups.offsets": Tensor("I64", [0, *itertools.accumulate(sizes)]),
               "in.scores": Tensor(dtype, [rng.gauss(0, 2) for _ in range(rows)]),
               "in." + PRESETS[preset]: make[PRESETS[preset]]()}
    if extra:
        tensors["in.mask"] = Tensor("U8", [int(rng.random() < .8) for _ in range(rows)])
        tensors["in.group_weight"] = Tensor("F32", [rng.random() + .25 for _ in sizes])
        order = list(range(rows))
        rng.shuffle(order)
        tensors["in.groups.index"] = Tensor("I32", order)
    if preset == "pacs":
        desc = {"tau": .7, **(desc or {})}
    golden.case(FOLDER, "bits_list_" + name, "preference_list", desc or {}, tensors, note, preset=preset)


def ordinal(golden, name, note, pairs, levels, desc=None, dtype="F32", extra=False):
    rng = random.Random("ordinal " + name)
    rows = [[[rng.gauss(0, 3) for _ in range(levels)] for _ in range(pairs)] for _ in range(2)]
    tensors = {"in.chosen_logits": Tensor(dtype, rows[0]), "in.rejected_logits": Tensor(dtype, rows[1])}
    if extra:
        tensors["in.mask"] = Tensor("U8", [int(rng.random() < .8) for _ in range(pairs)])
        tensors["in.weights"] = Tensor("F32", [rng.random() + .25 for _ in range(pairs)])
        tensors["in.chosen_region"] = Tensor("I32", [[rng.randrange(levels // 2, levels), levels - 1] for _ in range(pairs)])
        tensors["in.rejected_region"] = Tensor("I32", [[0, rng.randrange(levels)] for _ in range(pairs)])
    golden.case(FOLDER, "bits_ordinal_" + name, "preference_ordinal", desc or {}, tensors, note)


def strange(rng, values, share=.06):
    """Some of them not finite."""
    return [rng.choice([math.nan, math.inf, -math.inf]) if rng.random() < share else x for x in values]


def spoiled(golden):
    """Items and pairs that are NaN, of weight 0, left out or without content, among others."""
    sizes = [2, 3, 9, 5] * 8
    rows = sum(sizes)
    for skip in (False, True):
        rng = random.Random(f"spoiled {skip}")
        desc = {"skip_invalid": skip, "reduction": "given"}
        given = {**counted("nonfinite", "bad_weight", "zero_denominator"), "in.denominator": Tensor("F64", [37.5]),
                 "in.grad_scale": Tensor("F32", [1.7])}
        groups = {**given, **counted("bad_target", "bad_rank", "empty_group"),
                  "in.groups.offsets": Tensor("I64", [0, *itertools.accumulate(sizes)]),
                  "in.scores": Tensor("F32", strange(rng, [rng.gauss(0, 2) for _ in range(rows)])),
                  "in.group_weight": Tensor("F32", [rng.choice([0.0, .5, 1.0, 2.0] * 3 + [-1.0]) for _ in sizes])}
        name = "skipped" if skip else "spoiled"
        cases = {"yojo": [rng.randrange(-1, n + 1) for n in sizes],
                 "op_gfn": strange(rng, [rng.choice([0.0, 1.0]) for _ in range(rows)]),
                 "plackett_luce": [rng.randrange(-1, 5) for _ in range(rows)],
                 "instruct_gpt": [float(rng.randrange(3)) for _ in range(rows)],
                 "pacs": [rng.randrange(-1, 2) for _ in range(rows)]}
        for preset, values in cases.items():
            dtype = {"op_gfn": "F32", "instruct_gpt": "F32", "pacs": "I8"}.get(preset, "I32")
            golden.case(FOLDER, f"bits_list_{name}_{preset}", "preference_list", {**desc, "tau": .7},
                        {**groups, "in." + PRESETS[preset]: Tensor(dtype, values)}, "not all groups are good", preset=preset)
        pairs, levels = 60, 5
        logits = [strange(rng, [rng.gauss(0, 2) for _ in range(pairs * levels)], .03) for _ in range(2)]
        regions = [[[rng.randrange(-1, 3), rng.randrange(2, 6)] for _ in range(pairs)] for _ in range(2)]
        sides = "chosen", "rejected"
        golden.case(FOLDER, "bits_ordinal_" + name, "preference_ordinal", {**desc, "first_value": -2.5, "value_step": .75}, {
            **given, **counted("bad_region"),
            **{f"in.{side}_logits": Tensor("F32", x, [pairs, levels]) for side, x in zip(sides, logits)},
            **{f"in.{side}_region": Tensor("I32", x) for side, x in zip(sides, regions)},
            "in.weights": Tensor("F32", [rng.choice([0.0, .5, 1.0, 2.0] * 3 + [-1.0, math.nan]) for _ in range(pairs)])},
                    "not all pairs are good")


def layouts(golden):
    """Offsets that leave the items, a group above its bound, indices outside, which leave rows that nothing writes."""
    rng = random.Random("layouts")
    order = rng.sample(range(20), 20)
    order[5], order[17] = -1, 20
    some = {"out.group_loss": Tensor("F32", [0.0] * 5), "out.lse": Tensor("F32", [0.0] * 5)}
    for name, offsets, more in (("offsets", [2, 5, 8, 8, 16, 22], {}),
                                ("index", [0, 3, 4, 8, 15, 20], {"in.groups.index": Tensor("I32", order), **some})):
        golden.case(FOLDER, "bits_list_layout_" + name, "preference_list", {
            "groups": {"max_size": 7}, "reduction": "mean_groups"}, {
            "in.groups.offsets": Tensor("I64", offsets), "in.scores": Tensor("F32", [rng.gauss(0, 2) for _ in range(20)]),
            "in.target_index": Tensor("I32", [rng.randrange(3) for _ in range(5)]), **more,
            **counted("bad_offsets", "bad_index", "group_too_large", "empty_group")}, "groups that are not there")


def corners(golden):
    """Margins of every link, scores that are far apart, denominators of 0, equal distributions."""
    for link in ("hinge", "exponential"):
        lists(golden, link + "_margin", f"{link} over pairs, with a margin", "instruct_gpt", SIZES[:10],
              {"link": link, "margin": .75})
    rng = random.Random("corners")
    far = {"in.scores": Tensor("F32", [rng.gauss(0, 1) * 10.0 ** rng.randrange(5) for _ in range(40)])}
    golden.case(FOLDER, "bits_list_far", "preference_list", {"groups": {"group_size": 10}}, {
        **far, "in.labels": Tensor("F32", [float(rng.randrange(4)) for _ in range(40)])}, "far apart", preset="instruct_gpt")
    zero = {"in.denominator": Tensor("F64", [0.0]), **counted("zero_denominator")}
    scores = [-math.inf if i % 7 == 3 else rng.gauss(0, 2) for i in range(40)]
    golden.case(FOLDER, "bits_list_over_zero", "preference_list", {"groups": {"group_size": 10}, "reduction": "given"}, {
        **zero, "in.scores": Tensor("F32", scores), "in.target_index": Tensor("I32", [3, -1, 0, 9])}, "a denominator of 0")
    for reduction in ("given", "sum"):
        logits = [[[rng.gauss(0, 2) for _ in range(5)] for _ in range(20)] for _ in range(2)]
        logits[1][4], logits[1][11] = logits[0][4], logits[0][11]
        name = "bits_ordinal_" + ("over_zero" if reduction == "given" else "equal")
        golden.case(FOLDER, name, "preference_ordinal", {"reduction": reduction, "temperature": .6, "tie_share": .25}, {
            **(zero if reduction == "given" else {}), "in.chosen_logits": Tensor("F32", logits[0]),
            "in.rejected_logits": Tensor("F32", logits[1])}, "equal distributions among others")


def write(golden):
    corners(golden)
    layouts(golden)
    spoiled(golden)
    for preset in PRESETS:
        name = preset.replace(".", "_")
        lists(golden, name, "groups of many sizes", preset, SIZES)
        lists(golden, name + "_options", "masked, weighted, indexed, centered", preset, SIZES,
              {"center": "leave_one_out", "inner": "mean", "smoothing": .1, "top_k": 9, "margin": .5}, extra=True)
        lists(golden, name + "_tiles", "groups beyond a tile", preset, [3, 2049 if preset == "instruct_gpt" else 4100], dtype="BF16")
    lists(golden, "f16", "f16 scores", "yojo", SIZES, dtype="F16")
    lists(golden, "hinge", "hinges over pairs", "instruct_gpt", SIZES[:12], {"link": "hinge"})
    lists(golden, "exponential", "exponentials over pairs", "instruct_gpt", SIZES[:12], {"link": "exponential"})
    lists(golden, "many", "groups beyond a tile of groups", "yojo", [2, 3, 1] * 700, {"reduction": "mean_valid"})
    for levels in (2, 9, 16, 17, 64):
        ordinal(golden, f"{levels}_levels", f"{levels} levels", 60, levels)
    ordinal(golden, "options", "regions, ties, weights", 200, 9, {"temperature": 1.3, "tie_share": .5, "reduction": "mean_weight"}, extra=True)
    ordinal(golden, "bf16", "bf16 logits", 60, 9, dtype="BF16")
    ordinal(golden, "f16", "f16 logits", 60, 9, dtype="F16")
    ordinal(golden, "many", "pairs beyond a tile", 2100, 3)
