"""Inputs of the recorded cases of the policy family: what merit computes for them today is pinned bit for bit."""
import random

from golden_file import Tensor, counted

FOLDER = "."


def logits(rng, tokens, vocab, spread):
    return [[rng.gauss(0, spread) for _ in range(vocab)] for _ in range(tokens)]


def logprob(golden, name, note, tokens, vocab, desc=None, dtype="BF16", spread=3.0, more=None, counters=()):
    rng = random.Random("logprob " + name)
    tensors = {"in.logits": Tensor(dtype, logits(rng, tokens, vocab, spread)),
               "in.targets": Tensor("I64", [rng.randrange(vocab) for _ in range(tokens)])}
    for key, (kind, values) in (more or {}).items():
        tensors["in." + key] = Tensor(kind, values)
    tensors.update(counted(*counters))
    golden.case(FOLDER, "bits_logprob_" + name, "policy_logprob_forward", desc or {}, tensors, note)


def gradient(golden, name, note, tokens, vocab, desc=None, dtype="BF16", spread=3.0, entropy=True, more=None):
    rng = random.Random("logprob gradient " + name)
    tensors = {"in.logits": Tensor(dtype, logits(rng, tokens, vocab, spread)),
               "in.targets": Tensor("I64", [rng.randrange(vocab) for _ in range(tokens)]),
               "in.state": Tensor("I32", [[rng.randrange(8, 16), 0x3F000000 + rng.randrange(1 << 23)] for _ in range(tokens)]),
               "in.grad_logprob": Tensor("F32", [rng.gauss(0, 1) for _ in range(tokens)])}
    if entropy:
        tensors["in.grad_entropy"] = Tensor("F32", [rng.gauss(0, 1) for _ in range(tokens)])
        tensors["in.entropy"] = Tensor("F32", [rng.uniform(1, 6) for _ in range(tokens)])
    for key, (kind, values) in (more or {}).items():
        tensors["in." + key] = Tensor(kind, values)
    golden.case(FOLDER, "bits_logprob_grad_" + name, "policy_logprob_backward", desc or {}, tensors, note)


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
    part = {"vocab_begin": 2048, "vocab_total": 8192}
    logprob(golden, "segments", "sums of the segments of one rank", 3, 5000, {**part, "partials": "segment"})
    logprob(golden, "shard", "one rank's record", 3, 5000, {**part, "partials": "shard"}, dtype="F32")
    gradient(golden, "bf16", "without entropy", 3, 2070, entropy=False)
    gradient(golden, "bf16_entropy", "with entropy, rows at odd addresses", 3, 2071)
    gradient(golden, "f16", "f16", 2, 1030, dtype="F16")
    gradient(golden, "f32", "f32, weights that vanish", 2, 1030, dtype="F32", spread=60.0)
    gradient(golden, "scaled", "scale, cap and temperatures", 3, 500, {"logit_scale": -1.5, "soft_cap": 20}, dtype="F32",
             more={"temperatures": ("F32", [.7, 1, 2.5])})
    gradient(golden, "mask_full", "one mask, normalized over all", 2, 500, {"support": "mask", "normalize": "full"},
             more={"keep_mask": ("U32", [mask[0][:16]]), "mass": ("F32", [-.5, -.1])})
    gradient(golden, "subset", "ids each, one twice", 3, 500, {"support": "subset", "ld_subset": 4},
             more={"subset_ids": ("I32", [[1, 2, 3, 3], [4, 499, 0, 7], [1, 9, 8, 7]])})
