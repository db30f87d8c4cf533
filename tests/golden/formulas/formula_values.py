"""Values as an output holds them: rounded to its type, or as the words of a record of integers."""
import math
import struct
from typing import NamedTuple

ULP = {"F32": 2.0 ** -23, "F16": 2.0 ** -10, "BF16": 2.0 ** -7}  # from 1 to the next number


class Value(NamedTuple):
    """An expected value with a tolerance of its own, in place of its output's and the case's. word: the output is of
    integers, and this one of them holds the bits of a binary64."""
    value: float
    rtol: float = 0.0
    atol: float = 0.0
    word: bool = False

    def read(self, stored):
        return struct.unpack("<d", struct.pack("<q", stored))[0] if self.word else stored

    def write(self, value):
        return struct.unpack("<q", struct.pack("<d", value))[0] if self.word else value


class Packed(NamedTuple):
    """An expected element that is the bits of several values: those of a struct, in an array of integers."""
    parts: tuple  # of Value
    code: str  # their types, as of the module struct

    def read(self, stored):
        return struct.unpack("<" + self.code, struct.pack("<q", stored)[:struct.calcsize("<" + self.code)])

    def write(self, values):
        data = struct.pack("<" + self.code, *values)
        return int.from_bytes(data, "little", signed=True)


def rounded(x, dtype):
    """To nearest even, beyond the range to infinity."""
    if dtype in ("F32", "F16") and math.isfinite(x):
        code = "<f" if dtype == "F32" else "<e"
        try:
            return struct.unpack(code, struct.pack(code, x))[0]
        except OverflowError:
            return math.copysign(math.inf, x)
    if dtype == "BF16" and math.isfinite(x) and x != 0:
        step = 2.0 ** (max(math.frexp(x)[1] - 8, -133))
        y = round(x / step) * step
        return math.copysign(y if abs(y) < 2.0 ** 128 else math.inf, x)
    return x


def stored(x, dtype, rtol, atol=0.0):
    """x, known to abs(x) rtol + atol, rounded to dtype: what lies between the two ends once they are rounded."""
    if not math.isfinite(x):
        return Value(x)
    slack = abs(x) * rtol + atol
    low, high = rounded(x - slack, dtype), rounded(x + slack, dtype)
    if low == high or math.isinf(low) or math.isinf(high):
        return Value(rounded(x, dtype))
    return Value(low + (high - low) / 2, 0.0, (high - low) / 2)


def held(case, output, values, rtol, atols=None, dtype=None):
    """Results as the case holds them: in dtype (None: that of the file), the tolerance at least what the case allows."""
    dtype = dtype or case.outputs[output].dtype
    check = case.check.get(output, {})
    rtol, least = max(rtol, check.get("rtol", 0.0)), check.get("atol", 0.0)
    return [stored(x, dtype, rtol, max(least, atol)) for x, atol in zip(values, atols or [0.0] * len(values))]


def f32_options(options):
    """Numbers with a fraction as a descriptor's binary32 fields hold them."""
    def held(value):
        if isinstance(value, dict):
            return {k: held(v) for k, v in value.items()}
        if isinstance(value, list):
            return [held(v) for v in value]
        return rounded(value, "F32") if isinstance(value, float) else value
    return held(options)
