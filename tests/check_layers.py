#!/usr/bin/env python3
"""Checks that the include arrows point down and that kernels/ keeps the numerics contract.

usage: check_layers.py [SOURCE_ROOT]
Prints each violation as file:line: sentence. A textual check: it catches the slip, not the trick.
"""
import os
import re
import sys

FAMILIES = "score reward preference advantage dominance policy comm".split()
SOURCES = (".c", ".h", ".cu", ".cuh", ".cpp")

# (files, what they may include by "..." or from this tree), the first match decides.
PUBLIC = r"host/include/merit/\w+\.h"
ARROWS = [
    *[(rf"kernels/{family}/", rf"kernels/{family}/|kernels/core/|kernels/backend\w*\.h|{PUBLIC}")
      for family in FAMILIES],
    (r"kernels/core/", rf"kernels/core/|kernels/backend\w*\.h|{PUBLIC}"),
    (r"kernels/", rf"kernels/backend\w*\.h|{PUBLIC}"),
    (r"host/include/", PUBLIC),
    (r"host/examples/", PUBLIC),
    (r"host/", rf"host/\w+\.h|kernels/backend\.h|kernels/\w+/\w+\.h|{PUBLIC}"),
    (r"tests/oracle/", rf"tests/oracle/|{PUBLIC}"),
    (r"tests/test_bench", r"tests/|bench/"),
    (r"tests/", r"tests/|host/|kernels/"),
    (r"bench/", rf"bench/|{PUBLIC}"),
]
# System headers of kernels/: the C library without libm's functions; CUDA behind core/ only.
KERNEL_SYSTEM = r"(std\w+|string|limits|float|math|merit/\w+)\.h"
CORE_SYSTEM = r"(cuda\w*|omp|fenv|[a-z]mmintrin|sanitizer/\w+)\.h|cub/.*"
CPU_SYSTEM = r"immintrin\.h"  # in *_cpu.c and *_cpu.h

LIBM = ("exp exp2 expm1 log log2 log10 log1p pow sqrt cbrt hypot sin cos tan asin acos atan atan2 sinh cosh "
        "tanh asinh acosh atanh erf erfc tgamma lgamma fma fmin fmax fdim fmod remainder floor ceil "
        "round rint nearbyint trunc ldexp scalbn frexp modf fabs rsqrt rcbrt exp10 sincos normcdf")
# (files, pattern, why)
BANNED = [
    (r"kernels/", r"<<<", "launch with MERIT_LAUNCH"),
    (r"kernels/", rf"(?<![\w.])(?:{LIBM.replace(' ', '|')})[fl]?\s*\(", "a libm or CUDA math function"),
    (r"kernels/", r"__(exp|exp10|log|log2|log10|pow|sin|cos|tan|sincos|tanh|fdivide|saturate)f?\s*\(",
     "an approximate intrinsic"),
    (r"kernels/(?!core/)", r"__[fd](add|sub|mul|div|ma|maf|rcp|sqrt|rsqrt)_r[nzud]\s*\(",
     "rounding intrinsics stand in core/ only"),
    (r"kernels/", r"atomic\w+\s*\(\s*\(?\s*(float|double|__half|__nv_bfloat16)", "a float atomic"),
    (r"kernels/", r"(?<!defined\()__CUDA_ARCH", "what nvcc makes is checked for one architecture"),
    (r"kernels/(?!core/)", r"\basm\b", "assembly stands in core/ only, with a host twin"),
    (r"kernels/(?!core/parallel\.c)", r"#\s*pragma\s+omp", "threads come from core/parallel.h"),
    (r"kernels/", r"__activemask|__shfl(_up|_down|_xor)?\s*\(", "warp operations need a constant mask"),
    (r"kernels/", r"(?<!\w)(malloc|calloc|realloc|free|printf|fprintf|exit|abort|assert)\s*\(",
     "kernels neither allocate nor print nor exit"),
    (r"kernels/", r"cuda(Malloc|Free|DeviceSynchronize|StreamSynchronize|EventSynchronize)\w*\s*\(",
     "kernels neither allocate nor wait"),
    (r".*(CMakeLists\.txt|\.cmake|\.json)$", r"fast-math|fast_math|-Ofast|-ftz=true", "fast-math"),
    (r".*(CMakeLists\.txt|\.cmake)$", r"file\(GLOB|aux_source_directory", "source lists are written out"),
]


def files_of(root):
    for folder, folders, names in os.walk(root):
        top = folder == root
        folders[:] = sorted(f for f in folders
                            if not f.startswith((".", "__")) and not (top and f.startswith("build")))
        for name in sorted(names):
            yield os.path.relpath(os.path.join(folder, name), root)


def without_comments(text):
    """Comments and strings blanked, lines kept. Include lines keep their names."""
    pattern = r'//[^\n]*|/\*.*?\*/|(?<!include )"(?:\\.|[^"\\\n])*"'
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.S)


def main():
    root = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), ".."))
    paths = list(files_of(root))
    sources = [p for p in paths if p.endswith(SOURCES)]
    by_name = {}
    violations = []
    for path in sources:
        first = by_name.setdefault(os.path.basename(path), path)
        if first != path:
            violations.append(f"{path}:1: the same file name as {first}")

    def target(path, name):
        """The file of this tree that an include names, else None."""
        beside = os.path.normpath(os.path.join(os.path.dirname(path), name))
        if beside in sources:
            return beside
        found = by_name.get(os.path.basename(name))
        return found if found and f"/{found}".endswith("/" + os.path.normpath(name).lstrip("./")) else None

    def check_include(path, number, system, name):
        included = target(path, name)
        arrows = next((allowed for files, allowed in ARROWS if re.match(files, path)), None)
        if included is not None and arrows is not None:
            if not re.match(arrows, included):
                violations.append(f"{path}:{number}: includes {included}, an arrow that does not point down")
        elif path.startswith("kernels/") and included is None:
            allowed = KERNEL_SYSTEM
            if path.startswith("kernels/core/"):
                allowed += f"|{CORE_SYSTEM}"
            elif re.search(r"_cpu\.[ch]$", path):
                allowed += f"|{CPU_SYSTEM}"
            if not system or not re.fullmatch(allowed, name):
                violations.append(f"{path}:{number}: includes {name}, which is not for kernels")

    checked = 0
    for path in paths:
        rules = [(pattern, why) for files, pattern, why in BANNED if re.match(files, path)]
        if path not in sources and not rules:
            continue
        checked += 1
        with open(os.path.join(root, path), encoding="utf-8") as file:
            text = file.read()
        code = without_comments(text) if path in sources else re.sub(r"#[^\n]*", "", text)
        for number, line in enumerate(code.splitlines(), 1):
            include = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if include and path in sources:
                check_include(path, number, include[1] == "<", include[2])
            for pattern, why in rules:
                if re.search(pattern, line):
                    violations.append(f"{path}:{number}: {why}: {line.strip()}")
    print(*violations, sep="\n", end="\n" if violations else "")
    print(f"{checked} files, {len(violations)} violations")
    return 1 if violations or checked == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
