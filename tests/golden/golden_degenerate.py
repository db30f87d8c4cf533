"""advantage_group: what the page promises for empty, missing and bad data. Everything here is exact."""
import math

from golden_file import Tensor

OP = "advantage_group"
FOLDER = "advantage_group"
NAN, INF = math.nan, math.inf
FILL32 = -431602080.0  # what outputs hold before the call: bytes 0xcd

ALL_EQUAL, SINGLETON, EMPTY, NONFINITE, ZERO_RULE, INCOMPLETE = 1, 2, 4, 8, 16, 32


class Degenerate:
    def __init__(self, golden):
        self.golden = golden

    def write(self, name, note, rewards, advantages=None, desc=None, inputs=None, outputs=None, counters=None,
              preset=None):
        tensors = {"in.rewards": Tensor("F32", rewards)}
        for key, (dtype, values) in (inputs or {}).items():
            tensors["in." + key] = Tensor(dtype, values)
        if advantages is not None:
            tensors["out.advantages"] = Tensor("F32", advantages)
        for key, (dtype, values, *shape) in (outputs or {}).items():
            tensors["out." + key] = Tensor(dtype, values, *shape)
        for key, value in (counters or {}).items():
            tensors["out.diagnostics." + key] = Tensor("U64", [value])
        self.golden.case(FOLDER, name, OP, desc or {}, tensors, note, preset=preset)


def offsets(*values):
    return {"groups.offsets": ("I64", list(values))}


def groups(size):
    return {"groups": {"group_size": size}}


def empty(d):
    d.write("empty_batch", "no rows: nothing is written", [], [], groups(4))
    d.write("empty_groups", "empty groups first, in the middle and last", [0.0, 1.0, 2.0, 3.0], [-.5, .5, -.5, .5],
            {"scale": "none"}, offsets(0, 0, 2, 2, 4, 4),
            {"group_count": ("I32", [0, 2, 0, 2, 0]), "group_mean": ("F64", [NAN, .5, NAN, 2.5, NAN]),
             "group_min": ("F64", [NAN, 0, NAN, 2, NAN]), "group_max": ("F64", [NAN, 1, NAN, 3, NAN]),
             "group_scale": ("F64", [NAN] * 5), "group_flags": ("U8", [EMPTY, 0, EMPTY, 0, EMPTY])})
    d.write("empty_statistics", "members, but nothing to take statistics of", [1.0, 2.0, 3.0, 5.0], [NAN, NAN, -1.0, 1.0],
            {"scale": "none", **groups(2)}, {"stats_mask": ("U8", [0, 0, 1, 1])},
            {"group_count": ("I32", [0, 2]), "group_flags": ("U8", [EMPTY, 0]), "keep": ("U8", [0, 0, 1, 1])},
            {"no_statistics": 1})
    d.write("empty_statistics_baseline", "a baseline needs no statistics", [1.0, 2.0], [.5, 1.5],
            {"scale": "none", "center": "baseline", **groups(2)},
            {"stats_mask": ("U8", [0, 0]), "baseline_per_group": ("F32", [.5])}, counters={"no_statistics": 0})
    d.write("masked_rows", "rows outside the mask are +0 and never read", [NAN, 1.0, INF, 3.0], [0.0, -1.0, 0.0, 1.0],
            {"scale": "none", **groups(4)}, {"mask": ("U8", [0, 1, 0, 7])}, {"keep": ("U8", [0, 1, 0, 1])},
            {"nan_in": 0, "inf_in": 0})
    d.write("strided_groups_leave_padding", "rows between strided groups are left alone", [0.0, 1.0, 9.0, 2.0, 4.0, 9.0],
            [-.5, .5, FILL32, -1.0, 1.0, FILL32], {"scale": "none", "groups": {"group_size": 2, "group_stride": 3}},
            counters={"ungrouped": 0})
    d.write("strided_rewards", "columns of a wider array", [[0.0, 8.0], [1.0, 8.0], [2.0, 8.0], [5.0, 8.0]],
            [-.5, .5, -1.5, 1.5],
            {"scale": "none", "reward_row_stride": 3, "reward_column_stride": 20, **groups(2)},
            {"column_weights": ("F32", [1.0, 0.0])})


