#!/usr/bin/env python3
"""The committed golden cases are what their scripts write, and the recorded ones what merit makes of theirs.

usage: check_made.py REPOSITORY MERIT_VERIFY

Expected values may differ in their last digits: exp, log and tanh of Python are those of the C library.
"""
import glob
import json
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile

DIGITS = 1e-14  # relative


def cases(folder):
    """Bytes by path below the folder."""
    found = {}
    for path in glob.glob(os.path.join(folder, "**", "*.safetensors"), recursive=True):
        with open(path, "rb") as file:
            found[os.path.relpath(path, folder)] = file.read()
    return found


def parts(data):
    length, = struct.unpack_from("<Q", data)
    return json.loads(data[8:8 + length]), data[8 + length:]


def close(made, kept):
    """Whether two cases differ in the last digits of expected binary64 numbers alone."""
    (header, left), (other, right) = parts(made), parts(kept)
    if header != other or len(left) != len(right):
        return False
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        a, b = (data[slice(*tensor["data_offsets"])] for data in (left, right))
        if a == b:
            continue
        if tensor["dtype"] != "F64" or not name.startswith("out."):
            return False
        pairs = zip(*(struct.unpack(f"<{len(data) // 8}d", data) for data in (a, b)))
        if not all(x == y or math.isnan(x) and math.isnan(y) or math.isclose(x, y, rel_tol=DIGITS) for x, y in pairs):
            return False
    return True


def differences(made, kept, same):
    """Sentences, one per case that is missing, too many or another."""
    for path in sorted(made.keys() | kept.keys()):
        if path not in kept:
            yield f"{path}: a script writes it, it is not committed"
        elif path not in made:
            yield f"{path}: no script writes it"
        elif made[path] != kept[path] and not same(made[path], kept[path]):
            yield f"{path}: the script writes another"


def main():
    repository, verify = sys.argv[1:]
    golden = os.path.join(repository, "tests", "golden")
    kept = cases(golden)
    recorded = {os.path.relpath(path, "bits"): data for path, data in kept.items() if path.startswith("bits/")}
    written = {path: data for path, data in kept.items() if not path.startswith("bits/")}
    with tempfile.TemporaryDirectory() as folder:
        plain, bits, pinned = (os.path.join(folder, name) for name in ("plain", "bits", "pinned"))
        os.mkdir(plain)
        for script in glob.glob(os.path.join(golden, "*.py")):
            shutil.copy(script, plain)
        make = [sys.executable, os.path.join(plain, "make_golden.py")]
        subprocess.run(make, check=True)
        subprocess.run([*make, "--bits", bits], check=True)
        record = subprocess.run([verify, "--backend", "cpu", "--record", pinned, bits], stdout=subprocess.DEVNULL)
        if record.returncode not in (0, 1):  # 1: a 0 stands where the recording counts
            return record.returncode
        problems = [*differences(cases(plain), written, close), *differences(cases(pinned), recorded, lambda a, b: False)]
    print(f"{len(written)} cases and {len(recorded)} recorded ones", *problems, sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
