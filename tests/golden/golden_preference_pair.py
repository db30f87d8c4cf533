"""preference_pair: pairs worked by hand. `printed` was worked out on paper; the files hold the textbook
formula in double, which has to agree with it to the printed digits."""
import math
import struct

from golden_file import Tensor, f32

OP = "preference_pair"
FOLDER = "preference_pair"
CHECK = {"atol": 1e-7, "rtol": 4e-7}  # binary32 results
NAN, INF = math.nan, math.inf


# Textbook formulas ---------------------------------------------------------------------------------

def sp(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def s(x):
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def phi(link, z, parameter=0.0):
    """Value and derivative."""
    if link == "logistic":
        return sp(-z), -s(-z)
    if link == "hinge":
        return max(0.0, 1 - z), -1.0 if z < 1 else 0.0
    if link == "squared":
        return z * z, 2 * z
    if link == "exponential":
        return math.exp(-z), -math.exp(-z)
    if link == "sigmoid":
        return s(-z), -s(z) * s(-z)
    if link == "exo":
        e = parameter
        value = s(z) * (-sp(-z) - math.log(1 - e)) + s(-z) * (-sp(z) - math.log(e))
        return value, s(z) * s(-z) * (z - math.log((1 - e) / e))
    u = s(z / parameter)
    far = math.exp(-z)
    return (1 - u) * sp(-z) + u * far, -(1 - u) * s(-z) - u * far + u * (1 - u) / parameter * (far - sp(-z))


def tie(model, l, z, outcome):
    """Loss, derivative wrt z, derivative wrt log_tie."""
    if outcome < 0:
        value, by_z, by_l = tie(model, l, -z, 1)
        return value, -by_z, by_l
    if model == "rao_kupper":
        if outcome > 0:
            return sp(l - z), -s(l - z), s(l - z)
        return (sp(l - z) + sp(l + z) - math.log(math.expm1(2 * l)), s(l + z) - s(l - z),
                s(l - z) + s(l + z) + 2 / math.expm1(-2 * l))
    m = math.log(math.exp(z / 2) + math.exp(-z / 2) + math.exp(l))
    c, r, t = math.exp(z / 2 - m), math.exp(-z / 2 - m), math.exp(l - m)
    if outcome > 0:
        return m - z / 2, -(r + t / 2), t
    return m - l, (c - r) / 2, t - 1


def agree(values, printed):
    """printed: as many digits as there are, 1e-11 of the value where there are twelve."""
    assert len(values) == len(printed), (values, printed)
    for a, b in zip(values, printed):
        assert abs(a - b) <= 6e-12 + 6e-12 * abs(b), (values, printed)


# Writing -------------------------------------------------------------------------------------------

def word(x):
    return struct.unpack("<q", struct.pack("<d", x))[0]


class Pairs:
    def __init__(self, golden):
        self.golden = golden

    def write(self, name, note, chosen, rejected, loss, grad_chosen, grad_rejected=None, desc=None, preset=None,
              inputs=None, outputs=None, check=None, counters=None, dtype="F32"):
        """grad_rejected None: minus grad_chosen. Reduction SUM unless desc or preset says otherwise."""
        desc = {"reduction": "sum", "score_dtype": dtype.lower(), **(desc or {})}
        tensors = {}
        checks = {}
        if chosen is not None:
            tensors["in.chosen"] = Tensor(dtype, chosen)
        if rejected is not None:
            tensors["in.rejected"] = Tensor(dtype, rejected)
        for key, (kind, values) in (inputs or {}).items():
            tensors["in." + key] = Tensor(kind, values)
        if loss is not None:
            tensors["out.loss"] = Tensor("F64", [loss])
            checks["loss"] = CHECK
        if grad_chosen is not None:
            tensors["out.grad_chosen"] = Tensor("F64", grad_chosen)
            checks["grad_chosen"] = CHECK
            if grad_rejected is None and rejected is not None:
                grad_rejected = [-g for g in grad_chosen]
        if grad_rejected is not None:
            tensors["out.grad_rejected"] = Tensor("F64", grad_rejected)
            checks["grad_rejected"] = CHECK
        for key, (kind, values) in (outputs or {}).items():
            tensors["out." + key] = Tensor(kind, values)
        for key, value in (counters or {}).items():
            tensors["out.diagnostics." + key] = Tensor("U64", [value])
        checks.update(check or {})
        self.golden.case(FOLDER, name, OP, desc, tensors, note, preset=preset, check=checks)

    def link(self, name, note, z, link, printed, desc=None, preset=None, parameter=0.0):
        value, slope = phi(link, z, parameter)
        agree([value, slope], printed)
        self.write(name, note, [z], [0.0], value, [slope], desc={"link": link, "link_param": parameter, **(desc or {})},
                   preset=preset)


def bradley_terry(p):
    log_2 = math.log(2)
    agree([log_2], [.693147180560])
    for x in (0.0, f32(.1), -3.75, f32(1e30)):
        p.write(f"01_equal_{x:g}", "equal scores: log 2 and one half exactly", [x], [x], log_2, [-.5], [.5],
                check={"grad_chosen": {"bits": True}, "grad_rejected": {"bits": True}})
    agree([sp(-2), -s(-2)], [.126928011043, -.119202922022])
    p.write("02_ahead_by_two", "d = 2", [2.5], [.5], sp(-2), [-s(-2)])
    agree([sp(-.75), -s(-.75)], [.386871006115, -.320821300825])
    p.write("03_margin", "z = 1.25 - 0.5", [1.5], [.25], sp(-.75), [-s(-.75)], desc={"margin": .5})
    p.write("03_margins", "a margin of the pair and one of all", [1.5], [.25], sp(-.75), [-s(-.75)],
            desc={"margin": -.25}, inputs={"margins": ("F32", [.75])})
    agree([3 * sp(1), -3 * s(1)], [3.93978506255, -2.19317573589])
    p.write("04_weight", "d = -1 with weight 3", [0.0], [1.0], 3 * sp(1), [-3 * s(1)], inputs={"weights": ("F32", [3.0])})
    soft = .75 * sp(-.5) + .25 * sp(.5), .75 * -s(-.5) + .25 * s(.5)
    agree(soft, [.599076984180, -.127540668798])
    p.write("05_soft_label", "p = 3/4 at d = 1/2", [.5], [0.0], soft[0], [soft[1]], preset="oni.soft",
            inputs={"probabilities": ("F32", [.75])})
    for kind, q, printed in (("conservative", .9, [.413261687518, -.168941421370]),
                             ("robust", 1.125, [.188261687518, -.393941421370])):
        value = q * sp(-1) + (1 - q) * sp(1), q * -s(-1) + (1 - q) * s(1)
        agree(value, printed)
        p.write(f"0{6 + (kind == 'robust')}_smoothing_{kind}", f"rate 0.1: q+ = {q}", [1.0], [0.0], value[0], [value[1]],
                desc={"smoothing": .1, "smoothing_kind": kind})


def dpo_family(p):
    agree([sp(-.2), -.1 * s(-.2)], [.598138869382, -.0450166002688])
    p.write("08_dpo", "beta times ((-12 + 13) - (-15 + 14)) = 0.2", [-12.0], [-15.0], sp(-.2), [-.1 * s(-.2)],
            preset="dpo", inputs={"ref_chosen": ("F32", [-13.0]), "ref_rejected": ("F32", [-14.0])})
    signals = [1.0, 0.0, -1.0, 100.0]
    betas = [max(0.0, .1 * (1 + .5 * -math.expm1(-.5 * x))) for x in signals]
    agree(betas, [.119673467014, .1, .067563936465, .15])
    agree([sp(-2 * betas[0]), -betas[0] * s(-2 * betas[0])], [.580617555213, -.0527098548113])
    p.write("09_mm_dpo", "beta of a pair from its signal", [2.0], [0.0], sp(-2 * betas[0]), [-betas[0] * s(-2 * betas[0])],
            preset="mm_dpo", inputs={"beta_signal": ("F32", [1.0])})
    p.write("10_mm_dpo_betas", "at equal scores the gradient is half of beta", [0.0] * 4, [0.0] * 4, 4 * math.log(2),
            [-b / 2 for b in betas], preset="mm_dpo", inputs={"beta_signal": ("F32", signals)})
    z = 2 * (-10 / 20 + 27 / 30) - 1
    agree([sp(-z), -2 * s(-z) / 20, 2 * s(-z) / 30], [.798138869382, -.0549833997312, .0366555998208])
    p.write("11_simpo", "sums over 20 and 30 tokens, gamma 1", [-10.0], [-27.0], sp(-z), [-2 * s(-z) / 20],
            [2 * s(-z) / 30], desc={"margin": 1.0}, preset="simpo",
            inputs={"chosen_length": ("I32", [20]), "rejected_length": ("I32", [30])})
    p.write("12_ipo", "(3 - 5)^2", [3.0], [0.0], 4.0, [-4.0], desc={"margin": 5.0}, preset="ipo")
    p.write("13_ipo_soft", "3/4 (3 - 5)^2 + 1/4 (-3 - 5)^2", [3.0], [0.0], 19.0, [1.0],
            desc={"margin": 5.0, "target": "probability"}, preset="ipo", inputs={"probabilities": ("F32", [.75])})
    p.write("13_ipo_soft_least", "the minimum lies at 2.5", [2.5], [0.0], .75 * 6.25 + .25 * 56.25, [0.0],
            desc={"margin": 5.0, "target": "probability"}, preset="ipo", inputs={"probabilities": ("F32", [.75])})
    p.write("14_hinge", "1 - 0.6; 0 from z = 1 on", [1.2, 2.0, 3.0], [0.0] * 3, .4, [-.5, 0.0, 0.0], desc={"beta": .5},
            preset="slic")
    p.link("15_exponential", "e^-z", .5, "exponential", [.606530659713, -.606530659713])
    p.link("29_discopop", "temperature 0.05", .5, "discopop", [.606524646598, -.606400007223], desc={"beta": 1.0},
           preset="discopop", parameter=.05)
    p.link("29_discopop_at_zero", "(1 + log 2) / 2", 0.0, "discopop", [.846573590280, .784264097200], desc={"beta": 1.0},
           preset="discopop", parameter=.05)
    p.link("30_exo", "e = 0.1", 1.0, "exo", [.114082107667, -.235388638674], desc={"beta": 1.0}, preset="exo",
           parameter=.1)


def ties(p):
    rows = [("16", "rao_kupper", math.log(2), 0.0, {1: (1.09861228867, -2 / 3, 2 / 3), 0: (1.09861228867, 0, -4 / 3),
                                                    -1: (1.09861228867, 2 / 3, 2 / 3)}),
            ("17", "rao_kupper", math.log(2), 1.0, {1: (.551444713932, -.423883115234, .423883115234),
                                                    0: (1.31482722932, .420754481269, -1.39814595493)}),
            ("18", "davidson", 0.0, 2 * math.log(2), {1: (.559615787935, -2 / 7, 2 / 7),
                                                      0: (1.25276296850, 3 / 14, -5 / 7)}),
            ("19", "davidson", 0.0, 1.0, {1: (.680269670642, -.339921666085, .307195885718),
                                          0: (1.18026967064, .160078333915, .307195885718 - 1)})]
    for number, model, l, z, outcomes in rows:
        for outcome in (1, 0, -1):
            value, by_z, by_l = tie(model, l, z, outcome)
            if outcome in outcomes:
                agree([value, by_z, by_l], outcomes[outcome])
            chosen = s(z - l) if model == "rao_kupper" else math.exp(-tie(model, l, z, 1)[0])
            p.write(f"{number}_{model}_{ {1: 'win', 0: 'tie', -1: 'loss'}[outcome]}", f"log_tie {l:.4g}, z {z:.4g}", [z], [0.0],
                    value, [by_z], desc={"target": "outcome", "tie_model": model, "log_tie": l},
                    inputs={"outcomes": ("I8", [outcome])},
                    outputs={"grad_tie": ("F64", [by_l]), "pair_probability": ("F64", [chosen])},
                    check={"grad_tie": CHECK, "pair_probability": CHECK})
    p.write("tie_half", "a tie counts as one half", [1.0], [0.0], (sp(-1) + sp(1)) / 2, [(s(1) - s(-1)) / 2],
            desc={"target": "outcome"}, inputs={"outcomes": ("I8", [0])})
    p.write("tie_drop", "dropped ties are absent", [1.0, 2.0], [0.0, 0.0], sp(-2), [0.0, -s(-2)],
            desc={"target": "outcome", "tie_model": "drop", "reduction": "mean_valid"}, inputs={"outcomes": ("I8", [0, 1])})


def sides(p):
    c, r = 1.0, -.5
    agree([.01 * 4 + sp(-1), .04 - s(-1), .04 + s(-1)], [.353261687518, -.228941421370, .308941421370])
    p.write("20_centering", "0.01 times the square of the sum", [1.5], [.5], .04 + sp(-1), [.04 - s(-1)], [.04 + s(-1)],
            preset="trl.reward_centered")
    value = sp(-c) + .5 * sp(c) + .5 * sp(r)
    grads = -s(-c) + .5 * s(c), .5 * s(r)
    agree([value, *grads], [1.20693102337, .096587867945, .188770334399])
    p.write("23_nca", "chosen up, both held", [c], [r], value, [grads[0]], [grads[1]], desc={"beta": 1.0}, preset="nca")
    agree([sp(-.75) + sp(-.75), -s(-.75)], [.773742012230, -.320821300825])
    p.write("24_bco", "shifted by 1/4", [c], [r], 2 * sp(-.75), [-s(-.75)], [s(-.75)], desc={"beta": 1.0}, preset="bco",
            inputs={"unary_shift_dev": ("F32", [.25])})
    agree([s(-c) + s(r), -s(c) * s(-c), s(r) * s(-r)], [.646482090168, -.196611933241, .235003712202])
    p.write("25_apo_zero", "", [c], [r], s(-c) + s(r), [-s(c) * s(-c)], [s(r) * s(-r)], desc={"beta": 1.0}, preset="apo_zero")
    slope = s(1.5) * s(-1.5)
    agree([s(-1.5) + s(c), -slope + s(c) * s(-c), slope], [.913484102436, .0474654811711, .149146452070])
    p.write("26_apo_down", "", [c], [r], s(-1.5) + s(c), [-slope + s(c) * s(-c)], [slope], desc={"beta": 1.0}, preset="apo_down")
    p.write("27_sppo_hard", "(2 - 5)^2 + (1 - 5)^2", [2.0], [-1.0], 25.0, [-6.0], [8.0], desc={"unary_margin": 5.0},
            preset="sppo_hard")
    up, down = .2 - .05, .1 + .05  # both 0.15
    agree([s(-up) + s(-down), -.1 * s(up) * s(-up)], [.925140309313, -.0248599006678])
    p.write("28_kto", "beta 0.1, kl 0.5", [2.0], [-1.0], s(-up) + s(-down), [-.1 * s(up) * s(-up)],
            [.1 * s(down) * s(-down)], desc={"beta": .1}, preset="kto", inputs={"unary_shift_dev": ("F32", [.05])})
    p.write("28_kto_chosen_alone", "one side is not there", [2.0], None, s(-up), [-.1 * s(up) * s(-up)],
            desc={"beta": .1, "unary": [1.0, 0.0, 0.0, 0.0]}, preset="kto", inputs={"unary_shift_dev": ("F32", [.05])})


def batches(p):
    alpha = {"alpha": ("F32", [.5, .5]), "routes": ("I32", [0, 0, 1])}
    value = .5 * (math.log(2) + sp(-1)) / 2 + .5 * sp(1)
    agree([value, -.25 * s(-1), -.5 * s(1)], [.908233060779, -.0672353553425, -.365529289315])
    d = [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]
    p.write("21_routes", "means of two heads, half each", *d, value, [-.125, -.25 * s(-1), -.5 * s(1)],
            desc={"route_kind": "array", "num_routes": 2, "reduction": "mean_valid"}, inputs=alpha,
            outputs={"route_sum": ("F64", [math.log(2) + sp(-1), sp(1)])}, check={"route_sum": CHECK})
    plain = (math.log(2) + sp(-1) + sp(1)) / 3
    agree([plain], [.773223518532])
    p.write("21_plain_mean", "the same pairs without routes", *d, plain, [-.5 / 3, -s(-1) / 3, -s(1) / 3],
            desc={"reduction": "mean_valid"})
    agree([2 * sp(.5), sp(2.5), sp(-1.5)], [1.94815396836, 2.57888973429, .201413277983])
    lost = {"outcomes": ("I8", [-1])}
    p.write("22_helpsteer_scaled", "label -2 as a weight", [.5], [0.0], 2 * sp(.5), [2 * s(.5)], preset="helpsteer2.scaled",
            inputs={**lost, "weights": ("F32", [2.0])})
    p.write("22_helpsteer_margin", "label -2 as a margin of the winner", [.5], [0.0], sp(2.5), [s(2.5)],
            preset="helpsteer2.margin", inputs={**lost, "margins": ("F32", [2.0])})
    p.write("22_margin_negate", "and as one of chosen", [.5], [0.0], sp(-1.5), [s(-1.5)],
            desc={"target": "outcome"}, inputs={**lost, "margins": ("F32", [2.0])})
    p.write("31_far", "subnormal, plain, 0 and far", [100.0, -100.0, 1e4, -1e4], [0.0] * 4, 10100.0, [-math.exp(-100), -1.0, 0.0, -1.0],
            outputs={"pair_loss": ("F64", [math.exp(-100), 100.0, 0.0, 1e4])}, check={
                "pair_loss": {"ulp": 1}, "grad_chosen": {"ulp": 2}, "grad_rejected": {"ulp": 2}})
    d = [2.0, 0.0, -1.0, 3.0]
    p.write("32_metrics", "two of four right, one tied", d, [0.0] * 4, None, None, outputs={"metrics": ("I64", [
        [4, 0, 4, 2, 1, 0, 0, word(4.0), word_of_sum(d), word(4.0), word(14.0), word(4.0), word(0.0), word(-1.0), word(3.0)]])},
            check={"metrics": {"atol": 2.0 ** 30}})
    p.write("given", "a denominator of a larger batch, and an upstream gradient", [2.0], [0.0], sp(-2) / 8, [-3 * s(-2) / 8],
            desc={"reduction": "given"}, inputs={"denominators": ("F64", [8.0]), "grad_scale": ("F32", [3.0])})
    p.write("mean_weight", "weights 1 and 3", [2.0, 0.0], [0.0, 1.0], (sp(-2) + 3 * sp(1)) / 4, [-s(-2) / 4, -3 * s(1) / 4],
            desc={"reduction": "mean_weight"}, inputs={"weights": ("F32", [1.0, 3.0])})
    for dtype, grad in (("BF16", -.119140625), ("F16", -1953 * 2.0 ** -14)):
        p.write(f"{dtype.lower()}", "scores and gradients of 16 bits, to nearest even", [2.5], [.5], sp(-2), [grad], dtype=dtype,
                check={"grad_chosen": {"bits": True}, "grad_rejected": {"bits": True}})


def word_of_sum(differences):
    return word(math.fsum(sp(-d) for d in differences))


def degenerate(p):
    bits = {"grad_chosen": {"bits": True}, "grad_rejected": {"bits": True}, "loss": {"bits": True}}
    p.write("masked", "masked pairs may hold anything and get +0", [NAN, 2.0, INF], [1.0, 2.0, NAN], math.log(2), [0.0, -.5, 0.0],
            [0.0, .5, 0.0], desc={"reduction": "mean_valid"}, inputs={"mask": ("U8", [0, 1, 0])}, counters={"nonfinite": 0})
    p.write("weight_zero", "absent, but counted in the mean", [NAN, 2.0], [1.0, 2.0], math.log(2) / 2, [0.0, -.25], [0.0, .25],
            desc={"reduction": "mean_valid"}, inputs={"weights": ("F32", [0.0, 1.0])}, counters={"nonfinite": 0})
    p.write("nonfinite", "a NaN and an infinity stay with their pairs", [NAN, 2.0, INF], [1.0, 2.0, INF], NAN, [NAN, -.5, NAN],
            [NAN, .5, NAN], counters={"nonfinite": 2}, check=bits)
    p.write("skip_invalid", "or are left out", [NAN, 2.0, INF], [1.0, 2.0, INF], math.log(2), [0.0, -.5, 0.0], [0.0, .5, 0.0],
            desc={"skip_invalid": True, "reduction": "mean_valid"}, counters={"nonfinite": 2})
    p.write("bad_weight", "negative and NaN weights", [2.0] * 3, [2.0] * 3, NAN, [NAN, NAN, -.5], [NAN, NAN, .5],
            inputs={"weights": ("F32", [-1.0, NAN, 1.0])}, counters={"bad_weight": 2, "nonfinite": 1})
    p.write("bad_outcome", "outcomes beyond -1, 0 and 1", [2.0] * 3, [2.0] * 3, NAN, [NAN, -.5, NAN], [NAN, .5, NAN],
            desc={"target": "outcome"}, inputs={"outcomes": ("I8", [2, 1, -128])}, counters={"bad_target": 2})
    p.write("bad_probability", "probabilities outside [0, 1]", [2.0] * 3, [2.0] * 3, NAN, [NAN, -.5, NAN], [NAN, .5, NAN],
            desc={"target": "probability"}, inputs={"probabilities": ("F32", [-.25, 1.0, 1.5])}, counters={"bad_target": 2})
    p.write("bad_route", "a route outside counts as route 0", [2.0] * 3, [2.0] * 3, NAN, [-.25, NAN, -.5], [.25, NAN, .5],
            desc={"route_kind": "array", "num_routes": 2, "reduction": "mean_valid"}, inputs={"routes": ("I32", [0, 7, 1])},
            outputs={"route_sum": ("F64", [NAN, math.log(2)])}, check={"route_sum": CHECK}, counters={"bad_route": 1})
    p.write("bad_length", "lengths are positive", [2.0] * 2, [2.0] * 2, NAN, [NAN, -.25], [NAN, .25],
            inputs={"chosen_length": ("I32", [0, 2]), "rejected_length": ("I32", [1, 2])}, counters={"bad_length": 1})
    p.write("bad_tie", "a tie needs a positive threshold", [2.0], [2.0], NAN, [NAN], [NAN],
            desc={"target": "outcome", "tie_model": "rao_kupper"},
            inputs={"outcomes": ("I8", [0]), "log_tie_dev": ("F32", [-1.0])}, counters={"bad_tie": 1})
    p.write("zero_denominator", "a loss over 0", [2.0], [2.0], INF, [-INF], [INF], desc={"reduction": "given"},
            inputs={"denominators": ("F64", [0.0])}, counters={"zero_denominator": 1})
    p.write("zero_over_zero", "nothing over 0", [2.0], [2.0], 0.0, [0.0], [0.0], desc={"reduction": "mean_weight"},
            inputs={"weights": ("F32", [0.0])}, counters={"zero_denominator": 1}, check=bits)
    p.write("all_masked", "no valid pair", [NAN], [NAN], 0.0, [0.0], [0.0], desc={"reduction": "mean_valid"},
            inputs={"mask": ("U8", [0])}, counters={"zero_denominator": 0}, check=bits)
    p.write("empty", "no pairs", [], [], 0.0, [], [], counters={"zero_denominator": 0})
    p.write("exponential_overflow", "infinite and counted", [-100.0, 0.0], [0.0, 0.0], INF, [-INF, -1.0], [INF, 1.0],
            desc={"link": "exponential"}, counters={"nonfinite": 1})


def rejected(golden):
    pair = {"in.chosen": Tensor("F32", [1.0, 2.0]), "in.rejected": Tensor("F32", [0.0, 1.0])}
    outcomes = {"in.outcomes": Tensor("I8", [1, 0])}

    def case(name, note, desc, extra=None, tensors=pair):
        golden.case(FOLDER + "/rejected", "rejected_pair_" + name, OP, {"num_pairs": 2, **desc}, {**tensors, **(extra or {})},
                    note, status="invalid_argument")

    for field in ("score_dtype", "link", "beta_map", "opposite", "target", "smoothing_kind", "tie_model", "unary_link",
                  "route_kind", "reduction"):
        case(field + "_unknown", f"{field} outside its list", {field: 99})
        case(field + "_negative", f"{field} outside its list", {field: -1})
    for field, values in (("beta", (0.0, -1.0, NAN, INF)), ("map_weight", (-1.0, NAN)), ("map_rate", (-1.0, NAN)),
                          ("margin", (NAN, INF)), ("smoothing", (-.1, .5, NAN)), ("pair_weight", (-1.0, NAN)),
                          ("unary_margin", (NAN,)), ("unary_shift", (NAN,)), ("center", (-1.0, NAN))):
        for i, value in enumerate(values):
            case(f"{field}_{i}", f"{field} outside its range", {field: value})
    for field, values in (("num_routes", (0, 2, 33)), ("calibration_bins", (-1, 65)), ("chosen_stride", (-1,))):
        for i, value in enumerate(values):
            case(f"{field}_{i}", f"{field} outside its range", {field: value}, tensors={} if field == "chosen_stride" else pair)
    case("exo_without_e", "EXO needs 0 < e < 1/2", {"link": "exo"})
    case("discopop_without_t", "DISCOPOP needs a temperature", {"link": "discopop"})
    case("rao_kupper_without_eta", "RAO_KUPPER needs a threshold", {"target": "outcome", "tie_model": "rao_kupper"}, outcomes)
    case("tie_model_and_link", "tie models need LOGISTIC", {"target": "outcome", "tie_model": "davidson", "link": "hinge"}, outcomes)
    case("tie_model_and_smoothing", "and no smoothing", {"target": "outcome", "tie_model": "davidson", "smoothing": .1}, outcomes)
    case("tie_model_and_target", "and outcomes", {"tie_model": "davidson"})
    for field, options in (("outcomes", {"target": "outcome"}), ("probabilities", {"target": "probability"}),
                           ("routes", {"route_kind": "array"}), ("betas", {"beta_map": "array"}),
                           ("beta_signal", {"beta_map": "margin_exp"}), ("denominators", {"reduction": "given"})):
        case(field + "_missing", f"{field} is NULL", options)
    case("outcomes_unused", "an array that no option uses", {}, outcomes)
    case("rejected_missing", "rejected is NULL", {}, tensors={"in.chosen": pair["in.chosen"]})
    case("one_reference", "references come for both sides", {}, {"in.ref_chosen": Tensor("F32", [0.0, 0.0])})
    golden.case(FOLDER + "/rejected", "rejected_pair_ipo_without_margin", OP, {"num_pairs": 2}, pair,
                "a value that the preset leaves to the caller", preset="ipo", status="invalid_argument")


def write(golden):
    p = Pairs(golden)
    for part in (bradley_terry, dpo_family, ties, sides, batches, degenerate):
        part(p)
    p.golden.case(FOLDER, "33_calibration", OP, {"calibration_bins": 5}, {
        "in.chosen": Tensor("F32", [2.0, -.5, 0.0, -3.0]), "in.rejected": Tensor("F32", [0.0, 0.0, .5, 0.0]),
        "out.calibration": Tensor("I64", [[[0, 0, 0], [2, word(2 * s(.5)), 0], [0, 0, 0], [1, word(s(2)), word(1.0)],
                                           [1, word(s(3)), 0]]])},
                  "hits of four pairs by confidence", check={"calibration": {"atol": 2.0 ** 31}})
    golden.case(FOLDER, "in_place", OP, {"reduction": "sum"}, {
        "in.chosen": Tensor("F32", [1.0, 2.0]), "in.rejected": Tensor("F32", [1.0, 2.0]),
        "out.grad_chosen": Tensor("F32", [-.5, -.5]), "out.grad_rejected": Tensor("F32", [.5, .5])},
                "gradients written over the scores", alias={"grad_chosen": "chosen", "grad_rejected": "rejected"})
    rejected(golden)
