"""policy_logprob: rows worked by hand. `printed` stands on the page of the family; the files hold the textbook
formula in double, which has to agree with it to the printed digits."""
import math
import struct

from golden_file import Tensor, f32

# sums of exponentials in binary32; a temperature that acts rounded
CHECK = {"logprob": {"atol": 2e-6, "rtol": 1e-7}, "lse": {"atol": 2e-6, "rtol": 2e-7}, "entropy": {"atol": 2e-6, "rtol": 3e-6},
         "sum_sq": {"rtol": 3e-6}, "mass": {"atol": 2e-6, "rtol": 1e-7}}
NAN, INF = math.nan, math.inf


def lse(z):
    top = max(z, default=-INF)
    return top if math.isinf(top) else top + math.log(math.fsum(math.exp(x - top) for x in z))


def row(x, target, kept=None, full=False, scale=1.0, cap=0.0, temperature=1.0):
    """Results of one row by name."""
    z = [v if math.isinf(v) else (cap * math.tanh(scale * v / cap) if cap else scale * v) / temperature for v in x]
    inside = range(len(z)) if kept is None else kept
    total = lse(z) if full else lse([z[v] for v in inside])
    top = max(z[v] for v in inside)
    share = [math.exp(z[v] - total) for v in inside]
    return {"logprob": z[target] - total if target in inside else -INF, "lse": total,
            "entropy": -math.fsum(p * (z[v] - total) for p, v in zip(share, inside) if p),
            "sum_sq": math.fsum(p * p for p in share), "argmax": min(v for v in inside if z[v] == top),
            **({"mass": lse([z[v] for v in inside]) - total} if full else {})}


class Logprob:
    def __init__(self, golden):
        self.golden = golden

    def write(self, name, note, x, targets, outputs, desc=None, preset=None, inputs=None, counters=None, dtype="F32", status=None):
        tensors = {"in.logits": Tensor(dtype, x), "in.targets": Tensor("I64", targets)}
        for key, (kind, values) in (inputs or {}).items():
            tensors["in." + key] = Tensor(kind, values)
        for key, values in outputs.items():
            tensors["out." + key] = Tensor("I32" if key == "argmax" else "F64", values)
        for key, value in (counters or {}).items():
            tensors["out.diagnostics." + key] = Tensor("U64", [value])
        folder = "policy_logprob" if status is None else "policy_logprob/rejected"
        self.golden.case(folder, name, "policy_logprob_forward", {"dtype": dtype.lower(), "target_dtype": "i64", **(desc or {})}, tensors, note,
                         preset=preset, check={k: CHECK[k] for k in outputs if k in CHECK}, status=status)

    def hand(self, name, note, x, target, printed, desc=None, preset=None, inputs=None, dtype="F32", **options):
        x = [f32(v) for v in x]
        results = row(x, target, **options)
        for key, value in printed.items():
            assert results[key] == value or abs(results[key] - value) <= 2e-9 * max(1, abs(value)), (name, key, results[key], value)
        self.write(name, note, [x], [target], {k: [v] for k, v in results.items()}, desc, preset, inputs, dtype=dtype)


def state(z):
    """What forward would hand over: exponent and 1/s, s in [1, 2), for logits in base e."""
    bits = lse(z) / math.log(2)
    return math.floor(bits), f32(2.0 ** (math.floor(bits) - bits))


def backward(golden, name, note, x, target, by_logprob, by_entropy, printed, desc=None, inputs=None, kept=None, cap=0.0, temperature=1.0,
             alias=None):
    """The gradient of one row; printed: elements of it that stand on the page."""
    x = [f32(v) for v in x]
    results = row(x, target, kept=kept, cap=cap, temperature=temperature)
    z = [(cap * math.tanh(v / cap) if cap else v) / temperature for v in x]
    inside = range(len(x)) if kept is None else kept
    grad = []
    for v, value in enumerate(x):
        share = math.exp(z[v] - results["lse"]) if v in inside else 0.0
        g = by_logprob * ((v == target) - share) if v in inside else 0.0
        if share:
            g -= by_entropy * share * (math.log(share) + results["entropy"])
        grad.append(g / temperature * (1 - math.tanh(value / cap) ** 2 if cap else 1))
    for v, value in printed.items():
        assert abs(grad[v] - value) < 2e-9, (name, v, grad[v], value)
    # relative to log2(e) / temperature, which the library rounds to binary32: within the tolerance
    exponent, inverse = state([z[v] for v in inside])
    words = [exponent, int.from_bytes(struct.pack("<f", inverse), "little", signed=True)]
    tensors = {"in.logits": Tensor("F32", [x]), "in.targets": Tensor("I64", [target]), "in.state": Tensor("I32", [words]),
               "in.grad_logprob": Tensor("F32", [by_logprob]), "in.grad_entropy": Tensor("F32", [by_entropy]),
               "in.entropy": Tensor("F32", [results["entropy"]]), "out.grad_logits": Tensor("F64", [grad])}
    for key, (kind, values) in (inputs or {}).items():
        tensors["in." + key] = Tensor(kind, values)
    golden.case("policy_logprob", name, "policy_logprob_backward", {"dtype": "f32", "target_dtype": "i64", **(desc or {})}, tensors, note,
                check={"grad_logits": {"atol": 2e-6}}, alias=alias)


