"""policy_loss, policy_value_loss and policy_count: tokens worked by hand. The results stand on the page of the
family, computed in double there; binary32 ratios miss them by less than 2e-6."""
import math

from golden_file import Tensor

NAN, INF = math.nan, math.inf
LN = math.log
CHECK = {"loss": {"rtol": 2e-6, "atol": 1e-9}, "grad_logprob": {"rtol": 2e-6, "atol": 1e-9},
         "grad_entropy": {"rtol": 1e-6}, "token_loss": {"rtol": 2e-6, "atol": 1e-9}, "grad_value": {"rtol": 2e-6, "atol": 1e-9}}
KINDS = {"mask": "U8", "token_mode": "U8", "denominator": "F64", "loss": "F64", "loss_tiles": "F64", "counts": "I64"}
BY_TOKEN = {"advantage_level": "token"}


class Policy:
    def __init__(self, golden):
        self.golden = golden

    def write(self, name, note, inputs, outputs, desc=None, preset=None, offsets=None, counters=None, status=None, op="policy_loss",
              sequences=None):
        tensors = {}
        for side, values in (("in.", inputs), ("out.", outputs)):
            for key, value in values.items():
                tensors[side + key] = Tensor(KINDS.get(key, "F32" if side == "in." else "F64"), value)
        tokens = len(next(v for k, v in inputs.items() if k in ("logprob", "value", "mask")))
        layout = {"num_groups": 1, "group_size": tokens} if sequences is None else sequences
        if offsets is not None:
            tensors["in.sequences.offsets"] = Tensor("I64", offsets)
            layout = {}
        for key, value in (counters or {}).items():
            tensors["out.diagnostics." + key] = Tensor("U64", [value])
        options = {} if op == "policy_count" else {"denominator": 1}
        self.golden.case(op if status is None else op + "/rejected", name, op,
                         {"num_tokens": tokens, "sequences": layout, **options, **(desc or {})}, tensors, note, preset=preset,
                         check={k: CHECK[k] for k in outputs if k in CHECK}, status=status)

    def token(self, name, note, loss, slope, rho=0.0, A=1.0, lp=-1.0, desc=None, preset=None, **more):
        """One token with the log-ratio rho."""
        inputs = {"logprob": [lp], "old": [lp - rho], "advantages": [A], **{k: [v] for k, v in more.items()}}
        self.write(name, note, inputs, {"loss": [loss], "grad_logprob": [slope]}, desc, preset)

    def kl(self, name, note, d, loss, slope, **desc):
        self.write(name, note, {"logprob": [0.0], "old": [0.0], "ref": [d], "advantages": [0.0]},
                   {"loss": [loss], "grad_logprob": [slope]}, {"kl_coef": 1, **desc})


