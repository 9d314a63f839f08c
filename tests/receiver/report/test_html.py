"""The report as one file: whole, harmless, and right in a browser and on paper."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from protocol.errors import ResourceError
from receiver.report.document import document
from receiver.report.html import html_report
from receiver.report.snapshot import Event, Snapshot
from receiver.report.timeline import Timeline
from tests.receiver.report.example import audio, counts, snapshot, video
from tests.receiver.report.story import full_report
from tests.support.browser import browser
from tests.support.peers import need

HOSTILE = "</style></title><script>document.title='taken'</script><img src=http://evil.example/x onerror=alert(1)>\"'&"
_VOID = {"meta", "rect", "path", "line", "circle", "img", "br"}


class Reader(HTMLParser):
    """Collects what is in a page, and checks that every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + " "

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def test_everything_is_in_it() -> None:
    report = full_report(60)
    read = Reader(html_report(report))
    assert read.text.index(report["verdict"]) < read.text.index("Where the packets went")
    assert read.count("svg") == 2 * 6  # for each stream: three over time, runs, delay, buffer
    ratio = report["streams"][0]["ratios"]["network_loss"]
    assert f"{ratio['numerator']}/{ratio['denominator']}" in read.text
    for what in ("Runs of loss", "Delay distribution", "Needed buffer", "Lost and late", "Gilbert–Elliott", "MOS 3.97",
                 "The other end", "192.0.2.7", "Not measured", "Configuration", "Software", "below 0.024 %",
                 "asked for a key frame: joined in the middle"):  # fmt: skip
        assert what in read.text


def test_nothing_comes_from_elsewhere_and_nothing_runs() -> None:
    text = html_report(full_report(60))
    read = Reader(text)
    assert not {"script", "img", "link", "iframe", "object"} & {tag for tag, _ in read.tags}
    assert re.findall(r"(?:https?:)?//[^\s\"<]+", text.replace("http://www.w3.org/2000/svg", "")) == []
    assert "url(" not in text
    assert "@import" not in text
    assert not any(name.startswith("on") or name in ("src", "href") for _, given in read.tags for name in given)


def test_an_hour_stays_small() -> None:
    assert len(html_report(full_report(1000))) < 600_000


def test_strings_from_the_network_stay_text(tmp_path: Path) -> None:
    one = video(counts(100, lost=3), encoding=HOSTILE, cname=HOSTILE, unusable={HOSTILE: 2})
    taken = Snapshot(3.0, (one,), snapshot(unparsed={HOSTILE: 4}).socket, (Event(1.0, HOSTILE, HOSTILE),))
    other = document(taken, {HOSTILE: HOSTILE})
    text = html_report(document(taken, {HOSTILE: HOSTILE}, error=HOSTILE, peers=[other]))
    read = Reader(text)
    assert read.count("script") == read.count("img") == 0
    assert HOSTILE in read.text
    path = tmp_path / "report.html"
    path.write_text(text, "utf-8")
    with browser() as page:
        page.open(path.as_uri())
        assert page.evaluate("document.title") == "Steadycast report"
        assert page.requests == [path.as_uri()]


def test_reports_with_little_in_them() -> None:
    """No stream at all, nothing measured, and the keys of the first version only."""
    for report in (
        document(Snapshot(2.0), {}, ports=(5004, 5005), error="no packets came"),
        document(snapshot(audio(counts(None, lost=3)), kernel_drops=None), {}),
        _first_version(),
    ):
        assert report["verdict"] in Reader(html_report(report)).text
    assert "unknown" in Reader(html_report(document(snapshot(audio(counts(None, lost=3))), {}))).text


def _first_version() -> dict[str, Any]:
    report: dict[str, Any] = document(snapshot(video(counts(10))), {})
    later = ("late_runs", "gilbert_elliott", "reordering", "delay_distribution", "e_model", "traffic", "needed_buffer")
    streams = [{name: value for name, value in stream.items() if name not in later} for stream in report["streams"]]
    return {name: value for name, value in report.items() if name not in ("peer", "not_measured")} | {
        "streams": streams
    }


def test_interval_lines() -> None:
    stream = {"ssrc": 1, "epoch": 0}
    rows = [
        {"end_s": end, "streams": [{**stream, "ledger": {"arrived": 9, "lost": lost}, "jitter_ms": None,
                                   "buffer": {"emitted": emitted, "delay_mean_ms": mean}}]}
        for end, lost, emitted, mean in ((1.0, 1, 10, 20.0), (2.0, 0, 20, 30.0), (3.0, 0, 20, 30.0))
    ]  # fmt: skip
    timeline = Timeline(rows, stream)
    assert timeline.share("lost") == [(1.0, 0.1), (2.0, 0.0), (3.0, 0.0)]
    assert timeline.share("late") == [(1.0, None), (2.0, None), (3.0, None)]
    assert timeline.buffer_delay() == [(1.0, 20.0), (2.0, 40.0), (3.0, None)]
    assert not Timeline(rows, {"ssrc": 2, "epoch": 0})


def test_in_a_browser_and_on_paper(tmp_path: Path) -> None:
    """No complaint, no other address, as wide as a phone; printed on A4, no chart is cut in two."""
    path = tmp_path / "report.html"
    path.write_text(html_report(full_report(120)), "utf-8")
    with browser() as page:
        page.size(360, 740, mobile=True)
        page.open(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        page.call("Emulation.clearDeviceMetricsOverride")
        page.prefer("dark")
        page.print(tmp_path / "report.pdf")
        assert page.complaints == []
        assert page.requests == [path.as_uri()]
    need("pdftotext", "pdfinfo")
    pages = _pages(tmp_path / "report.pdf")
    assert 3 <= len(pages) <= 8
    over_time = [(len(re.findall(r"\bevents\b", text)), len(re.findall(r"\b0:00\b", text))) for text in pages]
    assert sum(captions for captions, _ in over_time) == 6
    assert all(captions == axes for captions, axes in over_time)  # each chart's head and foot are on one page
    assert "What happened" in pages[0]
    size = subprocess.run(["pdfinfo", tmp_path / "report.pdf"], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Page size: +59[45]\S* x 84[12]", size)


def _pages(path: Path) -> list[str]:
    done = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, text=True, check=True, timeout=30)
    return list(itertools.takewhile(str.strip, done.stdout.split("\f")))


def test_a_missing_chart_library_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygal", None)
    with pytest.raises(ResourceError, match=r"pip install 'pygal"):
        html_report(full_report(10))
