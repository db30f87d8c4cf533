"""How a computation in PyTorch becomes peers, eager and compiled, and how an operation says that it has none."""
import torch

from peer import Peer


def declare(computes, function, outputs, bytes_read, bytes_written, make, same_work=True, compiled=True, gradients=0,
            upstream=False):
    """function(*arguments) returns the tensors of `outputs` in order; make(inputs) gives its arguments. With
    gradients, it returns a loss: the outputs are the gradients by so many first arguments, and the loss. With
    upstream too, it returns tensors, and what make adds behind its arguments is the gradient of each of them: the
    outputs are the gradients alone."""
    def call(callable_, arguments):
        if upstream:
            results = callable_(*arguments[:-1])
            results = torch.autograd.grad(results, arguments[:gradients], arguments[-1:] * len(results))
        else:
            results = callable_(*arguments)
            if gradients:
                results = (*torch.autograd.grad(results, arguments[:gradients]), results.detach().double())
        return dict(zip(outputs, results))

    def bind(callable_, inputs):
        arguments = make(inputs)
        for leaf in arguments[:gradients]:
            leaf.requires_grad_()
        return lambda: call(callable_, arguments)

    graphs = []  # one for all sets

    def bind_compiled(inputs):
        if not graphs:
            # The graphs of earlier points count towards a limit, beyond which PyTorch runs eager and says nothing.
            torch.compiler.reset()
            graphs.append(torch.compile(function, dynamic=False))
        return bind(graphs[0], inputs)

    yield Peer("torch eager", torch.__version__, computes, lambda inputs: bind(function, inputs), outputs, bytes_read,
               bytes_written, same_work)
    if compiled:
        yield Peer("torch.compile", torch.__version__, computes, bind_compiled, outputs, bytes_read, bytes_written,
                   same_work)


def without(reason):
    """The table says why there is no PyTorch beside a point."""
    yield Peer("torch", torch.__version__, "nothing", None, [], 0, 0, same_work=False, reason=reason)
