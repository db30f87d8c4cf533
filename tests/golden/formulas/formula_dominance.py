"""What dominance_pairwise and dominance_subset share: options, rows of levels, and the comparison of two rows.

    d_n = sign (Q[a,n] - Q[b,n])      x = d - delta if d > delta, d + delta if d < -delta, else 0
    P(a,b) = sum_n w_n [x_n > 0] |x_n|^p     M(a,b) = P(b,a)     T(a,b) = sum_n w_n [x_n = 0]

Differences and the dead zone are rounded to binary32 as the reference says, so that every sign is the one that merit
sees. Absent weights count as 1; `unit` is what the sums are to be divided by instead."""
import bisect
import math
import types
from typing import NamedTuple

from formula_values import rounded

NAN, INF = math.nan, math.inf

SHARED = {"num_states": None, "num_objectives": None, "num_actions": None, "num_levels": None, "dtype": "f32",
          "stride_state": 0, "stride_objective": 0, "stride_action": 0, "stride_level": 0, "weights_stride_state": 0,
          "measure": "quantile", "power": 1, "ties": "exclude", "integrate": False, "sort_levels": False, "sign": None,
          "delta": None}


def per_objective(values, default, count):
    """An option of one value for each objective, in binary32."""
    return [rounded(v, "F32") for v in (values if isinstance(values, list) else [default if values is None else values] * count)]


class Sums(NamedTuple):
    won: float  # P
    lost: float  # M
    tied: float  # T
    ahead: float  # P - M
    unit: float
    error: float  # of P and of M, relative


ALONE = Sums(NAN, NAN, NAN, NAN, 1.0, 0.0)


class State:
    """Rows [objective][action] of one state, and their weights. None in place of a row that cannot be compared."""

    def __init__(self, o, case, b):
        q, weights = case.inputs["q"], case.inputs.get("weights")
        _, self.objectives, self.actions, self.levels = q.shape
        self.o = o
        self.sign = o.sign or [1] * self.objectives
        self.delta = per_objective(o.delta, 0.0, self.objectives)
        n = self.levels
        self.weights = None
        if weights:
            begin = b * n if o.weights_stride_state else 0
            self.weights = weights[begin:begin + n]
        self.bad_weight = bool(weights) and not all(w >= 0 for w in self.weights)
        self.unsorted, self.nan = 0, []
        self.rows, self.sums = [], []
        for m in range(self.objectives):
            begins = [((b * self.objectives + m) * self.actions + a) * n for a in range(self.actions)]
            raw = [q[i:i + n] for i in begins]
            self.nan.append([any(map(math.isnan, row)) for row in raw])
            self.rows.append([self.row(row, spoiled) for row, spoiled in zip(raw, self.nan[m])])
            self.sums.append([self.sum_of(m, row, spoiled) for row, spoiled in zip(raw, self.nan[m])])

    def row(self, row, spoiled):
        if spoiled or self.bad_weight:
            return None
        if self.o.sort_levels:
            return sorted(row)
        if (self.o.measure == "mann_whitney" or self.o.integrate) and row != sorted(row):
            self.unsorted += 1
            return None
        return row

    def sum_of(self, m, row, spoiled):
        """Of the levels in the direction of the objective, in binary64: what means are compared by."""
        if spoiled or self.bad_weight:
            return NAN
        row = sorted(row) if self.o.sort_levels else row
        terms = [w * x for w, x in zip(self.weights, row)] if self.weights else row
        return self.sign[m] * (math.fsum(terms) if all(map(math.isfinite, terms)) else sum(terms))

    def compared(self, m, a, b):
        """Sums of action a over action b."""
        first, second = self.rows[m][a], self.rows[m][b]
        if first is None or second is None:
            return ALONE
        if self.o.measure == "mann_whitney":
            return self.ranked(m, first, second)
        return self.leveled(m, first, second, self.sums[m][a] - self.sums[m][b])

    def ranked(self, m, first, second):
        """Every sample with every sample."""
        below = sum(bisect.bisect_left(second, x) for x in first)
        above = sum(len(second) - bisect.bisect_right(second, x) for x in first)
        won, lost = (below, above) if self.sign[m] > 0 else (above, below)
        return Sums(won, lost, self.levels ** 2 - won - lost, won - lost, self.levels ** 2, 0.0)

    def leveled(self, m, first, second, means):
        p, n = self.o.power, self.levels
        weights = self.weights or [1.0] * n
        delta = self.delta[m] * (n if self.o.integrate and not self.weights else 1)
        won, lost, tied = [], [], []
        running = 0.0
        for w, x, y in zip(weights, first, second):
            d = rounded(self.sign[m] * (x - y), "F32")
            if math.isnan(d) and p == 0:  # the same infinity: a tie
                d = 0.0
            if self.o.integrate:
                running += w * d
                d = running
            if d > delta or d < -delta:
                d -= math.copysign(delta, d)
                d = d if self.o.integrate else rounded(d, "F32")
            elif not math.isnan(d):
                d = 0.0
            if math.isnan(d):
                return ALONE
            (won if d > 0 else lost if d < 0 else tied).append(w * abs(d) ** p)
        P, M, T = math.fsum(won), math.fsum(lost), math.fsum(tied)
        counts = p == 0 and not self.weights
        if p == 1 and not self.o.integrate and self.delta[m] == 0 and not math.isnan(means):
            # Only what the smaller mean wins is summed; the larger has the difference of the means on top.
            P, M = (M + means, M) if means > 0 else (P, P - means)
            ahead = means
        else:
            ahead = P - M
        unit = 1 if self.weights else n ** (p + 1 if self.o.integrate else 1)
        # Sums on four lanes, and a few roundings of each term and the result.
        return Sums(P, M, T, ahead, unit, 0.0 if counts else (n / 4 + 4) * 2.0 ** -24)


def quantile_dominance(o, sums):
    """QD and its error."""
    P, M, T = sums.won, sums.lost, sums.tied
    if math.isnan(P) or math.isnan(M) or math.isinf(P):
        return NAN, 0.0
    if math.isinf(M):
        return 0.0, 0.0
    half = o.measure == "mann_whitney" or o.power == 0 and o.ties == "half"
    won, whole = (P + T / 2, P + M + T) if half else (P, P + M)
    if whole == 0:
        return .5, 0.0
    # Both sums may be off, each by its error, in opposite directions.
    return won / whole, 2 * sums.error * won * (whole - won) / whole ** 2


def options_of(case, defaults, presets):
    return types.SimpleNamespace(**case.options(defaults, presets))
