#!/usr/bin/env python3
"""bench/qualify: its dry run, its usage, and that a step that ended well is not run again.

usage: check_qualify.py BENCH_QUALIFY
"""
import json
import os
import subprocess
import sys
import tempfile


def qualify(program, *arguments, path=None):
    environment = dict(os.environ, PATH=path or os.environ["PATH"])
    done = subprocess.run([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=environment, check=False)
    return done.returncode, done.stdout


def fake_tools(folder):
    """A machine with a GPU, as far as the step `environment` can tell; counts the calls."""
    for name, says in (("nvidia-smi", "Some GPU, 570.1, 81559 MiB, 1980 MHz, 2619 MHz, 700 W, 9.0"), ("nvcc", "Build 13")):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\necho call >>'{folder}/calls'\necho '{says}'\n")
        os.chmod(os.path.join(folder, name), 0o755)


def check_resuming(program):
    with tempfile.TemporaryDirectory() as tools, tempfile.TemporaryDirectory() as results:
        fake_tools(tools)
        path = f"{tools}:{os.environ['PATH']}"
        line = ("--only", "environment", "--results", results)

        def calls():
            with open(os.path.join(tools, "calls"), encoding="utf-8") as file:
                return len(file.readlines())

        code, output = qualify(program, *line, path=path)
        assert code == 0 and "Some GPU" in output, output
        first = calls()
        code, output = qualify(program, *line, path=path)
        assert code == 0 and "from 20" in output and calls() == first, "a step that ended well ran again"
        code, output = qualify(program, *line, "--again", path=path)
        assert code == 0 and calls() == 2 * first
        with open(os.path.join(results, "environment.json"), encoding="utf-8") as file:
            kept = json.load(file)
        assert kept["status"] == "ok" and kept["revision"]
        with open(os.path.join(results, "device.json"), encoding="utf-8") as file:
            assert "Some GPU" in json.load(file)["gpu"]

        with open(os.path.join(tools, "nvidia-smi"), "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\necho no devices were found\nexit 6\n")
        code, output = qualify(program, *line, "--again", path=path)
        assert code == 1 and "nvidia-smi ended with status 6: no devices were found" in output, output
        code, output = qualify(program, *line, path=path)
        assert code == 1, "a step that failed counts as done"


def main():
    program = sys.argv[1]
    code, output = qualify(program, "--list")
    assert code == 0 and [line.split()[0] for line in output.splitlines()] == \
        ["environment", "build", "tests", "golden", "memcheck", "racecheck", "initcheck", "synccheck", "bench"], output
    for bad in (["--only", "no_such"], ["--carried", "/no/such"], ["--memory", "much"], ["further"]):
        code, output = qualify(program, *bad)
        assert code == 2 and "qualify" in output, (bad, code, output)
    check_resuming(program)
    with tempfile.TemporaryDirectory() as results:
        code, output = qualify(program, "--dry-run", "--results", results)
        print(output)
        assert code == 0 and "every step is resolved" in output
        code, output = qualify(program, "--dry-run", "--results", results, "--memory", "0.5")
        assert code == 1 and "does not fit 0.5 GiB" in output, output


if __name__ == "__main__":
    main()
