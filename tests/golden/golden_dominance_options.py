"""dominance: each option on rows where it decides, worked by hand as exact fractions."""
import math

from golden_file import Tensor

PAIRWISE, SUBSET, HUBER = "dominance_pairwise", "dominance_subset", "dominance_quantile_huber"
NAN, INF = math.nan, math.inf
T2, T5 = [[0, 2, 4, 6], [1, 2, 3, 4]], [[2, 2, 2, 2], [0, 1, 3, 4]]
HALVES = [[.25, .25, .25, .25], [.5, .5, 0, 0]]  # all levels; the lower half
# Levels won: 0 over 1 3 of 5, 1 over 2 4 of 5, 2 over 0 3 of 5; all over 3.
CYCLE = [[2, 12, 20, 30, 41], [1, 11, 22, 32, 40], [0, 10, 21, 31, 42], [-5, 5, 15, 25, 35]]
T7 = [[-4, 0, 1, 2, 3, 4, 5, 6], [-1, 0, 0, 1, 2, 3, 4, 5]]


def pairwise(golden):
    def case(name, note, q, desc, qd, gain=None, weights=None, preset=None, counter=None):
        tensors = {"in.q": Tensor("F32", q), "out.qd": Tensor("F64", qd)}
        if weights:
            tensors["in.weights"] = Tensor("F32", weights)
        if gain:
            tensors["out.gain"] = Tensor("F64", gain)
        if counter:
            tensors["out.diagnostics." + counter] = Tensor("U64", [1])
        golden.case(PAIRWISE, name, PAIRWISE, desc, tensors, note, preset=preset, check={"qd": {"ulp": 1}})

    case("dead_zone_running", "running differences 1 and -1/2, a quarter less each", [[[[2, 2], [0, 5]]]], {"delta": [.25]},
         [[[[.5, .75], [.25, .5]]]], [[[[0, .375], [.125, 0]]]], preset="second_order")
    case("ranks_smaller_is_better", "sample against sample, turned around", [[[[1, 2, 3, 4], [0, 1, 2, 3]]]], {"sign": [-1]},
         [[[[.5, 9 / 32], [23 / 32, .5]]]], [[[[0, 3 / 16], [10 / 16, 0]]]], preset="mann_whitney")
    case("sorted_and_weighted", "weights go with sorted levels", [[[[4, 0, 6, 2], [3, 1, 4, 2]]]], {"sort_levels": True},
         [[[[.5, 0], [1, .5]]]], [[[[0, 0], [.5, 0]]]], weights=[.5, .5, 0, 0])
    case("infinities_tie", "an infinity ties with itself", [[[[-INF, 1, 2, INF], [-INF, 0, 1, INF]]]], {},
         [[[[.5, .75], [.25, .5]]]], [[[[0, .5], [0, 0]]]], preset="qd.win_rate")
    case("infinities_differ_by_nothing", "no area between an infinity and itself", [[[[-INF, 1, 2], [-INF, 0, 1]]]], {},
         [[[[.5, NAN], [NAN, .5]]]], [[[[0, NAN], [NAN, 0]]]])
    case("falling_row", "ranks want rising levels", [[[[2, 1], [0, 0], [1, 3]]]], {},
         [[[[.5, NAN, NAN], [NAN, .5, 0], [NAN, 1, .5]]]], [[[[0, NAN, NAN], [NAN, 0, 0], [NAN, 1, 0]]]],
         preset="mann_whitney", counter="unsorted")
    case("negative_weight", "all pairs of its state", [[[[1, 2], [0, 1]]]] * 2, {"weights_stride_state": 2},
         [[[[.5, NAN], [NAN, .5]]], [[[.5, 1], [0, .5]]]], [[[[0, NAN], [NAN, 0]]], [[[0, 2], [0, 0]]]],
         weights=[[.5, -1], [1, 1]], counter="bad_weight")


