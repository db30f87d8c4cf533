#!/usr/bin/env python3
"""Does what tests/README.md says about pinning a regression, then changes a bit and sees it named; and holds its
table of fields to what merit_verify prints.

usage: check_readme.py REPOSITORY MERIT_VERIFY
"""
import collections
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile


def output_of(verify, *arguments):
    done = subprocess.run([verify, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return json.loads(done.stdout)


def check_fields(text, verify, fails, refused, listed):
    """The table against a report with a failing case, a call that was rejected, and a file that is none."""
    table = {objects: set(re.findall(r"`(\w+)`", fields))
             for objects, fields in re.findall(r"^\| ([\w ,-]+) \| (`.*) \|$", text.split("## merit_verify")[1], re.M)}
    report = output_of(verify, "--json", fails, refused, os.devnull)
    found = collections.defaultdict(set, {"report": set(report), "summary": set(report["summary"])})
    for row in report["rows"]:
        found["rows"] |= set(row)
        for name in ("first", "worst"):
            found["first, worst"] |= set(row.get(name, ()))
    for error in report["errors"]:
        found["errors"] |= set(error)
    build = output_of(verify, "--list", "--json")
    found["--list"] = set(build) | {key for operation in build["operations"].values() for key in operation}
    found["--list, rows"] = {key for row in output_of(verify, "--list", "--json", listed)["rows"] for key in row}
    table["rows"] |= table.pop("rows compared") | table.pop("rows without a comparison")
    assert table == found, [name for name in table.keys() | found.keys() if table.get(name) != found.get(name)]


def main():
    repository, verify = (os.path.abspath(path) for path in sys.argv[1:])
    with open(os.path.join(repository, "tests", "README.md"), encoding="utf-8") as file:
        text = file.read()
    program = re.search(r"```python\n(.*?)```", text, re.S)[1]
    commands = re.search(r"```sh\n(.*?)```", text, re.S)[1].splitlines()
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(os.path.join(repository, "tests"), os.path.join(folder, "tests"))
        with open(os.path.join(folder, "pin.py"), "w", encoding="utf-8") as file:
            file.write(program)
        for command in commands:
            words = [verify if word.endswith("/merit_verify") else word for word in shlex.split(command)]
            subprocess.run(words, cwd=folder, check=True)
        path = os.path.join(folder, "pinned", "mine.safetensors")
        with open(path, "r+b") as file:
            data = bytearray(file.read())
            data[-29] ^= 1  # in the exponent of the first of the eight numbers at the end
            file.seek(0)
            file.write(data)
        done = subprocess.run([verify, "--backend", "cpu", path], stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout)
        assert done.returncode == 1 and "advantages" in done.stdout, done.returncode
        assert "first index 0: expected -0.256" in done.stdout and "worst index 0" in done.stdout
        refused = os.path.join(folder, "refused.safetensors")
        with open(path, "rb") as file, open(refused, "wb") as changed:
            changed.write(file.read().replace(b'"in.rewards"', b'"in.weights"'))  # without rewards
        check_fields(text, verify, path, refused, path)


if __name__ == "__main__":
    main()
