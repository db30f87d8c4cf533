"""score_finish: tile sums of all shards, then bias and affine."""
import math

from formula_score import EMPTY, MASKED, NAN, affine, bad_std, total
from formula_values import f32_options, held

DEFAULTS = {"num_tiles": 1, "num_positions": 0, "num_heads": 1, "routed": False, "score_stride": 0, "empty_value": NAN}


def results(case):
    o = f32_options(case.options(DEFAULTS, {}))
    sums = case.inputs["tile_sums"]
    positions = sums.shape[1]
    columns = math.prod(sums.shape[2:])
    heads = len(case.inputs["bias"]) if o["routed"] and "bias" in case.inputs else max(o["num_heads"], columns)
    terms, bad_route = [], 0
    for p in range(positions):
        row = case.inputs["found_positions"][p] if "found_positions" in case.inputs else 0
        for column in range(columns):
            k = case.inputs["route"][p] if o["routed"] else column
            parts = [sums[(tile * positions + p) * columns + column] for tile in range(sums.shape[0])]
            if row < 0:
                terms.append(({EMPTY: o["empty_value"], MASKED: 0.0}.get(row, NAN), 0.0))
            elif not 0 <= k < heads:
                bad_route += 1
                terms.append((NAN, 0.0))
            else:
                terms.append(affine(*total([(x, abs(x)) for x in parts]), k, case.inputs))
    result = {"diagnostics.bad_route": [bad_route], "diagnostics.bad_std": [bad_std(case.inputs)]}
    result["scores"] = held(case, "scores", [x for x, _ in terms], 2.0 ** -52, [e for _, e in terms])
    return result
