#!/usr/bin/env python3
"""merit_bench --peers: what a driver says reaches the reports, a driver that fails harms nothing, and the driver's
own stopping rule is that of the harness.

usage: check_peers.py MERIT_BENCH FOLDER_OF_PEERS
"""
import json
import math
import os
import subprocess
import sys
import tempfile
import types

import check_report

FAKE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake_peers.py")


def bench(program, python, mode=""):
    """(standard output, report, Markdown) of one point."""
    with tempfile.TemporaryDirectory() as folder:
        json_path, markdown = os.path.join(folder, "r.json"), os.path.join(folder, "r.md")
        done = subprocess.run(
            [program, "--op", "advantage_spread", "--shape", "512x1024", "--threads", "1", "--no-roofs", "--min-time",
             "0.001", "--backend", "cpu", f"--peers={python}", "--json", json_path, "--markdown", markdown],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "FAKE_PEERS": mode},
            timeout=60, check=False)
        assert done.returncode == 0, done.stdout
        with open(json_path, encoding="utf-8") as file:
            report = json.load(file)
        with open(markdown, encoding="utf-8") as file:
            return done.stdout, report, file.read()


def check_reports(program, folder):
    output, report, markdown = bench(program, FAKE)
    rows, operations = report["rows"], report["operations"]
    assert len(rows) == 1 and rows[0]["status"] == "ok", rows
    right, other, broken, none = rows[0]["peers"]
    assert right["time"]["median_s"] == 2 and right["time"]["min_s"] == 1 and right["time"]["samples"] == 3
    assert abs(right["ratio"] * rows[0]["cold"]["median_s"] - 2) < 1e-9
    assert right["max_ulp"] == 0 and right["max_abs_error"] == 0, "its outputs were not looked at"
    assert other["ratio"] is None and other["same_work"] is False, "unequal work has a ratio"
    assert other["max_abs_error"] > 0.1, "wrong outputs of a peer are not seen"
    documented = check_report.documented(os.path.join(folder, "..", ".."))["peers"]
    assert {field for peer in rows[0]["peers"] for field in peer} == documented, "bench/README.md has other fields of peers"
    assert right["beyond_limits"] == "" and other["beyond_limits"].startswith("element ")
    assert broken["reason"] == "it is broken" and "time" not in broken
    assert none["reason"] == "there is no such thing" and "time" not in none
    assert all(f"\n    {name} " in output for name in ("right 1", "other 2", "broken 3", "none 4")), output
    assert output.count("beyond our limits: element ") == 1, output
    assert "other work" in output and "skipped: it is broken" in output
    peers = markdown.split("| other library |")[1]
    assert peers.count("| advantage_spread |") == 4 and "| other 2 |" in peers
    summary = {entry["of"]: entry for entry in operations["advantage_spread"]["summary"]}
    assert set(summary) == {"naive C", "right"}, "of what has a ratio, and no roofs"
    assert summary["right"]["rows"] == 1 and abs(summary["right"]["geometric_mean"] / right["ratio"] - 1) < 1e-12
    assert summary["right"]["worst"] == right["ratio"] and summary["right"]["worst_row"].startswith(rows[0]["shape"])


def check_failures(program):
    output, report, _ = bench(program, FAKE, "absent")
    rows = report["rows"]
    assert "skipped: no torch" in output and rows[0]["peers"] == []
    output, report, _ = bench(program, FAKE, "end")
    rows = report["rows"]
    assert "the driver of the peers ended" in output and rows[0]["status"] == "ok" and rows[0]["peers"] == []
    output, report, _ = bench(program, "/no/such/python")
    rows = report["rows"]
    assert "does not run the driver" in output and rows[0]["status"] == "ok"


def check_sampling(folder):
    """The rule needs no torch: a stand-in lets the module load."""
    sys.path.insert(0, folder)
    sys.modules.setdefault("torch", types.ModuleType("torch"))
    sampling = __import__("sampling")
    for n in range(1, 200):
        k = sampling.median_rank(n)
        tail = [sum(math.comb(n, j) for j in range(m + 1)) / 2**n for m in (k, k + 1)] if k >= 0 else [0, 2.0**-n]
        assert tail[0] <= 0.025 < tail[1], (n, k)
    limits = {"warm_up": 0, "min_time": 0, "max_time": 1000, "sample_time": 0.5, "min_samples": 10, "precision": 0.01}
    made = []

    class Steady:
        @staticmethod
        def time(_calls, first, count):
            made.append((first, count))
            return 0.25 * count

    samples, per_sample, ambiguous = sampling.sample([None], Steady, limits)
    assert per_sample == 2 and samples == [0.25] * 10 and not ambiguous
    assert all(b[0] == a[0] + a[1] for a, b in zip(made, made[1:])), "calls do not rotate over the sets"

    class Wild:
        count = 0

        @classmethod
        def time(cls, _calls, _first, count):
            cls.count += 1
            return count * (1.0 if cls.count % 2 else 3.0)

    samples, _, ambiguous = sampling.sample([None], Wild, {**limits, "max_time": 100})
    assert ambiguous and sum(samples) >= 100


def check_driver(folder):
    """Under this Python: ready, or the reason why not; then an empty list for an operation that has no peers."""
    done = subprocess.run([sys.executable, os.path.join(folder, "driver.py")], text=True, timeout=120, check=True,
                          input='{"list": "no_such", "axes": {}, "device": "cpu"}\n', stdout=subprocess.PIPE)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["ready"] is True and lines[1] == {"peers": []} or "torch" in lines[0]["reason"], lines


def main():
    program, folder = sys.argv[1:]
    check_reports(program, folder)
    check_failures(program)
    check_sampling(folder)
    check_driver(folder)


if __name__ == "__main__":
    main()
