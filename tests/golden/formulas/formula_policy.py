"""What the formulas of policy_loss, policy_value_loss and policy_count share: sequences, divisors, and sums that know how far
they may be off. A term is (value, slack): slack is what binary32 may have changed of it."""
import math

from formula_values import ULP, Value, stored

INF, NAN = math.inf, math.nan
U = ULP["F32"]  # also: what a function of binary32 with at most 1 ulp may be off by
HALF = U / 2  # one rounding
DOUBLE = 2.0 ** -46  # a few dozen operations in binary64


class Sequence:
    """tokens: the valid ones; those of a refused sequence are in `lost`, and it has none."""

    def __init__(self, i, tokens, lost=()):
        self.i, self.tokens, self.lost = i, tokens, lost


def sequences(case):
    """All of the case, and how many were refused for each reason."""
    layout, mask = case.desc.get("sequences", {}), case.inputs.get("mask")
    size, offsets = case.desc["num_tokens"], case.inputs.get("sequences.offsets")
    if offsets is None:
        width, step = layout["group_size"], layout.get("group_stride") or layout["group_size"]
        spans = [(i * step, i * step + width) for i in range(layout["num_groups"])]
    else:
        spans = list(zip(offsets, offsets.values[1:]))
    result, refused = [], {"bad_offsets": 0, "group_too_large": 0}
    for i, (begin, end) in enumerate(spans):
        reason = None
        if not 0 <= begin <= end <= size:
            reason = "bad_offsets"
        elif 0 < layout.get("max_size", 0) < end - begin:
            reason = "group_too_large"
        if reason:
            refused[reason] += 1
            result.append(Sequence(i, [], range(max(begin, 0), min(end, size))))
        else:
            result.append(Sequence(i, [t for t in range(begin, end) if mask is None or mask[t]]))
    return result, refused


def denominator(case, options):
    return options["denominator"] or case.inputs["denominator"][0]


def scale(sequence, o, D, weight=1.0):
    """a_t."""
    return weight / (len(sequence.tokens) * D if o["aggregation"] == "sequence" else D)


def total(terms):
    """Their sum in binary64."""
    terms = list(terms)
    plain = sum(x for x, _ in terms)
    if not math.isfinite(plain):
        return plain, 0.0
    return math.fsum(x for x, _ in terms), math.fsum(e + abs(x) * DOUBLE for x, e in terms)


def added(a, b):
    return a[0] + b[0], a[1] + b[1]


def times(factor, term, roundings=0):
    """The product, rounded so often to binary32."""
    value = factor * term[0]
    return value, abs(factor) * term[1] + abs(value) * roundings * HALF


def tiles(by_sequence):
    """Sums of 2048 sequences."""
    return [total(by_sequence[i:i + 2048]) for i in range(0, len(by_sequence), 2048)]


def expected(case, output, terms):
    """As the case holds them: what is not decided (slack inf) is not compared."""
    check, dtype = case.check.get(output, {}), case.outputs[output].dtype
    rtol, atol = check.get("rtol", 0.0), check.get("atol", 0.0)
    return [None if e == INF else stored(x, dtype, rtol, max(e, atol)) for x, e in terms]


def word(term):
    """A binary64 of a record."""
    return Value(term[0], 0.0, term[1], True)
