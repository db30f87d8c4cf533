"""PyTorch on sets of actions that no other action dominates, and on the targets that they give."""
import torch

from peer import typed
from torch_peer import declare

ROOM = 1 << 28  # bytes of temporaries


def beats(q):
    """[..., a, b] of q [..., A, N]: a's share of the area between both is at least 3/4."""
    d = q[..., :, None, :] - q[..., None, :, :]
    more, less = d.clamp(min=0).sum(-1), (-d).clamp(min=0).sum(-1)
    return (more > less) & (more >= 3 * less)


def lexicographic(q):
    """Sets [B,M,A], actions [B] and whether a state had a cycle [B]."""
    left = torch.ones_like(q[:, 0, :, 0], dtype=torch.bool)
    cycle = torch.zeros_like(left[:, 0])
    sets = []
    for objective in q.unbind(1):
        kept = left & ~(beats(objective) & left[:, :, None]).any(1)
        empty = ~kept.any(1)
        cycle = cycle | empty
        left = torch.where(empty[:, None], left, kept)
        sets.append(left)
    return torch.stack(sets, 1), q[:, -1].mean(-1).masked_fill(~left, -torch.inf).argmax(1), cycle


def pareto(q):
    better = beats(q).any(1)
    left = ~(better & ~better.transpose(1, 2)).any(1)
    cycle = ~left.any(1)
    left = left | cycle[:, None]
    action = q.mean(-1).sum(1).masked_fill(~left, -torch.inf).argmax(1)
    return left[:, None].expand(-1, q.shape[1], -1), action, cycle


def dominance_subset(axes, _device):
    states, objectives, actions, levels = (axes[k] for k in ("states", "objectives", "actions", "levels"))
    solve = lexicographic if axes["preset"] == "lexicographic" else pareto
    at_once = objectives if solve is pareto else 1
    chunk = max(1, ROOM // (at_once * actions * actions * levels * 4))
    words = (actions + 31) // 32

    def subset(q):
        parts = [solve(part) for part in q.split(chunk)]
        kept, action, cycle = (torch.cat(results) for results in zip(*parts))
        bits = (kept.long() << torch.arange(actions, device=q.device)).sum(-1)
        return bits, bits[:, -1], action.int(), cycle.int()

    def packed(q):
        bits, final, action, flags = subset(q)
        return *(w.contiguous().view(torch.int32).reshape(-1, 2)[:, :words] for w in (bits, final)), action, flags

    yield from declare("sets as words, actions and flags, broadcast over [B,A,A,N] for each objective", packed,
                       [1, 2, 3, 4], 4 * states * objectives * actions * levels,
                       4 * states * ((objectives + 1) * words + 2),
                       lambda inputs: [typed(inputs[0], "f32", states, objectives, actions, levels)])


def dominance_quantile_target(axes, _device):
    states, objectives, actions, levels = (axes[k] for k in ("states", "objectives", "actions", "levels"))

    def shared(q, reward, action):
        chosen = q[torch.arange(states, device=q.device), :, action]
        return (reward[..., None] + 0.99 * chosen,)

    def mixture(q, reward, final):
        kept = (final[:, None] >> torch.arange(actions, device=q.device)) & 1
        # Those that are kept first, in their order; what follows does not count.
        order = torch.argsort(kept, dim=1, descending=True, stable=True)
        chosen = q.gather(2, order[:, None, :, None].expand_as(q))
        count = (kept.sum(1, dtype=torch.int32) * levels)[:, None].expand(-1, objectives)
        return reward[..., None, None] + 0.99 * chosen, count

    def make(inputs):
        return [typed(inputs[0], "f32", states, objectives, actions, levels),
                typed(inputs[1], "f32", states, objectives), typed(inputs[2], "i32", states).long()]

    mixed = axes["preset"] == "mixture"
    samples = states * objectives * levels * (actions if mixed else 1)
    rows = states * objectives
    yield from declare("targets of all kept actions, kept ones in front, and their counts" if mixed else "targets",
                       mixture if mixed else shared, [3, 4] if mixed else [3],
                       4 * (samples + rows) + 8 * states, 4 * (samples + (rows if mixed else 0)), make)
