"""What one peer is: how it is named and declared, and how its call is made over one set of inputs."""
import torch

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16, "i32": torch.int32, "i64": torch.int64,
          "i8": torch.int8, "u8": torch.uint8, "f64": torch.float64}
SIZES = {"f32": 4, "bf16": 2, "f16": 2, "i32": 4, "i64": 8, "i8": 1, "u8": 1, "f64": 8}


class Peer:
    """bind(inputs) takes one set, a list of byte tensors with None for outputs, and gives a call without arguments
    that computes and returns {array: tensor}. same_work: the results are those of merit's call, all of them; only
    then a ratio of times is given. The bytes are the least that the stated computation moves. With a reason, nothing
    is run: the table says it instead of a time."""

    def __init__(self, name, version, computes, bind, outputs, bytes_read, bytes_written, same_work=True, reason=None):
        self.name = name
        self.version = version
        self.computes = computes
        self.bind = bind
        self.outputs = outputs
        self.bytes_read = bytes_read
        self.bytes_written = bytes_written
        self.same_work = same_work
        self.reason = reason


def typed(array, dtype, *shape):
    return array.view(DTYPES[dtype]).reshape(shape)
