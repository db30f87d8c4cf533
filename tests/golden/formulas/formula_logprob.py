"""What the formulas of policy_logprob share: options, logits in base 2, supports, and the sums of a row.

The family's page defines temperatures as they act: c = log2(e) logit_scale / temperature, rounded to binary32; under a soft
cap the capped logit times log2(e) / temperature, rounded. Everything is exact arithmetic from there on."""
import math

from formula_values import ULP, Packed, Value, rounded, stored

INF, NAN = math.inf, math.nan
LN2 = math.log(2)
SEGMENT = 2048

DEFAULTS = {
    "num_tokens": 0, "vocab_size": 1, "ld_logits": 0, "ld_mask": 0, "ld_subset": 0, "dtype": "bf16", "target_dtype": "i64",
    "subset_size": 0, "temperature": 1.0, "logit_scale": 1.0, "soft_cap": 0.0, "support": "all", "normalize": "support",
    "ignore_index": -100, "vocab_begin": 0, "vocab_total": 0, "partials": "none", "num_shards": 1,
}
PRESETS = {"logprob.default": {}, "logprob.trl": {"temperature": NAN, "logit_scale": NAN, "soft_cap": NAN},
           "logprob.genprm": {"support": "subset"}}

# Of a sum of e = 2^(bits - M) in binary32: the polynomial of degree 5 and its scaling (3e-7), and the seven additions of a
# lane and eight of the tree over lanes (9e-7), each rounded.
SUM = 1.2e-6
CAP = 4e-7  # of soft_cap / temperature: the tanh of binary32 and the rounding of the capped logit


COUNTERS = ("bad_label", "target_outside_support", "empty_support", "nonfinite", "logit_range", "bad_temperature")
FIELDS = ("logprob", "lse", "entropy", "sum_sq", "mass")
INVALID = {**{name: (NAN, 0.0) for name in FIELDS}, "argmax": -1, "state": (None, None)}
IGNORED = {**INVALID, **{name: (0.0, 0.0) for name in FIELDS}}


class Scale:
    """From a logit to base 2."""

    def __init__(self, o, temperature):
        self.temperature, self.cap, self.scale = temperature, o["soft_cap"], o["logit_scale"]
        self.good = temperature > 0 and math.isfinite(temperature)
        if self.good:
            c = 1 / LN2 / temperature * (1.0 if self.cap else self.scale)
            self.c = rounded(c, "F32")

    def entering(self, row):
        """What enters the sums, times c: logits, or capped ones. -inf stays: it has no weight, capped or not."""
        cap = self.cap
        return [x if x == -INF else cap * math.tanh(self.scale * x / cap) for x in row] if cap else row

    def bits(self, row):
        return [x * self.c for x in self.entering(row)]

    def slack(self):
        """Of logits in base e."""
        return CAP * self.cap / self.temperature

    def slope(self, x):
        """dz/dx, and what binary32 makes of it: 1 - tanh^2 has the absolute error of a tanh."""
        gain = self.scale / self.temperature
        if not self.cap or x == -INF:
            return gain, abs(gain) * 2 * ULP["F32"]
        flat = 1 - math.tanh(self.scale * x / self.cap) ** 2
        return gain * flat, abs(gain) * (4 * ULP["F32"] + flat * 4 * ULP["F32"])


class Supports:
    """K of each row: how often each id counts, None for all."""

    def __init__(self, case, o, tokens, vocab):
        self.kind, self.vocab = o["support"], vocab
        array = case.inputs.get({"mask": "keep_mask", "subset": "subset_ids"}.get(self.kind))
        rows = array.rows() if array is not None else []
        self.rows = rows * tokens if len(rows) == 1 else rows

    def good(self, t):
        return self.kind != "subset" or all(0 <= v < self.vocab for v in self.rows[t])

    def ids(self, t):
        """Rising, repeated as often as they count."""
        if self.kind == "all":
            return range(self.vocab)
        if self.kind == "subset":
            return sorted(self.rows[t])
        return [v for v in range(self.vocab) if self.rows[t][v // 32] >> v % 32 & 1]


class Sums:
    """Of e = 2^(bits - M), e (bits - M) and e^2 over what is above -inf."""

    def __init__(self, bits, M=None):
        bits = [b for b in bits if b != -INF]
        self.M = (math.ceil(rounded(max(bits), "F32")) if bits else 0) if M is None else M
        below = [b - self.M for b in bits]
        weights = list(map(math.exp2, below))
        self.sum = math.fsum(weights)
        self.moment = math.fsum(map(float.__mul__, weights, below))
        self.squares = math.fsum(map(float.__mul__, weights, weights))

    def total(self):
        """Base-2 logarithm of the sum of 2^bits."""
        return self.M + math.log2(self.sum) if self.sum else -INF


def label(o, target, vocab):
    """Whether a target says to skip, and whether it is one."""
    return target == o["ignore_index"], 0 <= target < vocab


def temperatures(case, o, tokens):
    array = case.inputs.get("temperatures")
    return array.values if array is not None else [o["temperature"]] * tokens


def state(total, off):
    """exponent and 1/s; which of two neighbors is open where s is 1 but for rounding."""
    exponent = math.floor(total)
    if abs(total - round(total)) < 2 * off:
        return None, None
    return Value(exponent), Packed((stored(2.0 ** (exponent - total), "F32", off),), "f")


def finish(inside, whole, target, slack, error=SUM):
    """Results of a row by the sums over K and over what it is normalized by; target: its logit in base 2, if any.
    slack: of each logit. error: of each sum, relative."""
    total, share = whole.total(), 2.0 ** (inside.M - whole.M) * inside.sum / whole.sum
    off = error + 2 * slack  # of a sum, so of its logarithm in base e
    logprob = (NAN, 0.0) if target is None else (-INF, 0.0) if target == -INF else (min(0.0, LN2 * (target - total)), off)
    # pi log pi = share of (bits - total), with the moment about M
    mean = inside.moment / inside.sum + inside.M
    entropy = max(0.0, LN2 * share * (total - mean))
    squares = inside.squares / inside.sum / inside.sum * share * share
    return {"logprob": logprob, "lse": (LN2 * total, off), "entropy": (entropy, 2.5 * error * (1 + entropy) + 4 * slack),
            "sum_sq": (squares, squares * (3 * error + 4 * slack)), "mass": (LN2 * (inside.total() - total), 2 * off),
            "state": state(total, off)}


def held(case, found, count):
    """Results of all rows as the case holds them."""
    result = {"diagnostics." + name: [n] for name, n in count.items()}
    result.update(argmax=[f["argmax"] for f in found], state=[word for f in found for word in f["state"]])
    for name in FIELDS:
        if name in case.outputs:
            check = case.check.get(name, {})
            rtol, atol, dtype = check.get("rtol", 0.0), check.get("atol", 0.0), case.outputs[name].dtype
            result[name] = [stored(x, dtype, rtol, max(slack, atol)) for x, slack in (f[name] for f in found)]
    return result
