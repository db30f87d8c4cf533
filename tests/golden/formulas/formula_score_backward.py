"""score_backward: gradients of linear heads on selected tokens."""
import collections

from formula_score import BAD, DEFAULTS, EMPTY, MASKED, NAN, PRESETS, Positions, bad_std, join_words, tile_sums, total
from formula_values import f32_options, held, rounded


def divided(g, std):
    """u, of binary32."""
    if std == 0:
        return NAN if g == 0 else g * float("inf") * (1 if str(std)[0] != "-" else -1)
    return rounded(g / std, "F32")


def slopes(case, o, found, heads):
    """u of each position by head; none where there is no label. Bad positions: NaN."""
    result = []
    for p, row in enumerate(found):
        routes = [case.inputs["route"][p]] if o["routed"] else range(heads)
        u = {}
        for column, k in enumerate(routes):
            at = p * len(routes) + column
            labeled = "label_mask" not in case.inputs or case.inputs["label_mask"][at] != 0
            if row not in (EMPTY, MASKED) and labeled and (row == BAD or 0 <= k < heads or o["routed"]):
                std = case.inputs["post_std"][k] if "post_std" in case.inputs and 0 <= k < heads else 1.0
                u[k] = NAN if row == BAD or not 0 <= k < heads else divided(case.inputs["grad_scores"][at], std)
        result.append(u)
    return result


def row_of(u, weight, width):
    """Of grad_hidden: over rising heads, fused, in binary32."""
    row = [0.0] * width
    for k in sorted(u):
        scale = weight[k] if 0 <= k < len(weight) else [NAN] * width
        row = [rounded(x + u[k] * w, "F32") for x, w in zip(row, scale)]
    return row


def results(case):
    o = f32_options(case.options(DEFAULTS, PRESETS))
    positions = Positions(case, o)
    found = positions.found
    hidden = case.inputs["hidden"].rows() if "hidden" in case.inputs else None
    weight = case.inputs["weight"].rows() if "weight" in case.inputs else None
    width = len((hidden or weight)[0])
    heads = len(weight) if weight else case.outputs["grad_weight"].shape[-2]
    u = slopes(case, o, found, heads)
    result, repeated = {}, 0
    if o["shard"] == "partial":
        join_words(case, "grad_weight", "grad_bias")
    if "grad_hidden" in case.outputs:
        rows = [row_of(x, weight, width) for x in u]
        if o["grad_layout"] == "dense":
            owners = collections.defaultdict(list)
            for p, row in enumerate(found):
                if row >= 0:
                    owners[row].append(p)
            repeated = sum(len(ps) - 1 for ps in owners.values())
            rows = [[0.0] * width if not owners[row] else rows[owners[row][0]] if len(owners[row]) == 1 else [NAN] * width
                    for row in range(positions.tokens)]
        result["grad_hidden"] = held(case, "grad_hidden", [x for row in rows for x in row], 2.0 ** -52)
    by_head = [[[(x[k], hidden[row][h] if row >= 0 else NAN) if k in x else None for x, row in zip(u, found)]
                for h in range(width)] for k in range(heads)] if hidden else []
    by_bias = [[(x[k], 1.0) if k in x else None for x in u] for k in range(heads)]
    for name, columns in (("grad_weight", [c for head in by_head for c in head]), ("grad_bias", by_bias)):
        if name in case.outputs:
            sums = [tile_sums(column) for column in columns]
            if o["shard"] == "partial":
                terms = [total([column[tile]]) for tile in range(len(sums[0])) for column in sums]
            else:
                terms = [total(column) for column in sums]
            result[name] = held(case, name, [x for x, _ in terms], 2.0 ** -52, [e for _, e in terms])
    routes = case.inputs.get("route", ())
    count = {**positions.count, "repeated_position": repeated, "bad_std": bad_std(case.inputs) if found else 0,
             "bad_route": sum(row >= 0 and not 0 <= k < heads for row, k in zip(found, routes))}
    return {**result, **{"diagnostics." + name: [n] for name, n in count.items()}}
