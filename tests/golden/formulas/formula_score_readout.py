"""What score_readout_forward and score_readout_backward share. Every result is (value, slack).

Exponentials are of binary32, of gaps to the largest that are rounded to binary32, and within 1 ulp: a probability is off
by its own share of that, and what follows from all of them by the sum of what each of them moves."""
import math

from formula_values import ULP, f32_options, rounded

INF, NAN = math.inf, math.nan
EXP_SLACK, DOUBLE_SLACK = ULP["F32"], 2.0 ** -46
NOTHING = NAN, 0.0

DEFAULTS = {
    "num_rows": 0, "num_columns": 1, "num_logits": 0, "input_dtype": "f32", "input_stride": 0, "gate_stride": 0,
    "direction_stride": 0, "grad_stride": 0, "kind": "linear", "unit": False, "temperature": 1.0, "scale": 1.0,
    "num_attributes": 1, "alpha": 1.0, "sort": False, "empty_value": NAN,
}
PRESETS = {
    "dpa": {"unit": True}, "aligner.merge": {}, "wildbench": {}, "cosine": {"unit": True},
    "armo": {"kind": "gate", "temperature": 10.0, "scale": NAN}, "oprm": {"kind": "levels"},
    "genprm": {"kind": "levels", "empty_value": .5}, "prm.plus_minus": {"kind": "levels"},
    "qrm": {"kind": "quantile", "num_attributes": 5, "sort": True},
}


def options(case):
    return f32_options(case.options(DEFAULTS, PRESETS))


def added(values, slack=0.0):
    """A sum in binary64; slack beyond that of its rounding."""
    value = sum(values)
    if not math.isfinite(value):
        return value, 0.0
    return math.fsum(values), slack + math.fsum(map(abs, values)) * DOUBLE_SLACK


def row(case, name, i):
    """One row of a matrix; the only row of a vector."""
    array = case.inputs[name]
    width = array.shape[-1]
    return array.values[i * width:(i + 1) * width] if len(array.shape) > 1 and array.shape[0] > 1 else array.values[:width]


class Softmax:
    """Probabilities and their logarithms; bad: a NaN or +inf; empty: all -inf."""

    def __init__(self, logits, temperature):
        self.bad = any(math.isnan(y) or y == INF for y in logits)
        self.empty = not self.bad and max(logits) == -INF
        if self.bad or self.empty:
            return
        top = max(logits)
        gaps = [rounded((y - top) / temperature, "F32") for y in logits]
        total = math.fsum(map(math.exp, gaps))
        self.p = [math.exp(x) / total for x in gaps]
        self.log = [x - math.log(total) for x in gaps]

    def mean(self, values):
        """Sum of p_k v_k; a term moves it by its distance from the mean."""
        mean = math.fsum(p * v for p, v in zip(self.p, values) if p)
        slack = math.fsum(p * abs(v - mean) for p, v in zip(self.p, values) if p) * EXP_SLACK
        return mean, slack + math.fsum(p * abs(v) for p, v in zip(self.p, values) if p) * DOUBLE_SLACK


def unit_length(v, unit):
    return math.sqrt(math.fsum(x * x for x in v)) if unit else 1.0


# Gates ---------------------------------------------------------------------------------------------

def transformed(case, r):
    """u = r M; M: transform or identity."""
    if "transform" not in case.inputs:
        return list(r)
    m = case.inputs["transform"].rows()
    return [math.fsum(x * m[j][k] for j, x in enumerate(r)) for k in range(len(m[0]))]


# Levels --------------------------------------------------------------------------------------------

class Levels:
    """Of one row: its distribution, values and moments; bad_index: the index leaves the logits."""

    def __init__(self, case, o, i):
        logits = row(case, "inputs", i)
        self.bad_index = False
        if "level_index" in case.inputs:
            index = case.inputs["level_index"].values
            self.bad_index = not all(0 <= k < len(logits) for k in index)
            logits = [NAN if self.bad_index else logits[k] for k in index]
        self.size = len(logits)
        self.values = case.inputs["level_values"].values if "level_values" in case.inputs else range(1, self.size + 1)
        self.softmax = s = Softmax(logits, o["temperature"])
        if s.bad or s.empty:
            return
        self.mean = s.mean(self.values)
        self.spread = [(v - self.mean[0]) ** 2 for v in self.values]
        self.variance = s.mean(self.spread)
        value, slack = s.mean([-x if x > -INF else 0.0 for x in s.log])
        self.entropy = value, slack + 2 * EXP_SLACK * (1 - max(s.p)) + DOUBLE_SLACK


# Quantiles -----------------------------------------------------------------------------------------

class Quantiles:
    """Levels of one attribute: their order, values and weights in it; mean, lower tail and quartiles as weights."""

    def __init__(self, case, o, levels):
        n = len(levels)
        given = case.inputs["level_weights"].values if "level_weights" in case.inputs else None
        self.crossing = not o["sort"] and any(a > b for a, b in zip(levels, levels[1:]))
        self.bad = any(map(math.isnan, levels)) or self.crossing
        if self.bad:
            return
        self.order = sorted(range(n), key=lambda i: levels[i])  # stable: ties by index
        self.levels = [levels[i] for i in self.order]
        weights = [given[i] if given else 1 / n for i in self.order]
        reached = [math.fsum(weights[:i + 1]) if given else (i + 1) / n for i in range(n)]
        alpha = o["alpha"]
        self.mean = weights
        below = [0.0, *reached[:-1]]
        ends = [*reached[:-1], max(reached[-1], 1.0)]
        self.cvar = weights if alpha == 1 else [max(min(alpha, end) - start, 0.0) / alpha for start, end in zip(below, ends)]
        quartile = [next((i for i, at in enumerate(reached) if at >= q), n - 1) for q in (.25, .75)]
        self.iqr = [float(i == quartile[1]) - float(i == quartile[0]) for i in range(n)]

    def along(self, weights):
        return added([w * x for w, x in zip(weights, self.levels) if w])


def attributes(case, o, i):
    """Quantiles of each attribute of a row, and how many cross."""
    levels, count = row(case, "inputs", i), o["num_attributes"]
    width = len(levels) // count
    found = [Quantiles(case, o, levels[a * width:(a + 1) * width]) for a in range(count)]
    return found, sum(q.crossing for q in found)
