"""What the formulas of preference_pair, preference_list and preference_ordinal share: links, sums and divisors.

A sum of terms is a list of (term, slack): slack is what the term may be off by."""
import math

from formula_values import ULP, Value, rounded
from golden_preference_pair import phi, s, sp

INF, NAN = math.inf, math.nan

# The functions of binary32 are within 1 ulp (losses) and 2.5 ulp (the sigmoid), a product of two sigmoids within 4.
LOSS_SLACK, SLOPE_SLACK = ULP["F32"], 4 * ULP["F32"]
# What is binary64 from its inputs to its one rounding: a few dozen operations and functions, of about 2^-52 each.
DOUBLE_SLACK = 2.0 ** -46


def exponential(x):
    """In binary32: infinite from 88.73 on."""
    return rounded(math.exp(x), "F32") if x < 89 else INF


def link(name, z, parameter=0.0):
    """Value and derivative of the link, each with its slack. Three of them take z rounded to binary32."""
    if name not in ("logistic", "exponential", "sigmoid"):
        value, slope = phi(name, z, parameter)
        if name not in ("exo", "discopop"):
            return (value, abs(value) * DOUBLE_SLACK), (slope, abs(slope) * DOUBLE_SLACK)
        # Differences of terms: what either is made of, not what is left of it, says how well it is known.
        size = sp(z) + sp(-z) + 8 + (math.exp(-z) if name == "discopop" else 0.0)
        return (value, size * DOUBLE_SLACK), (slope, size / (parameter if name == "discopop" else 1) * DOUBLE_SLACK)
    z = rounded(z, "F32")
    value, slope = phi(name, z) if name != "exponential" else (exponential(-z), -exponential(-z))
    return (value, abs(value) * LOSS_SLACK), (slope, abs(slope) * SLOPE_SLACK)


def probability(z):
    """s(z) of z rounded to binary32."""
    return s(rounded(z, "F32"))


def scaled(factor, term):
    """Nothing of a factor 0, not even of an infinity."""
    return (factor * term[0], abs(factor) * term[1]) if factor != 0 else (0.0, 0.0)


def times(scale, term):
    """What is 0 stays 0, be the scale infinite."""
    return scaled(scale, term) if term[0] != 0 else term


def added(terms):
    """A sum in binary64 in some order, with its slack."""
    total = sum(x for x, _ in terms)
    if not math.isfinite(total):
        return total, 0.0
    return math.fsum(x for x, _ in terms), math.fsum(e + abs(x) * DOUBLE_SLACK for x, e in terms)


def over(a, b):
    """a / b as IEEE has it, but 0 where a is 0."""
    if a == 0:
        return 0.0
    if b == 0:
        return NAN if math.isnan(a) else math.copysign(INF, a)
    return a / b


def words(counts, sums):
    """A record of metrics: exact counts, then sums as words of an array of integers."""
    return [Value(n) for n in counts] + [Value(x, 0.0, e, True) for x, e in sums]


def tiles(terms, route_of, num_routes):
    """Sums by tiles of 2048 elements and routes."""
    count = -(-len(terms) // 2048)
    bins = [[] for _ in range(count * num_routes)]
    for i, term in enumerate(terms):
        if route_of[i] is not None:
            bins[i // 2048 * num_routes + route_of[i]].append(term)
    return [added(b) for b in bins]
