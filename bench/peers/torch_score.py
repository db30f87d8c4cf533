"""PyTorch on the heads of reward models: scores, their gradients, readouts, regression."""
import torch
import torch.nn.functional as F

from peer import DTYPES, SIZES, typed
from torch_peer import declare


def score_forward(axes, _device):
    rows, tokens, size, heads = axes["sequences"], axes["tokens"], axes["hidden"], axes["heads"]
    dtype, last = axes["dtype"], axes["positions"] == "last"
    element = SIZES[dtype]

    def make(inputs):
        hidden = typed(inputs[0], dtype, rows, tokens, size)
        weight = typed(inputs[1], "f32", heads, size)
        return [hidden, weight, typed(inputs[2], "i32", rows).long() - 1] if last else [hidden, weight]

    def all_tokens(hidden, weight):
        return (F.linear(hidden.float(), weight),)

    def gather_first(hidden, weight, at):
        return (F.linear(hidden[torch.arange(rows, device=at.device), at].float(), weight),)

    def project_first(hidden, weight, at):
        return (F.linear(hidden.float(), weight)[torch.arange(rows, device=at.device), at],)

    scored = rows if last else rows * tokens
    yield from declare("scores, rows gathered first" if last else "scores of all tokens",
                       gather_first if last else all_tokens, [3], scored * size * element + 4 * heads * size,
                       4 * scored * heads, make)
    if last:
        for peer in declare("every token projected, then one of each sequence kept", project_first, [3],
                            rows * tokens * size * element + 4 * heads * size, 4 * rows * tokens * heads, make,
                            same_work=False, compiled=False):
            peer.name = "torch project"
            yield peer


def score_backward(axes, _device):
    tokens, size, heads = axes["tokens"], axes["hidden"], axes["heads"]

    def gradients(hidden, weight, by_scores):
        return (by_scores @ weight).to(hidden.dtype), by_scores.t() @ hidden.float()

    def gradients_bf16(hidden, weight, by_scores):
        return by_scores @ weight, (by_scores.t() @ hidden).float()

    def make(inputs):
        return [typed(inputs[0], "bf16", tokens, size), typed(inputs[1], "f32", heads, size),
                typed(inputs[2], "f32", tokens, heads)]

    def make_bf16(inputs):
        return [tensor.bfloat16() for tensor in make(inputs)]

    read, written = 2 * tokens * size + 4 * heads * (size + tokens), 2 * tokens * size + 4 * heads * size
    yield from declare("gradients of rows and heads", gradients, [3, 4], read, written, make)
    # What a model kept in bf16 does: its products and the sums of its heads are rounded to bf16.
    for peer in declare("the same, heads and their gradients in bf16", gradients_bf16, [3, 4],
                        2 * tokens * size + 2 * heads * (size + tokens), 2 * tokens * size + 2 * heads * size, make_bf16,
                        same_work=False, compiled=False):
        peer.name = "torch bf16"
        yield peer


def score_finish(axes, _device):
    tiles, positions, heads = axes["tiles"], axes["positions"], axes["heads"]

    def finish(sums, bias):
        return ((sums.sum(0) + bias).float(),)

    yield from declare("scores", finish, [2], 8 * tiles * positions * heads + 4 * heads, 4 * positions * heads,
                       lambda inputs: [typed(inputs[0], "f64", tiles, positions, heads), typed(inputs[1], "f32", heads)])


def score_regression(axes, _device):
    link, rows, heads = axes["link"], axes["rows"], axes["heads"]
    losses = {"mse": F.mse_loss, "bce": F.binary_cross_entropy_with_logits, "huber": F.huber_loss}

    def loss(scores, labels):
        there = ~labels.isnan()
        each = losses[link](scores, torch.where(there, labels, 0.0), reduction="none")
        return torch.where(there, each, 0.0).sum() / there.sum()

    size = 4 * rows * heads
    yield from declare("mean loss of the labels there are, and gradient", loss, [2, 3], 2 * size, size,
                       lambda inputs: [typed(inputs[0], "f32", rows, heads), typed(inputs[1], "f32", rows, heads)],
                       gradients=1)