def surrogates(w):
    w.token("01_equal", "r is exactly 1", -2, -2, A=2)
    w.token("02_above", "clipped above", -1.2, 0, LN(1.5))
    w.token("02_above_negative", "A < 0 is not clipped above", 1.5, 1.5, LN(1.5), -1)
    w.token("03_below", "A > 0 is not clipped below", -.5, -.5, LN(.5))
    w.token("03_below_negative", "clipped below", .8, 0, LN(.5), -1)
    w.token("04_dual_clip", "the dual clip is the least", 3, 0, LN(4), -1, desc={"dual_clip": 3})
    w.token("04_ratio_cap", "a cap on the ratio", 2, 0, LN(4), -1, desc={"ratio_cap": 2})
    w.token("04_neither", "neither", 4, 4, LN(4), -1)
    w.token("05_detached", "the ratio is a weight", .84, -1.2, LN(1.5), lp=-.7, preset="cispo.relative")
    w.token("05_detached_wide", "inside its bounds", 1.05, -1.5, LN(1.5), lp=-.7, preset="cispo.relative",
            desc={"ratio_low": 0, "ratio_high": 5})
    w.token("06_gate", "a soft gate", -2.489837325, -1.410022273, LN(1.5), preset="sapo")
    w.token("06_gate_negative", "with its own temperature", 2.393585479, 1.401209735, LN(1.5), -1, preset="sapo")
    w.token("06_gate_at_1", "the slope of REINFORCE", -2, -1, preset="sapo")
    w.token("07_quadratic", "a pull toward the old policy", .7125, -.95, .5, lp=-.7, preset="dro")
    w.token("08_reshape", "p = 1/2", -.833333333, -.138888889, lp=LN(.5), desc={"surrogate": "reshape"})
    w.token("08_reshape_steep", "p = 0.1, the steepest", -.5, -.25, lp=LN(.1), desc={"surrogate": "reshape"})
    for name, pi, A, loss, slope, kind in (
            ("09_tv", .9, 1, 0, 0, "tv"), ("09_tv_negative", .9, -1, -.158040773, 1.5, "tv"), ("09_tv_near", .7, 1, .416120768, -1.166666667, "tv"),
            ("10_kl", .9, 1, 0, 0, "kl"), ("10_kl_negative", .9, -1, -.158040773, 1.5, "kl"), ("10_kl_near", .7, 1, .416120768, -1.166666667, "kl")):
        w.token(name, f"pi {pi}, o 0.6", loss, slope, LN(pi) - LN(.6), A, LN(pi), preset="dppo_" + kind)


def sequences(w):
    two = {"logprob": [-1, -1], "old": [-1 - LN(2), -1]}
    wide = {"ratio_low": .5, "ratio_high": 2}
    w.write("11_sequence_mean", "one ratio for both", {**two, "advantages": [-1]}, {"loss": [1.414213562], "grad_logprob": [.707106781] * 2},
            wide, "gspo")
    for kind, slopes in (("through", [-1.414213562] * 2), ("straight", [-.707106781, -2.121320344])):
        w.write("12_" + kind, "advantages per token", {**two, "advantages": [1, 3]}, {"loss": [-2.828427125], "grad_logprob": slopes},
                {**wide, **BY_TOKEN, "ratio_gradient": kind}, "gspo")
    far = {"logprob": [-1, -1], "old": [-1 - LN(2), -1 + 2 * LN(2)]}
    w.write("13_geometric", "the first is clipped", {**far, "advantages": [1]}, {"loss": [-.610701379], "grad_logprob": [0, -.305350690]}, preset="gmpo")
    w.write("13_geometric_negative", "the second is clipped", {**far, "advantages": [-1]},
            {"loss": [1.157860135], "grad_logprob": [.578930067, 0]}, preset="gmpo")


def divergences(w):
    w.kl("14_k1", "-d", .5, -.5, 1, kl="k1")
    w.kl("14_k2", "d^2 / 2", .5, .125, -.5, kl="k2")
    w.kl("14_k3", "expm1(d) - d", .5, .148721271, -.648721271)
    w.kl("14_k3_negative", "expm1(d) - d", -.5, .106530660, .393469340)
    w.golden.case("policy_loss", "15_small", "policy_loss", {"num_tokens": 1, "sequences": {"num_groups": 1, "group_size": 1}, "denominator": 1,
                                                            "kl_coef": 1},
                  {"in.logprob": Tensor("F32", [0]), "in.old": Tensor("F32", [0]), "in.ref": Tensor("F32", [1e-4]), "in.advantages": Tensor("F32", [0]),
                   "out.loss": Tensor("F64", [5.00016667e-9]), "out.grad_logprob": Tensor("F64", [-1.000050002e-4])},
                  "no digits lost near 0", check={"loss": {"rtol": 1e-6}, "grad_logprob": {"rtol": 1e-6}})
    clamps = {"kl_input_clamp": 20, "kl_output_clamp": 10}
    w.kl("16_clamped", "d = 25", 25, 10, 0, **clamps)
    w.kl("16_clamped_far", "d = 200", 200, 10, 0, **clamps)
    w.kl("16_at_the_clamp", "d = 20", 20, 485165174.41, -485165194.41, kl_input_clamp=20)
    w.token("17_ratio", "weighed by r = 1.5", .223081906, -.75, LN(1.5), 0, desc={"kl_coef": 1, "kl_weight": "ratio"}, ref=-.5)
    w.kl("17_squared", "K1 with the gradient of K2", .5, -.5, -.5, kl="k1", kl_gradient="squared")