def write_backward(golden):
    whole = [0.0, 1.0, 2.0]
    backward(golden, "grad_03_logprob", "g_lp = 1", whole, 2, 1, 0, {0: -.090030573, 1: -.244728471, 2: .334759044})
    backward(golden, "grad_03_entropy", "g_H = 1", whole, 2, 0, 1, {0: .141817094, 1: .140770357, 2: -.282587451})
    backward(golden, "grad_03_both", "g_lp = 0.5, g_H = 0.1, over the logits", whole, 0, .5, f32(.1), {0: .469166423, 1: -.1082872, 2: -.360879223},
             alias={"grad_logits": "logits"})
    backward(golden, "grad_04_logprob", "temperature 2", whole, 2, 1, 0, {0: -.093161862, 2: .246759804}, {"temperature": 2}, temperature=2)
    backward(golden, "grad_04_entropy", "temperature 2", whole, 2, 0, 1, {0: .061494126, 1: .024587703, 2: -.086081829}, {"temperature": 2}, temperature=2)
    backward(golden, "grad_05_soft_cap", "a soft cap of 2", [0, 2, -4], 1, 1, 0, {0: -.174451358, 1: .083920093, 2: -.001792453}, {"soft_cap": 2}, cap=2)
    backward(golden, "grad_06_mask", "the third is masked", [0, 1, 2, 3], 3, 1, 1, {2: 0}, {"support": "mask"},
             inputs={"keep_mask": ("U32", [[0b1011]])}, kept=[0, 1, 3])


def write_merge(golden):
    """Logits 0, 1, 2, 3 as shards {0, 1}, {2, 3}: records (M, S, Tm), by the formula."""
    def shard(x, begin, target):
        bits = [v * math.log2(math.e) for v in x]
        m = math.ceil(max(bits))
        e = [2.0 ** (b - m) for b in bits]
        inside = begin <= target < begin + len(x)
        words = struct.pack("<dddiiff", math.fsum(e), math.fsum(w * (b - m) for w, b in zip(e, bits)), math.fsum(w * w for w in e), m,
                            begin + x.index(max(x)), max(x), x[target - begin] if inside else -INF)
        return list(struct.unpack("<5q", words)), (m, math.fsum(e), math.fsum(w * (b - m) for w, b in zip(e, bits)))
    records = [shard([0.0, 1.0], 0, 2), shard([2.0, 3.0], 2, 2)]
    for (_, found), printed in zip(records, ((2, .929570457, -.878727982), (5, .858581032, -.910023200))):
        assert all(abs(a - b) < 1e-8 for a, b in zip(found, printed)), (found, printed)
    results = row([0.0, 1.0, 2.0, 3.0], 2)
    for key, value in {"lse": 3.440189699, "entropy": .947536964, "logprob": -1.440189699}.items():
        assert abs(results[key] - value) < 1e-9
    tensors = {"in.shards": Tensor("I64", [[words] for words, _ in records]), "in.targets": Tensor("I64", [2])}
    for key, value in results.items():
        tensors["out." + key] = Tensor("I32" if key == "argmax" else "F64", [value])
    golden.case("policy_logprob", "14_shards", "policy_logprob_merge",
                {"vocab_size": 2, "vocab_total": 4, "partials": "shard", "num_shards": 2, "target_dtype": "i64"}, tensors,
                "logits 0, 1, 2, 3 on two ranks", check={k: CHECK[k] for k in results if k in CHECK})


