"""Inputs of the recorded cases: what merit computes for them today is pinned bit for bit."""
import math
import random

from golden_file import Tensor

OP = "advantage_group"
FOLDER = "."


def offsets_of(sizes):
    out = [0]
    for n in sizes:
        out.append(out[-1] + n)
    return out


def rewards_of(rng, n, kind):
    if kind == "coin":
        return [float(rng.random() < .4) for _ in range(n)]
    if kind == "wide":  # many magnitudes: sums round
        return [(rng.random() - .5) * 10.0 ** (8 * rng.random() - 4) for _ in range(n)]
    return [rng.random() * 2 - 1 for _ in range(n)]


SMALL = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 0, 63, 64, 65, 100]
LARGE = [255, 256, 257, 511, 2047, 2048, 2049, 5000]


class Bits:
    def __init__(self, golden):
        self.golden = golden

    def ragged(self, name, note, sizes, desc, dtype="F32", kind="real", columns=1, extra=None, preset=None):
        rng = random.Random(name)
        rows = sum(sizes)
        values = rewards_of(rng, rows * columns, kind)
        tensors = {"in.groups.offsets": Tensor("I64", offsets_of(sizes)),
                   "in.rewards": Tensor(dtype, values, [rows] if columns == 1 else [rows, columns])}
        for key, make in (extra or {}).items():
            tensors["in." + key] = make(rng, rows)
        self.golden.case(FOLDER, "bits_" + name, OP, desc, tensors, note, preset=preset)


def mask(share):
    return lambda rng, rows: Tensor("U8", [int(rng.random() < share) for _ in range(rows)])


def positive(scale):
    return lambda rng, rows: Tensor("F32", [1 + math.floor(scale * rng.random()) for _ in range(rows)])


def signed(rng, rows):
    return Tensor("F32", [rng.random() - .5 for _ in range(rows)])


def write_index(golden):
    rng = random.Random("index")
    ids = [rng.randrange(-1, 40) for _ in range(3000)]
    golden.case(FOLDER, "bits_index_dense", "group_index", {"kind": "dense", "num_groups": 40},
                {"in.ids": Tensor("I32", ids)}, "3000 rows over 40 groups, some in none")
    golden.case(FOLDER, "bits_index_labels", "group_index", {"kind": "labels"},
                {"in.ids": Tensor("I64", [x if x < 0 else (x * 0x9E3779B97F4A7C15) % 2 ** 62 for x in ids[:1500]])},
                "1500 rows under labels of all magnitudes")
    sizes = [rng.randrange(0, 90) for _ in range(40)]
    tokens = sum(sizes)
    golden.case(FOLDER, "bits_spread", "advantage_spread", {"gain": .3, "out_dtype": "bf16"},
                {"in.segments.offsets": Tensor("I64", offsets_of(sizes)), "in.values": Tensor("F64", [rng.gauss(0, 1) for _ in sizes]),
                 "in.mask": mask(.8)(rng, tokens), "in.add": signed(rng, tokens)}, "values of 40 segments over their tokens")


