#!/usr/bin/env python3
"""Counts what test runners wrote down: Criterion's TAP files and CTest's JUnit files.

usage: count_results.py FILE.tap|FILE.xml|FILE.failed ...   (.failed: a failure, its text the reason)

Criterion leaves skipped tests and dead workers out of its own summary, so its records are counted.
Prints each failure, one line per skipped suite and reason, then `N passed, N failed, N skipped`.
Exit status 1 when something failed or nothing passed.
"""
import collections
import os
import re
import sys
import xml.etree.ElementTree

# Criterion's words for a test that --filter left out or .disabled switched off.
LEFT_OUT = "test was skipped"
# `ok - suite::name  # SKIP reason`, `not ok - suite::name  (0.01s)`
RECORD = re.compile(r"(not )?ok - (\S+?)::(\S+)\s*(?:# SKIP (.*)|(.*))$")


class Results:
    def __init__(self):
        self.passed = 0
        self.failures = []
        self.skips = collections.Counter()  # (suite, reason) -> tests

    def fail(self, name, why):
        self.failures.append(f"{name}: {why}" if why else name)

    def read_tap(self, run, path):
        planned, recorded = None, 0
        with open(path, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if plan := re.match(r"1\.\.(\d+)$", line):
                    planned = int(plan[1])
                    continue
                record = RECORD.match(line)
                if record is None:
                    continue
                recorded += 1
                failed, suite, name, skip, rest = record.groups()
                if failed:
                    self.fail(f"{run}: {suite}/{name}", rest)
                elif skip is None:
                    self.passed += 1
                elif skip.strip() != LEFT_OUT:
                    self.skips[suite, skip.strip()] += 1
        if planned != recorded:
            self.fail(run, f"{recorded} records of {planned} tests: the runner died")

    def read_junit(self, run, path):
        for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
            output = (case.findtext("system-out") or "").strip()
            last_line = output.splitlines()[-1] if output else ""
            status, name = case.get("status"), case.get("name")
            skipped = case.find("skipped")
            if status == "run":
                self.passed += 1
            elif skipped is not None and skipped.get("message", "").startswith("SKIP_"):
                self.skips[name, last_line] += 1
            else:
                self.fail(f"{run}: {name}", last_line or status)

    def report(self):
        for failure in self.failures:
            print(f"failed: {failure}")
        for (suite, reason), count in sorted(self.skips.items()):
            tests = "1 test" if count == 1 else f"{count} tests"
            print(f"skipped: {suite}: {tests}: {reason or 'no reason given'}")
        skipped = sum(self.skips.values())
        print(f"{self.passed} passed, {len(self.failures)} failed, {skipped} skipped")
        return 1 if self.failures or self.passed == 0 else 0


def main():
    results = Results()
    for path in sys.argv[1:]:
        run, kind = os.path.splitext(os.path.basename(path))
        if kind == ".tap":
            results.read_tap(run, path)
        elif kind == ".xml":
            results.read_junit(run, path)
        else:
            with open(path, encoding="utf-8") as reason:
                results.fail(run, reason.read().strip())
    return results.report()


if __name__ == "__main__":
    sys.exit(main())
