"""dominance_quantile_target: reward + g q_next of the chosen action, fused and rounded once to binary32."""
import math
import struct
from fractions import Fraction

from formula_values import rounded

UNTOUCHED, = struct.unpack("<f", b"\xcd" * 4)  # what lies in outputs before the call
DEFAULTS = {"num_states": None, "num_objectives": None, "num_actions": None, "num_levels": None, "dtype": "f32",
            "stride_state": 0, "stride_objective": 0, "stride_action": 0, "stride_level": 0, "ld_target": 0,
            "mode": "shared", "gamma": None}
PRESETS = {"td.shared": {"mode": "shared", "gamma": None}, "td.restricted": {"mode": "restricted", "gamma": None},
           "td.mixture": {"mode": "mixture", "gamma": None}}
GAMMA = .99


def fused(g, z, r):
    """g z + r of binary32 numbers, rounded once."""
    product = g * z  # exact in binary64
    total = product + r
    if not math.isfinite(total):
        return total
    rest = Fraction(product) + Fraction(r) - Fraction(total)
    if rest and math.frexp(total)[0] * 2 ** 53 % 2 == 0:  # to the odd neighbor: the second rounding is then the only one
        total = math.nextafter(total, math.copysign(math.inf, rest))
    return rounded(total, "F32")


def actions_of(o, case, b, m, objectives, count):
    """Chosen actions of a row; None: one is outside."""
    if o["mode"] == "mixture":
        words = (count + 31) // 32
        bits = [a for a in range(32 * words) if case.inputs["final"][b * words + a // 32] >> a % 32 & 1]
        return None if any(a >= count for a in bits) else bits
    action = case.inputs["action"][b] if o["mode"] == "shared" else case.inputs["greedy"][b * objectives + m]
    return [action] if 0 <= action < count else None


def results(case):
    o, inputs = case.options(DEFAULTS, PRESETS), case.inputs
    q = inputs["q_next"]
    states, objectives, actions, levels = q.shape
    done, discount, bad, targets, counts = inputs.get("done"), inputs.get("discount"), 0, [], []
    for b in range(states):
        for m in range(objectives):
            r = inputs["reward"][b * objectives + m]
            g = discount[b * objectives + m] if discount else rounded(o["gamma"][m] if o["gamma"] else GAMMA, "F32")
            chosen = actions_of(o, case, b, m, objectives, actions)
            if done and done[b]:  # neither q_next nor the action is looked at, but for the number of samples
                row = [r] * (levels * max(len(chosen or [0]), 1))
            elif chosen is None:
                bad, row = bad + 1, [math.nan] * levels
            else:
                begins = [((b * objectives + m) * actions + a) * levels for a in chosen]
                row = [fused(g, q[i + n], r) for i in begins for n in range(levels)]
            width = levels * (actions if o["mode"] == "mixture" else 1)
            targets += row + [UNTOUCHED] * (width - len(row))
            counts.append(len(row))
    return {"target": targets, "target_count": counts, "diagnostics.bad_action": [bad]}
