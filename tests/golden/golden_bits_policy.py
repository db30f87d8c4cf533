"""Inputs of the recorded cases of the policy family: what merit computes for them today is pinned bit for bit."""
import random

from golden_file import Tensor

FOLDER = "."


def logits(rng, tokens, vocab, spread):
    return [[rng.gauss(0, spread) for _ in range(vocab)] for _ in range(tokens)]


def logprob(golden, name, note, tokens, vocab, desc=None, dtype="BF16", spread=3.0, more=None):
    rng = random.Random("logprob " + name)
    tensors = {"in.logits": Tensor(dtype, logits(rng, tokens, vocab, spread)),
               "in.targets": Tensor("I64", [rng.randrange(vocab) for _ in range(tokens)])}
    for key, (kind, values) in (more or {}).items():
        tensors["in." + key] = Tensor(kind, values)
    golden.case(FOLDER, "bits_logprob_" + name, "policy_logprob_forward", desc or {}, tensors, note)


def write(golden):
    rng = random.Random("logprob masks")
    logprob(golden, "bf16", "whole segments and the rest of one", 3, 6200)
    logprob(golden, "bf16_shifted", "rows at odd addresses", 4, 4099)
    logprob(golden, "f16", "f16", 2, 4100, dtype="F16")
    logprob(golden, "f32", "f32", 2, 4100, dtype="F32")
    logprob(golden, "peaked", "weights that vanish", 2, 2300, dtype="F32", spread=60.0)
    logprob(golden, "short", "many short rows", 40, 37)
    logprob(golden, "scaled", "scale, cap and temperatures", 3, 2100, {"logit_scale": -1.5, "soft_cap": 20}, dtype="F32",
            more={"temperatures": ("F32", [.7, 1, 2.5])})
    mask = [[rng.getrandbits(32) & rng.getrandbits(32) for _ in range(66)] for _ in range(2)]
    logprob(golden, "mask", "a mask each", 2, 2100, {"support": "mask", "ld_mask": 66}, more={"keep_mask": ("U32", mask)})
    logprob(golden, "mask_full", "one mask, normalized over all", 2, 2100, {"support": "mask", "normalize": "full"},
            more={"keep_mask": ("U32", mask[:1])})
    logprob(golden, "subset", "ids each", 3, 2100, {"support": "subset", "ld_subset": 9},
            more={"subset_ids": ("I32", [[rng.randrange(2100) for _ in range(9)] for _ in range(3)])})
