"""The table figures.txt: what is measured of each kernel, compared with what is committed."""
import collections
import functools
import os
import re
import subprocess

import flow

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "figures.txt")

# elements: a number, or `OPCODE` or `OPCODE/n` for the loop's instructions of that kind, by n.
LoopRow = collections.namedtuple("LoopRow", "elements inner slots double name")
KernelRow = collections.namedtuple("KernelRow", "registers local name loops")


# Table -------------------------------------------------------------------------------------------

def read():
    """(compiler, source file -> its kernel rows)"""
    compiler, files, rows = "", {}, None
    with open(PATH, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            kind, *words = line.split("#")[0].split(maxsplit=5) or ["#"]
            try:
                if kind == "compiler":
                    compiler, = words
                elif kind == "file":
                    name, = words
                    rows = files.setdefault(name, [])
                elif kind == "kernel":
                    registers, local, name = line.split(maxsplit=3)[1:]
                    rows.append(KernelRow(int(registers), int(local), name.strip(), []))
                elif kind == "loop":
                    elements, inner, slots, double, name = words
                    rows[-1].loops.append(
                        LoopRow(elements, int(inner), float(slots), float(double), name.strip()))
                elif kind != "#":
                    raise ValueError(f"'{kind}' begins no row")
            except (ValueError, AttributeError, IndexError) as error:
                raise SystemExit(f"{PATH}:{number}: {error}: {line.strip()}")
    return compiler, files


def format_row(row):
    return [f"kernel {row.registers:3} {row.local:5} {row.name}"] + [
        f"  loop {loop.elements:>5} {loop.inner:3} {loop.slots:7.1f} {loop.double:6.1f} {loop.name}"
        for loop in row.loops]


def write(compiler, files):
    with open(PATH, encoding="utf-8") as lines:
        text = re.match(r"(?:#.*\n)*", lines.read())[0] + f"compiler {compiler}\n"
    for name, rows in sorted(files.items()):
        text += f"\nfile {name}\n"
        text += "".join(line + "\n" for row in rows for line in format_row(row))
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(text)


# Measurement -------------------------------------------------------------------------------------

@functools.cache
def readable(name):
    """A mangled name as in the source, without its namespaces and parameters."""
    text = subprocess.run(["c++filt", "-p", name], text=True, capture_output=True, check=True).stdout
    return re.sub(r"_INTERNAL_\w+::|\(anonymous namespace\)::", "", text.strip())


@functools.cache
def source_line(path, number):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()[number - 1].strip()


class Measured:
    """One kernel: its loops, each under `function: line of the source that ends it`."""

    def __init__(self, kernel):
        self.code = kernel.code
        self.flow = flow.Flow(kernel)
        self.functions = kernel.functions

    def loop_name(self, loop):
        last = self.flow.last(loop)
        line = self.code[last].line
        around = max((f for f in self.functions if f.first <= last), key=lambda f: f.first)
        function = re.match(r"[\w:~]*", readable(line.function or around.name))[0]
        return f"{function}: {source_line(line.file, line.number)}"

    def lines_with(self, parts):
        """Instructions from source lines that hold one of the parts."""
        lines = {i.line for i in self.code if i.line.number} if parts else ()
        chosen = {line for line in lines
                  if any(part in source_line(line.file, line.number) for part in parts)}
        return frozenset(at for at, i in enumerate(self.code) if i.line in chosen)

    def elements(self, loop, per):
        opcode, _, divisor = per.partition("/")
        if opcode.isdigit():
            return int(opcode)
        return sum(self.code[at].name == opcode for at in loop.nodes) / int(divisor or 1)

    def measure(self, row):
        """(slots at least, the row as measured). Of loops with one name, that of most elements, then
        of most slots: the compiler makes several of a loop that it unrolls."""
        place, _, without = row.name.partition(" without ")
        function, text = place.split(": ", 1)
        avoided = self.lines_with([part.strip() for part in without.split("|")] if without else [])
        found = []
        for loop in self.flow.loops:
            name = self.loop_name(loop)
            if not name.startswith(function + ":") or text not in name:
                continue
            elements = self.elements(loop, row.elements)
            costs = elements and self.flow.costs(loop, row.inner, avoided)
            if costs:
                found.append((elements, costs.longest.slots / elements,
                              costs.longest.double / elements, costs.shortest.slots / elements))
        if not found:
            return None
        _, slots, double, least = max(found)
        return least, row._replace(slots=round(slots, 1), double=round(double, 1))

    def all_rows(self):
        """A row for every loop, to choose from."""
        names = dict.fromkeys(self.loop_name(loop) for loop in self.flow.loops)
        rows = (self.measure(LoopRow("1", 1, 0, 0, name)) for name in names)
        return [row[1] for row in rows if row]


# Comparison --------------------------------------------------------------------------------------

def compare(name, what, value, figure):
    """(grown, sentence) if they differ."""
    if value == figure:
        return []
    return [(value > figure, f"{name}: {what} {value:g}, {'more' if value > figure else 'less'} than "
             f"the {figure:g} of figures.txt")]


def check(rows, measured, resources):
    """(lines to print, [(grown, sentence)], rows as measured). resources: kernel -> (registers, local)."""
    lines, differences, new = [], [], []
    table = {row.name: row for row in rows}
    for name in sorted(table.keys() - measured.keys()):
        differences.append((True, f"{name}: a row of figures.txt without a kernel"))
    for name, kernel in measured.items():
        registers, local = resources[name]
        row = table.get(name)
        if row is None:
            differences.append((True, f"{name}: no row in figures.txt"))
            row = KernelRow(registers, local, name, [])
        differences += compare(name, "registers", registers, row.registers)
        differences += compare(name, "local memory", local, row.local)
        lines.append(f"{name}: {registers} registers, {local} bytes of local memory")
        loops = []
        for loop in row.loops:
            result = kernel.measure(loop)
            if result is None:
                differences.append((True, f"{name}: no loop, or no path in it, is {loop.name}"))
                continue
            least, now = result
            lines.append(f"    {loop.name}: {least:.1f} to {now.slots:.1f} slots per element, "
                         f"{now.double:.1f} of them binary64")
            differences += compare(f"{name}, {loop.name}", "slots per element", now.slots, loop.slots)
            differences += compare(f"{name}, {loop.name}", "binary64", now.double, loop.double)
            loops.append(now)
        new.append(KernelRow(registers, local, name, loops))
    return lines, differences, new