def subset(golden):
    def case(name, note, q, desc, final, flags=0, preset=None, **tensors):
        more = {key.replace("__", "."): value for key, value in tensors.items()}
        golden.case(SUBSET, name, SUBSET, desc, {"in.q": Tensor("F32", q), "out.final": Tensor("I32", [[f] for f in final]),
                                                 "out.flags": Tensor("I32", [flags] * len(final)), **more}, note, preset=preset)

    for on_empty, final in (("keep", 15), ("maximin", 3), ("top_cycle", 7)):
        case("cycle_and_loser_" + on_empty, "three in a cycle, a fourth below; the least shares are 2/5, 2/5, 1/5, 0", [[CYCLE]],
             {"power": 0, "theta": [.5], "on_empty": on_empty}, [final], 17)
    level = [[[0] * 10, [-10] + [0] * 9]]
    case("ties_excluded", "T4: a wins the level that differs", [level], {"power": 0}, [1])
    case("ties_half", "T4: 11/20 with the ties", [level], {"power": 0, "ties": "half"}, [3])
    case("second_order", "T5: only sums of differences separate", [[T5]], {"integrate": True}, [1])
    case("first_order", "T5: equal means", [[T5]], {}, [3])
    case("weights_of_states", "T2: a by all levels, b by the lower half", [[T2]] * 2, {"weights_stride_state": 4}, [1, 2],
         in__weights=Tensor("F32", HALVES), out__action=Tensor("I32", [0, 1]))
    case("slack_beyond", "T7: ahead by 3/8", [[T7]], {"eta": [.25]}, [1], preset="subset.slack")
    case("slack_within", "T7: ahead by no more than 3/8", [[T7]], {"eta": [.375]}, [3], preset="subset.slack")
    two = [[[[3], [1]], [[0], [1]]]]
    for name, desc, action in (("last_class", {}, 0), ("weighted", {"pick_weights": [.25, 1]}, 1),
                               ("first", {"pick": "first"}, 0), ("none", {"pick": "none"}, -1)):
        case("pick_" + name, "3 + 0 against 1 + 1", two, desc, [3], preset="subset.pareto", out__action=Tensor("I32", [action]))
    case("pick_first_not_best", "the lowest index, though the other is better", [[[[1], [3]], [[1], [0]]]],
         {"pick": "first"}, [3], preset="subset.pareto", out__action=Tensor("I32", [0]))
    case("pick_random", "random / 2^32 of three: 0, 1/2, all but 1", [[[[1], [1], [1]]]] * 3, {"pick": "random"}, [7, 7, 7],
         in__random=Tensor("I32", [0, -2 ** 31, -1]), out__action=Tensor("I32", [0, 1, 2]))
    case("branch_skipped", "what 0 and 1 kept has nothing in common: 2 follows 0",
         [[[[3], [1]], [[1], [3]], [[0], [0]], [[0], [0]]]], {"above": [0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]}, [1], 2,
         out__subset=Tensor("I32", [[[1], [2], [1], [1]]]), out__greedy=Tensor("I32", [[0, 1, 0, 0]]))


def huber(golden):
    golden.case(HUBER, "pinball_tie", HUBER, {}, {"in.quantiles": Tensor("F32", [[1]]), "in.tau": Tensor("F32", [.25]),
                                                  "in.targets": Tensor("F32", [[1, 1, 3, 0]]), "out.loss": Tensor("F64", [.3125]),
                                                  "out.grad_quantiles": Tensor("F32", [[0]])},
                "at a difference of 0 the slope is tau: 3 tau against 1 - tau", preset="pinball")
    golden.case(HUBER, "nan_rows", HUBER, {"denominator": 1.0},
                {"in.quantiles": Tensor("F32", [[0, NAN], [0, 1], [0, 1]]), "in.tau": Tensor("F32", [.25, .75]),
                 "in.targets": Tensor("F32", [[.5, 2], [.5, NAN], [.5, 2]]), "in.target_count": Tensor("I32", [2, 2, -1]),
                 "out.loss_rows": Tensor("F32", [NAN, NAN, NAN]), "out.loss": Tensor("F64", [NAN]),
                 "out.grad_quantiles": Tensor("F32", [[-.1875, NAN], [NAN, NAN], [NAN, NAN]]),
                 "out.diagnostics.bad_count": Tensor("U64", [1])}, "a NaN quantile, a NaN target, a negative count")


def write(golden):
    pairwise(golden)
    subset(golden)
    huber(golden)
