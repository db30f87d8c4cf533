"""dominance_quantile_huber: the quantile Huber loss and its gradient (Dabney et al. 2018a, 2018b; Kuznetsov et al. 2020;
kappa 0: Koenker, Bassett 1978)."""
import math

from formula_values import Value, rounded, stored
from golden_dominance_quantile import term

DEFAULTS = {"num_rows": None, "num_levels": None, "num_targets": None, "ld_quantiles": 0, "ld_targets": 0, "ld_tau": 0,
            "denominator": math.nan, "kappa": 1.0, "divide_by_kappa": True, "level_reduction": "sum"}
PRESETS = {"iqn": {"kappa": 1.0, "divide_by_kappa": True, "level_reduction": "sum"},
           "qr_dqn": {"kappa": 1.0, "divide_by_kappa": False, "level_reduction": "sum"},
           "tqc": {"kappa": 1.0, "divide_by_kappa": True, "level_reduction": "mean"},
           "pinball": {"kappa": 0.0, "divide_by_kappa": True, "level_reduction": "sum"}}
TILE = 2048
UNIT = 2.0 ** -24


def roundings(n):
    """Of a sum over n targets in binary32, in units of the sum of the magnitudes: difference, weight, term and mean
    round once each; four lanes round n / 4 times each, at partial sums that are half of the sum on average. They do
    add up: clipped terms are equal, and so are the roundings of their sums."""
    return (4 + n / 8) * UNIT


def level(o, kappa, tau, z, targets):
    """Loss of one level against the targets, its derivative by z, and the magnitude that the derivative rounds at."""
    n, by = len(targets), kappa if o["divide_by_kappa"] and kappa > 0 else 1.0
    losses, slopes = [], []
    for y in targets:
        loss, slope = term(kappa, tau, y - z)  # the difference of binary32 numbers is all but exact
        losses.append(loss / by)
        slopes.append(slope / by)
    if any(map(math.isnan, targets)) or math.isnan(z):
        return math.nan, math.nan, 0.0
    return math.fsum(losses) / n, -math.fsum(slopes) / n, math.fsum(map(abs, slopes)) / n


def results(case):
    o, inputs = case.options(DEFAULTS, PRESETS), case.inputs
    kappa = rounded(o["kappa"], "F32")
    quantiles, targets, taus = inputs["quantiles"].rows(), inputs["targets"].rows(), inputs["tau"].rows()
    rows, room = len(quantiles), inputs["targets"].shape[1]
    count, weight = inputs.get("target_count") or [room] * rows, inputs.get("weight") or [1.0] * rows
    denominator = rows if math.isnan(o["denominator"]) else o["denominator"]
    losses, grads, bad_count, bad_tau = [], [], 0, 0
    dtype = case.outputs["grad_quantiles"].dtype if "grad_quantiles" in case.outputs else "F32"
    for r, z in enumerate(quantiles):
        tau, n = taus[r if len(taus) > 1 else 0], count[r]
        if weight[r] == 0 or n == 0:
            losses.append(0.0)
            grads += [stored(0.0, dtype, 0.0)] * len(z)
            continue
        if not 0 <= n <= room or not all(0 <= t <= 1 for t in tau):
            bad_count, bad_tau = bad_count + (not 0 <= n <= room), bad_tau + (0 <= n <= room)
            losses.append(math.nan)
            grads += [math.nan] * len(z)
            continue
        c = 1 / len(z) if o["level_reduction"] == "mean" else 1.0
        found = [level(o, kappa, t, x, targets[r][:n]) for t, x in zip(tau, z)]
        losses.append(c * sum(loss for loss, _, _ in found))
        scale = c * weight[r] / denominator
        grads += [stored(scale * slope, dtype, 0.0, abs(scale) * size * roundings(n)) for _, slope, size in found]
    error = roundings(max(count, default=0)) + 2 * UNIT  # of terms that are not negative; a square doubles an error
    parts = [w * loss if w else 0.0 for w, loss in zip(weight, losses)]
    tiles = [sum(parts[i:i + TILE]) for i in range(0, rows, TILE)]
    bounds = [error * math.fsum(map(abs, parts[i:i + TILE])) for i in range(0, rows, TILE)]
    form = case.outputs["loss_rows"].dtype if "loss_rows" in case.outputs else "F32"
    return {"loss_rows": [stored(x, form, error) for x in losses],
            "loss": [Value(sum(tiles) / denominator if rows else 0.0, atol=sum(bounds) / denominator if rows else 0.0)],
            "loss_tiles": [Value(tile, atol=bound) for tile, bound in zip(tiles, bounds)], "grad_quantiles": grads,
            "diagnostics.bad_count": [bad_count], "diagnostics.bad_tau": [bad_tau]}
