"""dominance_quantile_huber, _target and _sort: rows worked by hand, textbook sums over random rows, calls that are
refused."""
import math
import random
import struct

from golden_file import Tensor, f32

HUBER = "dominance_quantile_huber"
TARGET = "dominance_quantile_target"
SORT = "dominance_quantile_sort"
UNWRITTEN = struct.unpack("<f", b"\xcd" * 4)[0]
Z, TAU, Y = [0, 1], [.25, .75], [.5, 2]
T12 = {  # options, loss, gradient
    "iqn": ({}, .40625, [-.1875, -.3125]),
    "qr_dqn": ({}, .40625, [-.1875, -.3125]),
    "tqc": ({}, .203125, [-.09375, -.15625]),
    "pinball": ({}, .75, [-.25, -.25]),
    "iqn_half": ({"kappa": .5}, .5625, [-.25, -.25]),
    "qr_dqn_half": ({"kappa": .5}, .28125, [-.125, -.125]),
    "tqc_half": ({"kappa": .5}, .28125, [-.125, -.125]),
}
REJECTED = {
    "kappa_negative": ("kappa is at least 0", {"kappa": -1.0}),
    "kappa_nan": ("kappa is a number", {"kappa": math.nan}),
    "kappa_infinite": ("a finite kappa to divide by", {"kappa": math.inf}),
    "denominator_zero": ("denominator is above 0", {"denominator": 0.0}),
    "level_reduction_unknown": ("level_reduction outside its list", {"level_reduction": 7}),
}


def term(kappa, tau, u):
    """Loss and slope of a difference."""
    w = abs(tau - (u < 0))
    if kappa == 0:
        return w * abs(u), w * (1 if u >= 0 else -1)
    return w * (u * u / 2 if abs(u) <= kappa else kappa * (abs(u) - kappa / 2)), w * max(-kappa, min(kappa, u))


def huber(golden):
    for name, (desc, loss, gradient) in T12.items():
        golden.case(HUBER, "t12_" + name, HUBER, desc,
                    {"in.quantiles": Tensor("F32", [Z]), "in.tau": Tensor("F32", TAU), "in.targets": Tensor("F32", [Y]),
                     "out.loss": Tensor("F64", loss, [1]), "out.loss_rows": Tensor("F32", [loss]),
                     "out.grad_quantiles": Tensor("F32", [gradient])}, "two levels, two targets, worked by hand",
                    preset=name.replace("_half", ""))
    rng = random.Random(HUBER)
    rows, levels, targets, kappa, denominator = 6, 5, 7, .75, 4.0
    z, y = ([[f32(rng.gauss(0, 1)) for _ in range(n)] for _ in range(rows)] for n in (levels, targets))
    tau = [[f32(rng.random()) for _ in range(levels)] for _ in range(rows)]
    count, weight = [7, 0, 3, 1, 7, 5], [1.0, 1.0, .5, 2.0, 0.0, -1.0]
    losses, gradients = [0.0] * rows, [[0.0] * levels for _ in range(rows)]
    for r in range(rows):
        if count[r] == 0 or weight[r] == 0:
            continue
        terms = [[term(kappa, tau[r][i], v - z[r][i]) for v in y[r][:count[r]]] for i in range(levels)]
        losses[r] = math.fsum(t for row in terms for t, _ in row) / (kappa * count[r])
        gradients[r] = [-weight[r] / denominator * math.fsum(s for _, s in row) / (kappa * count[r]) for row in terms]
    golden.case(HUBER, "random_rows", HUBER, {"kappa": kappa, "denominator": denominator, "ld_tau": levels},
                {"in.quantiles": Tensor("F32", z), "in.tau": Tensor("F32", tau), "in.targets": Tensor("F32", y),
                 "in.target_count": Tensor("I32", count), "in.weight": Tensor("F32", weight),
                 "out.loss": Tensor("F64", [math.fsum(w * l for w, l in zip(weight, losses)) / denominator]),
                 "out.loss_rows": Tensor("F64", losses), "out.grad_quantiles": Tensor("F64", gradients)},
                "counts and weights, textbook sums", check={"loss": {"rtol": 1e-6, "atol": 1e-6}, "loss_rows": {"rtol": 1e-6},
                                                            "grad_quantiles": {"rtol": 1e-6, "atol": 1e-7}})
    golden.case(HUBER, "bad_rows", HUBER, {"ld_tau": 2},
                {"in.quantiles": Tensor("F32", [Z] * 4), "in.tau": Tensor("F32", [TAU, TAU, [.25, 1.5], TAU]),
                 "in.targets": Tensor("F32", [Y, Y, Y, [math.nan, 2]]), "in.target_count": Tensor("I32", [2, 3, 2, 2]),
                 "out.loss": Tensor("F64", math.nan, [1]), "out.loss_rows": Tensor("F32", [.40625] + [math.nan] * 3),
                 "out.diagnostics.bad_count": Tensor("U64", [1]), "out.diagnostics.bad_tau": Tensor("U64", [1])},
                "a count beyond the targets, a level beyond 1, a NaN target")
    for name, (note, desc) in REJECTED.items():
        golden.case(HUBER + "/rejected", "rejected_huber_" + name, HUBER, desc,
                    {"in.quantiles": Tensor("F32", [Z]), "in.tau": Tensor("F32", TAU), "in.targets": Tensor("F32", [Y])}, note,
                    status="invalid_argument")


