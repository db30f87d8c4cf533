"""PyTorch on what becomes of the outputs of heads: rewards, moments, tails, and the gradients of them."""
import math

import torch
import torch.nn.functional as F

from peer import typed
from torch_peer import declare

ATTRIBUTES, TAIL = 5, 0.25  # of qrm


def dpa(inputs, directions):
    return ((inputs * F.normalize(directions, dim=1)).sum(1),)


def armo(inputs, gate_logits):
    gate = torch.softmax(gate_logits / 10, 1)
    return 1.5 * (gate * inputs).sum(1), gate


def oprm(inputs):
    levels = torch.arange(1, inputs.shape[1] + 1, dtype=inputs.dtype, device=inputs.device)
    log_shares = torch.log_softmax(inputs, 1)
    shares = log_shares.exp()
    mean = shares @ levels
    variance = (shares * (levels - mean[:, None]) ** 2).sum(1)
    return mean, shares, variance, -(shares * log_shares).sum(1)


def qrm(inputs):
    levels = inputs.shape[2]
    ordered = inputs.sort(dim=2, stable=True).values  # gradients go to equal values in their order
    steps = torch.arange(levels + 1, device=inputs.device) / levels
    tail = steps.clamp(max=TAIL).diff() / TAIL
    low, high = (math.ceil(share * levels) - 1 for share in (.25, .75))
    return inputs.mean(2), ordered @ tail, ordered[..., high] - ordered[..., low]


READOUTS = {"dpa": dpa, "armo": armo, "oprm": oprm, "qrm": qrm}


def make_inputs(axes):
    preset, rows, columns = axes["preset"], axes["rows"], axes["columns"]
    shape = (rows, ATTRIBUTES, columns // ATTRIBUTES) if preset == "qrm" else (rows, columns)
    second = preset in ("dpa", "armo")
    return second, lambda inputs: [typed(inputs[i], "f32", *shape) for i in range(1 + second)]


def score_readout_forward(axes, _device):
    preset, rows, columns = axes["preset"], axes["rows"], axes["columns"]
    second, make = make_inputs(axes)
    computes, written = {"dpa": ("rewards", 1), "armo": ("rewards and gates", 1 + columns),
                         "oprm": ("moments, entropies and shares", 3 + columns),
                         "qrm": ("means, tails and quartiles of sorted rows", 3 * ATTRIBUTES)}[preset]
    outputs = {"dpa": [2], "armo": [2, 3], "oprm": [2, 3, 4, 5], "qrm": [2, 3, 4]}[preset]
    yield from declare(computes, READOUTS[preset], outputs, 4 * rows * columns * (1 + second), 4 * rows * written, make)


def score_readout_backward(axes, _device):
    preset, rows, columns = axes["preset"], axes["rows"], axes["columns"]
    second, make = make_inputs(axes)
    attributes = ATTRIBUTES if preset == "qrm" else 1

    def results(*inputs):  # those that have a gradient
        made = READOUTS[preset](*inputs)
        return made[:1] if second else made if preset == "qrm" else (made[0], made[2], made[3])

    def make_all(inputs):
        upstream = typed(inputs[2], "f32", rows, attributes)
        return make(inputs) + [upstream if preset == "qrm" else upstream[:, 0]]

    size = 4 * rows * columns * (1 + second)
    yield from declare("forward pass and its gradients", results, [3, 4] if second else [3],
                       size + 4 * rows * attributes, size, make_all, gradients=1 + second, upstream=True)
