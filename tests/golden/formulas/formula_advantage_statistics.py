"""Statistics of one group: moments, transformed rewards, centers and scales, in binary64 with exact sums.

The formulas follow Shao et al. 2024 (GRPO), Ahmadian et al. 2024 (RLOO) and the reference of advantage_group. The last
member of a result is what binary64 loses: an absolute error of a value, in units of the value."""
import bisect
import math
from typing import NamedTuple

from golden_advantage import leave_one_out_lme, softmax

NAN = math.nan
LOST = 2.0 ** -50  # of the largest value: what the header promises of means


class Moments(NamedTuple):
    count: float
    mean: float
    m2: float
    low: float
    high: float


def total(values):
    """Exact, then rounded once; infinities follow IEEE."""
    return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)


def moments(values):
    if not values:
        return Moments(0, NAN, 0.0, NAN, NAN)
    if any(map(math.isnan, values)):
        return Moments(len(values), NAN, NAN, NAN, NAN)
    low, high = min(values), max(values)
    if low == high and math.isfinite(low):  # exactly, whatever a sum of equal values rounds to
        return Moments(len(values), low, 0.0, low, high)
    mean = total(values) / len(values)
    return Moments(len(values), mean, total([(x - mean) ** 2 for x in values]), low, high)


def weighted_mean(values, weights):
    whole = total(weights)
    if whole == 0:
        return NAN
    if values and min(values) == max(values) and math.isfinite(values[0]):
        return values[0]
    return total([w * x for w, x in zip(weights, values)]) / whole


def ranked(o, x, inside):
    """1 - k / (n - 1): k counts the members of the statistics with a larger reward, and by the rule of ties the equal."""
    population = sorted(v for v, member in zip(x, inside) if member)
    n, out, earlier = len(population), [], {}
    for v, member in zip(x, inside):
        left, right = bisect.bisect_left(population, v), bisect.bisect_right(population, v)
        k = n - right
        if o.rank_ties == "average":  # itself counts among the ties
            k += (right - left - (1 if member else 0)) / 2
        if o.rank_ties == "ordinal":
            k += earlier.get(v, 0)
        if member:
            earlier[v] = earlier.get(v, 0) + 1
        out.append(1 - k / (n - 1) if n > 1 else 0.0)
    return out


def transformed(o, x, inside):
    """u of every member, and the error of each. x of one outside the statistics is compared with them."""
    population = [v for v, member in zip(x, inside) if member]
    n = len(population)
    if o.transform == "none" or n == 0:
        return x, [0.0] * len(x)
    if any(map(math.isnan, population)):
        return [NAN] * len(x), [0.0] * len(x)
    top = max(map(abs, population))
    if o.transform == "rank":
        return ranked(o, x, inside), [LOST] * len(x)
    if o.transform == "softmax":
        peak = max(population)
        whole = math.fsum(math.exp((v - peak) / o.temperature) for v in population)
        own = iter(softmax(population, o.temperature))
        u = [next(own) if member else math.exp((v - peak) / o.temperature) / whole for v, member in zip(x, inside)]
        # The exponent is rounded: an error of half an ulp of it is one relative to the result.
        return u, [a * 2.0 ** -52 * (2 + abs(v - peak) / o.temperature) for a, v in zip(u, x)]
    if n == 1 and inside.count(True) == len(x):
        return x, [0.0] * len(x)  # its value, where the rule for one member wants it
    own = iter(leave_one_out_lme(population) if n > 1 else population)
    peak = max(population)
    others = peak + math.log(math.fsum(math.exp(v - peak) for v in population))
    u = []
    for v, member in zip(x, inside):
        d = v - others
        u.append(next(own) if member else max(d, 0.0) + math.log1p(math.exp(-abs(d))) - math.log((n + 1) / n))
    return u, [0.0 if min(population) == max(population) else 2.0 ** -51 * (2 + top + abs(v)) for v in x]


def centered(o, u, inside, mean, baselines):
    """u - center; mean: of the level of the center."""
    population = [v for v, member in zip(u, inside) if member]
    n = len(population)
    if o.center == "none":
        return u[:]
    if o.center == "baseline":
        return [v - b for v, b in zip(u, baselines)]
    if o.center == "runner_up":
        if any(map(math.isnan, population)) or n < 2:
            return [NAN if any(map(math.isnan, population)) else 0.0] * len(u)
        second, first = sorted(population)[-2:]
        best = next(i for i, (v, member) in enumerate(zip(u, inside)) if member and v == first)
        return [first - second if i == best else 0.0 for i in range(len(u))]
    own = n / (n - 1) if o.center == "leave_one_out" and n > 1 else 1.0
    return [(v - mean) * own if member else v - mean for v, member in zip(u, inside)]


def scale_of(o, u, c, inside, population):
    """The scale of a group; None: undefined, for it has too few members."""
    n = population.count
    values = [v for v, member in zip(u, inside) if member]
    if o.scale in ("std", "leave_one_out_std", "rms") and n <= o.ddof:
        return None
    if o.scale in ("std", "leave_one_out_std"):
        return math.sqrt(population.m2 / (n - o.ddof))
    if math.isnan(population.mean):
        return NAN
    if o.scale == "rms":
        return math.sqrt(total([d * d for d, member in zip(c, inside) if member]) / (n - o.ddof))
    if o.scale == "mean":
        return population.mean
    if o.scale == "mean_abs":
        return total([abs(v - population.mean) for v in values]) / n
    return max(sum(v != 0 for v in values), 1) / n


def deviation_of_others(o, values, i):
    others = moments(values[:i] + values[i + 1:])
    if others.count < 2:
        return 0.0
    return math.sqrt(others.m2 / (others.count - o.ddof))
