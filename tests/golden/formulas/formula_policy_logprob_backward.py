"""policy_logprob_backward: the gradient by the logits, from the state that forward left."""
import math
import struct

from formula_logprob import DEFAULTS, INF, LN2, NAN, PRESETS, Scale, Supports, label, temperatures
from formula_values import ULP, f32_options, stored

TINY = 2.0 ** -120  # a probability of 2^-125 of the largest is 0


def states(case):
    words = case.inputs["state"].values
    return [(e, struct.unpack("<f", struct.pack("<i", w))[0]) for e, w in zip(words[::2], words[1::2])]


class Row:
    """What a row's gradient is made of, all as the inputs hold it."""

    def __init__(self, case, o, t):
        def at(name, absent):
            return case.inputs[name][t] if name in case.inputs else absent
        self.by_logprob, self.by_entropy, self.entropy = at("grad_logprob", 0.0), at("grad_entropy", 0.0), at("entropy", 0.0)
        self.target, self.begin, self.full = at("targets", None), o["vocab_begin"], o["normalize"] == "full"
        self.share = math.exp(at("mass", 0.0)) if self.full else 1.0  # P

    def element(self, bits, state, times, is_target, off):
        """g_v and its slack, v in K so many times; None: such a state is none of forward, whose sum no weight exceeds."""
        exponent, inverse = state
        if bits == -INF:
            return 0.0, 0.0
        if bits - exponent > 64:
            return None
        pi = 2.0 ** (bits - exponent) * inverse
        log_pi = LN2 * (bits - exponent + math.log2(inverse))
        m = 1 if self.full else times
        missed = is_target and times == 0  # the log-prob is -inf whatever this logit is
        g = self.by_logprob * (0.0 if missed else is_target - m * pi)
        if self.full:
            g -= self.by_entropy * pi * ((log_pi + 1 if times else 0.0) + self.entropy - self.share)
        else:
            g -= self.by_entropy * m * pi * (log_pi + self.entropy)
        first, second = abs(self.by_logprob), abs(self.by_entropy) * (1 + self.entropy + abs(log_pi))
        # a probability is off by its polynomial and scaling (3e-7) and three roundings, the rest by its own; off: by a soft cap
        slack = m * pi * (first * (5e-7 + off) + second * (6e-7 + off)) + is_target * first * 2 * ULP["F32"]
        return g, slack + TINY * (first + second)


def gradient(case, o, t, row, supports, scale, count):
    """[(value, slack)] of one row; None: not defined."""
    r = Row(case, o, t)
    skip, known = label(o, r.target, o["vocab_total"] or len(row)) if r.target is not None else (False, True)
    if skip:
        return [(0.0, 0.0)] * len(row)
    state, ids_good = states(case)[t], supports.good(t)
    count["bad_label"] += not known or not ids_good
    count["bad_temperature"] += not scale.good
    if not known or not scale.good or not ids_good or math.isnan(state[1]):
        return [(NAN, 0.0)] * len(row)
    times = [0] * len(row)
    for v in supports.ids(t):
        times[v] += 1
    result, off = [], 2 * scale.slack()
    for v, (x, bits) in enumerate(zip(row, scale.bits(row))):
        if times[v] == 0 and not r.full:
            result.append((0.0, 0.0))
            continue
        term = r.element(bits, state, times[v], r.begin + v == r.target, off)
        by_x, relative = scale.slope(x)
        result.append(term and (term[0] * by_x, term[1] * abs(by_x) + abs(term[0]) * relative))
    return result


def results(case):
    o = f32_options(case.options(DEFAULTS, PRESETS))
    rows = case.inputs["logits"].rows()
    supports = Supports(case, o, len(rows), len(rows[0]))
    count = {"bad_label": 0, "bad_temperature": 0}
    terms = [term for t, (row, heat) in enumerate(zip(rows, temperatures(case, o, len(rows))))
             for term in gradient(case, o, t, row, supports, Scale(o, heat), count)]
    check, dtype = case.check.get("grad_logits", {}), case.outputs["grad_logits"].dtype
    rtol, atol = check.get("rtol", 0.0), check.get("atol", 0.0)
    return {"grad_logits": [term and stored(term[0], dtype, rtol, max(term[1], atol)) for term in terms],
            **{"diagnostics." + name: [n] for name, n in count.items()}}
