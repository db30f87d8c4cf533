"""PyTorch, eager and compiled: each operation as one writes it with tensors, gradients by autograd."""
import torch
import torch.nn.functional as F

from peer import DTYPES, Peer, typed


def declare(computes, function, outputs, bytes_read, bytes_written, make, same_work=True, compiled=True, gradients=0):
    """function(*arguments) returns the tensors of `outputs` in order; make(inputs) gives its arguments. With
    gradients, it returns a loss: the outputs are the gradients by so many first arguments, and the loss."""
    def bound_to(callable_):
        def call(arguments):
            results = callable_(*arguments)
            if gradients:
                results = (*torch.autograd.grad(results, arguments[:gradients]), results.detach().double())
            return dict(zip(outputs, results))

        def bind(inputs):
            arguments = make(inputs)
            for leaf in arguments[:gradients]:
                leaf.requires_grad_()
            return lambda: call(arguments)
        return bind

    yield Peer("torch eager", torch.__version__, computes, bound_to(function), outputs, bytes_read, bytes_written,
               same_work)
    if compiled:
        yield Peer("torch.compile", torch.__version__, computes,
                   bound_to(torch.compile(function, dynamic=False)), outputs, bytes_read, bytes_written, same_work)


def advantage_group(axes, _device):
    groups, size, preset = axes["groups"], axes["group_size"], axes["preset"]
    if axes["layout"] != "uniform" or preset not in ("grpo", "rloo"):
        return

    def grpo(r):
        return ((r - r.mean(1, keepdim=True)) / (r.std(1, keepdim=True) + 1e-6),)

    def rloo(r):
        return ((r - r.mean(1, keepdim=True)) * (size / max(size - 1, 1)),)

    yield from declare("advantages", grpo if preset == "grpo" else rloo, [1], 4 * groups * size, 4 * groups * size,
                       lambda inputs: [typed(inputs[0], "f32", groups, size)])


def advantage_spread(axes, _device):
    sequences, tokens = axes["sequences"], axes["tokens"]

    def spread(values, mask):
        return (torch.where(mask, values[:, None], 0.0),)

    yield from declare("token advantages", spread, [2], sequences * (tokens + 4), 4 * sequences * tokens,
                       lambda inputs: [typed(inputs[0], "f32", sequences), typed(inputs[1], "u8", sequences, tokens) != 0])


def group_index(axes, _device):
    rows, groups = axes["rows"], axes["groups"]
    if axes["kind"] != "dense":
        return

    def index(ids):
        offsets = torch.zeros(groups + 1, dtype=torch.int64, device=ids.device)
        offsets[1:] = torch.bincount(ids, minlength=groups).cumsum(0)
        return offsets, torch.argsort(ids, stable=True).to(torch.int32)

    yield from declare("offsets and index by a stable sort", index, [1, 2], 8 * rows, 4 * rows + 8 * groups,
                       lambda inputs: [typed(inputs[0], "i64", rows)], compiled=False)


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


def preference_list(axes, _device):
    groups, size = axes["groups"], axes["group_size"]
    if axes["preset"] != "yojo":
        return

    def make(inputs):
        return [typed(inputs[0], "f32", groups, size), typed(inputs[1], "i32", groups).long()]

    yield from declare("mean cross entropy and its gradient", F.cross_entropy, [2, 3], 4 * groups * (size + 1),
                       4 * groups * size, make, gradients=1)


def score_forward(axes, _device):
    rows, tokens, size, heads = axes["sequences"], axes["tokens"], axes["hidden"], axes["heads"]
    dtype, last = axes["dtype"], axes["positions"] == "last"
    element = DTYPES[dtype].itemsize

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
                       tokens * vocab * DTYPES[dtype].itemsize + 8 * tokens, (8 if entropy else 4) * tokens,
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

    size = tokens * vocab * DTYPES[dtype].itemsize
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
    rows, levels = axes["rows"], axes["levels"]
    if axes["results"] != "rows":
        return
    yield from declare("sorted rows", lambda values: (torch.sort(values, 1).values,), [1], 4 * rows * levels,
                       4 * rows * levels, lambda inputs: [typed(inputs[0], "f32", rows, levels)], compiled=False)


FAMILIES = {f.__name__: f for f in (
    advantage_group, advantage_spread, group_index, preference_pair, preference_list, score_forward,
    policy_logprob_forward, policy_logprob_backward, policy_loss, policy_value_loss, dominance_pairwise,
    dominance_quantile_huber, dominance_quantile_sort)}


def peers(op, axes, device):
    return FAMILIES[op](axes, device) if op in FAMILIES else ()
