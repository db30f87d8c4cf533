"""advantage_spread: out = gain * value of the segment + add under the mask, +0 elsewhere. In binary64, one rounding.

What no position is about stays as it was: tokens of a segment that is refused, and with an index tokens it does not name."""
import math
import struct

from formula_groups import spans
from formula_values import rounded, stored

UNTOUCHED = {"F32": struct.unpack("<f", b"\xcd" * 4)[0], "BF16": struct.unpack("<f", b"\0\0\xcd\xcd")[0]}
DEFAULTS = {"segments": {}, "num_tokens": None, "value_dtype": "f32", "out_dtype": "f32", "gain": 1.0}


def loose(offsets, p, count):
    """Before the first segment or after the last. Uniform segments: all positions, theirs are overwritten."""
    return offsets is None or not offsets[0] <= p < offsets[count]


def results(case):
    o, inputs = case.options(DEFAULTS, {}), case.inputs
    gain, out = rounded(o["gain"], "F32"), case.outputs["out"]
    tokens, mask, add, index = len(out), inputs.get("mask"), inputs.get("add"), inputs.get("segments.index")
    pairs = spans(case, "segments", "segments", tokens)
    values = [UNTOUCHED[out.dtype]] * tokens
    for p in range(tokens):
        t = index[p] if index else p
        if loose(inputs.get("segments.offsets"), p, len(pairs)) and 0 <= t < tokens:
            values[t] = 0.0
    refused = bad_index = too_large = 0
    for n, pair in enumerate(pairs):
        refused += pair is None
        bound = o["segments"].get("max_size", 0)
        large = pair is not None and 0 < bound < pair[1] - pair[0]
        too_large += large
        for p in range(*(pair or (0, 0))):
            t = index[p] if index else p
            if not 0 <= t < tokens:
                bad_index += 1
            elif mask is not None and not mask[t]:
                values[t] = 0.0
            else:
                product, term = gain * inputs["values"][n], add[t] if add else 0.0
                lost = 2.0 ** -53 * (abs(product) + abs(product + term)) if math.isfinite(product + term) else 0.0
                values[t] = stored(math.nan if large else product + term, out.dtype, 0.0, lost)
    return {"out": values, "diagnostics.bad_offsets": [refused], "diagnostics.bad_index": [bad_index],
            "diagnostics.group_too_large": [too_large]}