def target(golden):
    q, reward = [[[[2, 4], [6, 8], [-2, 0]]], [[[1, 1], [3, 5], [7, 9]]]], [[1], [10]]  # [B=2,M=1,A=3,N=2]

    def case(name, note, preset, tensors, desc=None, values=q, dtype="F32", **more):
        golden.case(TARGET + ("/rejected" if "status" in more else ""), name, TARGET, {"gamma": [.5], **(desc or {})},
                    {"in.q_next": Tensor(dtype, values), "in.reward": Tensor("F32", reward), **tensors}, note, preset=preset, **more)

    for dtype in ("F32", "BF16", "F16"):
        case("shared_" + dtype.lower(), "one action for all", "td.shared",
             {"in.action": Tensor("I32", [0, 1]), "out.target": Tensor("F32", [[2, 3], [11.5, 12.5]])}, dtype=dtype)
    case("restricted", "an action per objective", "td.restricted",
         {"in.greedy": Tensor("I32", [[2], [0]]), "out.target": Tensor("F32", [[0, 1], [10.5, 10.5]])})
    case("discounted", "a discount of its own", "td.shared",
         {"in.action": Tensor("I32", [0, 1]), "in.discount": Tensor("F32", [[.25], [1]]),
          "out.target": Tensor("F32", [[1.5, 2], [13, 15]])})
    case("done", "the reward alone", "td.shared",
         {"in.action": Tensor("I32", [-1, 1]), "in.done": Tensor("U8", [1, 0]), "out.target": Tensor("F32", [[1, 1], [11.5, 12.5]]),
          "out.diagnostics.bad_action": Tensor("U64", [0])}, values=[[[[math.nan] * 2] * 3], q[1]])
    case("bad_actions", "below 0 and beyond A", "td.shared",
         {"in.action": Tensor("I32", [-1, 3]), "out.target": Tensor("F32", [[math.nan] * 2] * 2),
          "out.diagnostics.bad_action": Tensor("U64", [2])})
    case("mixture", "actions 0 and 2, then all but 0", "td.mixture",
         {"in.final": Tensor("I32", [[5], [6]]), "out.target_count": Tensor("I32", [4, 4]),
          "out.target": Tensor("F32", [[2, 3, 0, 1, UNWRITTEN, UNWRITTEN], [11.5, 12.5, 13.5, 14.5, UNWRITTEN, UNWRITTEN]])})
    case("mixture_of_none", "no action: no sample; a bit beyond A: NaN", "td.mixture",
         {"in.final": Tensor("I32", [[0], [9]]), "out.target_count": Tensor("I32", [0, 2]),
          "out.target": Tensor("F32", [[UNWRITTEN] * 6, [math.nan] * 2 + [UNWRITTEN] * 4]),
          "out.diagnostics.bad_action": Tensor("U64", [1])})
    action = {"in.action": Tensor("I32", [0, 1])}
    case("rejected_target_gamma", "gamma is at most 1", None, action, {"gamma": [1.5]}, status="invalid_argument")
    case("rejected_target_mode", "mode outside its list", None, action, {"mode": 3}, status="invalid_argument")
    case("rejected_target_no_action", "SHARED needs an action", None, {}, status="invalid_argument")
    case("rejected_target_greedy", "greedy goes with RESTRICTED", None, {**action, "in.greedy": Tensor("I32", [[0], [0]])},
         status="invalid_argument")


def sort(golden):
    nan, inf = math.nan, math.inf
    rows = [[3, -nan, 0, -0.0, 3], [inf, 2, nan, -inf, 2]]
    bits = {"sorted": {"bits": True}}
    expected = {"out.sorted": Tensor("F32", [[-0.0, 0, 3, 3, nan], [-inf, 2, 2, inf, nan]]),
                "out.index": Tensor("I32", [[3, 2, 0, 4, 1], [3, 1, 4, 0, 2]])}
    values = {"in.values": Tensor("F32", rows)}
    golden.case(SORT, "sort_rows", SORT, {}, {**values, **expected}, "zeros, ties, infinities, NaN", check=bits)
    golden.case(SORT, "sort_in_place", SORT, {}, {**values, **expected}, "over the values", check=bits, alias={"sorted": "values"})
    golden.case(SORT, "sort_quantiles", SORT, {"tau": [.2, .21, .5, 1.0]},
                {"in.values": Tensor("F32", [[50, 10, 40, 20, 30]]), "out.sorted": Tensor("F32", [[10, 20, 30, 50]]),
                 "out.index": Tensor("I32", [[1, 3, 4, 0]])}, "elements ceil(5 tau) - 1")
    rng = random.Random(SORT)
    long = [f32(rng.gauss(0, 1)) for _ in range(4500)]
    golden.case(SORT, "sort_long", SORT, {"tau": [.001, .05, .5, .95, 1.0]},
                {"in.values": Tensor("F32", [long]),
                 "out.sorted": Tensor("F32", [[sorted(long)[math.ceil(t * 4500) - 1] for t in (.001, .05, .5, .95, 1.0)]])},
                "more values than a block sorts at a time")
    for name, note, desc in (("tau_zero", "tau is above 0", {"tau": [0.0, .5]}), ("tau_falls", "tau rises", {"tau": [.5, .25]}),
                             ("num_taus", "num_taus without tau", {"num_taus": 2})):
        golden.case(SORT + "/rejected", "rejected_sort_" + name, SORT, desc, values, note, status="invalid_argument")


def write(golden):
    sort(golden)
    huber(golden)
    target(golden)
