"""Surrogates, divergence masks and KL estimators of one token: values and derivatives, each with its slack."""
import math

from formula_policy import HALF, INF, NAN, U

NOTHING = (0.0, 0.0)


def exponential(x, slack):
    """e^x in binary32, x known to slack: infinite from 88.73 on."""
    if math.isnan(x):
        return NAN, 0.0
    if x >= 88.7228:
        return INF, 0.0
    value = math.exp(x)
    return value, 0.0 if x == 0 and slack == 0 else value * (U + slack) + 2.0 ** -149


def between(x, low, high):
    """Clipped; NaN stays."""
    return low if x < low else high if x > high else x


def clipped(x, slack, low, high):
    """The same and what is left of the slack: nothing beyond a bound, never more than lies between both."""
    if math.isnan(x):
        return x, slack
    return between(x, low, high), 0.0 if x + slack < low or x - slack > high else min(slack, high - low)


class Comparisons:
    """Strict ones; `open` once two sides were closer than they are known."""

    def __init__(self):
        self.open = False

    def above(self, x, bound, slack):
        self.open |= slack > 0 and math.isfinite(bound) and abs(x - bound) <= slack + abs(bound) * U
        return x > bound

    def below(self, x, bound, slack):
        return self.above(-x, -bound, slack)


def bounds(o, alt, A):
    """Of the ratio, by the sign of A; NaN: as where A is not negative."""
    if alt:
        return o["alt_low"], o["alt_high"]
    pairs = [(o[side + "_negative"], o[side]) for side in ("ratio_low", "ratio_high")]
    return tuple(plain if A >= 0 or math.isnan(own) else own for own, plain in pairs)


class Surrogate:
    """l, its derivative by the log-ratio (by_ratio) and the rest of that by lp (by_logprob); and the events counted."""

    def __init__(self, o, alt, A, lp, rho, r, compare):
        self.o, self.A, self.lp, self.rho, self.r, self.compare = o, A, lp, rho, r, compare
        self.low, self.high = bounds(o, alt, A)
        self.value = self.by_ratio = self.by_logprob = NOTHING
        self.events = set()
        self.kind = o["surrogate_alt" if alt else "surrogate"]
        getattr(self, self.kind)()
        if math.isnan(self.value[0]):
            self.by_ratio = (NAN, 0.0)

    def count_bounds(self):
        r, slack = self.r
        if self.A < 0 and self.compare.below(r, self.low, slack):
            self.events.add("clipped_low")
        if self.A > 0 and self.compare.above(r, self.high, slack):
            self.events.add("clipped_high")

    def clip(self):
        A, (r, slack), cap, dual = self.A, self.r, self.o["ratio_cap"] or INF, self.o["dual_clip"]
        self.count_bounds()
        capped = self.compare.above(r, cap, slack)
        if capped:
            self.events.add("capped")
        if A == 0:
            return
        inside, left = clipped(r, slack, self.low, self.high)
        first, second = -A * (cap if capped else r), -A * inside
        q = NAN if math.isnan(r) else max(first, second)
        flows = first >= second and not capped
        off = left if first < second else 0.0 if capped else slack
        if A < 0 and dual > 0 and self.compare.above(q / -A, dual, slack):
            self.events.add("dual_clipped")
            q, flows, off = -dual * A, False, 0.0
        self.value = (q, abs(A) * off + abs(q) * HALF)
        if flows:
            self.by_ratio = (-A * r, abs(A) * slack + abs(A * r) * HALF)

    def detached(self):
        self.count_bounds()
        ratio, off = clipped(*self.r, self.low, self.high)
        slope = -ratio * self.A
        slack = abs(self.A) * off + abs(slope) * HALF
        self.by_logprob = (slope, slack)
        self.value = (slope * self.lp, slack * abs(self.lp) + abs(slope * self.lp) * HALF)

    def gate(self):
        """The slope of the sigmoid makes slack of r, and of its own argument, tau (r - 1)."""
        A, (r, slack) = self.A, self.r
        tau = self.o["gate_tau_positive" if A > 0 else "gate_tau_negative"]
        z = tau * (r - 1)
        s, rest = 1 / (1 + math.exp(-min(z, 700))), 1 / (1 + math.exp(min(z, 700)))
        off = tau * slack + abs(z) * U
        value, slope = -4 * A / tau * s, -4 * A * s * rest * r
        self.value = (value, abs(value) * (rest * off + 4 * U))
        self.by_ratio = (slope, abs(slope) * (off + (slack / r if r else 0.0) + 8 * U))

    def quadratic(self):
        A, c, rho = self.A, self.o["quadratic"], self.rho
        self.value = (-(A * self.lp - c / 2 * rho * rho), (abs(A * self.lp) + 2 * c * rho * rho) * U)
        self.by_logprob = (-A + c * rho, (abs(A) + 2 * c * abs(rho)) * U)

    def reshape(self):
        c, p = self.o["reshape"], math.exp(self.lp)
        value, slope = -self.A * p / (p + c), -self.A * p * c / (p + c) ** 2
        self.value, self.by_logprob = (value, abs(value) * 4 * U), (slope, abs(slope) * 6 * U)


def diverged(o, A, lp, anchor, compare):
    """Whether the policy is too far from the anchor, which pi and o of binary32 decide."""
    pi, other = math.exp(lp), math.exp(anchor)
    bound = o["divergence_high" if A > 0 else "divergence_low"]
    if o["divergence"] == "tv":
        gap = pi - other if A > 0 else other - pi
        return compare.above(gap, bound, 2 * U)
    away = compare.above(pi, other, 0) if A > 0 else compare.below(pi, other, 0)
    D = other * (anchor - lp) + (1 - other) * math.log((1 - other + 1e-8) / (1 - pi + 1e-8))
    # 1 - o and 1 - pi inherit the absolute errors of o and pi
    return away and compare.above(D, bound, 4 * U * (1 + abs(anchor - lp) + (1 - other) / (1 - pi + 1e-8)))


def divergence(o, d, compare):
    """KL of d = ref - lp after its clamps, and its derivative by lp; whether a clamp bites."""
    bites = compare.above(abs(d), o["kl_input_clamp"], 0)
    d = between(d, -o["kl_input_clamp"], o["kl_input_clamp"])
    k3 = math.expm1(d) - d if abs(d) > 1e-4 else d * d / 2 * (1 + d / 3)
    value = {"k1": -d, "k2": d * d / 2, "k3": k3, "abs": abs(d)}[o["kl"]]
    slope = {"k1": 1.0, "k2": -d, "k3": -math.expm1(d), "abs": -math.copysign(1.0, d) if d else 0.0}[o["kl"]]
    if o["kl_gradient"] == "squared":
        slope = -d
    slack = abs(value) * 2 * U
    bites |= compare.above(abs(value), o["kl_output_clamp"], slack)
    held = clipped(value, slack, -o["kl_output_clamp"], o["kl_output_clamp"])
    return held, NOTHING if bites else (slope, abs(slope) * 2 * U), bites
