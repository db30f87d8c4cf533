"""score_forward: linear heads on selected tokens, and sums of a shard."""
from formula_score import BAD, DEFAULTS, EMPTY, MASKED, NAN, PRESETS, Positions, affine, bad_std, join_words, tile_sums, total
from formula_values import f32_options, held


def results(case):
    o = f32_options(case.options(DEFAULTS, PRESETS))
    positions = Positions(case, o)
    hidden, weight = case.inputs["hidden"].rows(), case.inputs["weight"].rows()
    tiles = -(-len(weight[0]) // 2048)
    scores, partial, bad_route = [], [[] for _ in range(tiles)], 0
    for p, row in enumerate(positions.found):
        heads = [case.inputs["route"][p]] if o["routed"] else range(len(weight))
        for k in heads:
            sums = [({EMPTY: 0.0, MASKED: 0.0}.get(row, NAN), 0.0)] * tiles
            if row >= 0:
                if 0 <= k < len(weight):
                    sums = tile_sums(list(zip(hidden[row], weight[k])))
                else:
                    bad_route += 1
            for tile, part in zip(partial, sums):
                tile.append(total([part]))
            if row == EMPTY:
                scores.append((o["empty_value"], 0.0))
            elif row in (MASKED, BAD) or not 0 <= k < len(weight):
                scores.append(sums[0])
            else:
                scores.append(affine(*total(sums), k, case.inputs))
    terms = scores
    if o["shard"] == "partial":
        join_words(case, "scores")
        terms = [term for tile in partial for term in tile]
    count = {**positions.count, "bad_route": bad_route, "bad_std": bad_std(case.inputs) if positions.found else 0}
    result = {"diagnostics." + name: [n] for name, n in count.items()}
    result["found_positions"] = positions.found
    result["scores"] = held(case, "scores", [x for x, _ in terms], 2.0 ** -52, [e for _, e in terms])
    return result
