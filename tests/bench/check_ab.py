#!/usr/bin/env python3
"""bench/ab calls a build the same as itself, and a slower operation SLOWER, there and nowhere else.

usage: check_ab.py BENCH_AB MERIT_BENCH MERIT_BENCH_SLOW [--whole]

--whole: every point of --quick, the claim of bench/README.md: at least 95 % of the rows of one build against itself are
SAME, none is SLOWER or FASTER, and one operation slowed by 10 % is SLOWER there and nowhere else. Minutes, not a test.
"""
import json
import os
import subprocess
import sys
import tempfile

POINTS = ["--", "--threads", "1", "--backend", "cpu", "--min-time", "0.02"]


def verdicts(ab, base, new, op, shape):
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        done = subprocess.run([ab, base, new, "--rounds", "9", "--json", file.name, *POINTS, "--op", op, "--shape", shape],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        print(done.stdout)
        assert done.returncode in (0, 3), f"status {done.returncode}"
        rows = json.load(file)["rows"]
    assert (done.returncode == 3) == any(r["verdict"] == "SLOWER" for r in rows)
    return rows


def compare_whole(ab, base, new, expected):
    """Every quick point; the set of (operation, verdict) that is neither SAME nor AMBIGUOUS must be as expected."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        done = subprocess.run([ab, base, new, "--json", file.name], env={**os.environ, "SLOW_PERCENT": "10"}, check=False)
        assert done.returncode == (3 if expected else 0), f"status {done.returncode}"
        rows = json.load(file)["rows"]
    moved = {(r["op"], r["verdict"]) for r in rows if r["verdict"] in ("SLOWER", "FASTER")}
    assert moved == expected, moved
    same = sum(r["verdict"] == "SAME" for r in rows) / (len(rows) - sum(r["verdict"] == "SLOWER" for r in rows))
    assert same >= 0.95, f"{100 * same:.1f} % of the rows are SAME"


def check_whole(ab, bench, slow):
    print("one build against itself", flush=True)
    compare_whole(ab, bench, bench, set())
    print("advantage_spread slowed by 10 %", flush=True)
    compare_whole(ab, bench, slow, {("advantage_spread", "SLOWER")})
    print("as it should be: SAME where nothing changed, SLOWER where something did")


def main():
    ab, bench, slow, *whole = sys.argv[1:]
    if whole == ["--whole"]:
        check_whole(ab, bench, slow)
        return
    same = verdicts(ab, bench, bench, "advantage_group", "uniform 65536x16")
    good = sum(r["verdict"] in ("SAME", "AMBIGUOUS") for r in same)
    assert good == len(same) and len(same) >= 3, "a build differs from itself"
    slower = verdicts(ab, bench, slow, "advantage_spread", "512x1024")
    assert [r["op"] for r in slower] == ["advantage_spread"], slower
    assert slower[0]["verdict"] == "SLOWER", slower
    other = verdicts(ab, bench, slow, "advantage_group", "uniform 4096x8")
    assert other and all(r["verdict"] in ("SAME", "AMBIGUOUS") for r in other), other

    for bad in (["a"], ["/no/such", bench], [bench, bench, "--rounds", "2"], [bench, bench, "--tolerance", "0"],
                [bench, bench, "--json", "/no/such/file"]):
        done = subprocess.run([ab, *bad], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 2, (bad, done.returncode)


if __name__ == "__main__":
    main()
