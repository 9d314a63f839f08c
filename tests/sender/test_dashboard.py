"""The sender's dashboard: from snapshots to what a person reads."""

from __future__ import annotations

from dataclasses import replace

from protocol.command.page import lay_out
from sender.dashboard import HISTORY, Dashboard
from sender.snapshot import (
    Event,
    Reception,
    SenderStatistics,
    Snapshot,
    SourceSnapshot,
    StreamStatistics,
    TargetSnapshot,
)

VIDEO = StreamStatistics(
    ssrc=7, media="video", encoding="H264", payload_type=96, packets=998, octets=0, not_handed_over=2, first=1,
    last=1000, units=100, unsendable={}, key_frames=3, key_frame_requests=2, rtt_ms=None, reception=None,
)  # fmt: skip


def snapshot(second: int, *streams: StreamStatistics, refused: bool = False) -> Snapshot:
    target = TargetSnapshot("host:5004", refused, not refused, SenderStatistics(0, streams, 0, {}, 0))
    return Snapshot(float(second), (target,), (SourceSnapshot("video", 100, 4, 1, None),), {"ENOBUFS": 2})


def rows(dashboard: Dashboard) -> dict[str, str]:
    lines = lay_out(dashboard.page(()), 80, 30).plain.split("\n")
    return {line[:15].strip(): line[15:].rstrip() for line in lines}


def test_what_leaves_is_a_rate_of_differences() -> None:
    dashboard = Dashboard()
    for second, octets in enumerate((0, 250_000, 375_000)):
        dashboard.add(snapshot(second, replace(VIDEO, octets=octets)))
    shown = rows(dashboard)
    assert shown["bit-rate"].split() == ["1.0", "Mbit/s", "▇▄"]  # after 2 Mbit/s
    assert shown["not sent"] == "0.20 % (2/1000)"
    assert shown["key frames"] == "3, 2 asked for"
    assert shown["reported lost"] == "no report"
    assert dashboard.page(()).headings == ("video H264 → host:5004",)
    assert "left out here: 5 frames, 2 datagrams" in dashboard.page(()).title


def test_what_receivers_say() -> None:
    dashboard = Dashboard()
    dashboard.add(snapshot(1, VIDEO))
    dashboard.add(snapshot(2, replace(VIDEO, rtt_ms=41.0, reception=Reception(9, 0, 0.1, 30, 999, 4.5))))
    shown = rows(dashboard)
    assert shown["lately lost"].split() == ["10.0", "%", "▇"]
    assert shown["jitter"].split()[:2] == ["4.5", "ms"]
    assert shown["round trip"].split()[:2] == ["41.0", "ms"]
    assert shown["reported lost"] == "30"


def test_nobody_listens() -> None:
    dashboard = Dashboard()
    dashboard.add(snapshot(1, VIDEO, refused=True))
    assert rows(dashboard)["target"] == "nobody listens there"


def test_the_history_is_bounded() -> None:
    dashboard = Dashboard()
    for second in range(HISTORY + 9):
        dashboard.add(snapshot(second, VIDEO))
    trace = next(row for row in dashboard.page(()).rows if row.label == "bit-rate").cells[0].trace
    assert len(trace) == HISTORY


def test_events_and_lines_are_told_once_and_in_order() -> None:
    dashboard = Dashboard()
    dashboard.add(replace(snapshot(9, VIDEO), events=(Event(5.0, "goodbye"), Event(6.0, "answer", "host answers"))))
    log = dashboard.page([(6.1, "host answers"), (2.0, "the camera is slow")]).log
    assert log == ("  0:02  the camera is slow", "  0:05  goodbye", "  0:06  host answers")


def test_before_anything_is_sent() -> None:
    assert Dashboard().page(()).verdict == "Nothing was sent."
