"""PyTorch on returns as quantiles: who dominates whom, and the critics."""
import math

import torch
import torch.nn.functional as F

from peer import typed
from torch_peer import declare


def dominance_pairwise(axes, _device):
    states, objectives, actions, levels = (axes[k] for k in ("states", "objectives", "actions", "levels"))
    preset = axes["preset"]

    def share(q):
        d = q[:, :, :, None] - q[:, :, None]
        if preset == "qd.win_rate":
            more, less = (d > 0).float().mean(-1), (d < 0).float().mean(-1)
            return more + 0.5 * (1 - more - less)
        size = d * d if preset == "aso" else d
        more = torch.where(d > 0, size, 0).abs().sum(-1)
        less = torch.where(d < 0, size, 0).abs().sum(-1)
        return torch.where(more + less > 0, more / (more + less), 0.5)

    def pairwise(q):
        chunk = max(1, (1 << 28) // (objectives * actions * actions * levels * 4))  # temporaries of 256 MiB
        return (torch.cat([share(part) for part in q.split(chunk)]),)

    rows = states * objectives * actions
    yield from declare("qd, broadcast over [B,M,A,A,N]", pairwise, [1], 4 * rows * levels, 4 * rows * actions,
                       lambda inputs: [typed(inputs[0], "f32", states, objectives, actions, levels)])


def dominance_quantile_huber(axes, _device):
    rows, levels, targets, preset = (axes[k] for k in ("rows", "levels", "targets", "preset"))

    def loss(quantiles, tau, samples):
        d = samples[:, None] - quantiles[:, :, None]
        size = F.huber_loss(d, torch.zeros_like(d), reduction="none") if preset == "iqn" else d.abs()
        return ((tau[:, None] - (d < 0).float()).abs() * size).mean(2).sum(1).mean()

    yield from declare("loss and gradient, broadcast over [R,N,N']", loss, [3, 4], 4 * rows * (levels + targets),
                       4 * rows * levels,
                       lambda inputs: [typed(inputs[0], "f32", rows, levels), typed(inputs[1], "f32", levels),
                                       typed(inputs[2], "f32", rows, targets)], gradients=1)


def dominance_quantile_sort(axes, _device):
    rows, levels, five = axes["rows"], axes["levels"], axes["results"] == "five"
    places = [math.ceil(percent * levels / 100) - 1 for percent in (5, 25, 50, 75, 95)]

    def sort(values):
        ordered = torch.sort(values, 1).values
        return (ordered[:, places] if five else ordered,)

    # torch.quantile has other definitions than the least value with that share at or below it. A compiled graph
    # would call the same sort.
    yield from declare("five quantiles of sorted rows" if five else "sorted rows", sort, [1], 4 * rows * levels,
                       4 * rows * (5 if five else levels), lambda inputs: [typed(inputs[0], "f32", rows, levels)],
                       compiled=False)
