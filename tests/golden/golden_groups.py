"""group_index and advantage_spread: integers and selections, so every value is exact."""
import math

from golden_file import Tensor

NAN = math.nan


def index_of(ids, groups, rows):
    """Offsets and index of the groups, whose ids are given in their order; then the rows in none."""
    offsets, index = [0], []
    for group in groups:
        index += [i for i in range(rows) if ids[i] == group]
        offsets.append(len(index))
    rest = [i for i in range(rows) if i not in set(index)]
    return offsets, index + rest


class Index:
    def __init__(self, golden):
        self.golden = golden

    def write(self, name, note, ids, kind, offsets, index, group_of, num_groups, max_size, dtype="I64", counters=None,
              dense_groups=None):
        desc = {"kind": kind}
        if dense_groups is not None:
            desc["num_groups"] = dense_groups
        length = (dense_groups if dense_groups is not None else len(ids)) + 1
        offsets = offsets + [offsets[-1]] * (length - len(offsets))
        tensors = {"in.ids": Tensor(dtype, ids), "out.offsets": Tensor("I64", offsets), "out.index": Tensor("I32", index),
                   "out.group_of": Tensor("I32", group_of), "out.num_groups": Tensor("I64", [num_groups]),
                   "out.max_size": Tensor("I32", [max_size])}
        for key, value in (counters or {}).items():
            tensors["out.diagnostics." + key] = Tensor("U64", [value])
        self.golden.case("group_index", name, "group_index", desc, tensors, note)


def write_index(golden):
    w = Index(golden)
    for dtype in ("I32", "I64"):
        w.write(f"dense_{dtype.lower()}", "groups in the order of ids, the last one empty", [2, 0, 2, 1, 0], "dense",
                [0, 2, 3, 5, 5], [1, 4, 3, 0, 2], [2, 0, 2, 1, 0], 4, 2, dtype, {"ungrouped": 0, "bad_id": 0}, 4)
        w.write(f"runs_{dtype.lower()}", "a new group wherever the id changes", [7, 7, 3, 7], "runs", [0, 2, 3, 4],
                [0, 1, 2, 3], [0, 0, 1, 2], 3, 2, dtype)
    w.write("labels", "groups in the order of labels, one row in none", [9 * 10 ** 12, -5, 9 * 10 ** 12, 4], "labels",
            [0, 1, 3], [3, 0, 2, 1], [1, -1, 1, 0], 2, 2, counters={"ungrouped": 1})
    w.write("labels_far_apart", "labels that differ in the highest bits", [2 ** 63 - 1, 0, 2 ** 62, 2 ** 63 - 1, 2 ** 31, 0],
            "labels", [0, 2, 3, 4, 6], [1, 5, 4, 2, 0, 3], [3, 0, 2, 3, 1, 0], 4, 2)
    for kind, dense in (("dense", 3), ("runs", None), ("labels", None)):
        w.write(f"{kind}_all_negative", "no row has a group", [-1, -7, -1], kind, [0], [0, 1, 2], [-1, -1, -1],
                3 if kind == "dense" else 0, 0, counters={"ungrouped": 3}, dense_groups=dense)
        w.write(f"{kind}_empty", "no rows", [], kind, [0], [], [], 3 if kind == "dense" else 0, 0, dense_groups=dense)
    w.write("dense_bad_id", "an id beyond the groups is in none", [0, 5, 1, 2, 0], "dense", [0, 2, 3], [0, 4, 2, 1, 3],
            [0, -1, 1, -1, 0], 2, 2, counters={"bad_id": 2, "ungrouped": 0}, dense_groups=2)
    w.write("runs_with_gaps", "rows in no group end a run", [4, -1, 4, 4, -1, 4], "runs", [0, 1, 3, 4], [0, 2, 3, 5, 1, 4],
            [0, -1, 1, 1, -1, 2], 3, 2, counters={"ungrouped": 2})
    # 700 rows over 37 groups in a scattered order, and the same groups under labels.
    ids = [(i * i + 3 * i) % 37 for i in range(700)]
    present = sorted(set(ids))
    offsets, index = index_of(ids, range(37), 700)
    sizes = [b - a for a, b in zip(offsets, offsets[1:])]
    w.write("dense_scattered", "700 rows over 37 groups", ids, "dense", offsets, index, ids, 37, max(sizes), "I32",
            dense_groups=37)
    labels = [10 ** 15 + 1000 * i for i in ids]
    offsets, index = index_of(ids, present, 700)
    w.write("labels_scattered", "the same groups under labels", labels, "labels", offsets, index,
            [present.index(i) for i in ids], len(present), max(sizes))
    rejected = {"in.ids": Tensor("I64", [0, 1])}
    for name, desc in (("kind_unknown", {"kind": 3}), ("id_dtype_float", {"id_dtype": "f32"}),
                       ("num_groups_negative", {"num_groups": -1})):
        golden.case("group_index/rejected", f"rejected_index_{name}", "group_index", desc, rejected,
                    "an option outside its range", status="invalid_argument")
    golden.case("group_index/rejected", "rejected_index_ids_missing", "group_index", {"num_rows": 2, "num_groups": 2}, {},
                "ids is NULL", status="invalid_argument")


