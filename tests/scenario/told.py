"""What a scenario looks at afterwards: the receiver's account beside the network's log, delays, and what was shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from receiver.media import AccessUnit
from receiver.report.collect import collect
from receiver.report.snapshot import StreamSnapshot, broken_invariants
from receiver.session import SessionStatistics
from receiver.stream import StreamStatistics
from sender.session import KeyFrameRequested
from tests.support import traffic, truth
from tests.support.clock import SECOND
from tests.support.netem import rtp_only
from tests.support.pair import AUDIO, VIDEO, Pair

T = TypeVar("T")
NAMES = {"video": VIDEO.ssrc, "audio": AUDIO.ssrc}


def statistics(p: Pair) -> SessionStatistics:
    assert p.receiver is not None
    return p.receiver.statistics()


def streams(p: Pair, media: str) -> list[StreamStatistics]:
    """Every numbering of this media, in the order in which they ended or are alive."""
    return [stream for stream in statistics(p).streams if stream.format.media == media]


def stream(p: Pair, media: str) -> StreamStatistics:
    (only,) = streams(p, media)
    return only


def snapshots(p: Pair) -> tuple[StreamSnapshot, ...]:
    return collect(
        statistics(p),
        {},
        (),
        time_s=0.0,
        rates={},
        skew=None,
        kernel_drops=None,
        kernel_drops_exact=True,
        output_drops={},
    ).streams


def assert_balanced(p: Pair) -> None:
    """The invariants of the ledger hold for every stream, and every datagram is somewhere."""
    for snapshot in snapshots(p):
        assert broken_invariants(snapshot) == []
        counts = snapshot.ledger
        parts = (counts.lost_network, counts.lost_local, counts.lost_sender, counts.in_time, counts.missed, counts.late)
        assert all(0 <= part <= counts.span for part in parts)
        assert counts.late <= counts.missed
        assert counts.missed - counts.late <= counts.lost


def assert_true(p: Pair) -> None:
    """Each stream, heard from its first packet to its end, says what the network's log says."""
    assert_balanced(p)
    told = {stream.key.ssrc: stream for stream in statistics(p).streams}
    real = truth.of_streams(p.forward.log)
    assert set(told) == set(real)
    for ssrc, expected in real.items():
        counts = told[ssrc].ledger
        assert counts.sent_known
        assert (counts.sent, counts.arrived, counts.lost) == (expected.sent, expected.arrived, expected.lost)
        assert (counts.duplicates, counts.reordered) == (expected.duplicates, expected.reordered)
        assert {length: n for length, n in told[ssrc].loss_runs.items() if n} == expected.loss_runs
        assert counts.undecided == 0


def late_by(p: Pair, media: str, latency: int) -> int:
    """Packets whose first copy took more than `latency` longer than the quickest, by the network's log."""
    ssrc = NAMES[media].to_bytes(4, "big")
    fates = [fate for fate in p.forward.log if rtp_only(fate.head) and fate.head[8:12] == ssrc and fate.arrivals]
    transits = [min(fate.arrivals) - fate.send_time for fate in fates]
    return sum(transit - min(transits) > latency for transit in transits)


def units(p: Pair, media: str) -> list[tuple[int, AccessUnit]]:
    """(moment it came out, unit)."""
    return [(moment, unit) for moment, unit in p.units if unit.format.media == media]


def numbers(p: Pair, media: str) -> list[int]:
    """Those of the units that came out whole."""
    whole = [unit for _, unit in units(p, media) if unit.data and (media == "audio" or not unit.missing)]
    return [traffic.frame_number(unit.data) for unit in whole]


def events(p: Pair, kind: type[T]) -> list[tuple[int, T]]:
    return [(moment, event) for moment, event in p.receiver_events if isinstance(event, kind)]


def extra_delay(p: Pair, media: str) -> list[int]:
    """Of each whole unit: ns between its last packet and its playout."""
    return [max(moment, unit.playout_time) - unit.arrival_time for moment, unit in units(p, media) if unit.data]


def playout_delay(p: Pair, media: str, clock_rate: int) -> list[int]:
    """Of each unit: ns between its capture and its playout, above that of the first."""
    played = [(unit.playout_time, unit.timestamp) for _, unit in units(p, media)]
    first, start = played[0]
    return [moment - first - (timestamp - start) * SECOND // clock_rate for moment, timestamp in played]


def encoder(p: Pair, duration: int, *, size: int = 4000, fps: int = 30, first: int = 0) -> Iterator[traffic.Item]:
    """Video whose encoder makes a key frame at the start and when it is asked to, and at no other time."""
    seen = len(p.sender_events)
    for number in range(duration * fps // SECOND):
        asked = any(isinstance(event, KeyFrameRequested) for _, event in p.sender_events[seen:])
        seen = len(p.sender_events)
        key = asked or number == 0
        at = number * SECOND // fps
        data = traffic.h264_frame(first + number, 20_000 if key else size, key)
        yield traffic.Item(at, 0, data, (first + number) * 90_000 // fps, key)


def sound(duration: int, *, first: int = 0, stream: int = 0) -> Iterator[traffic.Item]:
    """Opus whose RTP clock goes on from packet `first`, for a run after others."""
    for item in traffic.audio(duration, stream=stream, first=first):
        yield replace(item, timestamp=item.timestamp + first * 960)


def pictures(duration: int, *, first: int = 0, stream: int = 0) -> Iterator[traffic.Item]:
    """H.264 whose RTP clock goes on from frame `first`, for a run after others."""
    for item in traffic.video(duration, stream=stream, first=first):
        yield replace(item, timestamp=item.timestamp + first * 3000)


def is_key(unit: AccessUnit) -> bool:
    return b"\x00\x00\x00\x01\x65" in unit.data


def until(p: Pair, happened: Callable[[], bool], *, limit: int, step: int = SECOND // 100) -> int:
    """Runs until `happened`; ns that took."""
    start = p.clock.now
    while not happened():
        assert p.clock.now - start < limit, "it did not happen"
        p.run(duration=step)
    return p.clock.now - start
