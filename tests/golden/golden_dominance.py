"""dominance_pairwise and dominance_subset: pairs and states worked by hand, as exact fractions."""
from golden_file import Tensor

QD = {"ulp": 1}
PAIRS = {  # a, b, then QD(a,b) of each preset
    "t1": ([1, 2, 3, 4], [0, 1, 2, 3], 1, 1, 1, 1, 23 / 32, 1),
    "t2": ([0, 2, 4, 6], [1, 2, 3, 4], 5 / 8, 2 / 3, 3 / 4, 5 / 6, 9 / 16, 1 / 2),
    "t3": ([1, 1, 1, 1], [1, 1, 1, 1], .5, .5, .5, .5, .5, .5),
    "t4": ([0] * 10, [-10] + [0] * 9, 11 / 20, 1, 1, 1, 11 / 20, 1),
    "t5": ([2, 2, 2, 2], [0, 1, 3, 4], .5, .5, .5, .5, .5, 1),
    "t6": ([0, 1, 2, 3], [0, 1, 2, 2], 5 / 8, 1, 1, 1, 9 / 16, 1),
    "t7": ([-4, 0, 1, 2, 3, 4, 5, 6], [-1, 0, 0, 1, 2, 3, 4, 5], 13 / 16, 6 / 7, 2 / 3, 2 / 5, 75 / 128, 2 / 5),
}
PRESETS = ("qd.win_rate", "qd.strict", "qd.area", "aso", "mann_whitney", "second_order")
T8 = [[[[-1, 0, 0, 0], [-1, 0, 0, 0], [-4, -1, 0, 0], [-1, 0, 0, 0]],
       [[-2, -1, 0, 0], [-1, -1, 0, 0], [0, 0, 0, 0], [-3, 0, 0, 0]],
       [[9, 9, 9, 9], [1, 2, 3, 4], [9, 9, 9, 9], [2, 3, 4, 6]]]]
SUBSETS = {  # options, S_0, S_1, S_2, final, flags
    "chain": ({}, 0xb, 0xa, 0x8, 0x8, 0),
    "chain_half": ({"theta": [.5] * 3}, 0xb, 0x2, 0x2, 0x2, 0),
    "chain_three_fifths": ({"theta": [.6] * 3}, 0xb, 0x2, 0x2, 0x2, 0),
    "chain_one": ({"theta": [1] * 3}, 0xb, 0xa, 0x8, 0x8, 0),
    "chain_wins": ({"power": 0}, 0xb, 0xa, 0x8, 0x8, 0),
    "chain_squares": ({"power": 2}, 0xb, 0x2, 0x2, 0x2, 0),
    "reversed": ({"rank": [2, 1, 0]}, 0x4, 0x4, 0x5, 0x4, 0),
    "reversed_matrix": ({"above": [0, 0, 0, 1, 0, 0, 1, 1, 0]}, 0x4, 0x4, 0x5, 0x4, 0),
    "first_above": ({"rank": [0, 1, 1]}, 0xb, 0x1, 0x1, 0x1, 0),
    "pareto": ({"rank": [0, 0, 0]}, 0x5, 0x5, 0x5, 0x5, 0),
    "meet": ({"rank": [0, 1, 1], "within_class": "meet"}, 0xb, 0xa, 0x1, 0xb, 1),
    "independent": ({"rank": [0, 0, 0], "within_class": "meet"}, 0xb, 0x4, 0x5, 0xf, 1),
    "rulebook": ({"mode": "rulebook"}, 0xf, 0xf, 0xf, 0xf, 17),
}

