#!/usr/bin/env python3
"""The page of merit_bench --report: what is in it, and with --browser that a browser draws it.

Without it also that the JSON has the fields of bench/README.md, all and no others.

usage: check_report.py REPOSITORY MERIT_BENCH [--browser]
"""
import collections
import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

SECTIONS = {"environment", "roofs", "summary", "roofline", "heat", "sweeps", "rows", "report"}
WITHOUT_DATA = {k: v for k, v in os.environ.items() if k != "MERIT_DATA_DIR"}  # so that a row is skipped
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Page(html.parser.HTMLParser):
    """The ids of a page, what its tags load from elsewhere, and the text of its report."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.loads, self.report, self.open, self.inside = [], [], "", [], False
        self.body = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if "id" in attrs:
            self.ids.append(attrs["id"])
        self.loads += [attrs[a] for a in ("src", "href") if a in attrs]
        if tag == "body":
            self.body = attrs
        self.inside = attrs.get("id") == "report"
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        self.inside = False
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self.inside:
            self.report += data


def documented(repository):
    """The fields of each object by the table of bench/README.md."""
    with open(os.path.join(repository, "bench", "README.md"), encoding="utf-8") as file:
        table = re.findall(r"^\| ([\w ,()]+) \| (`.*) \|$", file.read().split("## JSON")[1], re.M)
    fields = {}
    for objects, text in table:
        names = re.findall(r"`(\w+)`", text)
        assert len(names) == len(set(names)), objects
        fields[objects] = set(names)
    return fields


def written(reports):
    """The fields of each object in the reports, by the names of the table."""
    found = collections.defaultdict(set)

    def times(holder, *keys):
        for key in keys:
            found["cold, hot, host_call, time"] |= set(holder.get(key) or ())

    for report in reports:
        found["report"] |= set(report)
        found["environment"] |= set(report["environment"])
        for roof in report["roofs"]:
            found["roofs"] |= set(roof)
            for key in ("read", "write", "copy", "2r1w"):
                found["read, write, copy, 2r1w"] |= set(roof[key])
        for operation in report["operations"].values():
            found["operation"] |= set(operation)
            for entry in operation["summary"]:
                found["summary"] |= set(entry)
        for row in report["rows"]:
            found["rows" if row["status"] == "ok" else "rows skipped, wrong"] |= set(row)
            times(row, "cold", "hot", "host_call")
            times(row.get("peer") or {}, "time")
            for key, name in (("limit", "limit"), ("peer", "peer (the naive loop)"), ("compare", "compare")):
                found[name] |= set(row.get(key) or ())
    return found


def check_schema(repository, *reports):
    fields = documented(repository)
    fields["rows skipped, wrong"] |= fields["rows"]
    fields["rows"] |= fields.pop("rows ok") | fields.pop("rows ok, CUDA")
    found = written(reports)
    for name in ("peers", "clocks"):  # not in these reports
        assert fields.pop(name), name
    for name in fields.keys() | found.keys():
        assert fields[name] == found[name], f"{name}: {sorted(fields[name] ^ found[name])} in the table or the files alone"


def make_comparison(bench, folder, old):
    """A small report that is compared with another."""
    path = os.path.join(folder, "compared.json")
    subprocess.run([bench, "--op", "advantage_group", "--shape", "4096x8", "--threads", "1", "--min-time", "0.001", "--no-roofs",
                    "--cold-only", "--tolerance", "100", "--compare", old, "--json", path], stdout=subprocess.DEVNULL, check=True)
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def make_report(bench, folder):
    paths = {name: os.path.join(folder, f"report.{name}") for name in ("json", "html", "md")}
    subprocess.run([bench, "--quick", "--op", "advantage_group", "--threads", "1", "--min-time", "0.001",
                    "--json", paths["json"], "--report", paths["html"], "--markdown", paths["md"]],
                   stdout=subprocess.DEVNULL, check=True, env=WITHOUT_DATA)
    with open(paths["json"], encoding="utf-8") as file:
        return json.load(file), paths


def check_structure(report, paths):
    with open(paths["html"], encoding="utf-8") as file:
        text = file.read()
    page = Page(text)
    assert not page.open, f"left open: {page.open}"
    assert SECTIONS <= set(page.ids) and len(page.ids) == len(set(page.ids)), page.ids
    assert not page.loads, f"the page loads {page.loads}"
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), "the page names an address"
    assert json.loads(page.report) == report, "the page holds another report than the JSON"
    with open(paths["md"], encoding="utf-8") as file:
        lines = file.read().splitlines()
    rows = next(i for i, line in enumerate(lines) if line.startswith("| operation | point |"))
    table = [line for line in lines[rows:] if line.startswith("| advantage_group |")]
    assert "advantage_group" in "".join(lines[:rows]), "no bytes model"
    assert len(table) == len(report["rows"]), "the Markdown has other rows"
    assert len({line.count("|") for line in table}) == 1


def check_browser(report, paths):
    browser = next((b for b in BROWSERS if shutil.which(b)), None)
    if browser is None:
        print("no headless browser: third_party/setup --browser installs one")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
                               "--virtual-time-budget=5000", "--dump-dom", f"file://{paths['html']}"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=120, check=True)
    dom = Page(done.stdout)
    assert "data-errors" not in dom.body, dom.body["data-errors"]
    operations = {r["op"] for r in report["rows"] if r["status"] == "ok"}
    plots = 2 + len(operations)  # the roofline, the heat map, a sweep per operation
    assert dom.body.get("data-plots") == str(plots), f"{dom.body} instead of {plots} plots"
    measured = sum(r["status"] == "ok" for r in report["rows"])
    assert done.stdout.count("<circle") == 2 * measured, "a row is missing from a plot"
    assert done.stdout.count("<rect") == measured, "a row is missing from the heat map"


def main():
    with tempfile.TemporaryDirectory() as folder:
        repository, bench = sys.argv[1:3]
        report, paths = make_report(bench, folder)
        if "--browser" in sys.argv:
            check_browser(report, paths)
        else:
            check_structure(report, paths)
            check_schema(repository, report, make_comparison(bench, folder, paths["json"]))


if __name__ == "__main__":
    main()