def write(golden):
    b = Bits(golden)
    b.ragged("std_large", "bf16 rewards, groups up to 5000", [1, 2, 3, 8, 33] + LARGE, {}, "BF16")
    b.ragged("batch_large", "deviation of the batch over large groups", [4, 2049, 3, 4097], {"scale_level": "batch"}, "BF16", "wide")
    for dtype in ("F32", "F64", "F16", "BF16"):
        b.ragged(f"std_{dtype.lower()}", f"{dtype} rewards", SMALL, {}, dtype)
    b.ragged("std_f64_out", "binary64 in and out", SMALL, {"advantage_dtype": "f64", "eps": 0.0}, "F64", "wide")
    for scale in ("none", "leave_one_out_std", "rms", "mean", "mean_abs", "nonzero_share"):
        b.ragged(f"scale_{scale}", f"scale {scale}", SMALL, {"scale": scale, "advantage_dtype": "f64"}, "F32", "coin" if scale == "nonzero_share" else "real")
    b.ragged("loo", "center and deviation of the others", SMALL, {}, preset="nemo.grpo")
    b.ragged("runner_up", "the best against the runner-up", SMALL, {}, preset="verl.passk")
    b.ragged("opo", "means weighted by lengths", SMALL, {}, extra={"weights": positive(2000)}, preset="opo")
    b.ragged("baseline", "a baseline for each row", SMALL, {"center": "baseline", "ddof": 0}, extra={"baseline": signed})
    for ties in ("min", "average", "ordinal"):
        b.ragged(f"rank_{ties}", f"ranks, ties {ties}", SMALL, {"transform": "rank", "rank_ties": ties}, "F16", "coin" if ties == "average" else "real")
    b.ragged("softmax", "softmax at temperature 0.3", SMALL, {"temperature": .3, "advantage_dtype": "f64"}, preset="tilted")
    b.ragged("jepo", "leave-one-out log mean exp", SMALL, {"advantage_dtype": "f64"}, preset="jepo", kind="wide")
    for rule in ("floor", "root", "root_floor"):
        b.ragged(f"eps_{rule}", f"eps rule {rule}", SMALL, {"eps_rule": rule, "eps": .2})
    b.ragged("masks", "mask and stats_mask", SMALL, {"singleton": "raw"}, extra={"mask": mask(.8), "stats_mask": mask(.6)})
    b.ragged("map_unit", "map, clip, gain and add", SMALL, {"map": "unit", "map_range": 3.0, "low": .2, "high": .9, "gain": -1.7}, extra={"add": signed})
    b.ragged("normalize_first", "four columns, normalized first", SMALL, {"columns": "normalize_first"}, "BF16", columns=4,
             extra={"column_weights": lambda rng, rows: Tensor("F32", [.4, .3, .1, .2])})
    b.ragged("combine_first", "four columns, added first", SMALL, {}, "BF16", columns=4,
             extra={"column_weights": lambda rng, rows: Tensor("F32", [.4, .3, .1, .2])})
    b.ragged("separate", "three columns for themselves", SMALL, {"columns": "separate", "batch_record": True}, "F16", columns=3)
    b.ragged("batch_both", "center and deviation of the batch", SMALL, {"center_level": "batch", "scale_level": "batch"}, kind="wide")
    b.ragged("batch_record", "the record of the batch", SMALL, {"batch_record": True}, kind="wide")
    b.ragged("gpg", "share of nonzero rewards in the batch", SMALL, {"gain": 1.3}, kind="coin", preset="gpg")
    b.ragged("given", "moments of elsewhere", SMALL, {"center_level": "given", "scale_level": "given"},
             extra={"moments": lambda rng, rows: Tensor("F64", [1000.0, .1234567, 321.987, -3.0, 4.0])})
    rng = random.Random("uniform")
    for size in (2, 4, 8, 16, 32, 48):
        golden.case(FOLDER, f"bits_uniform_{size}", OP, {"groups": {"group_size": size}},
                    {"in.rewards": Tensor("F32", rewards_of(rng, 20 * size, "real"))}, f"uniform groups of {size}")
    # The same groups through an index and in a row: both cases hold the same advantages, permuted.
    rows = sum(SMALL)
    order = list(range(rows))
    rng.shuffle(order)
    values = rewards_of(rng, rows, "wide")
    golden.case(FOLDER, "bits_sorted", OP, {}, {"in.groups.offsets": Tensor("I64", offsets_of(SMALL)),
                                               "in.rewards": Tensor("F32", [values[i] for i in order])}, "rows in the order of groups")
    golden.case(FOLDER, "bits_indexed", OP, {}, {"in.groups.offsets": Tensor("I64", offsets_of(SMALL)), "in.groups.index": Tensor("I32", order),
                                                "in.rewards": Tensor("F32", values)}, "the same groups through an index")
    write_index(golden)