def corrections(w):
    inputs = {"logprob": [-1] * 3, "old": [-1] * 3, "rollout": [-1 - LN(3), -1 - LN(.5), -1], "advantages": [-1]}
    mean = 1.144714243
    for name, weights, desc in (("token", [2, .5, 1], {}), ("mask", [0, .5, 1], {"mismatch_rule": "mask", "mismatch_low": .4}),
                                ("sum", [1.5] * 3, {"mismatch_level": "sequence_sum"}), ("mean", [mean] * 3, {"mismatch_level": "sequence_mean"})):
        w.write("18_" + name, "weights of the mismatch", inputs, {"loss": [sum(weights)], "grad_logprob": weights}, desc, "mismatch.tis")


def aggregation(w):
    inputs = {"logprob": [0] * 12, "old": [0] * 12, "advantages": [-1, -2, -3, 0, -10] + [0] * 7, "mask": [1, 1, 1, 0, 1] + [0] * 7}
    rows = {"num_groups": 3, "group_size": 4}
    for name, D, kind, loss in (("token_4", 4, "token", 4), ("sequence_2", 2, "sequence", 6), ("sequence_3", 3, "sequence", 4), ("token_8", 8, "token", 2)):
        w.write("19_" + name, "token losses 1, 2, 3 | 10 | none", inputs, {"loss": [loss]}, {**BY_TOKEN, "denominator": D, "aggregation": kind},
                sequences=rows)
    packed = {"logprob": [0] * 4, "old": [0] * 4, "advantages": [-1, -2, -3, -10]}
    w.write("19_packed", "the same, packed; D in an array", {**packed, "denominator": [2.0]}, {"loss": [6]},
            {**BY_TOKEN, "denominator": 0, "aggregation": "sequence"}, offsets=[0, 3, 4, 4])
    w.write("20_entropy", "an entropy bonus", {"logprob": [0] * 4, "old": [0] * 4, "advantages": [0], "entropy": [1, 2, 3, 4]},
            {"loss": [-.025], "grad_entropy": [-.0025] * 4}, {"entropy_coef": .01, "denominator": 4})
    w.write("21_whole", "four tokens", {"logprob": [-.5, -1, -2, -.25], "old": [-.7, -1, -1.5, -.25], "ref": [-.5, -1.1, -2.2, -.5],
                                        "advantages": [1, 1, -1, -1]},
            {"loss": [-.098690776], "grad_logprob": [0, -.247620935, .004531731, .255529980]}, {**BY_TOKEN, "kl_coef": .1, "denominator": 4})


