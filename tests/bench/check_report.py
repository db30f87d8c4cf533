#!/usr/bin/env python3
"""The page of merit_bench --report: what is in it, and with --browser that a browser draws it.

usage: check_report.py MERIT_BENCH [--browser]
"""
import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

SECTIONS = {"environment", "roofs", "roofline", "heat", "sweeps", "rows", "report"}
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


def make_report(bench, folder):
    paths = {name: os.path.join(folder, f"report.{name}") for name in ("json", "html", "md")}
    subprocess.run([bench, "--quick", "--op", "advantage_group", "--threads", "1", "--min-time", "0.001",
                    "--json", paths["json"], "--report", paths["html"], "--markdown", paths["md"]],
                   stdout=subprocess.DEVNULL, check=True)
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
    table = [line for line in lines if line.startswith("| advantage_group |")]
    assert len(table) == len(report["rows"]), "the Markdown has other rows"
    assert len({line.count("|") for line in table if "skipped" not in line}) == 1


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
        report, paths = make_report(sys.argv[1], folder)
        if "--browser" in sys.argv:
            check_browser(report, paths)
        else:
            check_structure(report, paths)


if __name__ == "__main__":
    main()
