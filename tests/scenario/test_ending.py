"""When a receiver that was told to end with its senders does so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from protocol.rtcp import compound
from protocol.rtcp.sr import SenderReport
from receiver.events import AllEnded, StreamEnded, StreamResumed, StreamSilent
from receiver.media import Format, StreamKey
from receiver.presence import Presence
from tests.scenario import told
from tests.support import pair, traffic
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND
from tests.support.netem import Conditions, rtp_only

PATH = Conditions(delay=20 * MS)


def both(seconds: int, after: int = 0) -> Iterator[traffic.Item]:
    """Pictures and sound, whose clocks have gone on for `after` s."""
    pictures = told.pictures(seconds * SECOND, first=after * 30)
    return traffic.together(pictures, told.sound(seconds * SECOND, first=after * 50, stream=1))


def lose(p: pair.Pair, lost: Callable[[bytes], bool]) -> None:
    """From now on the way there loses these."""
    send = p.forward.send
    p.forward.send = lambda data, now, path=None: None if lost(data) else send(data, now, path)  # type: ignore


def control_of(ssrc: int) -> Callable[[bytes], bool]:
    """RTCP that speaks of this stream alone."""

    def of(datagram: bytes) -> bool:
        if rtp_only(datagram):
            return False
        reports = [packet for packet in compound.parse(datagram) if isinstance(packet, SenderReport)]
        return [report.ssrc for report in reports] == [ssrc]

    return of


def ends(p: pair.Pair) -> list[int]:
    return [moment for moment, _ in told.events(p, AllEnded)]


def test_the_last_goodbye_is_the_end() -> None:
    p = pair.meet(PATH)
    p.run(both(2))
    p.finish()
    assert ends(p) == [max(moment for moment, _ in told.events(p, StreamEnded))]


def test_what_was_foreseen_before_the_goodbye_was_not_asked_for_again() -> None:
    """Nothing was lost: the last frames that the rhythm told of were never sent."""
    p = pair.meet(PATH, streams=pair.REPAIRED, repair="auto")
    p.run(both(3), duration=4 * SECOND)
    p.finish()
    for media in told.NAMES:
        repair = told.stream(p, media).repair
        assert repair is not None
        assert (repair.requested, repair.not_requested) == (0, 0)
    assert told.stream(p, "video").repair.nacks > 0  # type: ignore[union-attr]


@pytest.mark.parametrize("ssrc", [pair.VIDEO.ssrc, pair.AUDIO.ssrc])
def test_one_of_two_goodbyes_lost_costs_a_second(ssrc: int) -> None:
    """Its final range is repeated for two seconds; all of them are lost."""
    p = pair.meet(PATH)
    p.run(both(3))
    lose(p, control_of(ssrc))
    ended_at = p.clock.now
    p.finish()
    p.run(duration=3 * SECOND)
    assert len(told.events(p, StreamEnded)) == 1
    (when,) = ends(p)
    assert SECOND <= when - ended_at <= 1500 * MS


def test_a_few_packets_of_another_stream_beside_the_end_do_not_delay_it() -> None:
    p = pair.meet(PATH)
    stray = pair.make_sender(p.clock, p.sender_clock, [replace(pair.AUDIO, ssrc=77)], seed=5)
    good, p.sender = p.sender, stray
    p.run(traffic.audio(60 * MS))
    p.sender = good
    p.run(both(1))
    ended_at = p.clock.now
    p.finish()
    p.run(duration=2 * SECOND)
    assert [when - ended_at < 1500 * MS for when in ends(p)] == [True]


def test_a_sender_that_vanishes_is_waited_for_half_a_minute() -> None:
    """RFC 3550 section 6.3.5: five intervals, of 5 s at the least."""
    p = pair.meet(PATH)
    p.run(both(2))
    vanished_at, p.sender = p.clock.now, None
    p.run(duration=24 * SECOND)
    assert len(told.events(p, StreamSilent)) == 2
    assert ends(p) == []
    p.run(duration=2 * SECOND)
    assert [24 * SECOND < when - vanished_at < 26 * SECOND for when in ends(p)] == [True]


def test_silence_is_no_end_and_another_sender_begins_anew() -> None:
    p = pair.meet(PATH)
    p.run(both(2))
    p.run(duration=10 * SECOND)
    p.run(both(2, after=12))
    assert len(told.events(p, StreamResumed)) == 2
    assert ends(p) == []
    p.finish()
    assert len(ends(p)) == 1
    p.sender = pair.make_sender(p.clock, p.sender_clock, [pair.VIDEO, pair.AUDIO], seed=99)
    p.run(both(2))
    assert len(ends(p)) == 1
    p.finish()
    assert len(ends(p)) == 2


@dataclass(frozen=True)
class Stream:
    last_arrival: int
    key: StreamKey = field(default_factory=lambda: StreamKey(1))
    format: Format = field(default_factory=lambda: Format("opus", 48_000, 2))


def test_a_pause_long_after_the_goodbye_of_another_is_no_end() -> None:
    """Two senders: the first leaves at 10 s, the second pauses at 50 s for 9 s, as it may."""
    presence = Presence()
    presence.began()
    presence.goodbye(10 * SECOND)
    assert not any(presence.all_ended([Stream(at * SECOND)], at * SECOND) for at in range(10, 51))
    assert not any(presence.all_ended([Stream(50 * SECOND)], at * SECOND) for at in range(50, 60))
    presence.goodbye(60 * SECOND)
    assert presence.all_ended([], 60 * SECOND) == [AllEnded(60 * SECOND)]
    assert presence.all_ended([], 61 * SECOND) == [], "told once"
