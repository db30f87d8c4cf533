"""Inputs of the recorded cases of log-probabilities for what the others leave out: special rows, targets that a subset or
a mask holds, gradients from the states that forward gives, and merges. What merit computes for them today is pinned bit
for bit."""
import math
import random
import struct

from golden_bits_policy import FOLDER, logits, logprob
from golden_file import Tensor, bf16_word, counted, f32
from golden_policy_logprob import row, state

INF, NAN = math.inf, math.nan
COUNTERS = ("bad_label", "target_outside_support", "empty_support", "nonfinite", "bad_temperature")


def bf16(x):
    """The nearest bfloat16, as a number."""
    return struct.unpack("<f", struct.pack("<I", bf16_word(x) << 16))[0]


def forward(golden):
    rng = random.Random("logprob options")
    ids = ("I32", [[3, 7, 7, 299, 0, 12]])
    targets = ("I32", [7, 299, 5, 3])
    narrow = {"target_dtype": "i32", "support": "subset"}
    logprob(golden, "subset_target", "targets among the ids", 4, 300, narrow, more={"subset_ids": ids, "targets": targets})
    logprob(golden, "subset_full", "and normalized over all", 4, 300, {**narrow, "normalize": "full", "temperature": .8},
            more={"subset_ids": ids, "targets": targets}, counters=COUNTERS)
    keep = [[rng.getrandbits(32) | 1 << 9 for _ in range(3)] for _ in range(3)]
    capped = {"logit_scale": -1.5, "soft_cap": 10, "support": "mask", "ld_mask": 3}
    heat = ("F32", [.7, 1, 2.5])
    logprob(golden, "mask_capped", "kept targets, capped", 3, 90, {**capped, "normalize": "full"}, dtype="F32",
            more={"keep_mask": ("U32", keep), "temperatures": heat, "targets": ("I64", [9, 41, 73])})
    rows = logits(rng, 9, 70, 3.0)
    rows[0][5] = NAN
    rows[1][4] = -INF
    rows[4] = [-INF] * 70
    rows[5] = [-INF] * 69 + [2.5]
    rows[6][8] = rows[6][60] = 50.0
    rows[7][30] = INF
    logprob(golden, "rows", "an ignored row, bad and impossible targets, NaN, ties", 9, 70, {"ignore_index": 4 << 40},
            dtype="F32", more={"logits": ("F32", rows), "targets": ("I64", [4 << 40, 4, -1, 70, 3, 69, 60, 2, 1]),
                               "temperatures": ("F32", [1, 1, 1, 1, 1, 1, 1, 1, -1])}, counters=COUNTERS)
    logprob(golden, "bad_ids", "ids that are none", 3, 70, {**narrow, "ld_subset": 2}, dtype="F32", counters=COUNTERS,
            more={"subset_ids": ("I32", [[1, 2], [3, 70], [-1, 4]]), "targets": ("I32", [1, 3, 4]),
                  "temperatures": ("F32", [1, 1, INF])})
    rows = logits(rng, 3, 70, 3.0)
    rows[0][40], rows[1][41] = NAN, INF
    words = ("U32", [[0xff, 0, 0]])
    for normalize in ("support", "full"):
        logprob(golden, "masked_nan_" + normalize, "NaN and infinity under a mask", 3, 70,
                {"support": "mask", "normalize": normalize}, dtype="F32", counters=COUNTERS,
                more={"logits": ("F32", rows), "keep_mask": words, "targets": ("I64", [1, 2, 3])})
    part = {"vocab_begin": 4096, "vocab_total": 9000}
    targets = ("I64", [4100, 10, 4185])
    logprob(golden, "shard_mask", "one rank's record under a mask", 3, 90, {**part, **capped, "partials": "shard"}, dtype="F32",
            more={"keep_mask": ("U32", keep), "temperatures": heat, "targets": targets})
    empty = logits(rng, 2, 4200, 3.0)
    empty[0][:2048] = [-INF] * 2048
    empty[1] = [-INF] * 4200
    logprob(golden, "segments_empty", "segments and a row of -inf", 2, 4200, {**part, "partials": "segment"}, dtype="F32",
            more={"logits": ("F32", empty), "targets": ("I64", [4100, 8000])})


def gradient(golden, name, note, rows, targets, desc=None, kept=None, full=False, more=None, dtype="F32", **options):
    """From the state, entropy and mass of the formulas, as forward would hand them over."""
    rng = random.Random("logprob true gradient " + name)
    rows = [[bf16(x) if dtype == "BF16" else f32(x) for x in x] for x in rows]
    results, states = [], []
    for x in rows:
        inside = list(range(len(x))) if kept is None else kept
        results.append(row(x, inside[0], kept=inside, full=full, **options))
        total = results[-1]["lse"]
        exponent, inverse = state([total])
        states.append([exponent, struct.unpack("<i", struct.pack("<f", inverse))[0]])
    tensors = {"in.logits": Tensor(dtype, rows), "in.targets": Tensor("I64", targets), "in.state": Tensor("I32", states),
               "in.entropy": Tensor("F32", [r["entropy"] for r in results])}
    for key in ("grad_logprob", "grad_entropy"):
        tensors["in." + key] = Tensor("F32", [rng.gauss(0, 1) for _ in rows])
    if full:
        tensors["in.mass"] = Tensor("F32", [r["mass"] for r in results])
    for key, (kind, values) in (more or {}).items():
        tensors["in." + key] = Tensor(kind, values)
    tensors.update(counted("bad_label", "bad_temperature"))
    options = {"dtype": dtype.lower(), **(desc or {})}
    golden.case(FOLDER, "bits_logprob_grad_" + name, "policy_logprob_backward", options, tensors, note)


