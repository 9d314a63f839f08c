"""The sender's status line."""

from __future__ import annotations

from dataclasses import replace

from sender.snapshot import (
    Reception,
    SenderStatistics,
    Snapshot,
    SourceSnapshot,
    StreamStatistics,
    TargetSnapshot,
)
from sender.status import line


def stream(octets: int, reception: Reception | None = None, rtt_ms: float | None = None) -> StreamStatistics:
    return StreamStatistics(
        ssrc=1, media="video", encoding="H264", payload_type=96, packets=12, octets=octets, not_handed_over=0, first=1,
        last=12, units=3, unsendable={}, key_frames=1, key_frame_requests=0, rtt_ms=rtt_ms, reception=reception,
    )  # fmt: skip


def snapshot(time_s: float, of: StreamStatistics, *, refused: bool = False, dropped: int = 0) -> Snapshot:
    target = TargetSnapshot("host:5004", refused, not refused, SenderStatistics(0, (of,), 0, {}, 0))
    return Snapshot(time_s, (target,), (SourceSnapshot("video", 3, dropped, 0, None),))


def test_before_there_is_a_rate() -> None:
    assert line(Snapshot(0.0)) == "0:00  starting"
    assert line(snapshot(1.0, stream(0))) == "0:01  host:5004: video 12 packets (no receiver report)"


def test_the_rate_and_what_the_receiver_said() -> None:
    said = Reception(
        reporter=9, time=0, fraction_lost=0.05, cumulative_lost=3, extended_highest_sequence=9, jitter_ms=1.0
    )
    text = line(snapshot(3.0, stream(350_000, said, 41.0)), snapshot(1.0, stream(100_000)))
    # 250,000 octets in 2 s
    assert text == "0:03  host:5004: video 1000 kbit/s (receiver lately lost video 5.0 %; round trip 41 ms)"


def test_a_limit_is_said_beside_the_rate() -> None:
    limited = replace(stream(225_000), rate_limit=950_000)
    assert "video 900 of at most 950 kbit/s" in line(snapshot(3.0, limited), snapshot(1.0, stream(0)))


def test_trouble_is_named() -> None:
    assert line(snapshot(61.0, stream(0), refused=True)) == "1:01  host:5004: nobody listens there"
    assert "7 frames dropped here" in line(snapshot(1.0, stream(0), dropped=7))
