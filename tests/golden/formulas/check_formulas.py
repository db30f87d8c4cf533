#!/usr/bin/env python3
"""Holds golden cases against formulas in Python, which share no code with merit nor with the oracles in C.

usage: check_formulas.py [--op OP] [FILE | FOLDER]...

Without paths: all of tests/golden. Each accepted case is computed anew from its inputs and options by the module of
its operation, and every output and counter in the file is compared. A case of an unknown operation fails; so does a
case of which nothing was compared. Then one value of every output, the largest, is changed by a hundredth, and each
change has to be refused. Prints what was compared and what was left out.
"""
import collections
import importlib
import math
import os
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(1, os.path.dirname(FOLDER))  # the generators, whose textbook formulas the modules share

from case_reader import Case
from formula_values import Packed, Value


def module_of(op):
    """formula_OP.py: results(case), which gives for each output a list of values (numbers; Value: with its own
    tolerance; Packed: several in one; None: not compared) or (values, rtol, atol). None: no such file."""
    name = "formula_" + op
    return importlib.import_module(name) if os.path.exists(os.path.join(FOLDER, name + ".py")) else None


def differs(expected, actual, rtol, atol):
    if expected is None:
        return False
    if isinstance(expected, Packed):
        return any(differs(e, a, rtol, atol) for e, a in zip(expected.parts, expected.read(actual)))
    if isinstance(expected, Value):
        return differs(expected.value, expected.read(actual), expected.rtol, expected.atol)
    if math.isnan(expected) or math.isnan(actual):
        return math.isnan(expected) != math.isnan(actual)
    if math.isinf(expected) or math.isinf(actual):
        return expected != actual
    return abs(expected - actual) > atol + rtol * abs(expected)


def tolerance(case, output, rtol, atol):
    """The wider of the formula's and what the case itself allows: some hold printed digits."""
    check = case.check.get(output, {})
    return max(rtol, check.get("rtol", 0)), max(atol, check.get("atol", 0))


def distance(expected, actual):
    if expected is None:
        return 0.0
    if isinstance(expected, Packed):
        return max(map(distance, expected.parts, expected.read(actual)))
    value, held = (expected.value, expected.read(actual)) if isinstance(expected, Value) else (expected, actual)
    return abs(value - held) if math.isfinite(value - held) else math.inf


def compare(case, module):
    """What is wrong, then [(output, expected values, rtol, atol)] of the outputs compared."""
    expected = module.results(case)
    wrong, compared = [], []
    for output, array in case.outputs.items():
        if output not in expected:
            wrong.append(f"{output}: no formula")
            continue
        values, rtol, atol = expected[output] if isinstance(expected[output], tuple) else (expected[output], 0, 0)
        rtol, atol = tolerance(case, output, rtol, atol)
        if len(values) != len(array):
            wrong.append(f"{output}: {len(array)} values, not {len(values)}")
            continue
        bad = [i for i in range(len(values)) if differs(values[i], array[i], rtol, atol)]
        if bad:
            worst = max(bad, key=lambda i: distance(values[i], array[i]))
            wrong.append(f"{output}: {len(bad)} of {len(values)} differ; [{worst}] is {array[worst]!r}, not {values[worst]!r}")
        compared.append((output, values, rtol, atol))
    if not any(v is not None for _, values, _, _ in compared for v in values) and any(map(len, case.outputs.values())):
        wrong.append("nothing compared")
    return wrong, compared


def plain(expected, x):
    """The last number of an element, and what makes an element of such a number again."""
    if isinstance(expected, Packed):
        *others, last = expected.read(x)
        return last, lambda y: expected.write([*others, y])
    if isinstance(expected, Value):
        return expected.read(x), expected.write
    return x, lambda y: y


def unnoticed(case, compared):
    """Outputs of which a changed value passes."""
    result = []
    for output, values, rtol, atol in compared:
        array = case.outputs[output]
        known = [i for i in range(len(values)) if values[i] is not None]
        if not known:
            continue
        sizes = [abs(plain(values[i], array[i])[0]) for i in known]
        at = known[max(range(len(known)), key=lambda k: sizes[k] if math.isfinite(sizes[k]) else -1)]
        x, written = plain(values[at], array[at])
        changed = x + 1 if isinstance(x, int) else 1.01 * x if x != 0 and math.isfinite(x) else 1e-3
        if not differs(values[at], written(changed), rtol, atol):
            result.append(f"{output}: {changed!r} passes as [{at}], which is {x!r}")
    return result


def paths_of(arguments):
    for path in arguments or [os.path.dirname(FOLDER)]:
        if os.path.isdir(path):
            for folder, _, names in sorted(os.walk(path)):
                yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(".safetensors"))
        else:
            yield path


def main(arguments):
    only = arguments[arguments.index("--op") + 1] if "--op" in arguments else None
    paths = [a for i, a in enumerate(arguments) if not a.startswith("--") and (i == 0 or arguments[i - 1] != "--op")]
    cases, elements, left_out = collections.Counter(), collections.Counter(), collections.Counter()
    failures = 0
    for path in paths_of(paths):
        case = Case(path)
        if case.status != "success" or only not in (None, case.op):
            continue
        cases[case.op] += 1
        module = module_of(case.op)
        if module is None:
            wrong = ["no formulas for this operation"]
        else:
            try:
                wrong, compared = compare(case, module)
                wrong += unnoticed(case, compared)
            except Exception as error:
                wrong, compared = [f"{type(error).__name__}: {error}"], []
            elements[case.op] += sum(v is not None for _, values, _, _ in compared for v in values)
            left_out[case.op] += sum(map(len, case.outputs.values()))
        failures += bool(wrong)
        for line in wrong:
            print(f"{os.path.relpath(path)} ({case.op}): {line}")
    for op in sorted(cases):
        out = left_out[op] - elements[op]
        print(f"{op}: {cases[op]} cases, {elements[op]} values compared" + (f", {out} left out" if out else ""))
    print(f"{sum(cases.values())} cases, {failures} failed")
    return 1 if failures or not cases else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
