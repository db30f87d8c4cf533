"""What score_forward, score_backward and score_finish share: options, positions, and dot products by lanes."""
import math
import struct

from case_reader import Array
from formula_values import rounded

INF, NAN = math.inf, math.nan
EMPTY, MASKED, BAD = -1, -2, -3  # found_positions of what has no token
TILE, LANES = 2048, 256
DOUBLE_SLACK = 2.0 ** -48  # sums of binary64 in another order, of what they are made of

DEFAULTS = {
    "num_rows": 0, "row_tokens": 0, "num_tokens": 0, "num_positions": 0, "positions_per_row": 1, "context_length": 0,
    "pad_id": -1, "hidden_size": 0, "num_heads": 1, "hidden_dtype": "bf16", "weight_dtype": "f32", "index_dtype": "i64",
    "hidden_row_stride": 0, "hidden_stride": 0, "weight_stride": 0, "score_stride": 0, "grad_score_stride": 0,
    "grad_hidden_row_stride": 0, "grad_hidden_stride": 0, "grad_weight_stride": 0, "positions": "lengths",
    "position_layout": "flat", "routed": False, "empty_value": NAN, "path": "exact", "shard": "none", "accumulate": False,
    "grad_layout": "rows",
}
PRESETS = {
    **{name: {"positions": "last_non_pad"}
       for name in ("hf.sequence_classification", "trl.reward", "nemo.bt", "skywork", "armo")},
    **{name: {"positions": "before_first_pad"} for name in ("trl.get_reward", "open_instruct.get_reward")},
    "openrlhf.reward": {"positions": "mask"}, "areal.reward": {"positions": "cu_seqlens"},
    "aligner.regression": {"positions": "lengths"}, "value_head": {"positions": "all"},
    "prm.steps": {"positions": "explicit", "position_layout": "ragged"},
    "yojo": {"positions": "explicit", "position_layout": "per_row"}, "mah": {"routed": True},
}


# Positions -----------------------------------------------------------------------------------------

class Positions:
    """Rows of hidden that are scored, or EMPTY, MASKED, BAD."""

    def __init__(self, case, o):
        self.case, self.o = case, o
        self.tokens = o["num_rows"] * o["row_tokens"] or o["num_tokens"]
        self.count = {"empty_row": 0, "bad_position": 0, "bad_offsets": 0}
        self.found = list(getattr(self, o["positions"])())
        self.count["empty_row"] = self.found.count(EMPTY)
        self.count["bad_position"] = self.found.count(BAD) - self.count["bad_offsets"]

    def sequences(self, name):
        """Number and values of each sequence."""
        t = self.o["row_tokens"]
        return [(b, self.case.inputs[name].values[b * t:(b + 1) * t]) for b in range(self.o["num_rows"])]

    def inside(self, b, t):
        """Token t of sequence b."""
        return EMPTY if t < 0 else b * self.o["row_tokens"] + t if t < self.o["row_tokens"] else BAD

    def all(self):
        mask = self.case.inputs.get("mask")
        return [i if mask is None or mask[i] != 0 else MASKED for i in range(self.tokens)]

    def lengths(self):
        return [self.inside(b, max(length, 0) - 1) for b, length in enumerate(self.case.inputs["lengths"])]

    def mask(self):
        return [self.inside(b, max((t for t, m in enumerate(row) if m != 0), default=-1)) for b, row in self.sequences("mask")]

    def last_non_pad(self):
        pad = self.o["pad_id"]
        return [self.inside(b, max((t for t, x in enumerate(row) if x != pad), default=-1)) for b, row in self.sequences("ids")]

    def before_first_pad(self):
        pad, context = self.o["pad_id"], self.o["context_length"]
        for b, row in self.sequences("ids"):
            first = min((t for t, x in enumerate(row) if x == pad and t >= context), default=len(row))
            yield self.inside(b, first - 1) if first - 1 >= context else EMPTY

    def cu_seqlens(self):
        bounds = self.case.inputs["cu_seqlens"]
        for begin, end in zip(bounds.values, bounds.values[1:]):
            self.count["bad_offsets"] += not 0 <= begin <= end
            yield BAD if not 0 <= begin <= end or end > self.tokens else end - 1 if end > begin else EMPTY

    def explicit(self):
        layout, offsets = self.o["position_layout"], self.case.inputs.get("position_offsets")
        for p, at in enumerate(self.case.inputs["positions"]):
            if layout == "flat":
                yield EMPTY if at < 0 else at if at < self.tokens else BAD
            elif layout == "per_row":
                yield self.inside(p // self.o["positions_per_row"], at)
            else:
                sequence = [b for b in range(self.o["num_rows"]) if offsets[b] <= p < offsets[b + 1]]
                self.count["bad_offsets"] += not sequence
                yield self.inside(sequence[0], at) if sequence else BAD


# Dot products --------------------------------------------------------------------------------------

def tile_sums(pairs):
    """Of products of pairs (None: absent): [(sum, size)] of each 2048, the order being that of the header. 256 lanes
    of binary32, fused, and binary64 behind them. size is the sum of absolute values."""
    result = []
    for begin in range(0, len(pairs), TILE):
        tile = pairs[begin:begin + TILE]
        lanes, size = [0.0] * LANES, 0.0
        for i, pair in enumerate(tile):
            if pair is not None:
                product = pair[0] * pair[1]  # exact: 24 by 24 bits
                lanes[i % LANES] = rounded(lanes[i % LANES] + product, "F32")
                size += abs(product)
        finite = all(map(math.isfinite, lanes))
        result.append((math.fsum(lanes) if finite else sum(lanes), size))
    return result


def total(sums):
    """The tiles together, with slack."""
    value = sum(x for x, _ in sums)
    return value, sum(size for _, size in sums) * DOUBLE_SLACK if math.isfinite(value) else 0.0


def affine(value, slack, k, inputs):
    """(z + bias - mean) / std, all but the last in binary64."""
    bias, mean, std = (inputs[name][k] if name in inputs else absent
                       for name, absent in (("bias", 0.0), ("post_mean", 0.0), ("post_std", 1.0)))
    z = value + bias - mean
    slack += (abs(value) + abs(bias) + abs(mean)) * DOUBLE_SLACK
    if std == 0:
        return (NAN if z == 0 or math.isnan(z) else math.copysign(INF, z) * math.copysign(1.0, std)), 0.0
    return z / std, slack / abs(std) if math.isfinite(z / std) else 0.0


def bad_std(inputs):
    return sum(x == 0 or math.isnan(x) for x in inputs.get("post_std", ()))


def join_words(case, *outputs):
    """Sums of shards are binary64, which the file holds as pairs of words."""
    for name in outputs:
        if name in case.outputs and case.outputs[name].dtype == "F32":
            values = case.outputs[name].values
            case.outputs[name] = Array("F64", [len(values) // 2], struct.pack(f"<{len(values)}f", *values))
