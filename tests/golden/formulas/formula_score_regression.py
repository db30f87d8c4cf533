"""score_regression: squares, cross entropies and Huber losses of heads whose labels have gaps."""
import math

from formula_preference import DOUBLE_SLACK, NAN, added, over, scaled, tiles
from formula_values import ULP, f32_options, held
from golden_preference_pair import s as sigmoid, sp

DEFAULTS = {
    "num_rows": 0, "num_heads": 1, "score_stride": 0, "label_stride": 0, "grad_stride": 0, "link": "mse", "huber_delta": 1.0,
    "half": False, "sentinel": -100.0, "use_sentinel": False, "reduction": "mean_valid",
}
PRESETS = {
    "aligner.regression": {"use_sentinel": True}, "dpa.regression": {}, "armo.regression": {"reduction": "mean_head"},
    "unimod": {"link": "bce", "reduction": "mean_head"}, "prm.mse": {},
}


def entry(o, score, label):
    """Loss and slope of a valid entry, each with slack. Cross entropies: softplus within 1 ulp, sigmoid within 2.5."""
    if o["link"] == "bce":
        if not 0 <= label <= 1:
            return (NAN, 0.0), (NAN, 0.0)
        parts = [scaled(w, (sp(x), sp(x) * ULP["F32"])) for w, x in ((label, -score), (1 - label, score))]
        return added(parts), (sigmoid(score) - label, sigmoid(score) * 2.5 * ULP["F32"] + DOUBLE_SLACK)
    e = score - label
    if o["link"] == "huber":
        d = o["huber_delta"]
        loss, slope = (e * e / 2, e) if abs(e) <= d else (d * (abs(e) - d / 2), math.copysign(d, e))
        return (loss, abs(loss) * DOUBLE_SLACK), (slope, 0.0)
    factor = .5 if o["half"] else 1.0
    return (factor * e * e, e * e * DOUBLE_SLACK), (2 * factor * e, 0.0)


def results(case):
    o = f32_options(case.options(DEFAULTS, PRESETS))
    rows, heads = case.inputs["scores"].shape
    scores, labels = case.inputs["scores"], case.inputs["labels"]
    mask, weights = case.inputs.get("mask"), case.inputs.get("row_weight")
    alpha = case.inputs["alpha"].values if "alpha" in case.inputs else [1.0] * heads
    losses = [[(0.0, 0.0)] * rows for _ in range(heads)]
    slopes, valid, bad = [(0.0, 0.0)] * (rows * heads), [False] * (rows * heads), 0
    for i in range(rows * heads):
        label = labels[i]
        valid[i] = not (math.isnan(label) or o["use_sentinel"] and label == o["sentinel"] or mask is not None and mask[i] == 0)
        if valid[i]:
            weight = weights[i // heads] if weights is not None else 1.0
            loss, slope = entry(o, scores[i], label)
            bad += o["link"] == "bce" and not 0 <= label <= 1
            losses[i % heads][i // heads], slopes[i] = scaled(weight, loss), scaled(weight, slope)
    counts = [sum(valid[k::heads]) for k in range(heads)]
    used = sum(n > 0 for n in counts)
    by_row = float(sum(any(valid[p * heads:(p + 1) * heads]) for p in range(rows)))
    divisor = {"sum": [1.0] * heads, "mean_valid": [float(sum(counts))] * heads, "mean_head": [float(n * used) for n in counts],
               "mean_row": [by_row] * heads}
    d = case.inputs["denominators"].values if o["reduction"] == "given" else divisor[o["reduction"]]
    sums = [added(column) for column in losses]
    factor = [over(a, b) if n else 0.0 for a, b, n in zip(alpha, d, counts)]
    found = {
        "loss": [added([scaled(f, total) for f, total in zip(factor, sums)])],
        "head_loss": [scaled(1 / n, total) if n else (0.0, 0.0) for n, total in zip(counts, sums)],
        "grad_scores": [scaled(factor[i % heads], slope) if valid[i] else slope for i, slope in enumerate(slopes)],
        "grad_norm_sq": [added([(g * g, 2 * abs(g) * e + g * g * DOUBLE_SLACK) for g, e in slopes[k::heads]])
                         for k in range(heads)],
        "loss_tiles": [tiles(column, [0] * rows, 1) for column in losses],
    }
    found["loss_tiles"] = [term for tile in zip(*found["loss_tiles"]) for term in tile]
    result = {"head_count": counts, "diagnostics.bad_target": [bad], "diagnostics.empty_statistics": [int(not used)]}
    for name, terms in found.items():
        if name in case.outputs:
            result[name] = held(case, name, [x for x, _ in terms], 2.0 ** -50, [e for _, e in terms])
    return result