def write_spread(golden):
    def case(name, note, desc, tensors, status=None, **more):
        folder = "advantage_spread" if status is None else "advantage_spread/rejected"
        golden.case(folder, name, "advantage_spread", desc, tensors, note, status=status, **more)

    values = Tensor("F32", [1.5, -2.0, 0.25])
    offsets = {"in.segments.offsets": Tensor("I64", [0, 2, 2, 5])}
    case("spread_offsets", "each token takes the value of its segment", {},
         {"in.values": values, **offsets, "out.out": Tensor("F32", [1.5, 1.5, .25, .25, .25])})
    case("spread_masked", "masked tokens are +0 and add is not read there", {},
         {"in.values": values, **offsets, "in.mask": Tensor("U8", [1, 0, 1, 0, 255]),
          "in.add": Tensor("F32", [.5, NAN, -.25, NAN, 1.0]), "out.out": Tensor("F32", [2.0, 0.0, 0.0, 0.0, 1.25])})
    case("spread_gain", "one rounding of gain * value + add", {"gain": .1},
         {"in.values": Tensor("F64", [3.0]), "in.segments.offsets": Tensor("I64", [0, 2]),
          "in.add": Tensor("F32", [0.0, 1.0]),
          "out.out": Tensor("F32", [0.10000000149011612 * 3, 0.10000000149011612 * 3 + 1])})
    case("spread_bf16", "rounded to nearest even", {"segments": {"group_size": 2}},
         {"in.values": Tensor("F32", [1 + 2.0 ** -8, 1 + 3 * 2.0 ** -8]), "out.out": Tensor("BF16", [1.0, 1.0, 1.015625, 1.015625])})
    case("spread_padded", "the padding of strided segments is +0", {"segments": {"group_size": 2, "group_stride": 3}},
         {"in.values": Tensor("F32", [1.0, 2.0]), "out.out": Tensor("F32", [1.0, 1.0, 0.0, 2.0, 2.0, 0.0])})
    case("spread_in_place", "written over add", {},
         {"in.values": values, **offsets, "in.add": Tensor("F32", [1.0, 2.0, 3.0, 4.0, 5.0]),
          "out.out": Tensor("F32", [2.5, 3.5, 3.25, 4.25, 5.25])}, alias={"out": "add"})
    case("spread_nan_value", "a NaN stays in its segment", {},
         {"in.values": Tensor("F32", [NAN, 0.0, 1.0]), **offsets, "out.out": Tensor("F32", [NAN, NAN, 1.0, 1.0, 1.0])})
    case("spread_empty", "no tokens", {}, {"in.values": Tensor("F32", [1.0]), "in.segments.offsets": Tensor("I64", [0, 0]),
                                           "out.out": Tensor("F32", [])})
    tokens = {"in.values": Tensor("F32", [1.0, 2.0]), "in.segments.offsets": Tensor("I64", [0, 1, 2])}
    for name, desc in (("gain_nan", {"gain": NAN}), ("out_dtype", {"out_dtype": "f16"}), ("value_dtype", {"value_dtype": 9})):
        case(f"rejected_spread_{name}", "an option outside its range", {"num_tokens": 2, **desc}, tokens, "invalid_argument")
    case("rejected_spread_values_missing", "values is NULL", {"num_tokens": 2},
         {"in.segments.offsets": tokens["in.segments.offsets"]}, "invalid_argument")


def write(golden):
    write_index(golden)
    write_spread(golden)
