"""PyTorch on the operations of advantages and of groups."""
import bisect
import itertools

import torch

from peer import typed
from torch_peer import declare


def grpo(r):
    return ((r - r.mean(1, keepdim=True)) / (r.std(1, keepdim=True) + 1e-6),)


def rloo(r):
    size = r.shape[1]
    return ((r - r.mean(1, keepdim=True)) * (size / max(size - 1, 1)),)


def nemo_grpo(r):
    size = r.shape[1]
    d = r - r.mean(1, keepdim=True)
    squares = d * d
    # Of the others: their mean lies at -d / (size - 1).
    variance = (squares.sum(1, keepdim=True) - squares * (size / (size - 1))) / (size - 2)
    std = variance.clamp(min=0).sqrt()
    advantages = d * (size / (size - 1))
    return (torch.where(std > 0, advantages / (std + 1e-6), advantages),)


def grpo_of_segments(r, offsets):
    sizes = offsets.diff()

    def spread(values):
        return values.repeat_interleave(sizes, output_size=r.numel())

    d = r - spread(torch.segment_reduce(r, "mean", offsets=offsets))
    std = (torch.segment_reduce(d * d, "sum", offsets=offsets) / (sizes - 1).clamp(min=1)).sqrt()
    return (d / spread(std + 1e-6),)


def zipf_rows(groups, largest):
    """Rows of the layout: sizes are the quantiles of a Zipf law over 1 ... largest."""
    below = list(itertools.accumulate(1 / k for k in range(1, largest + 1)))
    return sum(min(bisect.bisect_right(below, (n + 0.5) / groups * below[-1]) + 1, largest) for n in range(groups))


def advantage_group(axes, _device):
    groups, size, preset = axes["groups"], axes["group_size"], axes["preset"]
    if axes["layout"] == "zipf":
        rows = zipf_rows(groups, size)
        yield from declare("advantages, segments by offsets", grpo_of_segments, [1], 4 * rows + 8 * (groups + 1),
                           4 * rows, lambda inputs: [typed(inputs[0], "f32", rows), typed(inputs[2], "i64", groups + 1)])
        return
    yield from declare("advantages", {"grpo": grpo, "rloo": rloo, "nemo.grpo": nemo_grpo}[preset], [1],
                       4 * groups * size, 4 * groups * size, lambda inputs: [typed(inputs[0], "f32", groups, size)])


def advantage_spread(axes, _device):
    sequences, tokens = axes["sequences"], axes["tokens"]

    def spread(values, mask):
        return (torch.where(mask, values[:, None], 0.0),)

    yield from declare("token advantages", spread, [2], sequences * (tokens + 4), 4 * sequences * tokens,
                       lambda inputs: [typed(inputs[0], "f32", sequences), typed(inputs[1], "u8", sequences, tokens) != 0])


def group_index(axes, _device):
    kind, rows, groups = axes["kind"], axes["rows"], axes["groups"]

    def dense(ids):
        offsets = torch.zeros(groups + 1, dtype=torch.int64, device=ids.device)
        offsets[1:] = torch.bincount(ids, minlength=groups).cumsum(0)
        return offsets, torch.argsort(ids, stable=True).to(torch.int32)

    def offsets_of_runs(ids):
        _, counts = torch.unique_consecutive(ids, return_counts=True)
        offsets = torch.full((rows + 1,), rows, dtype=torch.int64, device=ids.device)
        offsets[0] = 0
        offsets[1:1 + counts.numel()] = counts.cumsum(0)
        return offsets

    def runs(ids):
        return offsets_of_runs(ids), torch.arange(rows, dtype=torch.int32, device=ids.device)

    def labels(ids):
        ordered, index = torch.sort(ids, stable=True)
        return offsets_of_runs(ordered), index.to(torch.int32)

    # How many groups there are is known only once they are counted: nothing that a graph could hold.
    computes = "offsets and index of runs" if kind == "runs" else "offsets and index by a stable sort"
    yield from declare(computes, {"dense": dense, "runs": runs, "labels": labels}[kind], [1, 2], 8 * rows,
                       4 * rows + 8 * ((groups if kind == "dense" else rows) + 1),
                       lambda inputs: [typed(inputs[0], "i64", rows)], compiled=False)
