"""Reads cases (see tests/verify/case_file.h) with the standard library alone."""
import json
import math
import struct

FORMATS = {"F32": "f", "F64": "d", "F16": "e", "I32": "i", "I64": "q", "U8": "B", "I8": "b", "U32": "I", "U64": "Q"}


class Array:
    """dtype, shape, and all elements in one list, the last axis fastest."""

    def __init__(self, dtype, shape, data):
        self.dtype = dtype
        self.shape = shape
        if dtype == "BF16":
            words = struct.unpack(f"<{len(data) // 2}H", data)
            self.values = list(struct.unpack(f"<{len(words)}f", struct.pack(f"<{len(words)}I", *(w << 16 for w in words))))
        else:
            size = math.prod(shape)
            self.values = list(struct.unpack(f"<{size}{FORMATS[dtype]}", data))

    def __len__(self):
        return len(self.values)

    def __getitem__(self, i):
        return self.values[i]

    def __iter__(self):
        return iter(self.values)

    def rows(self):
        """Lists along the last axis."""
        width = self.shape[-1]
        return [self.values[i:i + width] for i in range(0, len(self.values), width)] if width else []


def numbers(value):
    """Infinities and NaN are strings in JSON."""
    if isinstance(value, dict):
        return {k: numbers(v) for k, v in value.items()}
    if isinstance(value, list):
        return [numbers(v) for v in value]
    return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}.get(value, value) if isinstance(value, str) else value


class Case:
    """op, preset (None: none), desc, check, status ("success"), inputs and outputs by name, without "in." and "out."."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        length, = struct.unpack_from("<Q", data)
        header = json.loads(data[8:8 + length])
        metadata = header.pop("__metadata__")
        self.path = path
        self.op = metadata["merit.op"]
        self.preset = metadata.get("merit.preset")
        self.desc = numbers(json.loads(metadata.get("merit.desc", "{}")))
        self.check = numbers(json.loads(metadata.get("merit.check", "{}")))
        self.status = metadata.get("merit.status", "success")
        self.inputs, self.outputs = {}, {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            side, _, key = name.partition(".")
            arrays = {"in": self.inputs, "out": self.outputs}[side]
            arrays[key] = Array(entry["dtype"], entry["shape"], data[8 + length + begin:8 + length + end])

    def options(self, defaults, presets):
        """Every option of the call: what `desc` says, else the preset, else the default. Tables are merged key by key."""
        result = {**defaults}
        for layer in ({} if self.preset is None else presets[self.preset], self.desc):
            for key, value in layer.items():
                if key not in defaults:
                    raise KeyError(f"option {key} is not in the formulas")
                result[key] = {**result[key], **value} if isinstance(value, dict) and isinstance(result[key], dict) else value
        return result
