"""Inputs of the recorded cases of the operations of quantile critics: what merit computes for them today is pinned bit
for bit."""
import random

from golden_file import Tensor

FOLDER = "."


def huber(golden, name, rows, levels, targets, desc=None, preset=None, extra=False):
    rng = random.Random("huber " + name)
    tensors = {"in.quantiles": Tensor("F32", [[rng.gauss(0, 1) for _ in range(levels)] for _ in range(rows)]),
               "in.tau": Tensor("F32", [(i + .5) / levels for i in range(levels)]),
               "in.targets": Tensor("F32", [[rng.gauss(0, 1.5) for _ in range(targets)] for _ in range(rows)])}
    if extra:
        tensors["in.tau"] = Tensor("F32", [[rng.random() for _ in range(levels)] for _ in range(rows)])
        tensors["in.target_count"] = Tensor("I32", [rng.randrange(targets + 1) for _ in range(rows)])
        tensors["in.weight"] = Tensor("F32", [rng.choice([0.0, 1.0, rng.random()]) for _ in range(rows)])
        desc = {"ld_tau": levels, **(desc or {})}
    golden.case(FOLDER, "bits_huber_" + name, "dominance_quantile_huber", desc or {}, tensors,
                f"{rows} rows of {levels} levels against {targets} targets", preset=preset)


def target(golden, name, preset, shape, dtype="F32", done=False, discount=False):
    rng = random.Random("target " + name)
    B, M, A, N = shape
    words = (A + 31) // 32
    tensors = {"in.q_next": Tensor(dtype, [rng.gauss(0, 3) for _ in range(B * M * A * N)], shape),
               "in.reward": Tensor("F32", [[rng.gauss(0, 1) for _ in range(M)] for _ in range(B)])}
    if preset == "td.shared":
        tensors["in.action"] = Tensor("I32", [rng.randrange(-1, A) for _ in range(B)])
    if preset == "td.restricted":
        tensors["in.greedy"] = Tensor("I32", [[rng.randrange(A) for _ in range(M)] for _ in range(B)])
    if preset == "td.mixture":
        full = [min(32, A - 32 * w) for w in range(words)]
        tensors["in.final"] = Tensor("I32", [[rng.randrange(1 << min(bits, 31)) for bits in full] for _ in range(B)])
    if done:
        tensors["in.done"] = Tensor("U8", [int(rng.random() < .3) for _ in range(B)])
    if discount:
        tensors["in.discount"] = Tensor("F32", [[rng.random() for _ in range(M)] for _ in range(B)])
    golden.case(FOLDER, "bits_target_" + name, "dominance_quantile_target", {}, tensors, " x ".join(map(str, shape)),
                preset=preset)


def sort(golden, name, rows, levels, desc=None, ties=False):
    rng = random.Random("sort " + name)
    values = [[float(rng.randrange(-3, 4)) if ties else rng.gauss(0, 1) for _ in range(levels)] for _ in range(rows)]
    golden.case(FOLDER, "bits_sort_" + name, "dominance_quantile_sort", desc or {}, {"in.values": Tensor("F32", values)},
                f"{rows} rows of {levels}")


def write(golden):
    sort(golden, "short", 40, 7)
    sort(golden, "ties", 5, 200, ties=True)
    sort(golden, "quantiles", 3, 500, {"tau": [.05, .25, .5, .75, .95]})
    sort(golden, "long", 1, 4100, {"tau": [i / 64 for i in range(1, 65)]}, ties=True)
    target(golden, "shared", "td.shared", [6, 2, 5, 12], done=True)
    target(golden, "restricted", "td.restricted", [6, 3, 5, 33], discount=True)
    target(golden, "mixture", "td.mixture", [3, 2, 40, 6], done=True)
    target(golden, "bf16", "td.shared", [5, 2, 3, 20], "BF16")
    target(golden, "f16", "td.mixture", [5, 2, 3, 8], "F16", discount=True)
    for preset in ("iqn", "qr_dqn", "tqc", "pinball"):
        huber(golden, preset, 9, 32, 33, {"kappa": 0.0 if preset == "pinball" else .7}, preset)
    for levels, targets in ((1, 1), (1, 70), (5, 9), (64, 7), (200, 64), (2100, 3), (300, 1100)):
        huber(golden, f"{levels}_by_{targets}", 2, levels, targets)
    huber(golden, "rows", 70, 6, 10, {"denominator": 31.0, "kappa": .5}, extra=True)
    huber(golden, "many", 2100, 1, 2)
