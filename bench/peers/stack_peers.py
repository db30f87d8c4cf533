"""Functions of training stacks, where they are installed: TRL, verl, Liger-Kernel."""
import functools
import importlib
import importlib.metadata

from peer import SIZES, Peer, typed


@functools.lru_cache(maxsize=None)
def find(package, *places):
    """(function, version) of the first "module:name" that is there; None where the package is not installed. Stacks
    move their functions about: of one that is installed and cannot be used, calling the function says why."""
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    problem = None
    for place in places:
        module, name = place.split(":")
        try:
            return getattr(importlib.import_module(module), name), version
        except Exception as error:  # an import may fail with anything
            problem = f"{place}: {type(error).__name__}: {error}"

    def missing(*_arguments, **_options):
        raise RuntimeError(problem)

    missing.__name__ = places[0].split(":")[1]
    return missing, version


def policy_logprob_forward(axes, device):
    tokens, vocab, dtype = axes["tokens"], axes["vocab"], axes["dtype"]
    entropy = axes["results"] == "entropy"

    def make(inputs):
        return typed(inputs[0], dtype, 1, tokens, vocab), typed(inputs[1], "i64", 1, tokens)

    def log_probs_of(function, outputs):
        def bind(inputs):
            arguments = make(inputs)
            return lambda: {2: function(*arguments).float()}
        return bind, outputs

    size = tokens * vocab * SIZES[dtype]
    candidates = [("TRL", "trl", ("trl.trainer.utils:selective_log_softmax",)),
                  ("verl", "verl", ("verl.utils.torch_functional:logprobs_from_logits",))]
    for name, package, places in candidates:
        found = find(package, *places)
        if found is not None:
            bind, outputs = log_probs_of(found[0], [2])
            yield Peer(name, found[1], f"log-probs ({places[0].split(':')[1]})", bind, outputs, size + 8 * tokens,
                       4 * tokens, same_work=not entropy)
    found = find("liger-kernel", "liger_kernel.transformers.functional:liger_cross_entropy")
    if found is not None and device == "cuda":
        def bind(inputs):
            logits, targets = make(inputs)
            # It writes the gradient over the logits: a copy takes the damage.
            scratch = logits[0].clone().requires_grad_()
            return lambda: {2: -found[0](scratch, targets[0], reduction="none")}
        yield Peer("Liger", found[1], "log-probs, and the gradient of the logits written over them", bind, [2],
                   size + 8 * tokens, size + 4 * tokens, same_work=False)


def advantage_group(axes, _device):
    groups, size, preset = axes["groups"], axes["group_size"], axes["preset"]
    if axes["layout"] != "uniform" or preset != "grpo" or groups * size > 1 << 22:
        return
    found = find("verl", "verl.trainer.ppo.core_algos:compute_grpo_vectorized_outcome_advantage",
                 "verl.trainer.ppo.core_algos:compute_grpo_outcome_advantage")
    if found is None:
        return

    def bind(inputs):
        import numpy
        rewards = typed(inputs[0], "f32", groups * size, 1)
        mask = rewards.new_ones(groups * size, 1)
        index = numpy.repeat(numpy.arange(groups), size)
        return lambda: {1: found[0](rewards, mask, index)[0]}

    yield Peer("verl", found[1], f"advantages ({found[0].__name__}), groups by label", bind, [1], 12 * groups * size,
               4 * groups * size)


def policy_loss(axes, _device):
    sequences, length, preset = axes["sequences"], axes["length"], axes["preset"]
    found = find("verl", "verl.trainer.ppo.core_algos:compute_policy_loss")
    if found is None or preset != "ppo":
        return

    def bind(inputs):
        import torch
        lp, old = (typed(inputs[i], "f32", sequences, length) for i in (0, 1))
        lp.requires_grad_()
        advantages = typed(inputs[3], "f32", sequences, 1).expand(sequences, length).contiguous()
        mask = typed(inputs[4], "u8", sequences, length).float()

        def call():
            loss = found[0](old, lp, advantages, mask, cliprange=0.2, loss_agg_mode="token-mean")[0]
            return {5: torch.autograd.grad(loss, lp)[0], 6: loss.detach().double()}
        return call

    tokens = sequences * length
    # Its mean is over valid tokens and it clips doubly: other numbers than the point's.
    yield Peer("verl", found[1], "loss, gradient and clip fractions, mean over valid tokens, dual clip", bind, [5, 6],
               9 * tokens, 4 * tokens, same_work=False)


FAMILIES = {f.__name__: f for f in (advantage_group, policy_logprob_forward, policy_loss)}


def peers(op, axes, device):
    return FAMILIES[op](axes, device) if op in FAMILIES else ()
