"""score_readout, score_regression and score_finish: numbers worked by hand. `printed` was worked out on paper; the files
hold the textbook formula in double, which has to agree with it to the printed digits."""
import math

from golden_file import Tensor, f32

FOLDER = "score"
CHECK = {"atol": 1e-7, "rtol": 4e-7}  # binary32 results
NAN, INF = math.nan, math.inf


def agree(values, printed, digits=2e-7):
    """digits: inputs of some cases are rounded to binary32 first."""
    assert len(values) == len(printed), (values, printed)
    for a, b in zip(values, printed):
        assert abs(a - b) <= digits + digits * abs(b), (values, printed)


def softmax(y, t=1.0):
    top = max(y)
    e = [math.exp((x - top) / t) for x in y]
    return [x / math.fsum(e) for x in e]


def case(golden, op, name, note, desc, inputs, outputs, preset=None, counters=None, checks=None):
    tensors = {"in." + key: Tensor(kind, values) for key, (kind, values) in inputs.items()}
    if "readout" in op:
        columns = len(inputs["level_index"][1]) if "level_index" in inputs else len(inputs["inputs"][1][0])
        desc = {"input_dtype": "f32", "num_columns": columns, **desc}
    for key, value in outputs.items():
        tensors["out." + key] = Tensor("F64" if key != "head_count" else "I64", value)
    for key, value in (counters or {}).items():
        tensors["out.diagnostics." + key] = Tensor("U64", [value])
    check = {key: CHECK for key in outputs if key != "head_count"}
    check.update(checks or {})
    golden.case(FOLDER, name, op, desc, tensors, note, preset=preset, check=check)


def forward(golden, *args, **more):
    case(golden, "score_readout_forward", *args, **more)


def backward(golden, *args, **more):
    case(golden, "score_readout_backward", *args, **more)


def linear(golden):
    r, v = [3, 2], [3, 4]
    inputs = {"inputs": ("F32", [r]), "direction": ("F32", v)}
    forward(golden, "06_linear", "r . v", {}, inputs, {"reward": [17.0]}, preset="wildbench")
    forward(golden, "06_linear_unit", "r . v / |v|", {"unit": True}, inputs, {"reward": [3.4]})
    backward(golden, "06_linear_gradients", "dr = v, dv = r", {}, {**inputs, "grad_reward": ("F32", [2])},
             {"grad_inputs": [[6.0, 8.0]], "grad_direction": [[6.0, 4.0]]})
    angle = [f32(math.cos(math.pi / 6)), .5]
    reward = 3 * angle[0] + 1
    agree([reward / math.hypot(*angle)], [3.598076211353])
    forward(golden, "07_direction_30_degrees", "a user's direction", {}, {"inputs": ("F32", [r]), "direction": ("F32", angle)},
            {"reward": [reward / math.hypot(*angle)]}, preset="dpa")


def gate(golden):
    r, y = [1, 2, 3], [0, 10, 20]
    p = softmax(y, 10)
    agree(p, [0.09003057317, 0.244728471055, 0.665240955775], 1e-11)
    inputs = {"inputs": ("F32", [r]), "gate_logits": ("F32", [y])}
    reward = math.fsum(a * b for a, b in zip(p, r))
    agree([reward, 1.5 * reward], [2.575210382604, 3.862815573907], 1e-11)
    forward(golden, "08_gate", "a mixture", {"scale": 1.0}, inputs, {"reward": [reward], "gate": [p]}, preset="armo")
    forward(golden, "08_gate_scaled", "the same, scaled", {"scale": 1.5}, inputs, {"reward": [1.5 * reward]}, preset="armo")
    m = [[1, 0, 0], [f32(-.1), 1, f32(-.3)], [0, 0, 1]]
    u = [math.fsum(r[j] * m[j][k] for j in range(3)) for k in range(3)]
    mean = math.fsum(a * b for a, b in zip(p, u))
    dr = [math.fsum(m[j][k] * p[k] for k in range(3)) for j in range(3)]
    dy = [p[k] * (u[k] - mean) / 10 for k in range(3)]
    agree([mean], [2.158059694505])
    agree(dr, [0.09003057317, 0.036153127005, 0.665240955775])
    agree(dy, [-0.01222668927, -0.003868170737, 0.016094860007])
    inputs["transform"] = ("F32", m)
    forward(golden, "09_gate_transform", "a penalty on one attribute", {"scale": 1.0}, inputs, {"reward": [mean]}, preset="armo")
    backward(golden, "09_gate_gradients", "of rewards and gate logits", {"scale": 1.0}, {**inputs, "grad_reward": ("F32", [1])},
             {"grad_inputs": [dr], "grad_gate_logits": [dy]}, preset="armo")


