"""dominance_pairwise and dominance_subset: pairs and states worked by hand, as exact fractions."""
from golden_file import Tensor

QD = {"ulp": 1}
PAIRS = {  # a, b, then QD(a,b) of each preset
    "t1": ([1, 2, 3, 4], [0, 1, 2, 3], 1, 1, 1, 1, 23 / 32, 1),
    "t2": ([0, 2, 4, 6], [1, 2, 3, 4], 5 / 8, 2 / 3, 3 / 4, 5 / 6, 9 / 16, 1 / 2),
    "t5": ([2, 2, 2, 2], [0, 1, 3, 4], .5, .5, .5, .5, .5, 1),
    "t7": ([-4, 0, 1, 2, 3, 4, 5, 6], [-1, 0, 0, 1, 2, 3, 4, 5], 13 / 16, 6 / 7, 2 / 3, 2 / 5, 75 / 128, 2 / 5),
}
PRESETS = ("qd.win_rate", "qd.strict", "qd.area", "aso", "mann_whitney", "second_order")
T8 = [[[[-1, 0, 0, 0], [-1, 0, 0, 0], [-4, -1, 0, 0], [-1, 0, 0, 0]],
       [[-2, -1, 0, 0], [-1, -1, 0, 0], [0, 0, 0, 0], [-3, 0, 0, 0]],
       [[9, 9, 9, 9], [1, 2, 3, 4], [9, 9, 9, 9], [2, 3, 4, 6]]]]
SUBSETS = {  # options, S_0, S_1, S_2, final, flags
    "chain": ({}, 0xb, 0xa, 0x8, 0x8, 0),
    "chain_half": ({"theta": [.5] * 3}, 0xb, 0x2, 0x2, 0x2, 0),
    "reversed": ({"rank": [2, 1, 0]}, 0x4, 0x4, 0x5, 0x4, 0),
    "reversed_matrix": ({"above": [0, 0, 0, 1, 0, 0, 1, 1, 0]}, 0x4, 0x4, 0x5, 0x4, 0),
    "pareto": ({"rank": [0, 0, 0]}, 0x5, 0x5, 0x5, 0x5, 0),
    "meet": ({"rank": [0, 1, 1], "within_class": "meet"}, 0xb, 0xa, 0x1, 0xb, 1),
    "rulebook": ({"mode": "rulebook"}, 0xf, 0xf, 0xf, 0xf, 17),
}


def write(golden):
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
