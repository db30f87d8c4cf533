#!/usr/bin/env python3
"""bench/ab calls a build the same as itself, and a slower operation SLOWER, there and nowhere else.

usage: check_ab.py BENCH_AB MERIT_BENCH MERIT_BENCH_SLOW
"""
import json
import subprocess
import sys
import tempfile

POINTS = ["--", "--threads", "1", "--backend", "cpu", "--min-time", "0.02"]


def verdicts(ab, base, new, op, shape):
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        done = subprocess.run([ab, base, new, "--rounds", "6", "--json", file.name, *POINTS, "--op", op, "--shape", shape],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        print(done.stdout)
        assert done.returncode in (0, 3), f"status {done.returncode}"
        rows = json.load(file)["rows"]
    assert (done.returncode == 3) == any(r["verdict"] == "SLOWER" for r in rows)
    return rows


def main():
    ab, bench, slow = sys.argv[1:]
    same = verdicts(ab, bench, bench, "advantage_group", "uniform 65536x16")
    good = sum(r["verdict"] in ("SAME", "AMBIGUOUS") for r in same)
    assert good == len(same) and len(same) >= 3, "a build differs from itself"
    slower = verdicts(ab, bench, slow, "advantage_spread", "512x1024")
    assert [r["op"] for r in slower] == ["advantage_spread"], slower
    assert slower[0]["verdict"] == "SLOWER", slower
    other = verdicts(ab, bench, slow, "advantage_group", "uniform 4096x8")
    assert other and all(r["verdict"] in ("SAME", "AMBIGUOUS") for r in other), other

    for bad in (["a"], ["/no/such", bench], [bench, bench, "--rounds", "2"], [bench, bench, "--tolerance", "0"]):
        done = subprocess.run([ab, *bad], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 2, (bad, done.returncode)


if __name__ == "__main__":
    main()
