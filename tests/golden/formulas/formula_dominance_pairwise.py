"""dominance_pairwise: share QD(a,b) and gain P(a,b) of every action over every other."""
import math

from formula_dominance import SHARED, State, options_of, quantile_dominance
from formula_values import stored

DEFAULTS = SHARED
OPTIONS = {name: SHARED[name] for name in ("measure", "power", "ties", "integrate", "sort_levels", "sign", "delta")}
PRESETS = {"qd.area": OPTIONS, "qd.win_rate": {**OPTIONS, "power": 0, "ties": "half"}, "qd.strict": {**OPTIONS, "power": 0},
           "aso": {**OPTIONS, "power": 2}, "second_order": {**OPTIONS, "integrate": True},
           "mann_whitney": {**OPTIONS, "measure": "mann_whitney"}}


def results(case):
    o = options_of(case, DEFAULTS, PRESETS)
    types = {name: case.outputs[name].dtype for name in ("qd", "gain") if name in case.outputs}
    qd, gain, unsorted, bad_weight = [], [], 0, 0
    for b in range(case.inputs["q"].shape[0]):
        state = State(o, case, b)
        unsorted += state.unsorted
        bad_weight += state.bad_weight
        for m in range(state.objectives):
            for a in range(state.actions):
                for other in range(state.actions):
                    if a == other:
                        qd.append(.5)
                        gain.append(0.0)
                        continue
                    sums = state.compared(m, a, other)
                    share, error = quantile_dominance(o, sums)
                    # A quotient in binary64, or what another leaves of 1.
                    qd.append(stored(share, types.get("qd", "F32"), 2.0 ** -52, error + 2.0 ** -53))
                    gain.append(stored(sums.won / sums.unit, types.get("gain", "F32"), sums.error))
    return {"qd": qd, "gain": gain, "diagnostics.unsorted": [unsorted], "diagnostics.bad_weight": [bad_weight]}
