"""Inputs of recorded cases of the score family: options and rows that the plain ones leave out (bad, empty, not finite)."""
import math
import random

from golden_file import Tensor, counted

FOLDER = "."
NAN, INF = math.nan, math.inf


def drawn(name):
    """Rows of normal numbers, always the same for a name."""
    rng = random.Random("score options " + name)
    return lambda rows, columns, scale=1.0: [[rng.gauss(0, scale) for _ in range(columns)] for _ in range(rows)]


COUNTERS = {"score_forward": ("empty_row", "bad_position", "bad_offsets", "bad_route", "bad_std"),
            "score_backward": ("empty_row", "bad_position", "bad_route", "bad_std", "repeated_position"),
            "score_finish": ("bad_route", "bad_std"),
            "score_readout_forward": ("empty_row", "bad_index", "zero_direction", "crossing"),
            "score_readout_backward": ("empty_row", "bad_index", "zero_direction", "crossing"),
            "score_regression": ("bad_target", "empty_statistics")}


def write_case(golden, name, op, note, desc, inputs, preset=None):
    tensors = {"in." + key: Tensor(*value) for key, value in inputs.items()}
    golden.case(FOLDER, "bits_score_" + name, op, desc, {**tensors, **counted(*COUNTERS[op])}, note, preset=preset)


def heads(golden):
    gauss = drawn("forward")

    def forward(name, note, tokens, desc, more, spoil=None):
        hidden = gauss(tokens, 40)
        for row, x in (spoil or {}).items():
            hidden[row][row] = x
        arrays = {"hidden": ("F32", hidden), "weight": ("F32", gauss(3, 40, .1))}
        write_case(golden, name, "score_forward", note, desc, {**arrays, **more})

    forward("spans", "spans that end early, are empty, fall or end late", 12,
            {"positions": "cu_seqlens", "num_rows": 6, "num_tokens": 12, "empty_value": -1.5},
            {"cu_seqlens": ("I64", [0, 3, 3, 2, 7, 12, 14]), "bias": ("F32", [.5, 0, -.5])})
    forward("ragged", "positions outside their sequences, or in none", 20,
            {"positions": "explicit", "position_layout": "ragged", "num_rows": 4, "row_tokens": 5, "num_positions": 8},
            {"positions": ("I32", [0, 4, 5, -1, 2, 3, 1, 1]), "position_offsets": ("I64", [0, 2, 2, 5, 6])})
    forward("nonfinite", "rows that are not finite, deviations of 0 and NaN", 5, {"positions": "all", "num_tokens": 5},
            {"bias": ("F32", [1, 2, 3]), "post_mean": ("F32", [1, 2, 3]), "post_std": ("F32", [0, -2, NAN]),
             "mask": ("U8", [1, 1, 1, 0, 1])}, {0: NAN, 1: INF, 2: -INF, 3: NAN})
    forward("context", "padding behind a prompt", 18,
            {"positions": "before_first_pad", "num_rows": 3, "row_tokens": 6, "context_length": 2, "pad_id": 9},
            {"ids": ("I32", [9, 1, 2, 9, 9, 9, 1, 2, 3, 4, 5, 6, 1, 2, 9, 9, 9, 9])})

    positions = ("I64", [2, -1, 5, 2, 7, 0, 8, 3])
    shared = {"positions": "explicit", "num_tokens": 8, "num_positions": 8}
    labels = ("U8", [1, 1, 1, 0, 1, 1, 1, 1])
    for layout in ("rows", "dense"):
        write_case(golden, f"backward_routed_{layout}", "score_backward", "routes, and positions, that do not exist or repeat",
                   {**shared, "routed": True, "grad_layout": layout},
                   {"hidden": ("F32", gauss(8, 20)), "weight": ("F32", gauss(3, 20)), "grad_scores": ("F32", gauss(8, 1)),
                    "positions": positions, "route": ("I32", [0, 1, 2, 0, 1, -1, 0, 2]), "label_mask": labels,
                    "post_std": ("F32", [.5, 2, -3])})
    write_case(golden, "backward_bad", "score_backward", "positions past the end, under a mask of labels", shared,
               {"hidden": ("BF16", gauss(8, 20)), "weight": ("F32", gauss(2, 20)), "grad_scores": ("F32", gauss(8, 2)),
                "positions": positions, "label_mask": ("U8", [[1, int(p < 6)] for p in range(8)])})
    write_case(golden, "backward_partial", "score_backward", "sums by tiles of positions",
               {"positions": "all", "num_tokens": 2100, "shard": "partial"},
               {"hidden": ("BF16", gauss(2100, 3)), "weight": ("F32", gauss(2, 3)), "grad_scores": ("F32", gauss(2100, 2))})

    last = {"bias": ("F32", [.5, 0, -.5, 2]), "post_mean": ("F32", [1, 2, 3, 0]), "post_std": ("F32", [.5, 0, 7, -2])}
    sums = [[[x + 100 * t for x in row] for row in gauss(4, 4)] for t in range(3)]
    found = ("I64", [3, -1, -3, 0])
    write_case(golden, "finish", "score_finish", "three tiles of four positions", {"empty_value": -1.5},
               {"tile_sums": ("F64", sums), "found_positions": found, **last})
    write_case(golden, "finish_routed", "score_finish", "routed", {"routed": True, "num_heads": 4},
               {"tile_sums": ("F64", [[row[:1] for row in tile] for tile in sums]), "found_positions": ("I64", [3, 1, -2, 0]),
                "route": ("I32", [2, 3, 0, 4]), **last})
    write_case(golden, "backward_std", "score_backward", "deviations of 0 and NaN", {"positions": "all", "num_tokens": 4},
               {"hidden": ("F32", gauss(4, 9)), "weight": ("F32", gauss(3, 9)), "grad_scores": ("F32", [[0, 1, 2], *gauss(3, 3)]),
                "post_std": ("F32", [0, -2, NAN])})