def degenerate(w):
    four = {"logprob": [0] * 4, "old": [0] * 4, "advantages": [1]}
    w.write("masked_nan", "masked tokens hold anything", {"logprob": [NAN, 0, INF, 0], "old": [0, 0, NAN, 0], "advantages": [1], "mask": [0, 1, 0, 1]},
            {"loss": [-2], "grad_logprob": [0, -1, 0, -1], "token_loss": [0, -1, 0, -1]})
    w.write("nan_token", "NaN stays with its token", {**four, "logprob": [0, NAN, 0, 0]}, {"loss": [NAN], "grad_logprob": [-1, NAN, -1, -1]})
    w.write("nan_sequence", "or its sequence", {**four, "logprob": [0, NAN, 0, 0], "advantages": [1, 1]}, {"loss": [NAN], "grad_logprob": [NAN, NAN, -.5, -.5]},
            preset="gspo", sequences={"num_groups": 2, "group_size": 2})
    w.write("no_valid", "nothing valid", {**four, "logprob": [NAN] * 4, "mask": [0] * 4}, {"loss": [0], "grad_logprob": [0] * 4})
    w.write("zero_denominator", "D = 0 in an array", {**four, "logprob": [0, NAN, 0, 0], "denominator": [0.0]}, {"loss": [0], "grad_logprob": [0] * 4},
            {"denominator": 0})
    w.write("zero_weight", "weight 0 leaves a term out", {**four, "logprob": [0, NAN, 0, 0], "token_weight": [1, 0, 1, 1]},
            {"loss": [-3], "grad_logprob": [-1, 0, -1, -1]})
    w.write("old_minus_infinity", "r = inf: clipped, or not", {"logprob": [0, 0], "old": [-INF] * 2, "advantages": [1, -1]},
            {"loss": [INF], "grad_logprob": [0, INF]}, BY_TOKEN)
    w.write("bad_offsets", "a sequence past the tokens", {**four, "advantages": [1, 1]}, {"loss": [-2], "grad_logprob": [-1, -1, NAN, NAN]},
            offsets=[0, 2, 9], counters={"bad_offsets": 1})
    w.write("too_large", "a sequence above max_size", {**four, "advantages": [1, 1]}, {"loss": [-1], "grad_logprob": [-1, NAN, NAN, NAN]},
            {"sequences": {"max_size": 2}}, offsets=[0, 1, 4], counters={"group_too_large": 1})
    for name, desc, more in (("low_above_high", {"ratio_low": .9, "ratio_high": .8}, {}), ("low_above_one", {"ratio_low": 1.1}, {}),
                             ("dual_clip", {"dual_clip": .5}, {}), ("ratio_cap", {"ratio_cap": 1}, {}), ("tau", {"gate_tau_positive": 0}, {}),
                             ("nan", {"log_ratio_max": NAN}, {}), ("denominator_missing", {"denominator": NAN}, {}),
                             ("ref_missing", {"kl_coef": .1}, {}), ("rollout_missing", {"mismatch_level": "token"}, {}),
                             ("entropy_missing", {"entropy_coef": .1}, {}), ("level_unknown", {"ratio_level": 9}, {}),
                             ("geometric_sequence", {"surrogate": "geometric", "ratio_level": "sequence_mean"}, {}),
                             ("geometric_alt", {"surrogate_alt": "geometric"}, {})):
        w.write("rejected_" + name, name.replace("_", " "), {**four, **more}, {"loss": [0]}, desc, status="invalid_argument")


def values(w):
    def token(name, note, v, old, R, loss, slope, desc=None, preset=None):
        w.write(name, note, {"value": [v], "old_value": [old], "returns": [R]}, {"loss": [loss], "grad_value": [slope]}, desc, preset,
                op="policy_value_loss")

    token("01_clipped", "the clipped branch is larger", 1, 0, 2, 1.62, 0)
    token("02_unclipped", "the other", 1, 0, -1, 2, 2)
    token("03_inside", "inside the bounds", .1, 0, 1, .405, -.9)
    token("04_tie", "equal: the unclipped branch", 1, 0, .625, .0703125, .375, {"clip": .25})
    token("05_huber", "beyond delta", 13, 13, 1, 70, 10, preset="areal")
    w.write("masked", "masked tokens hold anything", {"value": [1, NAN], "old_value": [0, 0], "returns": [-1, INF], "mask": [1, 0]},
            {"loss": [2], "grad_value": [2, 0]}, op="policy_value_loss")
    for name, desc in (("clip", {"clip": -1}), ("delta", {"huber_delta": NAN}), ("scale", {"scale": 0})):
        w.write("rejected_value_" + name, name, {"value": [1], "old_value": [1], "returns": [1]}, {"loss": [0]}, desc, status="invalid_argument",
                op="policy_value_loss")
    w.write("counts", "tokens and sequences that have any", {"mask": [1, 0, 2, 0, 0, 255]}, {"counts": [3, 2]}, offsets=[0, 3, 3, 5, 6],
            op="policy_count")


def write(golden):
    w = Policy(golden)
    for part in (surrogates, sequences, divergences, corrections, aggregation, degenerate, values):
        part(w)