def levels(golden):
    y = [f32(math.log(x)) for x in (.2, .3, .5)]
    for name, t in (("10_levels", 1.0), ("11_levels_warm", 2.0)):
        p = softmax(y, t)
        mean = math.fsum((k + 1) * x for k, x in enumerate(p))
        var = math.fsum(x * (k + 1 - mean) ** 2 for k, x in enumerate(p))
        entropy = -math.fsum(x * math.log(x) for x in p)
        if t == 1:
            agree([mean, var, entropy], [2.3, .61, 1.029653014065])
        else:
            agree([*p, mean], [0.262751066096, 0.321803020654, 0.415445913250, 2.152694847154])
        forward(golden, name, "a distribution over ratings", {"temperature": t}, {"inputs": ("F32", [y])},
                {"mean": [mean], "variance": [var], "entropy": [entropy], "prob": [p]}, preset="oprm")
        slopes = {"grad_mean": [x / t * (k + 1 - mean) for k, x in enumerate(p)],
                  "grad_variance": [x / t * ((k + 1 - mean) ** 2 - var) for k, x in enumerate(p)],
                  "grad_entropy": [-x / t * (math.log(x) + entropy) for x in p]}
        if t == 1:
            agree(slopes["grad_mean"], [-.26, -.09, .35])
            agree(slopes["grad_variance"], [.216, -.156, -.06])
            agree(slopes["grad_entropy"], [0.115956979674, 0.052295937078, -0.168252916752])
        for key, slope in slopes.items():
            backward(golden, f"{name}_{key}", "one output at a time", {"temperature": t},
                     {"inputs": ("F32", [y]), key: ("F32", [1])}, {"grad_inputs": [slope]}, preset="oprm")
    means = [1 / (1 + math.exp(-2)), 1 / (1 + math.exp(5)), .5]
    agree(means, [0.880797077978, 0.006692850924, .5], 1e-11)
    forward(golden, "12_verdict_tokens", "sigmoid(z_yes - z_no); an empty row", {"num_logits": 3},
            {"inputs": ("F32", [[1, 9, -1], [-3, 9, 2], [-INF, 9, -INF]]), "level_index": ("I32", [0, 2]),
             "level_values": ("F32", [1, 0])}, {"mean": means}, preset="genprm", counters={"empty_row": 1})


def quantile(golden):
    q = [4, -2, 1, 9]
    for alpha, cvar in ((.1, -2), (.25, -2), (.5, -.5), (.6, .25), (1, 3)):
        a = f32(alpha)
        steps = [(min(a, (n + 1) / 4) - n / 4, x) for n, x in enumerate(sorted(q))]
        tail = math.fsum(w * x for w, x in steps if w > 0) / a
        agree([tail], [cvar])
        forward(golden, f"13_quantile_{alpha}", "mean, lower tail, quartiles",
                {"kind": "quantile", "sort": True, "alpha": alpha}, {"inputs": ("F32", [q])},
                {"mean": [[3.0]], "cvar": [[tail]], "iqr": [[6.0]]})
    forward(golden, "13_quantile_crossing", "levels that do not rise", {"kind": "quantile"}, {"inputs": ("F32", [q])},
            {"mean": [[NAN]], "cvar": [[NAN]], "iqr": [[NAN]]}, counters={"crossing": 1})
    backward(golden, "13_quantile_gradients", "through the sort", {"kind": "quantile", "sort": True, "alpha": .5},
             {"inputs": ("F32", [q]), "grad_cvar": ("F32", [[4]]), "grad_iqr": ("F32", [[1]])},
             {"grad_inputs": [[1.0, 1.0, 2.0, 0.0]]})


def regression(golden):
    s, y = [[1, 2, .5], [0, -1, 3]], [[0, NAN, 1], [NAN, 1, 1]]
    inputs = {"scores": ("F32", s), "labels": ("F32", y)}

    def write(name, note, desc, loss, grad, preset=None, more=None):
        case(golden, "score_regression", name, note, desc, inputs, {"loss": [loss], "grad_scores": grad, **(more or {})},
             preset=preset)

    write("14_regression_sum", "squares under missing labels", {"reduction": "sum"}, 9.25, [[2, 0, -1], [0, -4, 4]])
    write("14_regression_mean_valid", "over the labels there are", {}, 2.3125, [[.5, 0, -.25], [0, -1, 1]], "dpa.regression")
    write("14_regression_mean_head", "a mean of each head", {}, 2.375, [[2 / 3, 0, -1 / 6], [0, -4 / 3, 2 / 3]],
          "armo.regression", {"head_loss": [1.0, 4.0, 2.125], "head_count": [1, 1, 2], "grad_norm_sq": [4.0, 16.0, 17.0]})
    sp = lambda x: max(x, 0) + math.log1p(math.exp(-abs(x)))  # noqa: E731
    sg = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    loss = sp(1) + sp(-.5) + sp(1) + sp(-3)
    grad = [[sg(1), 0, sg(.5) - 1], [0, sg(-1) - 1, sg(3) - 1]]
    agree([loss], [3.149187710790], 1e-11)
    agree(grad[0] + grad[1], [0.73105857863, 0, -0.377540668798, 0, -0.73105857863, -0.047425873178], 1e-11)
    write("15_regression_bce", "cross entropies", {"link": "bce", "reduction": "sum"}, loss, grad)
    write("16_regression_huber", "linear beyond 1", {"link": "huber", "reduction": "sum"}, 3.625, [[1, 0, -.5], [0, -1, 1]])


def finish(golden):
    case(golden, "score_finish", "17_finish", "three tiles, bias and affine; an empty position", {},
         {"tile_sums": ("F64", [[[1], [5]], [[.5], [5]], [[.25], [5]]]), "found_positions": ("I64", [3, -1]),
          "bias": ("F32", [.25]), "post_mean": ("F32", [1]), "post_std": ("F32", [2])}, {"scores": [[.5], [NAN]]})


def write(golden):
    linear(golden)
    gate(golden)
    levels(golden)
    quantile(golden)
    regression(golden)
    finish(golden)
