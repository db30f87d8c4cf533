"""Inputs of the recorded cases of preference_pair: what merit computes for them today is pinned bit for bit."""
import math
import random

from golden_file import Tensor, counted

OP = "preference_pair"
FOLDER = "."


def scores(rng, n, kind):
    if kind == "ties":
        return [float(rng.randrange(-2, 3)) for _ in range(n)]
    if kind == "wide":
        return [rng.gauss(0, 1) * 10.0 ** (6 * rng.random() - 3) for _ in range(n)]
    return [rng.gauss(0, 2) for _ in range(n)]


def floats(low, high):
    return lambda rng, n: Tensor("F32", [low + (high - low) * rng.random() for _ in range(n)])


def outcomes(rng, n):
    return Tensor("I8", [rng.randrange(-1, 2) for _ in range(n)])


def mask(rng, n):
    return Tensor("U8", [int(rng.random() < .8) for _ in range(n)])


def lengths(rng, n):
    return Tensor("I32", [rng.randrange(1, 700) for _ in range(n)])


def routes(rng, n):
    return Tensor("I32", [rng.randrange(5) for _ in range(n)])


class Bits:
    def __init__(self, golden):
        self.golden = golden

    def write(self, name, note, n, desc=None, preset=None, dtype="F32", kind="plain", extra=None, sides=("chosen", "rejected"),
              counters=False):
        rng = random.Random("preference " + name)
        tensors = {"in." + side: Tensor(dtype, scores(rng, n, kind)) for side in sides}
        for key, make in (extra or {}).items():
            tensors["in." + key] = make(rng, n)
        if counters:
            tensors.update(counted("nonfinite", "bad_weight", "bad_target", "bad_length", "bad_route", "zero_denominator"))
        self.golden.case(FOLDER, "bits_pair_" + name, OP, {"calibration_bins": 7, **(desc or {})}, tensors, note, preset=preset)


def write(golden):
    b = Bits(golden)
    b.write("plain", "Bradley-Terry over two tiles", 2100)
    b.write("wide", "scores of many magnitudes", 700, kind="wide")
    b.write("bf16", "bf16 scores", 300, dtype="BF16")
    b.write("f16", "f16 scores with ties", 300, dtype="F16", kind="ties")
    for link in ("hinge", "squared", "exponential", "sigmoid", "exo", "discopop"):
        b.write(link, f"link {link}, soft labels", 400, {"link": link, "link_param": .3, "target": "probability", "beta": .7},
                extra={"probabilities": floats(0, 1)})
    references = {"ref_chosen": floats(-1, 1), "ref_rejected": floats(-1, 1)}
    b.write("dpo", "references and lengths", 400, preset="dpo", extra={**references, "chosen_length": lengths, "rejected_length": lengths})
    b.write("mm_dpo", "beta from a signal", 400, preset="mm_dpo", extra={"beta_signal": floats(-2, 5)})
    b.write("betas", "beta and margin of each pair", 400, {"beta_map": "array", "margin": .25, "opposite": "swap", "target": "outcome"},
            extra={"betas": floats(0, 2), "margins": floats(0, 1), "outcomes": outcomes})
    for kind in ("conservative", "robust"):
        b.write(f"smoothing_{kind}", "label noise of 0.15", 300, {"smoothing": .15, "smoothing_kind": kind})
    for model in ("drop", "rao_kupper", "davidson"):
        b.write(f"tie_{model}", f"ties by {model}", 400, {"target": "outcome", "tie_model": model, "log_tie": .4},
                extra={"outcomes": outcomes})
    b.write("routes", "five routes, masked and weighted", 2100, {"route_kind": "array", "num_routes": 5, "reduction": "mean_weight"},
            extra={"routes": routes, "mask": mask, "weights": floats(.5, 2), "alpha": lambda rng, n: Tensor("F32", [.1, .2, .3, .4, 1.7])})
    b.write("columns", "columns as routes", 500, {"route_kind": "column", "num_routes": 3}, kind="ties")
    b.write("given", "an upstream gradient and denominators", 300, {"reduction": "given"}, extra={
        "denominators": lambda rng, n: Tensor("F64", [977.0]), "grad_scale": lambda rng, n: Tensor("F32", [1.7])})
    for link in ("logistic", "squared", "sigmoid"):
        b.write(f"unary_{link}", "losses of each side, centered", 400, {
            "unary_link": link, "unary": [1.0, .25, .5, 2.0], "unary_shift": .125, "unary_margin": .25, "center": .01, "pair_weight": .5})
    b.write("chosen_alone", "one side", 300, {"pair_weight": 0.0, "unary": [1.0, .5, 0.0, 0.0]}, sides=("chosen",))
    b.write("nonfinite", "NaN and infinite scores, skipped", 6, {"skip_invalid": True}, extra={
        "margins": lambda rng, n: Tensor("F32", [0.0, math.nan, 1.0, math.inf, .5, 0.0])})
    for kind in ("conservative", "robust"):
        b.write(f"smoothing_soft_{kind}", "the same of soft labels", 200, {
            "smoothing": .15, "smoothing_kind": kind, "target": "probability"}, extra={"probabilities": floats(0, 1)})
    for model in ("rao_kupper", "davidson"):
        b.write(f"tie_{model}_options", "scaled, weighted, against margins of the winners", 200, {
            "target": "outcome", "tie_model": model, "log_tie": .4, "beta": .7, "pair_weight": .5, "opposite": "swap",
            "center": .03, "reduction": "mean_weight"}, extra={"outcomes": outcomes, "margins": floats(0, 1), "weights": floats(.5, 2),
                                                "grad_scale": lambda rng, n: Tensor("F32", [1.7])})
    b.write("log_tie", "a threshold of ties in memory", 300, {"target": "outcome", "tie_model": "rao_kupper", "log_tie": .4},
            extra={"outcomes": outcomes, "log_tie_dev": lambda rng, n: Tensor("F32", [.7])})
    spoiled = {"target": "outcome", "route_kind": "array", "num_routes": 5}
    b.write("spoiled", "pairs that are NaN among others, by routes", 200, spoiled, extra={
        "outcomes": lambda rng, n: Tensor("I8", [rng.choice([-1, 0, 1, 1, 2]) for _ in range(n)]),
        "routes": lambda rng, n: Tensor("I32", [rng.randrange(-1, 6) for _ in range(n)]),
        "weights": lambda rng, n: Tensor("F32", [rng.choice([0.0, -1.0, math.nan, *[rng.random()] * 9]) for _ in range(n)]),
        "margins": lambda rng, n: Tensor("F32", [rng.choice([math.inf, *[rng.random()] * 9]) for _ in range(n)]),
        "chosen_length": lambda rng, n: Tensor("I32", [rng.randrange(0, 9) for _ in range(n)]), "rejected_length": lengths},
            counters=True)