T9 = [[[[2, 11, 20], [1, 10, 22], [0, 12, 21]]]]
T10 = [[[[2, 9, 19], [0, 10, 20], [1, 8, 21]]]]
CYCLES = {  # q, options, flags: all three stay
    "t9_wins_half": (T9, {"power": 0, "theta": [.5]}, 17), "t9_wins": (T9, {"power": 0}, 0),
    "t9_area": (T9, {"theta": [.5]}, 0), "t9_squares_half": (T9, {"power": 2, "theta": [.5]}, 17),
    "t9_maximin": (T9, {"power": 0, "theta": [.5], "on_empty": "maximin"}, 17),
    "t9_top_cycle": (T9, {"power": 0, "theta": [.5], "on_empty": "top_cycle"}, 17),
    "t10_dead_zone": (T10, {"delta": [1], "theta": [1]}, 17), "t10_dead_zone_wins": (T10, {"delta": [1], "theta": [1], "power": 0}, 17),
    "t10_area": (T10, {"theta": [.5]}, 0),
}
TRIPLES = {  # rows a, b, c, options, QD(a,b), QD(b,c), QD(a,c)
    "t9_wins": (T9, {"power": 0}, 2 / 3, 2 / 3, 1 / 3), "t9_area": (T9, {}, 1 / 2, 1 / 2, 1 / 2),
    "t9_squares": (T9, {"power": 2}, 1 / 3, 1 / 3, 2 / 3),
    "t10_dead_zone": (T10, {"delta": [1]}, 1, 1, 0), "t10_dead_zone_wins": (T10, {"delta": [1], "power": 0}, 1, 1, 0),
    "t10_area": (T10, {}, 1 / 2, 1 / 2, 1 / 2),
    "t11_wins": ([[[[-3, -2, 4, 4], [-4, 1, 2, 3], [-2, -1, 0, 2]]]], {"power": 0}, 3 / 4, 3 / 4, 1 / 2),
    "t11_squares": ([[[[0, 0, 2], [-2, 0, 3], [-2, -2, 4]]]], {"power": 2}, 4 / 5, 4 / 5, 2 / 3),
}
NAN, INF = float("nan"), float("inf")
SCALARS = [[[[1], [3], [2]]]]  # one level: the largest is left


def degenerate(golden):
    def subset(name, note, q, desc, final, action, flags, **more):
        golden.case("dominance_subset", name, "dominance_subset", desc,
                    {"in.q": Tensor("F32", q), **more, "out.final": Tensor("I32", [[final]]),
                     "out.action": Tensor("I32", [action]), "out.flags": Tensor("I32", [flags])}, note)

    subset("one_level", "scalars: the largest", SCALARS, {}, 2, 1, 0)
    subset("no_valid_action", "nothing is read", [[[[NAN], [NAN], [NAN]]]], {}, 0, -1, 8, **{"in.valid": Tensor("U8", [[0, 0, 0]])})
    subset("one_valid_action", "the others are not read", [[[[NAN], [1], [NAN]]]], {}, 2, 1, 0, **{"in.valid": Tensor("U8", [[0, 1, 0]])})
    subset("nan_action", "compared with none, stays, no pick", [[[[1], [NAN], [2]]]], {}, 6, 2, 4)
    subset("nan_action_dropped", "not valid", [[[[1], [NAN], [2]]]], {"drop_nan": True}, 4, 2, 4)
    subset("margin", "2 ahead, which is no more than 2", [[[[1], [3], [2]]]], {"eta": [2]}, 7, 1, 0)
    subset("smaller_is_better", "sign -1", SCALARS, {"sign": [-1]}, 1, 0, 0)
    subset("infinities", "no numbers for areas", [[[[INF], [1], [-INF]]]], {}, 7, 0, 0)
    subset("infinities_wins", "ordinary comparisons for wins", [[[[INF], [1], [-INF]]]], {"power": 0}, 1, 0, 0)
    golden.case("dominance_pairwise", "t2_lower_half", "dominance_pairwise", {},
                {"in.q": Tensor("F32", [[[[0, 2, 4, 6], [1, 2, 3, 4]]]]), "in.weights": Tensor("F32", [[.5, .5, 0, 0]]),
                 "out.qd": Tensor("F64", [[[[.5, 0], [1, .5]]]]), "out.gain": Tensor("F64", [[[[0, 0], [.5, 0]]]])},
                "T2 with weights on the lower half alone")
    golden.case("dominance_pairwise", "nan_row", "dominance_pairwise", {},
                {"in.q": Tensor("F32", [[[[1, 2], [NAN, 3], [0, 1]]]]),
                 "out.qd": Tensor("F64", [[[[.5, NAN, 1], [NAN, .5, NAN], [0, NAN, .5]]]]),
                 "out.gain": Tensor("F64", [[[[0, NAN, 1], [NAN, 0, NAN], [0, NAN, 0]]]])}, "a NaN stays in its row")
    golden.case("dominance_pairwise", "zero_weights", "dominance_pairwise", {},
                {"in.q": Tensor("F32", [[[[1, 2], [0, 1]]]]), "in.weights": Tensor("F32", [[0, 0]]),
                 "out.qd": Tensor("F64", [[[[.5, .5], [.5, .5]]]])}, "nothing counts")


