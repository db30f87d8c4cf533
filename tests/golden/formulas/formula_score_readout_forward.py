"""score_readout_forward: rewards and moments from the outputs of heads."""
import math

from formula_score_readout import EXP_SLACK, NOTHING, Levels, Softmax, added, attributes, options, row, transformed, unit_length
from formula_values import held


def linear(case, o, i, out, count):
    r, v = row(case, "inputs", i), row(case, "direction", i)
    length = unit_length(v, o["unit"])
    count["zero_direction"] += length == 0
    value, slack = added([a * b for a, b in zip(r, v)])
    out["reward"].append((value / length, slack / length) if length else NOTHING)


def gate(case, o, i, out, count):
    s = Softmax(row(case, "gate_logits", i), o["temperature"])
    r = row(case, "inputs", i)
    if s.bad or s.empty:
        out["reward"].append(NOTHING)
        out["gate"] += [NOTHING] * len(r)
        return
    value, slack = s.mean(transformed(case, r))
    out["reward"].append((o["scale"] * value, abs(o["scale"]) * slack))
    out["gate"] += [(p, p * 2 * EXP_SLACK) for p in s.p]


def levels(case, o, i, out, count):
    found = Levels(case, o, i)
    s = found.softmax
    count["bad_index"] += found.bad_index
    count["empty_row"] += s.empty
    if s.bad or s.empty:
        out["mean"].append((o["empty_value"], 0.0) if s.empty else NOTHING)
        out["variance"].append(NOTHING)
        out["entropy"].append(NOTHING)
        out["prob"] += [NOTHING] * found.size
        return
    for name in ("mean", "variance", "entropy"):
        out[name].append(getattr(found, name))
    out["prob"] += [(p, p * 2 * EXP_SLACK) for p in s.p]


def quantile(case, o, i, out, count):
    found, crossing = attributes(case, o, i)
    count["crossing"] += crossing
    for q in found:
        for name in ("mean", "cvar", "iqr"):
            out[name].append(NOTHING if q.bad else q.along(getattr(q, name)))


KINDS = {"linear": linear, "gate": gate, "levels": levels, "quantile": quantile}


def results(case):
    o = options(case)
    out = {name: [] for name in ("reward", "gate", "mean", "variance", "entropy", "prob", "cvar", "iqr")}
    count = dict.fromkeys(("zero_direction", "bad_index", "empty_row", "crossing"), 0)
    for i in range(case.inputs["inputs"].shape[0]):
        KINDS[o["kind"]](case, o, i, out, count)
    result = {"diagnostics." + name: [n] for name, n in count.items()}
    for name, terms in out.items():
        if name in case.outputs:
            result[name] = held(case, name, [x for x, _ in terms], 2.0 ** -52, [e if math.isfinite(x) else 0.0 for x, e in terms])
    return result