def backward(golden):
    rng = random.Random("logprob gradient options")
    gradient(golden, "peaked", "weights that vanish", logits(rng, 2, 1030, 60.0), [5, 700])
    gradient(golden, "bf16_state", "probabilities", logits(rng, 3, 300, 3.0), [0, 150, 299], dtype="BF16")
    gradient(golden, "capped", "scale, cap and temperature", logits(rng, 2, 200, 3.0), [5, 70],
             {"logit_scale": 2, "soft_cap": 10, "temperature": .5}, scale=2.0, cap=10.0, temperature=.5)
    ids = [3, 7, 7, 199, 0]
    subset = {"support": "subset"}
    shared = {"subset_ids": ("I32", [ids])}
    gradient(golden, "subset_target", "targets among the ids, one of them there twice", logits(rng, 3, 200, 3.0), [3, 7, 50],
             subset, ids, more=shared)
    words = [rng.getrandbits(32) | 1 << 9 for _ in range(4)]
    kept = [v for v in range(120) if words[v // 32] >> v % 32 & 1]
    outside = min(set(range(120)) - set(kept))
    mask = {"keep_mask": ("U32", [words])}
    gradient(golden, "mask_target", "a kept target and one that is not", logits(rng, 2, 120, 3.0), [9, outside],
             {"support": "mask"}, kept, more=mask)
    gradient(golden, "mask_full_state", "the same, normalized over all", logits(rng, 2, 120, 3.0), [9, outside],
             {"support": "mask", "normalize": "full"}, kept, True, more=mask)
    gradient(golden, "shard", "a part of the vocabulary: the target here, elsewhere, nowhere", logits(rng, 3, 60, 3.0),
             [2050, 10, 5000], {"vocab_begin": 2048, "vocab_total": 5000, "partials": "shard"})
    gradient(golden, "bad_ids", "ids that are none", logits(rng, 3, 50, 3.0), [3, 7, 5], {**subset, "ld_subset": 2}, [3, 7],
             more={"subset_ids": ("I32", [[3, 7], [50, 7], [3, -1]])})
    rows = logits(rng, 5, 50, 3.0)
    rows[3][20] = -INF
    gradient(golden, "rows", "an ignored row, bad labels, a target of -inf, a bad temperature", rows, [-100, 50, -1, 20, 4],
             more={"temperatures": ("F32", [1, 1, 1, 1, 0])})


def largest(x):
    """NaN stands for +inf too: either way the row has no results."""
    return NAN if any(math.isnan(v) or v == INF for v in x) else max(x)


def sums(x, c):
    """M, the sum of e = 2^(bits - M), of e (bits - M), of e^2, bits = c x."""
    bits = [v * c for v in x if v != -INF]
    if not bits:
        return 0, 0.0, 0.0, 0.0
    if not all(map(math.isfinite, bits)):
        return 0, NAN, 0.0, 0.0
    M = math.ceil(f32(max(bits)))
    e = [2.0 ** (b - M) for b in bits]
    return M, math.fsum(e), math.fsum(w * (b - M) for w, b in zip(e, bits)), math.fsum(w * w for w in e)


def record(x, begin, target, c):
    """merit_policy_logprob_shard in words of 64 bits."""
    M, *rest = sums(x, c)
    top = largest(x)
    here = 0 <= target - begin < len(x)
    M, first = (M, begin + x.index(top)) if rest[0] > 0 else (-2 ** 31, -1)  # those of nothing
    data = struct.pack("<dddiiff", *rest, M, first, top, x[target - begin] if here else -INF)
    return list(struct.unpack("<5q", data))


def merge(golden, kind, name, note, ranks, vocab, desc=None, temperature=1.0):
    """Every kind of row that merging knows, its vocabulary over ranks; logits as they enter the sums."""
    rng = random.Random("logprob merge " + name)
    c = f32(math.log2(math.e) / temperature)
    rows = [[f32(x) for x in x] for x in logits(rng, 11, vocab, 3.0)]
    bounds = [*range(0, vocab, ranks), vocab]
    rows[1][:bounds[1]] = [-INF] * bounds[1]
    rows[2] = [-INF] * vocab
    rows[3][bounds[1]] = rows[3][2] = 20.0
    rows[4][17] = -INF
    rows[7][9], rows[8][9], rows[9][9] = INF, 2.0 ** 23, NAN
    targets = [vocab - 1, 3, 5, bounds[1], 17, -100, vocab, 1, 2, 3, 4]
    parts = list(zip(bounds, bounds[1:]))
    tensors = {"in.shards": Tensor("I64", [[record(x[b:e], b, y, c) for x, y in zip(rows, targets)] for b, e in parts]),
               "in.targets": Tensor("I64", targets)}
    if kind == "segment":
        pieces = [x[i:min(i + 2048, e)] for b, e in parts for x in rows for i in range(b, e, 2048)]
        tensors["in.segments"] = Tensor("F32", [[largest(x), *sums(x, c)[1:]] for x in pieces])
    if desc is None:
        tensors["in.temperatures"] = Tensor("F32", [1] * 10 + [0])
    tensors.update(counted(*COUNTERS, "logit_range"))
    options = {"vocab_size": ranks, "vocab_total": vocab, "partials": kind, "num_shards": len(parts), **(desc or {})}
    golden.case(FOLDER, "bits_logprob_merge_" + name, "policy_logprob_merge", options, tensors, note)


def write(golden):
    forward(golden)
    backward(golden)
    merge(golden, "shard", "shards", "records of three ranks", 50, 130)
    merge(golden, "shard", "capped", "records under a cap", 50, 130, {"soft_cap": 8, "temperature": .5, "logit_scale": 3}, .5)
    merge(golden, "segment", "segments", "sums of segments of two ranks", 4096, 6200)