def write(golden):
    w = Logprob(golden)
    w.hand("01_equal", "every probability is 1/4", [0, 0, 0, 0], 1,
           {"logprob": -1.386294361, "entropy": 1.386294361, "sum_sq": .25, "argmax": 0})
    logs = [math.log(v) for v in (1, 2, 3, 4)]
    results = row(logs, 3)
    for key, value in {"logprob": -.916290732, "lse": 2.302585093, "entropy": 1.279854226, "sum_sq": .30}.items():
        assert abs(results[key] - value) < 1e-9
    w.hand("02_ratios", "probabilities 0.1 .. 0.4", logs, 3, {})
    w.hand("03_rising", "logits 0, 1, 2", [0, 1, 2], 2,
           {"logprob": -.407605964, "lse": 2.407605964, "entropy": .832395582, "sum_sq": .510543058})
    w.hand("04_temperature", "temperature 2", [0, 1, 2], 2, {"logprob": -.680269671, "entropy": 1.020191337}, {"temperature": 2}, temperature=2)
    w.hand("04_temperatures", "the same per token", [0, 1, 2], 2, {"logprob": -.680269671}, {"temperature": 9},
           inputs={"temperatures": ("F32", [2.0])}, temperature=2)
    w.hand("05_soft_cap", "a soft cap of 2", [0, 2, -4], 1, {"logprob": -.222921016}, {"soft_cap": 2}, cap=2)
    w.hand("06_mask", "the third is masked", [0, 1, 2, 3], 3, {"logprob": -.169846020, "entropy": .524266617}, {"support": "mask"},
           inputs={"keep_mask": ("U32", [[0b1011]])}, kept=[0, 1, 3])
    w.write("06_mask_target", "the target is masked", [[0, 1, 2, 3]], [2], {"logprob": [-INF]}, {"support": "mask"},
            inputs={"keep_mask": ("U32", [[0b1011]])}, counters={"target_outside_support": 1})
    w.hand("07_subset", "yes and no: log sigmoid(1)", [2, 1, 0, 0], 0, {"logprob": -.313261688}, preset="logprob.genprm",
           inputs={"subset_ids": ("I32", [[0, 1]])}, kept=[0, 1])
    w.hand("07_subset_full", "the same of the whole", [2, 1, 0, 0], 0, {"logprob": -.493811709, "mass": -.180550022},
           {"support": "subset", "normalize": "full"}, inputs={"subset_ids": ("I32", [[0, 1]])}, kept=[0, 1], full=True)
    w.write("08_minus_infinity", "-inf has weight 0", [[0, -INF, 0]] * 2, [0, 1],
            {"logprob": [-math.log(2), -INF], "entropy": [math.log(2)] * 2, "sum_sq": [.5] * 2}, counters={"target_outside_support": 1})
    w.write("09_empty", "nothing to choose from", [[-INF, -INF]], [0], {"lse": [-INF], "logprob": [NAN], "entropy": [NAN], "argmax": [-1]},
            counters={"empty_support": 1})
    w.hand("10_large", "large logits", [10000, 9999], 1, {"logprob": -1.313261688, "entropy": .582203109})
    w.write("11_certain", "one finite logit: exact", [[5, -INF, -INF]], [0], {"logprob": [0], "entropy": [0], "sum_sq": [1], "argmax": [0]})
    w.write("12_segment", "a first segment of -inf", [[-INF] * 2048 + [0] * 2048], [4095], {"lse": [7.624618986], "argmax": [2048]}, dtype="BF16")
    assert abs(math.log(2048) - 7.624618986) < 1e-9
    for vocabulary, printed in ((151936, -11.931214659), (128256, -11.761783546)):
        w.hand(f"13_zeros_{vocabulary}", "a whole vocabulary of zeros", [0] * vocabulary, 5, {"logprob": printed}, dtype="BF16")
    w.write("ignored", "an ignored row is not read", [[NAN, NAN], [0, 0]], [-100, 0],
            {"logprob": [0, -math.log(2)], "lse": [0, math.log(2)], "entropy": [0, math.log(2)], "argmax": [-1, 0]})
    w.write("bad_labels", "targets outside the vocabulary", [[0, 0]] * 4, [-1, 2, 2**31, 2**63 - 1],
            {"logprob": [NAN] * 4, "lse": [math.log(2)] * 4}, counters={"bad_label": 4})
    w.write("bad_rows", "NaN, +inf, the range, a temperature", [[NAN, 0], [INF, 0], [3e6, 0], [0, 0], [0, 0]], [1] * 5,
            {"logprob": [NAN, NAN, NAN, NAN, -math.log(2)], "lse": [NAN] * 4 + [math.log(2)], "argmax": [-1] * 4 + [0]},
            inputs={"temperatures": ("F32", [1, 1, 1, 0, 1])}, counters={"nonfinite": 2, "logit_range": 1, "bad_temperature": 1})
    for name, desc, inputs in (("temperature_zero", {"temperature": 0}, None), ("temperature_nan", {"temperature": NAN}, None),
                               ("scale_infinite", {"logit_scale": INF}, None), ("cap_negative", {"soft_cap": -1}, None),
                               ("support_unknown", {"support": 3}, None), ("normalize_unknown", {"normalize": 2}, None),
                               ("mask_missing", {"support": "mask"}, None),
                               ("ids_65", {"support": "subset"}, {"subset_ids": ("I32", [[0] * 65])})):
        w.write("rejected_" + name, name.replace("_", " "), [[0, 0]], [0], {"lse": [0]}, desc, inputs=inputs, status="invalid_argument")
    write_backward(golden)
    write_merge(golden)