def nonfinite(d):
    d.write("nan_member", "a NaN makes its own group NaN and no other", [0.0, 2.0, NAN, 1.0, 4.0, 8.0],
            [-1.0, 1.0, NAN, NAN, -2.0, 2.0], {"scale": "none", **groups(2)},
            outputs={"group_flags": ("U8", [0, NONFINITE, 0]), "keep": ("U8", [1, 1, 0, 0, 1, 1])},
            counters={"nan_in": 1, "inf_in": 0})
    d.write("inf_member_scaled", "an infinity makes its own group NaN", [INF, 1.0, 0.0, 2.0],
            [NAN, NAN, -1 / math.sqrt(2), 1 / math.sqrt(2)], {"eps": 0.0, **groups(2)}, counters={"inf_in": 1})
    d.write("inf_member_centered", "inf - inf is NaN, its siblings are -inf", [INF, 1.0, 2.0, -INF, 1.0, 2.0],
            [NAN, -INF, -INF, NAN, INF, INF], {"scale": "none", **groups(3)}, counters={"inf_in": 2, "nan_in": 0})
    d.write("nan_in_batch", "a batch level spreads a NaN", [0.0, 1.0, NAN, 1.0], [NAN] * 4,
            {"scale_level": "batch", **groups(2)}, counters={"nan_in": 1})
    d.write("nan_skipped_in_batch", "skipped, it does not", [0.0, 2.0, NAN, 1.0], [-1.0, 1.0, 0.0, 0.0],
            {"scale_level": "batch", "eps": 0.0, "invalid": "skip_nan", **groups(2)}, counters={"nan_in": 1})
    d.write("inf_skipped", "infinities are skipped when asked", [INF, 1.0, 3.0, NAN], [0.0, -1.0, 1.0, 0.0],
            {"scale": "none", "invalid": "skip_nonfinite", **groups(4)},
            outputs={"group_count": ("I32", [2]), "keep": ("U8", [0, 1, 1, 0])}, counters={"nan_in": 1, "inf_in": 1})


def layouts(d):
    d.write("rows_in_no_group", "the tail beyond the last offset", [0.0, 2.0, 5.0], [-1.0, 1.0, NAN], {"scale": "none"},
            {"groups.offsets": ("I64", [0, 2]), "groups.index": ("I32", [0, 1, 2])}, {"keep": ("U8", [1, 1, 0])},
            {"ungrouped": 1})
    d.write("rows_in_no_group_uniform", "rows after the last uniform group", [0.0, 2.0, 5.0], [-1.0, 1.0, NAN],
            {"scale": "none", "groups": {"group_size": 2, "num_groups": 1}}, counters={"ungrouped": 1})
    d.write("offsets_decrease", "a group whose offsets decrease is left out", [0.0, 2.0, 1.0, 5.0], None,
            {"scale": "none"}, offsets(0, 2, 1, 4),
            {"group_count": ("I32", [2, 0, 3]), "group_mean": ("F64", [1.0, NAN, 8 / 3])}, {"bad_offsets": 1})
    d.write("offsets_beyond_rows", "its known rows are NaN", [0.0, 2.0, 1.0, 5.0], [-1.0, 1.0, NAN, NAN],
            {"scale": "none"}, offsets(0, 2, 9), {"group_count": ("I32", [2, 0]), "group_mean": ("F64", [1.0, NAN]),
                                                  "group_flags": ("U8", [0, 0])}, {"bad_offsets": 1})
    d.write("index_out_of_range", "its group is NaN, the others are not", [0.0, 2.0, 1.0, 5.0], None,
            {"scale": "none"}, {"groups.offsets": ("I64", [0, 2, 4]), "groups.index": ("I32", [3, 9, 0, 1])},
            {"group_mean": ("F64", [NAN, 1.0]), "group_count": ("I32", [0, 2])}, {"bad_index": 1})
    d.write("group_above_max_size", "a group larger than max_size is NaN", [0.0, 2.0, 1.0, 5.0, 3.0],
            [-1.0, 1.0, NAN, NAN, NAN], {"scale": "none", "groups": {"max_size": 2}}, offsets(0, 2, 5),
            {"group_count": ("I32", [2, 0])}, {"group_too_large": 1})
    for name, desc in (("rank", {"transform": "rank"}), ("loo_std", {"scale": "leave_one_out_std"}),
                       ("loo_lme", {"transform": "leave_one_out_lme", "center": "none", "scale": "none"})):
        d.write(f"group_of_4097_{name}", "pairwise work stops at 4096 members", [1.0, 1.0] + [0.0] * 4097,
                [0.0, 0.0] + [NAN] * 4097, desc, offsets(0, 2, 4099), counters={"group_too_large": 1})
    d.write("incomplete_group", "another size than expected is flagged and still computed", [0.0, 2.0, 1.0],
            [-1.0, 1.0, 0.0], {"scale": "none", "expected_size": 2}, offsets(0, 2, 3),
            {"group_flags": ("U8", [0, INCOMPLETE | SINGLETON | ALL_EQUAL])}, {"incomplete_group": 1})
    d.write("add_index_out_of_range", "an add_index outside add is NaN", [0.0, 2.0], [9.0, NAN],
            {"scale": "none", **groups(2)}, {"add": ("F32", [10.0]), "add_index": ("I32", [0, 1])},
            counters={"bad_index": 1})
    d.write("weights_sum_to_zero", "no weight, no mean", [0.0, 2.0, 1.0, 3.0], [NAN, NAN, -1.0, 1.0],
            {"scale": "none", **groups(2)}, {"weights": ("F32", [0.0, 0.0, 1.0, 1.0])})


