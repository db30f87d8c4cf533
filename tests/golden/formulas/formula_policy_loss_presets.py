"""Options of policy_loss and policy_value_loss by the header, and what stacks and papers change of them."""
import math

NAN, INF = math.nan, math.inf  # NaN: the caller's to give, or the same as the other pair of bounds

DEFAULTS = {
    "num_tokens": 0, "sequences": {}, "denominator": NAN, "advantage_level": "sequence", "ratio_level": "token",
    "ratio_gradient": "through", "log_ratio_min": -INF, "log_ratio_max": INF, "surrogate": "clip", "surrogate_alt": "detached",
    "ratio_low": .8, "ratio_high": 1.2, "ratio_low_negative": NAN, "ratio_high_negative": NAN, "alt_low": 1.0, "alt_high": 1.0,
    "ratio_cap": 0.0, "dual_clip": 0.0, "gate_tau_positive": 1.0, "gate_tau_negative": 1.05, "quadratic": .1, "reshape": .1,
    "divergence": "none", "divergence_low": .2, "divergence_high": .2, "divergence_anchor": "old",
    "kl": "k3", "kl_coef": 0.0, "kl_gradient": "own", "kl_weight": "one", "kl_input_clamp": INF, "kl_output_clamp": INF,
    "mismatch_level": "none", "mismatch_rule": "truncate", "mismatch_low": 0.0, "mismatch_high": 2.0, "mismatch_numerator": "old",
    "reject_level": "none", "reject_low": 0.0, "reject_high": INF, "reject_source": "old_rollout", "reject_when": "any",
    "correction_scope": "policy", "entropy_coef": 0.0, "aggregation": "token",
}

BY_SEQUENCE = {"aggregation": "sequence"}
LOG_20 = {"log_ratio_min": -20.0, "log_ratio_max": 20.0}
TRL = {"mismatch_level": "sequence_sum", "mismatch_rule": "mask", "mismatch_low": 0.0, "mismatch_high": 3.0}
GSPO = {"ratio_level": "sequence_mean", "ratio_low": 1 - 3e-4, "ratio_high": 1 + 4e-4, **BY_SEQUENCE}
GSPO_TOKEN = {**GSPO, "ratio_gradient": "straight", "log_ratio_max": 10.0}
DETACHED = {"surrogate": "detached"}
REINFORCE = {**DETACHED, "ratio_low": 1.0, "ratio_high": 1.0}
CISPO = {**DETACHED, **LOG_20}
DPPO = {**CISPO, "ratio_low": 0.0, "ratio_high": 3.0}
ORLHF = {**LOG_20, "kl_output_clamp": 10.0}
CLAMPS = {"kl_input_clamp": 20.0, "kl_output_clamp": 10.0}


def geometric(width):
    return {"surrogate": "geometric", "ratio_low": math.exp(-width), "ratio_high": math.exp(width), **BY_SEQUENCE}


PRESETS = {
    "ppo": {}, "dr_grpo": {}, "dapo": {"ratio_high": 1.28}, "grpo": {"kl_coef": .04, **BY_SEQUENCE},
    "trl.grpo": {**TRL, **BY_SEQUENCE}, "trl.dapo": TRL, "trl.bnpo": TRL, "trl.dr_grpo": TRL, "trl.delta": {"ratio_cap": NAN},
    "verl.vanilla": {"dual_clip": 3.0, **LOG_20, **CLAMPS}, "openrlhf": ORLHF, "reinforce_pp": ORLHF,
    "nemo": {**CLAMPS, "kl_weight": "ratio"}, "liger": {"kl_coef": .04},
    "gspo": GSPO, "gspo_token": GSPO_TOKEN, "verl.gspo": GSPO_TOKEN, "gmpo": geometric(.4), "verl.gmpo": geometric(.2),
    "rloo.trl": {"ratio_level": "sequence_sum", **BY_SEQUENCE},
    "cispo.relative": CISPO, "cispo.roll": {**CISPO, "ratio_low": .9, "ratio_high": 1.1},
    "cispo.open_instruct": {**DETACHED, "ratio_low": 0.0}, "cispo.absolute": {**DETACHED, "ratio_low": 0.0, "ratio_high": NAN},
    "reinforce": REINFORCE, "gpg": REINFORCE, "rloo": REINFORCE, "rltf": REINFORCE,
    "topr": {**REINFORCE, "ratio_low_negative": 0.0, "ratio_high_negative": 1.0},
    "dppo_tv": {**DPPO, "divergence": "tv"}, "dppo_kl": {**DPPO, "divergence": "kl"},
    "dppo.prime": {**DETACHED, "ratio_low": 0.0, "ratio_high": INF, "divergence": "tv", "divergence_anchor": "rollout",
                   "kl": "k2", "kl_coef": 2e-3},
    "sapo": {"surrogate": "gate", **BY_SEQUENCE}, "dro": {"surrogate": "quadratic"}, "kimi": {"surrogate": "quadratic"},
    "critique_grpo": {"surrogate_alt": "reshape", **BY_SEQUENCE},
    "offpolicy_mask": {"reject_level": "sequence_mean", "reject_low": NAN, "reject_source": "current_old",
                       "reject_when": "negative"},
    "mismatch.tis": {"mismatch_level": "token"}, "mismatch.tis_sequence": {"mismatch_level": "sequence_sum"},
    "mismatch.icepop": {"mismatch_level": "token", "mismatch_rule": "mask", "mismatch_low": .5, "mismatch_high": 5.0},
    "mismatch.seq_mask_tis": {"mismatch_level": "token", "mismatch_high": 5.0, "reject_level": "sequence_mean", "reject_low": .5,
                              "reject_high": 5.0},
}

VALUE_DEFAULTS = {"num_tokens": 0, "sequences": {}, "denominator": NAN, "clip": .2, "huber_delta": 0.0, "scale": .5,
                  "aggregation": "token"}
VALUE_PRESETS = {"ppo": {}, "unclipped": {"clip": 0.0}, "slime": {"scale": 1.0}, "areal": {"huber_delta": 10.0, "scale": 1.0}}