def readouts(golden):
    gauss = drawn("readouts")

    def both(name, note, desc, inputs, upstream):
        write_case(golden, f"readout_{name}", "score_readout_forward", note, desc, inputs)
        write_case(golden, f"readout_{name}_backward", "score_readout_backward", note + ", gradients", desc,
                   {**inputs, **upstream})

    reward = {"grad_reward": ("F32", [1.0, -.5, 2.0, .25])}
    moments = {"grad_mean": ("F32", [1.0, -.5, 2.0, .25]), "grad_variance": ("F32", [.5, 1.5, -1.0, 1.0]),
               "grad_entropy": ("F32", [2.0, .5, .75, -1.0])}
    directions, rows = gauss(4, 20), gauss(4, 20)
    directions[1] = [0.0] * 20
    rows[2][7] = NAN
    both("directions", "a direction of each row, one of length 0", {"direction_stride": 20, "unit": True},
         {"inputs": ("F16", rows), "direction": ("F32", directions)}, reward)
    logits = gauss(4, 12, 3)
    logits[1][5], logits[2] = -INF, [-INF] * 12
    logits[3][2] = NAN  # not among the levels
    index = {"level_index": ("I32", [11, 0, 5, 7]), "level_values": ("F32", [1.5, -2.0, .25, 4.0])}
    both("index", "levels by index, an empty row", {"kind": "levels", "num_logits": 12, "temperature": .7, "empty_value": .5},
         {"inputs": ("F32", logits), **index}, moments)
    both("bad_index", "an index that leaves the logits", {"kind": "levels", "num_logits": 12},
         {"inputs": ("BF16", logits), "level_index": ("I32", [11, 0, 12, 7])}, moments)
    gates = gauss(4, 6, 2)
    gates[0][3], gates[1], gates[2][0] = -INF, [-INF] * 6, INF
    both("gates", "gates that are shut, or not finite", {"kind": "gate", "scale": -1.5, "temperature": 2.0},
         {"inputs": ("F32", gauss(4, 6)), "gate_logits": ("F32", gates)}, reward)
    quantiles = [[x for half in (row[:7], row[7:]) for x in sorted(half)] for row in gauss(4, 14)]
    quantiles[1][3], quantiles[2][9] = NAN, -9.0  # the latter crosses
    quantiles[3][1:4] = [quantiles[3][1]] * 3
    weights = ("F32", [.125, .0625, .25, .0625, .25, .125, .125])
    for sort in (False, True):
        if sort:
            quantiles = [row[::-1] for row in quantiles]
        both("weights_sorted" if sort else "weights", "weights of levels", {
            "kind": "quantile", "num_attributes": 2, "alpha": .35, "sort": sort, "num_columns": 14}, {
                "inputs": ("F32", quantiles), "level_weights": weights},
             {f"grad_{key}": ("F32", gauss(4, 2)) for key in ("mean", "cvar", "iqr")})


def presets(golden):
    """Directions that are not of length 1."""
    gauss = drawn("presets")
    for preset in ("dpa", "cosine"):
        desc, direction = ({"direction_stride": 6}, gauss(3, 6)) if preset == "dpa" else ({}, gauss(1, 6)[0])
        write_case(golden, f"readout_{preset}_length", "score_readout_forward", "a direction of any length", desc,
                   {"inputs": ("F32", gauss(3, 6)), "direction": ("F32", direction)}, preset)


def regressions(golden):
    gauss = drawn("regression")
    rng = random.Random("score options labels")
    rows, columns = 300, 4

    def labels(missing, low=-2.0, high=2.0):
        return ("F32", [[missing if rng.random() < .2 else NAN if k == 3 else low + (high - low) * rng.random()
                         for k in range(columns)] for _ in range(rows)])

    def write(name, note, desc, y, more, preset=None):
        write_case(golden, "regression_" + name, "score_regression", note, desc,
                   {"scores": ("F32", gauss(rows, columns, 2)), "labels": y, **more}, preset)

    alpha = {"alpha": ("F32", [.5, 2.0, -1.0, 3.0])}
    mask = {"mask": ("U8", [[int(p >= 20 and rng.random() < .9) for _ in range(columns)] for p in range(rows)])}
    weight = {"row_weight": ("F32", [rng.choice([0.0, .5, 1.0, 3.0]) for _ in range(rows)])}
    write("weighted", "weights of rows and heads, rows without labels",
          {"link": "huber", "huber_delta": .4, "reduction": "mean_row"}, labels(NAN), {**alpha, **mask, **weight})
    write("half", "half of the squares, over given denominators", {"half": True, "reduction": "given"}, labels(NAN),
          {**alpha, "denominators": ("F64", [100.0, 7.5, 0.0, 0.0])})
    write("sentinel", "labels of -100 are missing", {}, labels(-100.0), weight, "aligner.regression")
    write("own_sentinel", "or another number", {"use_sentinel": True, "sentinel": 2.5}, labels(2.5), {})
    write("bad_label", "a label that is no probability", {"link": "bce", "reduction": "sum"},
          ("F32", [[1.5 if (p, k) == (7, 1) else NAN if k == 3 else rng.random() for k in range(columns)] for p in range(rows)]),
          {**alpha, **mask, **weight})


def write(golden):
    heads(golden)
    readouts(golden)
    presets(golden)
    regressions(golden)
