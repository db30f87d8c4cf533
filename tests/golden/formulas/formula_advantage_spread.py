"""advantage_spread: out = gain * value of the segment + add under the mask, +0 elsewhere. In binary64, one rounding."""
import math

from formula_groups import spans
from formula_values import rounded, stored

LEFT_OUT = {}
DEFAULTS = {"segments": {}, "num_tokens": None, "value_dtype": "f32", "out_dtype": "f32", "gain": 1.0}


def results(case):
    o, inputs = case.options(DEFAULTS, {}), case.inputs
    gain, out = rounded(o["gain"], "F32"), case.outputs["out"]
    tokens, mask, add, index = len(out), inputs.get("mask"), inputs.get("add"), inputs.get("segments.index")
    values = [stored(0.0, out.dtype, 0.0)] * tokens
    refused = bad_index = too_large = 0
    for n, pair in enumerate(spans(case, "segments", "segments", tokens)):
        refused += pair is None
        bound = o["segments"].get("max_size", 0)
        large = pair is not None and 0 < bound < pair[1] - pair[0]
        too_large += large
        for p in range(*(pair or (0, 0))):
            t = index[p] if index else p
            if not 0 <= t < tokens:
                bad_index += 1
            elif mask is None or mask[t]:
                product, term = gain * inputs["values"][n], add[t] if add else 0.0
                lost = 2.0 ** -53 * (abs(product) + abs(product + term)) if math.isfinite(product + term) else 0.0
                values[t] = stored(math.nan if large else product + term, out.dtype, 0.0, lost)
    return {"out": values, "diagnostics.bad_offsets": [refused], "diagnostics.bad_index": [bad_index],
            "diagnostics.group_too_large": [too_large]}
