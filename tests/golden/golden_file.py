"""Writes cases (see tests/verify/case_file.h) with the standard library alone."""
import json
import math
import os
import struct

FORMATS = {"F32": "f", "F64": "d", "I32": "i", "I64": "q", "U8": "B", "I8": "b", "U32": "I", "U64": "Q"}


def f32(x):
    """The nearest binary32."""
    return struct.unpack("<f", struct.pack("<f", x))[0]


def bf16_word(x):
    """The nearest bfloat16, ties to even."""
    bits = struct.unpack("<I", struct.pack("<f", x))[0]
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


def flatten(values):
    if isinstance(values, (list, tuple)):
        return [x for v in values for x in flatten(v)]
    return [values]


def shape_of(values):
    shape = []
    while isinstance(values, (list, tuple)):
        shape.append(len(values))
        values = values[0] if values else None
    return shape


class Tensor:
    """dtype, nested lists of numbers, and a shape where the lists do not show it."""

    def __init__(self, dtype, values, shape=None):
        flat = flatten(values)
        self.dtype = dtype
        self.shape = shape_of(values) if shape is None else list(shape)
        assert math.prod(self.shape) == len(flat), (self.shape, len(flat))
        if dtype == "BF16":
            self.data = struct.pack(f"<{len(flat)}H", *map(bf16_word, flat))
        elif dtype == "F16":
            self.data = struct.pack(f"<{len(flat)}e", *flat)
        else:
            self.data = struct.pack(f"<{len(flat)}{FORMATS[dtype]}", *flat)


def counted(*names):
    """Counters of a case that is to be recorded: the recording fills them in."""
    return {"out.diagnostics." + name: Tensor("U64", [0]) for name in names}


def json_number(x):
    if isinstance(x, float) and not math.isfinite(x):
        return "nan" if math.isnan(x) else "inf" if x > 0 else "-inf"
    return x


def json_object(values):
    def convert(value):
        if isinstance(value, dict):
            return {k: convert(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [convert(v) for v in value]
        return json_number(value)

    return json.dumps(convert(values), separators=(",", ":"))


def write_safetensors(path, metadata, tensors):
    """Widest elements first, so that each tensor is aligned; header padded to eight bytes."""
    width = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "BF16": 2, "F16": 2, "U8": 1, "I8": 1}
    names = sorted(tensors, key=lambda name: -width[tensors[name].dtype])
    header = {"__metadata__": metadata}
    begin = 0
    for name in names:
        end = begin + len(tensors[name].data)
        header[name] = {"dtype": tensors[name].dtype, "shape": tensors[name].shape,
                        "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in names:
            file.write(tensors[name].data)


class Golden:
    """Collects cases and writes each into a folder of its own kind."""

    def __init__(self, root):
        self.root = root
        self.written = []

    def case(self, folder, name, op, desc, tensors, note, preset=None, check=None, status=None,
             alias=None):
        metadata = {"merit.case": "1", "merit.op": op}
        if preset is not None:
            metadata["merit.preset"] = preset
        metadata["merit.desc"] = json_object(desc)
        if check:
            metadata["merit.check"] = json_object(check)
        metadata["merit.note"] = note
        if status is not None:
            metadata["merit.status"] = status
        if alias is not None:
            metadata["merit.alias"] = json_object(alias)
        path = os.path.join(self.root, folder, name + ".safetensors")
        assert path not in self.written, path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_safetensors(path, metadata, tensors)
        self.written.append(path)
