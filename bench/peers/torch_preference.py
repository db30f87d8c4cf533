"""PyTorch on the losses of preferences."""
import torch
import torch.nn.functional as F

from peer import typed
from torch_peer import declare


def preference_pair(axes, _device):
    pairs, dpo = axes["pairs"], axes["preset"] == "dpo"

    def loss(chosen, rejected, ref_chosen=None, ref_rejected=None):
        margin = 0.1 * ((chosen - ref_chosen) - (rejected - ref_rejected)) if dpo else chosen - rejected
        return -F.logsigmoid(margin).mean()

    def make(inputs):
        return [typed(inputs[i], "f32", pairs) for i in ((0, 1, 5, 6) if dpo else (0, 1))]

    with_metrics = axes["outputs"] == "metrics"
    yield from declare("mean loss and both gradients", loss, [2, 3, 4], (16 if dpo else 8) * pairs, 8 * pairs, make,
                       same_work=not with_metrics, gradients=2)


def plackett_luce(scores, ranks):
    ordered = torch.zeros_like(scores).scatter(1, ranks, scores)
    behind = torch.logcumsumexp(ordered.flip(1), 1).flip(1)
    return (behind - ordered).sum(1).mean()


def instruct_gpt(scores, labels):
    better = labels[:, :, None] > labels[:, None]
    losses = torch.where(better, -F.logsigmoid(scores[:, :, None] - scores[:, None]), 0)
    pairs = better.sum((1, 2))
    return (losses.sum((1, 2)) / pairs.clamp(min=1)).sum() / (pairs > 0).sum()


def op_gfn(scores, weights):
    return F.cross_entropy(scores, weights / weights.sum(1, keepdim=True))


def real(scores, signs):
    terms = -2 * signs * scores
    both = [F.pad(terms.masked_fill(signs != sign, -torch.inf), (1, 0)).logsumexp(1) for sign in (-1, 1)]
    there = (signs > 0).any(1) & (signs < 0).any(1)
    return torch.where(there, both[0] + both[1], 0).mean()


def preference_list(axes, _device):
    groups, size = axes["groups"], axes["group_size"]
    loss, computes, dtype, shape, read = {
        "yojo": (F.cross_entropy, "mean cross entropy", "i32", (groups,), 4 * groups),
        "plackett_luce": (plackett_luce, "mean loss, ranks scattered first", "i32", (groups, size), 4 * groups * size),
        "instruct_gpt": (instruct_gpt, "mean loss of all pairs", "f32", (groups, size), 4 * groups * size),
        "op_gfn": (op_gfn, "mean cross entropy under weights", "f32", (groups, size), 4 * groups * size),
        "real": (real, "mean loss", "i8", (groups, size), groups * size)}[axes["preset"]]

    def make(inputs):
        targets = typed(inputs[1][:read], dtype, *shape)
        return [typed(inputs[0], "f32", groups, size), targets.long() if dtype == "i32" else targets]

    yield from declare(f"{computes} and its gradient", loss, [2, 3], 4 * groups * size + read, 4 * groups * size, make,
                       gradients=1)


def preference_ordinal(axes, _device):
    pairs, levels, tie = axes["pairs"], axes["levels"], 0.5 if axes["preset"] == "oprm.half_tie" else 0.0

    def loss(chosen, rejected):
        p, q = torch.softmax(chosen, 1), torch.softmax(rejected, 1)
        below = q.cumsum(1) - q
        return -(p * (below + tie * q)).sum(1).log().mean()

    yield from declare("mean loss and both gradients", loss, [2, 3, 4], 8 * pairs * levels, 8 * pairs * levels,
                       lambda inputs: [typed(inputs[i], "f32", pairs, levels) for i in (0, 1)], gradients=2)
