#!/usr/bin/env python3
"""Every operation has a golden case that succeeds, every preset one that names it.

usage: check_covered.py REPOSITORY MERIT_VERIFY

The operations are those of the interface (tests/abi/merit.symbols). Those across ranks have no cases: tests/processes
holds them to the bits of one rank. Operations with the same presets take the same descriptor, so that a case of
either stands for a preset of both.
"""
import json
import os
import subprocess
import sys


def listed(verify, *paths):
    done = subprocess.run([verify, "--list", "--json", *paths], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def interface(repository):
    with open(os.path.join(repository, "tests", "abi", "merit.symbols"), encoding="utf-8") as file:
        names = {line.strip() for line in file}
    ends = "_workspace"
    operations = {name[:-len(ends)] for name in names if name.endswith(ends)}
    return {name[len("merit_"):] for name in operations & names if not name.startswith("merit_comm_")}


def main():
    repository, verify = sys.argv[1:]
    operations = listed(verify)["operations"]
    cases = [c for c in listed(verify, os.path.join(repository, "tests", "golden"))["rows"] if c["status"] == "ok"]
    have = {(tuple(operations[c["operation"]]["presets"]), c["preset"]) for c in cases}
    missing = [f"{name}: merit_verify does not know it" for name in interface(repository) - operations.keys()]
    missing += [f"{name}: no case" for name in operations.keys() - {c["operation"] for c in cases}]
    missing += [f"{name}: no case of preset {preset}" for name, o in operations.items() for preset in o["presets"]
                if (tuple(o["presets"]), preset) not in have]
    print(f"{len(cases)} cases of {len(operations)} operations", *sorted(missing), sep="\n")
    assert len(interface(repository)) > 20 and len(cases) > 500, "the lists are not what this test expects"
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
