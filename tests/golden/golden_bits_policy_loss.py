"""Inputs of the recorded cases of the policy losses: what merit computes for them today is pinned bit for bit."""
import math
import random

from golden_file import Tensor

FOLDER = "."


def tokens(rng, count, width, depth, gap):
    """Log-probabilities down to -depth, and what stands beside them, so far away."""
    lp = [-depth * rng.random() - .001 for _ in range(count)]
    near = [min(-.0005, x + rng.gauss(0, width)) for x in lp]
    return {"logprob": lp, "old": near, "ref": [x + rng.gauss(0, width) for x in lp], "rollout": [min(-.0005, x + rng.gauss(0, gap)) for x in near],
            "entropy": [2 * rng.random() for _ in lp], "token_weight": [2 * rng.random() for _ in lp]}


def loss(golden, name, note, lengths, preset=None, desc=None, arrays=(), by_token=False, masked=False, modes=False, width=.3,
         depth=3, gap=.2, more=None, old=True):
    """more: tensors in place of those that this makes."""
    rng = random.Random("policy_loss " + name)
    offsets = [0]
    for length in lengths:
        offsets.append(offsets[-1] + length)
    T, B = offsets[-1], len(lengths)
    all_arrays = tokens(rng, T, width, depth, gap)
    tensors = {"in.sequences.offsets": Tensor("I64", offsets),
               "in.advantages": Tensor("F32", [rng.gauss(0, 1) for _ in range(T if by_token else B)])}
    for key in ("logprob",) + ("old",) * old + tuple(arrays):
        tensors["in." + key] = Tensor("F32", all_arrays[key])
    if masked:
        tensors["in.mask"] = Tensor("U8", [int(rng.random() < .8) for _ in range(T)])
    if modes:
        tensors["in.token_mode"] = Tensor("U8", [int(rng.random() < .3) for _ in range(T)])
    tensors.update(more or {})
    options = {"num_tokens": T, "denominator": T, **({"advantage_level": "token"} if by_token else {}), **(desc or {})}
    golden.case(FOLDER, "bits_policy_loss_" + name, "policy_loss", options, tensors, note, preset=preset)


def write(golden):
    mixed = [0, 1, 31, 32, 33, 100, 255, 257, 700]
    loss(golden, "ppo", "plain clipping", mixed, "ppo")
    loss(golden, "grpo", "a KL of the reference", mixed, "grpo", arrays=["ref"], masked=True)
    loss(golden, "long", "more than a tile", [2500, 3], "verl.vanilla", {"kl_coef": .01}, ["ref", "entropy"])
    loss(golden, "short", "many short sequences", [1 + n % 5 for n in range(2100)], "grpo", arrays=["ref"])
    loss(golden, "gspo", "a ratio per sequence", mixed, "gspo", {"ratio_low": .9, "ratio_high": 1.1})
    loss(golden, "gspo_token", "advantages per token", mixed, "gspo_token", {"ratio_low": .9, "ratio_high": 1.1}, by_token=True, masked=True)
    loss(golden, "rloo", "the sum of log-ratios", [3, 8, 1], "rloo.trl")
    loss(golden, "gmpo", "geometric", mixed, "gmpo", by_token=True, width=.6)
    loss(golden, "cispo", "detached weights", mixed, "cispo.relative", arrays=["entropy"], desc={"entropy_coef": .01})
    loss(golden, "sapo", "gates", mixed, "sapo", width=1.0)
    loss(golden, "dppo_tv", "total variation", [300], "dppo_tv", by_token=True)
    loss(golden, "dppo_kl", "Bernoulli KL", [300], "dppo_kl", by_token=True)
    loss(golden, "dro", "quadratic", [300], "dro")
    loss(golden, "critique", "two surrogates", [300, 5], "critique_grpo", modes=True)
    loss(golden, "nemo", "KL by the ratio", [300], "nemo", {"kl_coef": .1}, ["ref"])
    loss(golden, "trl", "sequence mask of the mismatch", mixed, "trl.dapo", arrays=["rollout"])
    loss(golden, "icepop", "token mask", [300, 20], "mismatch.icepop", {"correction_scope": "all", "kl_coef": .1}, ["rollout", "ref", "token_weight"])
    loss(golden, "reject", "off-policy sequences", mixed, "offpolicy_mask", {"reject_low": math.exp(-.05)}, by_token=True)
    for kind in ("k1", "k2", "abs"):
        loss(golden, kind, "another estimator", [300], "ppo", {"kl": kind, "kl_coef": .2, "kl_output_clamp": .5}, ["ref"])
    loss(golden, "options", "bounds of every kind", [500, 40], "ppo",
         {"log_ratio_min": -.5, "log_ratio_max": .5, "ratio_cap": 1.3, "dual_clip": 1.1, "ratio_low_negative": .9, "kl_coef": .1,
          "kl_weight": "ratio", "kl_input_clamp": .4, "ratio_level": "token", "correction_scope": "all"}, ["ref", "token_weight"], by_token=True)
    rng = random.Random("policy_value_loss")
    for name, desc, preset in (("clipped", {}, "ppo"), ("huber", {"aggregation": "sequence", "huber_delta": .7}, "areal"), ("plain", {}, "unclipped")):
        T = 3000
        v = [rng.gauss(0, 1) for _ in range(T)]
        golden.case(FOLDER, "bits_policy_value_" + name, "policy_value_loss", {"num_tokens": T, "denominator": T, **desc},
                    {"in.sequences.offsets": Tensor("I64", [0, 2500, 2507, 2507, T]), "in.value": Tensor("F32", v),
                     "in.old_value": Tensor("F32", [x + rng.gauss(0, .3) for x in v]), "in.returns": Tensor("F32", [rng.gauss(0, 1) for _ in v]),
                     "in.mask": Tensor("U8", [int(rng.random() < .9) for _ in v])}, "values", preset=preset)
