"""score_forward: scores and positions worked by hand. All numbers are exact in binary32: every bit must agree."""
import math

from golden_file import Tensor

FOLDER = "score"
NAN = math.nan
HIDDEN = [[1, 2, 3], [0, -1, 2], [4, 0, -2], [.5, .5, .5]]
WEIGHT = [[1, 0, -1], [.5, 2, 0]]
BIAS = [.25, -1]
IDS = [[5, 7, 0, 0], [0, 0, 5, 7], [5, 0, 7, 0], [0, 0, 0, 0], [5, 7, 8, 9]]


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b))


def heads(row, bias=(0, 0)):
    return [dot(row, w) + b for w, b in zip(WEIGHT, bias)]


class Scores:
    def __init__(self, golden):
        self.golden = golden

    def write(self, name, note, desc, scores, inputs=None, hidden=None, weight=None, dtype="F32", found=None,
              counters=None, preset=None, status=None):
        desc = {"num_tokens": len(hidden or HIDDEN), **desc}
        if desc.get("row_tokens"):
            desc.pop("num_tokens")
        tensors = {"in.hidden": Tensor(dtype, hidden or HIDDEN), "in.weight": Tensor("F32", weight or WEIGHT)}
        for key, (kind, values) in (inputs or {}).items():
            tensors["in." + key] = Tensor(kind, values)
        if scores is not None:
            tensors["out.scores"] = Tensor("F32", scores)
        if found is not None:
            tensors["out.found_positions"] = Tensor("I64", found)
        for key, value in (counters or {}).items():
            tensors["out.diagnostics." + key] = Tensor("U64", [value])
        self.golden.case(FOLDER if status is None else FOLDER + "/rejected", name, "score_forward", desc, tensors,
                         note, preset=preset, status=status)


def tokens(p):
    every = [heads(row, BIAS) for row in HIDDEN]
    assert every == [[-1.75, 3.5], [-1.75, -3], [6.25, 1], [.25, .25]]
    bias = {"bias": ("F32", BIAS)}
    p.write("01_all", "every token", {"positions": "all"}, every, bias, found=[0, 1, 2, 3])
    p.write("01_all_bf16", "bf16 hidden states under binary32 heads", {"positions": "all"}, every, bias, dtype="BF16")
    p.write("01_all_f16", "f16 hidden states under binary32 heads", {"positions": "all"}, every, bias, dtype="F16")
    masked = [every[0], [0, 0], every[2], [0, 0]]
    p.write("01_all_masked", "masked tokens are +0", {"positions": "all"}, masked, {**bias, "mask": ("U8", [1, 0, 7, 0])},
            found=[0, -2, 2, -2])
    affine = [[(every[i][0] - 1) / 2, every[i][1] / .5] for i in (1, 3)]
    assert affine == [[-1.375, -6], [-.375, .5]]
    p.write("02_spans", "last tokens of packed sequences, (z - mean) / std", {"num_rows": 2}, affine,
            {**bias, "cu_seqlens": ("I32", [0, 2, 4]), "post_mean": ("F32", [1, 0]), "post_std": ("F32", [2, .5])},
            preset="areal.reward", found=[1, 3])
    p.write("03_routes", "one head per position", {"positions": "explicit", "routed": True, "num_positions": 2},
            [every[1][1], every[3][0]], {**bias, "positions": ("I64", [1, 3]), "route": ("I32", [1, 0])})


def positions(p):
    hidden = [[10 * b + t + 1] for b in range(5) for t in range(4)]
    one = [[1]]

    def expect(name, note, desc, found, inputs, preset=None, counters=None):
        rows = [4 * b + t if t >= 0 else -1 for b, t in enumerate(found)]
        scores = [[hidden[r][0]] if r >= 0 else [NAN] for r in rows]
        counters = {"empty_row": sum(r < 0 for r in rows), "bad_position": 0, **(counters or {})}
        p.write(name, note, {"num_rows": 5, "row_tokens": 4, **desc}, scores, inputs, hidden, one, found=rows,
                preset=preset, counters=counters)

    ids = {"ids": ("I64", [i for row in IDS for i in row])}
    expect("05_last_non_pad", "right padding, left padding, padding inside, all padding, none", {"pad_id": 0},
           [1, 3, 2, -1, 3], ids, "hf.sequence_classification")
    expect("05_before_first_pad", "the same under the first-pad rule", {"pad_id": 0}, [1, -1, 0, -1, 3], ids,
           "trl.get_reward")
    expect("05_before_first_pad_context", "behind two tokens of prompt", {"pad_id": 0, "context_length": 2},
           [-1, 3, 2, -1, 3], ids, "open_instruct.get_reward")
    expect("05_pad_is_eos", "eos 7 as padding: the token before it", {"pad_id": 7}, [3, 2, 3, 3, 3], ids, "skywork")
    expect("05_mask", "left, right and inner masks", {}, [1, 3, 2, -1, 3],
           {"mask": ("U8", [int(i != 0) for row in IDS for i in row])}, "openrlhf.reward")
    expect("05_lengths", "lengths, 0 is empty", {}, [0, 3, 1, -1, -1], {"lengths": ("I32", [1, 4, 2, 0, -2])},
           "aligner.regression")
    p.write("06_past_the_end", "a length above T: NaN", {"num_rows": 2, "row_tokens": 2, "positions": "lengths"},
            [[NAN, NAN], heads(HIDDEN[3])], {"lengths": ("I32", [3, 2])}, found=[-3, 3], counters={"bad_position": 1})
    p.write("06_explicit", "-1 is empty, 4 is past the end", {"positions": "explicit", "num_positions": 4,
                                                            "empty_value": -9.0},
            [heads(HIDDEN[2]), [-9, -9], [NAN, NAN], heads(HIDDEN[2])], {"positions": ("I32", [2, -1, 4, 2])},
            found=[2, -1, -3, 2], counters={"bad_position": 1, "empty_row": 1})
    p.write("06_ragged", "ends of steps", {"num_rows": 2, "row_tokens": 2, "num_positions": 3},
            [heads(HIDDEN[0]), heads(HIDDEN[1]), heads(HIDDEN[3])],
            {"positions": ("I64", [0, 1, 1]), "position_offsets": ("I64", [0, 2, 3])}, preset="prm.steps", found=[0, 1, 3])
    p.write("06_per_row", "N positions per sequence", {"num_rows": 2, "row_tokens": 2, "positions_per_row": 2},
            [heads(HIDDEN[1]), heads(HIDDEN[0]), [NAN, NAN], heads(HIDDEN[2])], {"positions": ("I64", [1, 0, -1, 0])},
            preset="yojo", found=[1, 0, -1, 2])
    p.write("06_bad_route", "a route that does not exist", {"routed": True, "positions": "all"},
            [heads(HIDDEN[0])[0], heads(HIDDEN[1])[1], NAN, NAN], {"route": ("I32", [0, 1, 2, -1])},
            counters={"bad_route": 2})


