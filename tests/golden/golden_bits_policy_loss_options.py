"""Inputs of a recorded case for each option of policy_loss whose value no other case shows, and for the presets whose
bounds only tokens far from the old policy reach: what merit computes for them today is pinned bit for bit."""
import math
import random

from golden_bits_policy_loss import FOLDER, loss
from golden_file import Tensor, counted

SHORT = [1, 2, 0, 3, 40]


def surrogates(golden):
    loss(golden, "alt_clip", "the other surrogate clips", SHORT, None,
         {"surrogate": "detached", "ratio_low": .9, "ratio_high": 1.1, "surrogate_alt": "clip", "alt_low": .7, "alt_high": 1.4,
          "dual_clip": 1.5, "ratio_cap": 1.6}, by_token=True, modes=True, width=.5)
    loss(golden, "alt_gate", "the other surrogate is a gate", SHORT, None,
         {"surrogate": "reshape", "reshape": .3, "surrogate_alt": "gate", "gate_tau_positive": 2, "gate_tau_negative": .5},
         by_token=True, modes=True)
    loss(golden, "alt_quadratic", "the other surrogate takes log-ratios as they are", SHORT, None,
         {"surrogate": "gate", "gate_tau_positive": 1.5, "surrogate_alt": "quadratic", "quadratic": .7, "log_ratio_min": -.3,
          "log_ratio_max": .2}, by_token=True, modes=True)
    loss(golden, "negative_bounds", "bounds of their own where A < 0", SHORT, None,
         {"surrogate": "detached", "ratio_low_negative": .5, "ratio_high_negative": .9}, by_token=True, width=.5)
    loss(golden, "geometric_bounds", "geometric, clamped and weighted", [5, 0, 1, 20, 20, 20], "gmpo",
         {"ratio_low_negative": .8, "ratio_high_negative": 1.1, "log_ratio_min": -.3, "log_ratio_max": .35,
          "aggregation": "token"}, ["token_weight"], masked=True)
    loss(golden, "geometric_mixed", "geometric beside another surrogate", [5, 0, 1, 20, 20, 20], "gmpo",
         {"surrogate_alt": "clip", "alt_low": .9, "alt_high": 1.1, "divergence": "tv", "divergence_low": .1,
          "divergence_high": .15}, ["token_weight"], by_token=True, masked=True, modes=True)
    loss(golden, "no_old", "r is 1", SHORT, "grpo", arrays=["ref"], old=False)
    for kind in ("tv", "kl"):
        loss(golden, "divergence_" + kind, "bounds on the distance from the rollout", SHORT + [60], None,
             {"divergence": kind, "divergence_low": .05, "divergence_high": .1, "divergence_anchor": "rollout"},
             ["rollout"], by_token=True, gap=.6)


def sequences(golden):
    loss(golden, "sum_straight", "a ratio of sums, each token's own slope", SHORT, None,
         {"ratio_level": "sequence_sum", "ratio_gradient": "straight", "ratio_low": .5, "ratio_high": 2}, by_token=True, width=.2)
    loss(golden, "mean_through", "a ratio of means and KL weighed by it", SHORT, None,
         {"ratio_level": "sequence_mean", "kl": "k1", "kl_coef": .3, "kl_weight": "ratio", "log_ratio_min": -.1,
          "log_ratio_max": .2}, ["ref", "token_weight"], by_token=True, masked=True)
    rng = random.Random("policy_loss sequence weights")
    weights = Tensor("F32", [0.0 if i == 1 else 2 * rng.random() for i in range(5)])
    loss(golden, "sequence_weights", "a weight per sequence, one of them 0", SHORT, "grpo",
         {"entropy_coef": .02, "denominator": 0}, ["ref", "entropy"],
         more={"in.sequence_weight": weights, "in.denominator": Tensor("F64", [7.3])})
    zeros = Tensor("F32", [float(rng.random() < .7) for _ in range(46)])
    loss(golden, "token_weights", "tokens of weight 0", SHORT, "dr_grpo", {"kl_coef": .1}, ["ref"],
         more={"in.token_weight": zeros})


def divergences(golden):
    loss(golden, "kl_squared", "the gradient of K2, clamped", SHORT, None,
         {"kl": "abs", "kl_coef": .5, "kl_gradient": "squared", "kl_input_clamp": .4, "kl_output_clamp": .3}, ["ref"], width=.4)
    loss(golden, "kl_ratio", "KL by a ratio that is clamped, as KL is", SHORT, None,
         {"kl_coef": .5, "kl_weight": "ratio", "kl_output_clamp": .1, "log_ratio_min": -.3, "log_ratio_max": .4}, ["ref"],
         width=.4)


