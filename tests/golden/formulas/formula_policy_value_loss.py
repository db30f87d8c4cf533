"""policy_value_loss: squares or Huber losses of a value head, clipped around the old values."""
import math

from formula_policy import INF, NAN, U, denominator, expected, scale, sequences, tiles, times, total, word
from formula_policy_loss_presets import VALUE_DEFAULTS, VALUE_PRESETS
from formula_policy_surrogate import NOTHING, Comparisons, between
from formula_values import Value, f32_options, rounded


def loss(u, delta):
    """h and h'."""
    if delta == 0:
        return u * u, 2 * u
    if abs(u) <= delta:
        return u * u / 2, u
    return (NAN, NAN) if math.isnan(u) else (delta * (abs(u) - delta / 2), math.copysign(delta, u))


class Token:
    """What one valid token gives, without a_t."""

    def __init__(self, o, v, old, R):
        self.v, self.R, compare = v, R, Comparisons()
        error = rounded(v - R, "F32")
        plain, slope = loss(error, o["huber_delta"])
        other = plain
        if o["clip"] > 0:
            low, high = rounded(old - o["clip"], "F32"), rounded(old + o["clip"], "F32")
            other, _ = loss(rounded(between(v, low, high) - R, "F32"), o["huber_delta"])
        # a square and a product away from u; delta (abs(u) - delta / 2) has a difference besides
        slack = 3 * U * max(plain, other)
        self.clipped = compare.above(other, plain, slack if other != plain else 0.0)
        self.open = compare.open
        self.squared = (error * error, 0.0)  # exact in binary64
        self.loss = times(o["scale"], (max(plain, other) if self.clipped else plain, slack), 1)
        self.slope = NOTHING if self.clipped else times(o["scale"], (slope, 0.0), 2)


def results(case):
    o = f32_options(case.options(VALUE_DEFAULTS, VALUE_PRESETS))
    o["denominator"] = case.desc["denominator"]  # binary64
    D = denominator(case, o)
    value, returns, old = (case.inputs.get(name) for name in ("value", "returns", "old_value"))
    layout, refused = sequences(case)
    gradient, losses, tokens = [NOTHING] * o["num_tokens"], [], []
    for sequence in layout:
        for t in sequence.lost:
            gradient[t] = (NAN, 0.0)
        valid = sequence.tokens if D != 0 else []
        found = [Token(o, value[t], None if old is None else old[t], returns[t]) for t in valid]
        a = scale(sequence, o, D) if valid else 0.0
        losses.append(total(times(a, token.loss) for token in found))
        for t, token in zip(valid, found):
            slope, slack = times(a, token.slope, 2)
            gradient[t] = (slope, INF if token.open else slack)
        tokens += found
    terms = {"loss": [total(losses)], "loss_tiles": tiles(losses), "grad_value": gradient}
    result = {name: expected(case, name, t) for name, t in terms.items() if name in case.outputs}
    result.update({"diagnostics." + name: [n] for name, n in refused.items()})
    sums = [[(t.v, 0.0) for t in tokens], [t.squared for t in tokens], [(t.R, 0.0) for t in tokens],
            [(t.R * t.R, 0.0) for t in tokens]]
    undecided = sum(token.open for token in tokens)
    result["stats"] = [Value(len(tokens)), Value(sum(t.clipped for t in tokens), 0.0, undecided)] + [word(total(s)) for s in sums]
    return result
