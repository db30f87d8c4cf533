#!/usr/bin/env python3
"""Compiles one .cu file as the build does and checks what nvcc makes of it. Needs no GPU.

usage: check_ptx.py [--record | --loops] BUILD_DIR FILE.cu
  --record  write the figures into figures.txt      --loops  print a row for every loop

PTX: no approximate and no flushing instruction, every rounding to
nearest, no float atomic; and the same instructions with -fmad=true as with -fmad=false. nvcc writes
a bare `+ - *` on floats as an operation without .rn, or contracts it, only under -fmad=true: so
equal means that no bare operator is left to a compiler's choice. One version of PTX stands for all:
check_layers.py sees to it that no source tells architectures apart.
ptxas: no spilled register. sm_90 code: no approximation but those that exact division and root start
from; registers, local memory and slots per element as in figures.txt, or less.
"""
import collections
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

import figures
import sass

HERE = os.path.dirname(os.path.abspath(__file__))
FORBIDDEN = [
    (r"\.approx\b", "approximate"),
    (r"\.ftz\b", "flushes denormals"),
    (r"^(add|sub|mul|fma|mad|div|rcp|sqrt)\.r[zmp]\.", "does not round to nearest"),
    (r"^cvt\.(r[zmp]|rna)\.(f|bf)16\S*", "does not round to nearest"),
    (r"^(atom|red)\.\S*\.(f16|bf16|f32|f64)", "a float atomic: its order is not fixed"),
]


def compile_command(build, source):
    """nvcc with the flags of the build, without its architectures and outputs."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = [e for e in json.load(file) if os.path.realpath(e["file"]) == os.path.realpath(source)]
    if not entries:
        sys.exit(f"{source} is not in {build}/compile_commands.json")
    words = iter(shlex.split(entries[0]["command"]))
    command = []
    for word in words:
        if word in ("-o", "-MF", "-MT"):
            next(words)
        elif word not in ("-c", "-MD", "-lineinfo", "-fmad=false") and "generate-code" not in word:
            command.append(word)
    if "-fmad=false" not in entries[0]["command"]:
        sys.exit(f"{source} is compiled without -fmad=false")
    return command, entries[0]["directory"]


def run(command, folder):
    done = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.exit(f"{shlex.join(command)}: exit status {done.returncode}\n{done.stdout}")
    return done.stdout


def instructions(path):
    """(kernel, opcode with its modifiers) of every PTX instruction."""
    kernel = ""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if entry := re.search(r"\.(?:entry|func)\s+(?:\([^)]*\)\s*)?([\w$]+)", line):
                kernel = entry[1]
            elif found := re.match(r"\s+(?:@!?%\w+\s+)?([a-z]\w*(?:\.[\w:]+)*)\s[^:]*;", line):
                yield kernel, found[1]


def forbidden(ptx):
    return [f"{kernel}: {opcode}: {why}" for kernel, opcode in sorted(set(ptx))
            for pattern, why in FORBIDDEN if re.search(pattern, opcode)]


def check_ptx(exact, contracted):
    problems = forbidden(exact)
    here, there = collections.Counter(exact), collections.Counter(contracted)
    for kernel, opcode in sorted((there - here)):
        problems.append(f"{kernel}: {opcode} under -fmad=true only: a bare float operator")
    if here != there and not problems:
        problems.append("-fmad changes the code: a bare float operator")
    return problems


def check_spills(text):
    problems, kernel = [], ""
    for line in text.splitlines():
        if found := re.search(r"Function properties for (\S+)", line):
            kernel = found[1]
        elif found := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line):
            if found[1] != "0" or found[2] != "0":
                problems.append(f"{kernel}: spills registers: {line.strip()}")
    return problems


def read_resources(text):
    """Kernel -> (registers, bytes of local memory)."""
    resources, kernel = {}, ""
    for line in text.splitlines():
        if found := re.search(r"Compiling entry function '(\S+)'", line):
            kernel = found[1]
        elif found := re.search(r"Used (\d+) registers(?:.*?(\d+) bytes cumulative stack size)?", line):
            resources[kernel] = int(found[1]), int(found[2] or 0)
    return resources


def readable_in(text):
    return re.sub(r"\b_Z\w+", lambda name: figures.readable(name[0]), text)


def histogram(kernel):
    counts = collections.Counter(i.name for i in kernel.code if i.name != "NOP")
    return (f"{figures.readable(kernel.name)}: {sum(counts.values())} instructions: " +
            ", ".join(f"{name} {n}" for name, n in counts.most_common()))


def check_figures(mode, source, command, kernels, resources):
    """(problems, notes)"""
    name = os.path.basename(source)
    measured = {figures.readable(k.name): figures.Measured(k) for k in kernels}
    resources = {figures.readable(kernel): values for kernel, values in resources.items()}
    compiler, files = figures.read()
    nvcc = next(word for word in command if os.path.basename(word) == "nvcc")
    here = re.search(r"\bV([\d.]+)", run([nvcc, "--version"], "."))[1]
    lines, differences, rows = figures.check(files.get(name, []), measured, resources)
    print("\n".join([histogram(kernel) for kernel in kernels] + lines))
    if mode == "--loops":
        for row in rows:
            print("\n".join(figures.format_row(row._replace(loops=measured[row.name].all_rows()))))
    if mode == "--record" and rows:
        figures.write(here, {**files, name: rows})
        return [], [text for _, text in differences] + [f"{name}: its figures are recorded"]
    if here != compiler:
        return [], [text for _, text in differences] + [f"nvcc {here}: figures.txt is of {compiler}"]
    return [text for grown, text in differences if grown], [text for grown, text in differences if not grown]


def main():
    mode = sys.argv.pop(1) if sys.argv[1:2] in (["--record"], ["--loops"]) else "--check"
    if len(sys.argv) != 3:
        sys.exit("usage: check_ptx.py [--record | --loops] BUILD_DIR FILE.cu")
    build, source = sys.argv[1:]
    command, folder = compile_command(build, source)
    stem = os.path.splitext(os.path.basename(source))[0]
    with tempfile.TemporaryDirectory() as out:
        # --keep leaves the PTX of the very compilation that makes the cubin.
        ptxas = run([*command, "-fmad=false", "-lineinfo", "-arch=sm_90", "-cubin", "-keep",
                     "-keep-dir", out, "-Xptxas", "-v", "-o", f"{out}/{stem}.cubin"], folder)
        run([*command, "-fmad=true", "-arch=sm_90", "-ptx", "-o", f"{out}/contracted.ptx"], folder)
        exact = list(instructions(f"{out}/{stem}.ptx"))
        problems = check_ptx(exact, list(instructions(f"{out}/contracted.ptx"))) + check_spills(ptxas)
        kernels = sass.read_kernels(f"{out}/{stem}.cubin")
    for kernel in kernels:
        wrong = set(map(sass.forbidden, kernel.code)) - {""}
        problems += [f"{kernel.name}: {what}" for what in sorted(wrong)]
    with open(source, encoding="utf-8") as file:
        if "MERIT_KERNEL" in file.read() and not (kernels and exact):
            problems.append("no kernel came out")
    grown, notes = check_figures(mode, source, command, kernels, read_resources(ptxas))
    problems += grown
    print("\n".join(readable_in(text) for text in problems + notes))
    print(f"{os.path.basename(source)}: {len(kernels)} kernels, {len(exact)} PTX instructions, "
          f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
