"""Inputs of a recorded case for each preset that no other case names: what merit computes for them today is pinned bit
for bit."""
import random

from golden_bits_policy_loss import loss
from golden_file import Tensor

FOLDER = "."
LENGTHS = [0, 1, 33, 100, 257]
PLAIN = ("cispo.open_instruct", "cispo.roll", "dapo", "dr_grpo", "gpg", "kimi", "openrlhf", "reinforce", "reinforce_pp", "rloo",
         "rltf", "topr", "verl.gmpo", "verl.gspo")
MISMATCHED = ("mismatch.seq_mask_tis", "mismatch.tis_sequence", "trl.bnpo", "trl.dr_grpo", "trl.grpo")


def gauss(rng, rows, columns, spread=1.0):
    return [[rng.gauss(0, spread) for _ in range(columns)] for _ in range(rows)]


def policy(golden):
    for name in PLAIN:
        loss(golden, "preset_" + name, "preset " + name, LENGTHS, name)
    for name in MISMATCHED:
        loss(golden, "preset_" + name, "preset " + name, LENGTHS, name, arrays=["rollout"])
    loss(golden, "preset_liger", "preset liger", LENGTHS, "liger", arrays=["ref"])
    loss(golden, "preset_trl.delta", "preset trl.delta", LENGTHS, "trl.delta", {"ratio_cap": 1.5})
    loss(golden, "preset_cispo.absolute", "preset cispo.absolute", LENGTHS, "cispo.absolute", {"ratio_high": 1.25})
    loss(golden, "preset_dppo.prime", "preset dppo.prime", LENGTHS, "dppo.prime", arrays=["ref", "rollout"])
    rng = random.Random("presets of values")
    golden.case(FOLDER, "bits_policy_value_slime", "policy_value_loss", {"num_tokens": 300, "denominator": 300},
                {"in.sequences.offsets": Tensor("I64", [0, 200, 300]),
                 **{"in." + key: Tensor("F32", gauss(rng, 1, 300)[0]) for key in ("value", "old_value", "returns")}},
                "preset slime", preset="slime")
    for name, desc in (("default", {}), ("trl", {"temperature": .7, "logit_scale": 2, "soft_cap": 30})):
        golden.case(FOLDER, "bits_logprob_preset_" + name, "policy_logprob_forward", desc,
                    {"in.logits": Tensor("BF16", gauss(rng, 3, 700, 3.0)), "in.targets": Tensor("I64", [0, 350, 699])},
                    "preset logprob." + name, preset="logprob." + name)


def score(golden):
    rng = random.Random("presets of scores")
    last = {"num_rows": 3, "row_tokens": 5, "pad_id": 0}
    ids = {"in.ids": Tensor("I64", [5, 7, 0, 0, 0, 0, 0, 5, 7, 9, 5, 1, 7, 2, 3])}
    routed = {"positions": "all", "num_tokens": 15}
    for name, heads, desc, more in (
            ("armo", 19, last, ids), ("nemo.bt", 1, last, ids), ("trl.reward", 1, last, ids),
            ("mah", 3, routed, {"in.route": Tensor("I32", [i % 3 for i in range(15)])}),
            ("value_head", 1, {"num_tokens": 15}, {"in.bias": Tensor("F32", [.25])})):
        golden.case(FOLDER, "bits_score_preset_" + name, "score_forward", desc,
                    {"in.hidden": Tensor("BF16", gauss(rng, 15, 40)), "in.weight": Tensor("F32", gauss(rng, heads, 40, .1)), **more},
                    "preset " + name, preset=name)
    for name, columns, desc, more in (
            ("aligner.merge", 5, {}, {"in.direction": Tensor("F32", [.2] * 5)}),
            ("cosine", 8, {}, {"in.direction": Tensor("F32", [.5, .5, .5, .5, 0, 0, 0, 0])}),
            ("prm.plus_minus", 12, {"num_columns": 2, "num_logits": 12}, {"in.level_index": Tensor("I32", [10, 3]), "in.level_values": Tensor("F32", [1.0, 0.0])}),
            ("qrm", 95, {"num_columns": 95}, {})):
        golden.case(FOLDER, "bits_score_readout_preset_" + name, "score_readout_forward", desc,
                    {"in.inputs": Tensor("F32", gauss(rng, 7, columns)), **more}, "preset " + name, preset=name)
    labels = [[rng.random() if rng.random() < .8 else float("nan") for _ in range(4)] for _ in range(50)]
    for name in ("aligner.regression", "prm.mse", "unimod"):
        golden.case(FOLDER, "bits_score_regression_preset_" + name, "score_regression", {},
                    {"in.scores": Tensor("F32", gauss(rng, 50, 4)), "in.labels": Tensor("F32", labels)}, "preset " + name, preset=name)


def write(golden):
    policy(golden)
    score(golden)