def backward(golden):
    gradients, rows = [[1, 2], [-1, .5]], [1, 3]
    weight = [[math.fsum(g[k] * HIDDEN[r][h] for g, r in zip(gradients, rows)) for h in range(3)] for k in range(2)]
    hidden = [[math.fsum(g[k] * WEIGHT[k][h] for k in range(2)) for h in range(3)] for g in gradients]
    assert hidden == [[2, 4, -1], [-.75, 1, 1]] and weight == [[-.5, -1.5, 1.5], [.25, -1.75, 4.25]]

    def write(name, note, desc, grad_hidden, grad_weight, grad_bias, more=None, dtype="F32", counters=None):
        tensors = {"in.hidden": Tensor(dtype, HIDDEN), "in.weight": Tensor("F32", WEIGHT),
                   "in.grad_scores": Tensor("F32", gradients), "in.positions": Tensor("I64", rows),
                   "out.grad_hidden": Tensor(dtype, grad_hidden), "out.grad_weight": Tensor("F32", grad_weight),
                   "out.grad_bias": Tensor("F32", grad_bias)}
        for key, (kind, values) in (more or {}).items():
            tensors["in." + key] = Tensor(kind, values)
        for key, value in (counters or {}).items():
            tensors["out.diagnostics." + key] = Tensor("U64", [value])
        golden.case(FOLDER, name, "score_backward",
                    {"positions": "explicit", "num_tokens": 4, "num_positions": 2, **desc}, tensors, note)

    zero = [0, 0, 0]
    for dtype in ("F32", "BF16", "F16"):
        write("04_backward_rows_" + dtype.lower(), "gradients in the order of positions", {}, hidden, weight, [0, 2.5],
              dtype=dtype)
    write("04_backward_dense", "gradients where the hidden states are", {"grad_layout": "dense"},
          [zero, hidden[0], zero, hidden[1]], weight, [0, 2.5])
    masked = [[1, 0, -1], [.25, 1, 0]]
    write("04_backward_label_mask", "an entry without a label", {}, masked, [[0, -1, 2], [.25, .25, .25]], [1, .5],
          {"label_mask": ("U8", [[1, 0], [0, 1]])})
    write("04_backward_repeated", "a position twice: NaN where it is dense", {"grad_layout": "dense"},
          [zero, [NAN] * 3, zero, zero], [[0, 0, 0], [0, -2.5, 5]], [0, 2.5], {"positions": ("I64", [1, 1])},
          counters={"repeated_position": 1})
    write("04_backward_empty", "an empty position has no gradient", {}, [hidden[0], zero],
          [[g * x for x in HIDDEN[1]] for g in gradients[0]], [1, 2], {"positions": ("I64", [1, -1])},
          counters={"empty_row": 1})


def rejected(p):
    lengths = {"lengths": ("I32", [1, 2])}
    two = {"num_rows": 2, "row_tokens": 2, "positions": "lengths"}

    def reject(name, note, desc=None, inputs=None, status="invalid_argument"):
        p.write("rejected_forward_" + name, note, {**two, **(desc or {})}, None, lengths if inputs is None else inputs,
                status=status)

    reject("hidden_stride", "ld below H", {"hidden_stride": 2})
    reject("weight_stride", "ld below H", {"weight_stride": 2})
    reject("lengths_missing", "the rule needs lengths", inputs={})
    reject("pad_id_missing", "the rule needs a pad id", {"positions": "last_non_pad"}, {"ids": ("I64", [1, 2, 3, 4])})
    reject("context_length", "context above T", {"positions": "before_first_pad", "pad_id": 0, "context_length": 3},
           {"ids": ("I64", [1, 2, 3, 4])})
    reject("partial_bias", "shards take no bias", {"shard": "partial"}, {**lengths, "bias": ("F32", [1, 1])})
    reject("unused_mask", "an array that no option uses", inputs={**lengths, "mask": ("U8", [1, 1, 1, 1])})
    reject("blas", "cuBLAS is not loaded", {"path": "blas"}, status="unsupported")


def write(golden):
    p = Scores(golden)
    tokens(p)
    positions(p)
    backward(golden)
    rejected(p)
