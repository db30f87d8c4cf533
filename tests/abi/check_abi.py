#!/usr/bin/env python3
"""Checks an installed merit as its users meet it. One check per call, so that CTest counts each.

usage: check_abi.py CHECK PREFIX LIBDIR   CHECK: headers, symbols, dependencies, cmake, pkg-config,
readme, mpi
CC and CXX name the compilers, MPICC and MPIEXEC those of MPI where libmerit_mpi is installed, MPI_INCLUDE its
folders of headers (a;b). `symbols --update` rewrites the list of exported symbols.
"""
import difflib
import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SYMBOL_LIST = os.path.join(HERE, "merit.symbols")
CONSUMER = os.path.join(HERE, "consumer")
MPI_SYMBOL_LIST = os.path.join(HERE, "merit_mpi.symbols")
MPI_CONSUMER = os.path.join(HERE, "consumer_mpi")
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
# librt, libdl and libpthread are part of the C library; the static CUDA runtime may name them.
ALLOWED_DEPENDENCIES = {"libc.so.6", "libm.so.6", "libgomp.so.1", "librt.so.1", "libdl.so.2",
                        "libpthread.so.0", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


def run(command, **options):
    """Output of a command; its failure ends the check with what it printed."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          **options)
    if done.returncode != 0:
        sys.exit(f"{shlex.join(command)}: exit status {done.returncode}\n{done.stdout}")
    return done.stdout


def compiler(variable, default):
    return shlex.split(os.environ.get(variable) or default)


def check_headers(prefix, _):
    """Each public header compiles alone, as C11 and as C++17."""
    headers = sorted(glob.glob(f"{prefix}/include/merit/*.h"))
    if not headers:
        sys.exit(f"no headers in {prefix}/include/merit")
    languages = [(compiler("CC", "cc"), "c", "-std=c11"), (compiler("CXX", "c++"), "c++", "-std=c++17")]
    mpi = [f"-isystem{folder}" for folder in os.environ.get("MPI_INCLUDE", "").split(";") if folder]
    for header in headers:
        line = f"#include <merit/{os.path.basename(header)}>\n"
        for command, language, standard in languages:
            run([*command, "-x", language, standard, *WARNINGS, "-fsyntax-only", f"-I{prefix}/include",
                 *(mpi if header.endswith("_mpi.h") else []), "-"], input=line)
    print(f"{len(headers)} headers compile alone as C11 and C++17")


def exported(library):
    return sorted(line.split()[-1] for line in run(["nm", "-D", "--defined-only", library]).splitlines())


def check_symbols(prefix, libdir):
    """libmerit.so exports exactly the listed names, all of them merit_*."""
    actual = exported(f"{prefix}/{libdir}/libmerit.so")
    if "--update" in sys.argv:
        with open(SYMBOL_LIST, "w", encoding="utf-8") as out:
            out.write("".join(f"{name}\n" for name in actual))
    foreign = [name for name in actual if not name.startswith("merit_")]
    if foreign:
        sys.exit(f"exported, but not merit_*: {', '.join(foreign)}")
    with open(SYMBOL_LIST, encoding="utf-8") as lines:
        expected = lines.read().splitlines()
    if actual != expected:
        change = difflib.unified_diff(expected, actual, "tests/abi/merit.symbols", "libmerit.so",
                                      lineterm="", n=0)
        update = ["tests/abi/check_abi.py", "symbols", prefix, libdir, "--update"]
        sys.exit("\n".join(change) + "\nthe exported symbols changed; if that is wanted, add a line to "
                 f"CHANGELOG.md and run: {shlex.join(update)}")
    print(f"{len(actual)} symbols as listed")


def check_dependencies(prefix, libdir):
    """SONAME, and no shared library needed beyond those of the C compiler."""
    dynamic = run(["readelf", "-d", f"{prefix}/{libdir}/libmerit.so"])
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
    soname = re.findall(r"\(SONAME\).*\[(.*)\]", dynamic)
    if soname != ["libmerit.so.0"]:
        sys.exit(f"SONAME is {soname}, expected libmerit.so.0")
    if needed - ALLOWED_DEPENDENCIES:
        sys.exit(f"needs {', '.join(sorted(needed - ALLOWED_DEPENDENCIES))}")
    if re.search(r"\((RPATH|RUNPATH|TEXTREL)\)", dynamic):
        sys.exit("has a run path or text relocations")
    print(f"needs {', '.join(sorted(needed))}")


def run_consumer(program, libdir=None):
    environment = dict(os.environ)
    if libdir is not None:
        environment["LD_LIBRARY_PATH"] = libdir
    print(f"{os.path.basename(program)}: {run([program], env=environment).strip()}")


def check_cmake(prefix, _):
    """A project of its own finds merit by find_package, shared and static."""
    with tempfile.TemporaryDirectory() as build:
        run(["cmake", "-S", CONSUMER, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}",
             f"-DCMAKE_C_COMPILER={compiler('CC', 'cc')[0]}"])
        run(["cmake", "--build", build])
        run_consumer(f"{build}/consumer_shared")
        run_consumer(f"{build}/consumer_static")


def check_pkg_config(prefix, libdir):
    """A compiler call finds merit by pkg-config, shared and static."""
    environment = dict(os.environ, PKG_CONFIG_PATH=f"{prefix}/{libdir}/pkgconfig")

    def flags(*options):
        return shlex.split(run(["pkg-config", *options, "merit"], env=environment))

    with tempfile.TemporaryDirectory() as build:
        compile_consumer = [*compiler("CC", "cc"), "-std=c11", *WARNINGS, f"{CONSUMER}/consumer.c"]
        shared, static = f"{build}/consumer_shared", f"{build}/consumer_static"
        run([*compile_consumer, "-o", shared, *flags("--cflags", "--libs")])
        run_consumer(shared, f"{prefix}/{libdir}")
        # The archive by name; everything else of --static stays shared.
        libraries = ["-l:libmerit.a" if flag == "-lmerit" else flag
                     for flag in flags("--static", "--cflags", "--libs")]
        run([*compile_consumer, "-o", static, *libraries])
        if "libmerit" in run(["readelf", "-d", static]):
            sys.exit("the static consumer needs libmerit.so")
        run_consumer(static)


def check_readme(prefix, libdir):
    """The program in the README compiles as it stands and prints what its comment says."""
    with open(os.path.join(HERE, "..", "..", "README.md"), encoding="utf-8") as readme:
        program = re.search(r"```c\n(.*?)```", readme.read(), re.S).group(1)
    said = re.search(r"%g .*// (\S+ \S+) \.\.\. (.*)", program)
    environment = dict(os.environ, PKG_CONFIG_PATH=f"{prefix}/{libdir}/pkgconfig")
    flags = shlex.split(run(["pkg-config", "--cflags", "--libs", "merit"], env=environment))
    with tempfile.TemporaryDirectory() as build:
        run([*compiler("CC", "cc"), "-std=c11", *WARNINGS, "-x", "c", "-", "-o", f"{build}/program",
             "-x", "none", *flags], input=program)
        environment["LD_LIBRARY_PATH"] = f"{prefix}/{libdir}"
        printed = run([f"{build}/program"], env=environment).strip()
    if not (printed.startswith(said.group(1)) and printed.endswith(said.group(2))):
        sys.exit(f"the README's program prints {printed}, and says {said.group(0)}")
    print(f"the README's program prints {printed}")


def check_mpi(prefix, libdir):
    """libmerit_mpi: its symbols, what it needs, and users by find_package and by pkg-config on two ranks."""
    library = f"{prefix}/{libdir}/libmerit_mpi.so"
    with open(MPI_SYMBOL_LIST, encoding="utf-8") as lines:
        expected = lines.read().splitlines()
    if exported(library) != expected:
        sys.exit(f"libmerit_mpi.so exports {', '.join(exported(library))}, expected {', '.join(expected)}")
    dynamic = run(["readelf", "-d", library])
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)) - ALLOWED_DEPENDENCIES
    foreign = [name for name in needed if name != "libmerit.so.0" and not name.startswith("libmpi")]
    if re.findall(r"\(SONAME\).*\[(.*)\]", dynamic) != ["libmerit_mpi.so.0"] or foreign:
        sys.exit(f"SONAME is not libmerit_mpi.so.0, or it needs {', '.join(foreign)}")
    if re.search(r"\((RPATH|RUNPATH|TEXTREL)\)", dynamic):
        sys.exit("libmerit_mpi.so has a run path or text relocations")

    environment = dict(os.environ, PKG_CONFIG_PATH=f"{prefix}/{libdir}/pkgconfig")
    flags = shlex.split(run(["pkg-config", "--cflags", "--libs", "merit_mpi"], env=environment))
    environment["LD_LIBRARY_PATH"] = f"{prefix}/{libdir}"
    with tempfile.TemporaryDirectory() as build:
        run(["cmake", "-S", MPI_CONSUMER, "-B", f"{build}/cmake", f"-DCMAKE_PREFIX_PATH={prefix}",
             f"-DCMAKE_C_COMPILER={compiler('CC', 'cc')[0]}"])
        run(["cmake", "--build", f"{build}/cmake"])
        run([*compiler("MPICC", "mpicc"), "-std=c11", "-Wall", "-Wextra", "-Werror",
             f"{MPI_CONSUMER}/consumer_mpi.c", "-o", f"{build}/by_pkg_config", *flags])
        for program in (f"{build}/cmake/consumer_mpi", f"{build}/by_pkg_config"):
            print(run([*compiler("MPIEXEC", "mpirun"), "-n", "2", program], env=environment).strip())


CHECKS = {"headers": check_headers, "symbols": check_symbols, "dependencies": check_dependencies,
          "cmake": check_cmake, "pkg-config": check_pkg_config, "readme": check_readme, "mpi": check_mpi}

if __name__ == "__main__":
    if len(sys.argv) < 4 or sys.argv[1] not in CHECKS:
        sys.exit(__doc__)
    CHECKS[sys.argv[1]](sys.argv[2], sys.argv[3])
