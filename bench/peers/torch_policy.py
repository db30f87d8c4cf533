"""PyTorch on log-probs of tokens and the losses of policies and values."""
import math

import torch
import torch.nn.functional as F

from peer import SIZES, typed
from torch_peer import declare


def policy_logprob_forward(axes, _device):
    tokens, vocab, dtype = axes["tokens"], axes["vocab"], axes["dtype"]
    entropy = axes["results"] == "entropy"

    def logprob(logits, targets):
        x = logits.float()
        return (x.gather(1, targets[:, None])[:, 0] - torch.logsumexp(x, 1),)

    def logprob_and_entropy(logits, targets):
        lp = torch.log_softmax(logits.float(), 1)
        return lp.gather(1, targets[:, None])[:, 0], -(lp.exp() * lp).sum(1)

    yield from declare("log-probs and entropies" if entropy else "log-probs",
                       logprob_and_entropy if entropy else logprob, [2, 3] if entropy else [2],
                       tokens * vocab * SIZES[dtype] + 8 * tokens, (8 if entropy else 4) * tokens,
                       lambda inputs: [typed(inputs[0], dtype, tokens, vocab), typed(inputs[1], "i64", tokens)])


def policy_logprob_backward(axes, _device):
    tokens, vocab, dtype = axes["tokens"], axes["vocab"], axes["dtype"]
    entropy = axes["gradients"] == "entropy"

    def gradient(logits, targets, by_logprob, by_entropy):
        lp = torch.log_softmax(logits.float(), 1)
        p = lp.exp()
        grad = -by_logprob[:, None] * p
        grad.scatter_add_(1, targets[:, None], by_logprob[:, None])
        if entropy:
            grad -= by_entropy[:, None] * p * (lp - (p * lp).sum(1, keepdim=True))
        return (grad.to(logits.dtype),)

    def make(inputs):
        return [typed(inputs[0], dtype, tokens, vocab), typed(inputs[1], "i64", tokens),
                typed(inputs[3], "f32", tokens), typed(inputs[4], "f32", tokens)]

    size = tokens * vocab * SIZES[dtype]
    yield from declare("gradient of the logits, softmax recomputed", gradient, [6], size + 16 * tokens, size, make)


def policy_loss(axes, _device):
    sequences, length, preset = axes["sequences"], axes["length"], axes["preset"]
    low, high = (1 - 3e-4, 1 + 4e-4) if preset == "gspo" else (0.8, 1.2)

    def loss(lp, old, ref, advantages, mask):
        valid = mask.sum(1, keepdim=True).clamp(min=1)
        ratio = torch.exp(((lp - old) * mask).sum(1, keepdim=True) / valid).expand_as(lp) if preset == "gspo" \
            else torch.exp(lp - old)
        token = torch.max(-advantages * ratio, -advantages * ratio.clamp(low, high))
        if preset == "grpo":
            token = token + 0.04 * (torch.exp(ref - lp) - (ref - lp) - 1)
        if preset == "ppo":
            return (token * mask).sum() / lp.numel()
        return ((token * mask).sum(1, keepdim=True) / valid).mean()

    def make(inputs):
        lp, old = (typed(inputs[i], "f32", sequences, length) for i in (0, 1))
        ref = typed(inputs[2], "f32", sequences, length) if preset == "grpo" else None
        return [lp, old, ref, typed(inputs[3], "f32", sequences, 1),
                typed(inputs[4], "u8", sequences, length).float()]

    tokens = sequences * length
    yield from declare("loss and gradient", loss, [5, 6], (13 if preset == "grpo" else 9) * tokens, 4 * tokens, make,
                       same_work=axes["outputs"] != "stats", gradients=1)


def policy_value_loss(axes, _device):
    sequences, length = axes["sequences"], axes["length"]

    def loss(value, old, returns, mask):
        clipped = old + (value - old).clamp(-0.2, 0.2)
        token = 0.5 * torch.max((value - returns) ** 2, (clipped - returns) ** 2)
        return (token * mask).sum() / value.numel()

    def make(inputs):
        value, old, returns = (typed(inputs[i], "f32", sequences, length) for i in range(3))
        return [value, old, returns, typed(inputs[3], "u8", sequences, length).float()]

    tokens = sequences * length
    yield from declare("loss and gradient", loss, [4, 5], 13 * tokens, 4 * tokens, make, gradients=1)


def policy_logprob_merge(axes, _device):
    tokens, ranks = axes["tokens"], axes["ranks"]

    def merge(sums, moments, exponents, logits):
        top = exponents.amax(0)
        shift = (exponents - top).double()
        scale = torch.exp2(shift)
        total = (scale * sums).sum(0)
        moment = (scale * (moments + sums * shift)).sum(0)
        spread = torch.log2(total)
        logprob = logits.amax(0) - (top + spread) * math.log(2)
        entropy = (spread - moment / total) * math.log(2)
        return logprob.clamp(max=0).float(), entropy.clamp(min=0).float()

    def make(inputs):  # views of the records: sum, moment, squares f64; exponent, argmax i32; max, target f32
        doubles, integers, floats = (typed(inputs[0], dtype, ranks, tokens, 40 // SIZES[dtype])
                                     for dtype in ("f64", "i32", "f32"))
        return [doubles[..., 0], doubles[..., 1], integers[..., 6], floats[..., 9]]

    yield from declare("log-probs and entropies, fields of the records as strided tensors", merge, [2, 3],
                       24 * ranks * tokens, 8 * tokens, make)


def policy_count(axes, _device):
    sequences, length, packed = axes["sequences"], axes["length"], axes["layout"] == "packed"

    def count(mask):
        valid = mask.sum(1)
        return (torch.stack((valid.sum(), (valid > 0).sum())),)

    def count_packed(mask, offsets):
        below = F.pad(mask.cumsum(0), (1, 0))
        return (torch.stack((below[-1], (below[offsets].diff() > 0).sum())),)

    def make(inputs):
        mask = inputs[0].view(torch.bool)
        return [mask, typed(inputs[1], "i64", sequences + 1)] if packed else [mask.reshape(sequences, length)]

    yield from declare("both counts, packed ones by a running sum" if packed else "both counts",
                       count_packed if packed else count, [2], sequences * (length + 8 * packed), 16, make)