def statistics(d):
    d.write("flags", "all equal, zero rule, singleton", [1.0, 1.0, 0.0, 2.0, 7.0], [0.0, 0.0, -1.0, 1.0, 0.0],
            {"zero_rule": "unscaled", "zero_threshold": 10.0, "eps": 0.0}, offsets(0, 2, 4, 5),
            {"group_flags": ("U8", [ALL_EQUAL | ZERO_RULE, ZERO_RULE, SINGLETON | ALL_EQUAL]),
             "group_scale": ("F64", [0.0, math.sqrt(2), NAN]), "group_count": ("I32", [2, 2, 1]),
             "keep": ("U8", [0, 0, 1, 1, 0])})
    d.write("singletons_counted", "singleton NAN counts each group", [1.0, 2.0, 0.0, 2.0], [NAN, NAN, -1.0, 1.0],
            {"scale": "none", "singleton": "nan"}, offsets(0, 1, 2, 4), counters={"singleton": 2})
    d.write("given_moments", "center and scale of another population", [4.0, 6.0, 8.0], [-.5, .5, 1.5],
            {"center_level": "given", "scale_level": "given", "ddof": 0, "eps": 0.0, **groups(3)},
            {"moments": ("F64", [10.0, 5.0, 40.0, 0.0, 9.0])})
    d.write("batch_record", "the record of all members", [1.0, 2.0, 3.0, 6.0], None,
            {"batch_record": True, **groups(2)},
            outputs={"batch_moments": ("F64", [4.0, 3.0, 14.0, 1.0, 6.0]), "tile_moments": ("F64", [4.0, 3.0, 14.0, 1.0, 6.0], (1, 5)),
                     "group_moments": ("F64", [2.0, 1.5, 0.5, 1.0, 2.0, 2.0, 4.5, 4.5, 3.0, 6.0], (2, 5))})
    d.write("negative_zero", "-0 counts as 0", [-0.0, 0.0, -0.0], [0.0, 0.0, 0.0], groups(3),
            outputs={"keep": ("U8", [0, 0, 0])})
    d.write("largest_floats", "binary64 does not overflow", [3.4028234663852886e38, -3.4028234663852886e38],
            [1 / math.sqrt(2), -1 / math.sqrt(2)], {"eps": 0.0, **groups(2)})


def write(golden):
    d = Degenerate(golden)
    empty(d)
    nonfinite(d)
    layouts(d)
    statistics(d)
    golden.case(FOLDER, "in_place", OP, {"scale": "none", **groups(4)},
                {"in.rewards": Tensor("F32", [0.0, 0.0, 1.0, 1.0]),
                 "out.advantages": Tensor("F32", [-.5, -.5, .5, .5])},
                "advantages written over the rewards", alias={"advantages": "rewards"})
