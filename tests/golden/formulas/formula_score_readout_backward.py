"""score_readout_backward: gradients of what is read out of heads."""
import math

from formula_score_readout import EXP_SLACK, NOTHING, Levels, Softmax, added, attributes, options, row, transformed, unit_length
from formula_values import held

ZERO = 0.0, 0.0


def upstream(case, name, i):
    return case.inputs["grad_" + name][i] if "grad_" + name in case.inputs else 0.0


def linear(case, o, i, out, count):
    r, v, g = row(case, "inputs", i), row(case, "direction", i), upstream(case, "reward", i)
    length = unit_length(v, o["unit"])
    count["zero_direction"] += length == 0
    if length == 0:
        out["grad_inputs"] += [NOTHING] * len(r)
        out["grad_direction"] += [NOTHING] * len(r)
        return
    reward, slack = added([a * b / length for a, b in zip(r, v)])
    for a, b in zip(r, v):
        out["grad_inputs"].append(added([g * b / length]))
        along = reward * b / length if o["unit"] else 0.0
        out["grad_direction"].append(added([g * a / length, -g * along / length], abs(g * slack * b) / length ** 2))


def gate(case, o, i, out, count):
    r, g = row(case, "inputs", i), upstream(case, "reward", i) * o["scale"]
    s = Softmax(row(case, "gate_logits", i), o["temperature"])
    if s.bad or s.empty:
        out["grad_inputs"] += [NOTHING] * len(r)
        out["grad_gate_logits"] += [NOTHING] * len(r)
        return
    u = transformed(case, r)
    mean, slack = s.mean(u)
    m = case.inputs["transform"].rows() if "transform" in case.inputs else None
    for j in range(len(r)):
        value, moved = s.mean(m[j]) if m else (s.p[j], s.p[j] * 2 * EXP_SLACK)
        out["grad_inputs"].append((g * value, abs(g) * moved))
    for p, x in zip(s.p, u):
        slope = g / o["temperature"] * p
        out["grad_gate_logits"].append((slope * (x - mean), abs(slope) * (slack + abs(x - mean) * 2 * EXP_SLACK)))


def levels(case, o, i, out, count):
    found = Levels(case, o, i)
    s = found.softmax
    count["bad_index"] += found.bad_index
    count["empty_row"] += s.empty
    if s.bad or s.empty:
        out["grad_inputs"] += [ZERO if s.empty else NOTHING] * found.size
        return
    by_mean, by_variance, by_entropy = (upstream(case, name, i) for name in ("mean", "variance", "entropy"))
    (mean, slack), (variance, slack_variance), (entropy, slack_entropy) = found.mean, found.variance, found.entropy
    for k, p in enumerate(s.p):
        if p == 0:
            out["grad_inputs"].append(ZERO)
            continue
        distance = found.values[k] - mean
        terms = [by_mean * distance, by_variance * (found.spread[k] - variance), -by_entropy * (s.log[k] + entropy)]
        moved = abs(by_mean) * slack + abs(by_variance) * (2 * abs(distance) * slack + slack_variance)
        moved += abs(by_entropy) * (slack_entropy + EXP_SLACK)
        value, rest = added(terms, moved)
        out["grad_inputs"].append((p / o["temperature"] * value, p / o["temperature"] * (rest + abs(value) * 2 * EXP_SLACK)))


def quantile(case, o, i, out, count):
    found, crossing = attributes(case, o, i)
    count["crossing"] += crossing
    for a, q in enumerate(found):
        at = i * len(found) + a
        by = {name: upstream(case, name, at) for name in ("mean", "cvar", "iqr")}
        width = case.inputs["inputs"].shape[-1] // len(found)
        slopes = [NOTHING] * width
        for place in range(0 if q.bad else width):
            slopes[q.order[place]] = added([g * getattr(q, name)[place] for name, g in by.items()])
        out["grad_inputs"] += slopes


KINDS = {"linear": linear, "gate": gate, "levels": levels, "quantile": quantile}


def results(case):
    o = options(case)
    out = {name: [] for name in ("grad_inputs", "grad_direction", "grad_gate_logits")}
    count = dict.fromkeys(("zero_direction", "bad_index", "empty_row", "crossing"), 0)
    for i in range(case.inputs["inputs"].shape[0]):
        KINDS[o["kind"]](case, o, i, out, count)
    result = {"diagnostics." + name: [n] for name, n in count.items()}
    for name, terms in out.items():
        if name in case.outputs:
            result[name] = held(case, name, [x for x, _ in terms], 2.0 ** -52, [e if math.isfinite(x) else 0.0 for x, e in terms])
    return result
