#!/usr/bin/env python3
"""Does what tests/README.md says about pinning a regression, then changes a bit and sees it named.

usage: check_readme.py REPOSITORY MERIT_VERIFY
"""
import os
import re
import shlex
import subprocess
import sys
import tempfile


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


if __name__ == "__main__":
    main()