def rejected(golden):
    two = {"in.q": Tensor("F32", [[[[1, 2], [0, 1]], [[1, 2], [0, 1]]]])}
    both = {"power_3": {"power": 3}, "ties_unknown": {"ties": 9}, "measure_unknown": {"measure": 9}, "sign_zero": {"sign": [1, 0]},
            "delta_negative": {"delta": [0, -1]}, "delta_nan": {"delta": [NAN, 0]}}
    subset = {"theta_low": {"theta": [.75, .25]}, "theta_high": {"theta": [1.5, 1]}, "theta_nan": {"theta": [NAN, 1]},
              "eta_negative": {"eta": [0, -1]}, "rank_and_above": {"rank": [0, 1], "above": [0, 1, 0, 0]},
              "above_reflexive": {"above": [1, 0, 0, 0]}, "above_cycle": {"above": [0, 1, 1, 0]},
              "random_missing": {"pick": "random"}, "ranks_with_eta": {"measure": "mann_whitney", "eta": [0, 1]}}
    limits = {"ranks_integrated": {"measure": "mann_whitney", "integrate": True}, "ranks_delta": {"measure": "mann_whitney", "delta": [0, 1]}}
    for op in ("dominance_pairwise", "dominance_subset"):
        for name, desc in {**both, **(subset if op == "dominance_subset" else {})}.items():
            golden.case(op + "/rejected", f"rejected_{op[10:]}_{name}", op, desc, two, "outside what the page allows", status="invalid_argument")
        for name, desc in limits.items():
            golden.case(op + "/rejected", f"rejected_{op[10:]}_{name}", op, desc, two, "not with MANN_WHITNEY", status="unsupported")
        golden.case(op + "/rejected", f"rejected_{op[10:]}_no_action", op, {}, {"in.q": Tensor("F32", [], [1, 1, 0, 2])},
                    "num_actions is at least 1", status="invalid_argument")


def write(golden):
    degenerate(golden)
    rejected(golden)
    for name, (q, desc, flags) in CYCLES.items():
        golden.case("dominance_subset", name, "dominance_subset", desc,
                    {"in.q": Tensor("F32", q), "out.final": Tensor("I32", [[7]]), "out.flags": Tensor("I32", [flags])},
                    "a cycle, or none")
    for name, (q, desc, ab, bc, ac) in TRIPLES.items():
        qd = [[[[.5, ab, ac], [1 - ab, .5, bc], [1 - ac, 1 - bc, .5]]]]
        golden.case("dominance_pairwise", name, "dominance_pairwise", desc, {"in.q": Tensor("F32", q), "out.qd": Tensor("F64", qd)},
                    "three actions, worked by hand", check={"qd": QD})
    for name, (a, b, *expected) in PAIRS.items():
        for preset, qd in zip(PRESETS, expected):
            golden.case("dominance_pairwise", f"{name}_{preset.replace('.', '_')}", "dominance_pairwise", {},
                        {"in.q": Tensor("F32", [[[a, b]]]), "out.qd": Tensor("F64", [[[[.5, qd], [1 - qd, .5]]]])},
                        "two actions, worked by hand", preset=preset, check={"qd": QD})
    for name, (desc, s0, s1, s2, final, flags) in SUBSETS.items():
        golden.case("dominance_subset", "t8_" + name, "dominance_subset", desc,
                    {"in.q": Tensor("F32", T8), "out.subset": Tensor("I32", [[[s0], [s1], [s2]]]),
                     "out.final": Tensor("I32", [[final]]), "out.flags": Tensor("I32", [flags])},
                    "collision, off-road, progress: worked by hand")
