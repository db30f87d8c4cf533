"""Inputs of the recorded cases of dominance_pairwise and dominance_subset: what merit computes for them today is
pinned bit for bit."""
import random

from golden_file import Tensor

FOLDER = "."
PRESETS = ("qd.area", "qd.win_rate", "qd.strict", "aso", "second_order", "mann_whitney")


def levels(rng, rows, count, rising=True):
    """Rows around means of their own, some equal, some with ties."""
    out = []
    for _ in range(rows):
        start = rng.choice([0.0, rng.gauss(0, 2)])
        row = [start + rng.choice([rng.gauss(0, 1), round(2 * rng.gauss(0, 1)) / 2]) for _ in range(count)]
        out += sorted(row) if rising else row
    return out


def quantiles(rng, shape, dtype="F32", rising=True):
    rows = shape[0] * shape[1] * shape[2]
    return Tensor(dtype, levels(rng, rows, shape[3], rising), list(shape))


def pairwise(golden, name, note, preset, shape, desc=None, dtype="F32", rising=True, weights=None, spoil=()):
    rng = random.Random("pairwise " + name)
    q = levels(rng, shape[0] * shape[1] * shape[2], shape[3], rising)
    for at, value in spoil:
        q[at] = value
    tensors = {"in.q": Tensor(dtype, q, list(shape))}
    if weights is not None:
        rows = [[rng.choice([0.0, rng.random()]) for _ in range(shape[3])] for _ in range(weights)]
        tensors["in.weights"] = Tensor("F32", rows)
    golden.case(FOLDER, "bits_pairwise_" + name, "dominance_pairwise", desc or {}, tensors, note, preset=preset)


def subset(golden, name, note, preset, shape, desc=None, valid=False, drawn=False):
    rng = random.Random("subset " + name)
    tensors = {"in.q": quantiles(rng, shape, rising=not (desc or {}).get("sort_levels", False))}
    if valid:
        tensors["in.valid"] = Tensor("U8", [[int(rng.random() < .8) for _ in range(shape[2])] for _ in range(shape[0])])
    if drawn:
        tensors["in.random"] = Tensor("I32", [rng.getrandbits(31) for _ in range(shape[0])])
    golden.case(FOLDER, "bits_subset_" + name, "dominance_subset", desc or {}, tensors, note, preset=preset)


def write(golden):
    nan, inf = float("nan"), float("inf")
    for preset in PRESETS:
        name = preset.replace(".", "_")
        pairwise(golden, name, "odd numbers of actions and levels", preset, (3, 2, 7, 13))
        pairwise(golden, name + "_tiles", "actions beyond a tile", preset, (1, 1, 37, 6))
        pairwise(golden, name + "_sorted", "rows in any order, sorted first", preset, (2, 1, 5, 70), {"sort_levels": True}, rising=False)
    for power in (0, 1, 2):
        pairwise(golden, f"weights_{power}", "weights of each state, a dead zone, smaller is better", "qd.area", (2, 2, 6, 11),
                 {"power": power, "delta": [.125, 0], "sign": [1, -1], "weights_stride_state": 11}, weights=2)
    pairwise(golden, "weights_means", "one row of weights", "qd.area", (2, 1, 6, 11), weights=1)
    pairwise(golden, "weights_running", "weights, second order", "second_order", (2, 1, 6, 11), {"power": 2}, weights=1)
    pairwise(golden, "bf16", "bf16 levels", "qd.area", (2, 1, 5, 9), dtype="BF16", rising=False)
    pairwise(golden, "f16", "f16 levels", "aso", (2, 1, 5, 9), dtype="F16", rising=False)
    for preset in ("qd.area", "qd.win_rate", "aso"):
        pairwise(golden, "spoiled_" + preset.replace(".", "_"), "a NaN and infinities", preset, (3, 1, 4, 5),
                 spoil=((7, nan), (24, inf), (33, inf), (44, -inf)))

    chain, diamond = {"theta": [.75, .5, 1.0, .625]}, {"above": [0, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]}
    for power in (0, 1, 2):
        for on_empty in ("keep", "maximin", "top_cycle"):
            subset(golden, f"chain_{power}_{on_empty}", "four objectives in order", "subset.lexicographic", (6, 4, 7, 5),
                   {**chain, "power": power, "on_empty": on_empty})
    for preset in ("subset.pareto", "subset.independent", "subset.rulebook"):
        subset(golden, preset.split(".")[1], "equal objectives, or one relation", preset, (6, 3, 9, 5), valid=True)
        subset(golden, preset.split(".")[1] + "_words", "sets of several words", preset, (2, 2, 70, 4), {"pick": "maximin"})
    subset(golden, "diamond", "two branches that meet again", "subset.lexicographic", (8, 4, 6, 5), diamond, valid=True)
    subset(golden, "slack", "margins of the means", "subset.slack", (6, 2, 8, 5), {"eta": [.5, .25]})
    subset(golden, "drawn", "actions drawn", "subset.pareto", (8, 2, 9, 5), {"pick": "random"}, drawn=True)
    subset(golden, "sorted", "rows in any order, sample against sample", "subset.lexicographic", (4, 2, 5, 20),
           {"sort_levels": True, "measure": "mann_whitney", "theta": [.5, .625]})