def corrections(golden):
    scope = {"correction_scope": "all", "kl_coef": .1, "entropy_coef": .02}
    rest = ["ref", "rollout", "entropy"]
    loss(golden, "mismatch_current", "the policy against the rollout", SHORT, None,
         {"mismatch_level": "token", "mismatch_numerator": "current", "mismatch_low": .9, "mismatch_high": 1.1, **scope}, rest)
    loss(golden, "mismatch_policy", "weights on the policy term alone", SHORT, "mismatch.icepop",
         {"kl_coef": .1, "entropy_coef": .02, "mismatch_low": .9, "mismatch_high": 1.1}, rest)
    loss(golden, "mismatch_mean", "masks of sequences", SHORT + [1, 2, 3, 4], None,
         {"mismatch_level": "sequence_mean", "mismatch_rule": "mask", "mismatch_low": .9, "mismatch_high": 1.3, **scope}, rest,
         gap=.5)
    loss(golden, "mismatch_none", "statistics alone", SHORT, None,
         {"mismatch_level": "sequence_sum", "mismatch_rule": "none", "mismatch_numerator": "current"}, ["rollout"])
    loss(golden, "reject_token", "tokens dropped", SHORT, None,
         {"reject_level": "token", "reject_low": .8, "reject_high": 1.3, **scope}, rest)
    loss(golden, "reject_sum", "whole sequences dropped where A < 0", SHORT + [1, 2, 3, 4], None,
         {"reject_level": "sequence_sum", "reject_low": .9, "reject_high": 1.2, "reject_source": "current_old",
          "reject_when": "negative"}, by_token=True)
    loss(golden, "reject_mean", "whole sequences dropped", SHORT + [1, 2, 3, 4], None,
         {"reject_level": "sequence_mean", "reject_low": .95, "reject_high": 1.05}, ["rollout"])


def presets(golden):
    lengths, far = [50] + [1] * 20, {"depth": 40, "width": 15.0}
    for name in ("cispo.relative", "cispo.roll", "dppo_tv", "dppo_kl", "gspo_token", "verl.gspo"):
        loss(golden, "far_" + name, f"preset {name} where its bounds bite", lengths, name, **far)
    for name in ("verl.vanilla", "openrlhf", "reinforce_pp", "nemo"):
        loss(golden, "far_" + name, f"preset {name} where its bounds bite", lengths, name, {"kl_coef": .01}, ["ref"], **far)
    for name in ("verl.vanilla", "nemo"):  # within the other clamp, that of the input does not show
        loss(golden, "clamp_" + name, f"preset {name}, a clamp of d alone", lengths, name,
             {"kl_coef": .01, "kl_output_clamp": math.inf}, ["ref"], **far)
    for name in ("mismatch.icepop", "mismatch.seq_mask_tis", "trl.grpo", "trl.dapo", "trl.bnpo", "trl.dr_grpo"):
        loss(golden, "far_" + name, f"preset {name} where its bounds bite", [20] + [1] * 60, name, arrays=["rollout"], gap=1.0)


def padded(golden):
    """Rows with tokens between them that are in no sequence, and a denominator in an array."""
    rng = random.Random("policy_loss padded")
    desc = {"num_tokens": 70, "sequences": {"num_groups": 3, "group_size": 20, "group_stride": 25}, "denominator": 0}

    def tensors(*keys):
        noise = {"in." + key: Tensor("F32", [rng.gauss(-1, .3) for _ in range(70)]) for key in keys}
        valid = Tensor("U8", [int(rng.random() < .9) for _ in range(70)])
        return {**noise, "in.mask": valid, "in.denominator": Tensor("F64", [1 / 3])}
    golden.case(FOLDER, "bits_policy_loss_padded", "policy_loss", desc,
                {**tensors("logprob", "old", "ref"), "in.advantages": Tensor("F32", [1.5, -.7, 0])}, "rows", preset="grpo")
    golden.case(FOLDER, "bits_policy_value_padded", "policy_value_loss", desc, tensors("value", "old_value", "returns"), "rows",
                preset="ppo")


def refused(golden):
    """Sequences above the largest size, past the tokens and nowhere."""
    rng = random.Random("policy_loss refused")
    layout = {"sequences": {"max_size": 6}}
    tensors = {"in.sequences.offsets": Tensor("I64", [0, 5, 12, 99, 99]), **counted("bad_offsets", "group_too_large")}
    loss(golden, "refused", "sequences that are left out", [5, 7, 8, 0], "grpo", layout, ["ref"], more=tensors)
    values = {"in." + key: Tensor("F32", [rng.gauss(0, 1) for _ in range(20)]) for key in ("value", "old_value", "returns")}
    golden.case(FOLDER, "bits_policy_value_refused", "policy_value_loss", {"num_tokens": 20, "denominator": 5, **layout},
                {**values, **tensors}, "sequences that are left out", preset="ppo")
    mask = {"in.mask": Tensor("U8", [int(rng.random() < .7) for _ in range(20)])}
    golden.case(FOLDER, "bits_policy_count_refused", "policy_count", {"num_tokens": 20, **layout}, {**mask, **tensors},
                "sequences that are left out")


def write(golden):
    for part in (surrogates, sequences, divergences, corrections, presets, padded, refused):
        part(golden)
