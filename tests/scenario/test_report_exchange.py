"""At the end each has the other's report, whatever the path does to their pieces; and nobody waits for long."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from protocol.payload.registry import DEFAULT_PAYLOAD_TYPES
from receiver.config import Latency
from receiver.events import AllEnded, PeerReport, ReportDue, StreamEnded
from receiver.media import Format
from receiver.session import ReceiverSession, SessionConfig
from sender.session import PeerReport as ReceiverReported
from tests.scenario import told
from tests.support import pair, traffic
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND
from tests.support.netem import Conditions, rtp_only

PATH = Conditions(delay=20 * MS)
OURS, THEIRS = random.Random(1).randbytes(7_000), random.Random(2).randbytes(30_500)
"""the receiver's report, and the sender's."""


@dataclass
class Ends:
    """Two sessions, and what their programs do with reports: each offers its own when it is due."""

    p: pair.Pair
    due: int = 0
    """events seen."""
    reported: int = 0

    def run(self, duration: int, step: int = 5 * MS) -> None:
        end = self.p.clock.now + duration
        while self.p.clock.now < end:
            self.p.run(duration=step)
            self.answer()

    def until(self, happened: Callable[[], bool], limit: int) -> int:
        """ns until it happened; no more than `limit`."""
        start = self.p.clock.now
        while not happened():
            assert self.p.clock.now - start < limit, "it did not happen"
            self.run(5 * MS)
        return self.p.clock.now - start

    def answer(self) -> None:
        p = self.p
        for _, event in told.events(p, ReportDue)[self.due :]:
            self.due += 1
            if p.receiver is not None:
                p.receiver.offer_report(event.ssrc, OURS, event.path, p.clock.now)
        for event in self.from_receivers()[self.reported :]:
            self.reported += 1
            if p.sender is not None:
                p.sender.offer_report(event.ssrc, THEIRS, p.sender_clock.local(p.clock.now))

    def from_receivers(self) -> list[ReceiverReported]:
        return [event for _, event in self.p.sender_events if isinstance(event, ReceiverReported)]

    def from_sender(self) -> list[bytes]:
        return [event.data for _, event in told.events(self.p, PeerReport)]

    @property
    def closed(self) -> bool:
        return self.p.sender is not None and self.p.sender.closed

    def close(self) -> None:
        assert self.p.sender is not None
        self.p.sender.close(self.p.sender_clock.local(self.p.clock.now))


def listening(p: pair.Pair, latency: Latency = pair.ADAPTIVE) -> ReceiverSession:
    """A receiver that will report."""
    formats = {number: Format(*described) for number, described in DEFAULT_PAYLOAD_TYPES.items()}
    return ReceiverSession(SessionConfig(formats, latency, cname="receiver@test", reports=True, seed=5), p.clock.now)


def meet(conditions: Conditions = PATH, *, seconds: int = 2, apart: bool = False, **more: object) -> Ends:
    """Both have talked for a while; `apart`: over RTCP ports of their own."""
    streams = [
        replace(config, rtp_path=("rtp", n), rtcp_path=("rtcp", n)) if apart else config
        for n, config in enumerate((pair.VIDEO, pair.AUDIO))
    ]
    p = pair.meet(conditions, streams=streams, **more)  # type: ignore[arg-type]
    p.receiver = listening(p)
    p.run(both(seconds))
    return Ends(p)


def both(seconds: int) -> Iterator[traffic.Item]:
    return traffic.together(traffic.video(seconds * SECOND), traffic.audio(seconds * SECOND, stream=1))


BAD = {
    "good": PATH,
    "a third lost": replace(PATH, loss=0.33),
    "half lost": replace(PATH, loss=0.5),
    "all in disorder, and copies": Conditions(delay=90 * MS, jitter=30 * MS, duplication=0.3),
    "slow": replace(PATH, rate=300_000.0, queue_time=300 * MS),
}


@pytest.mark.parametrize("apart", [False, True], ids=["one port", "a port for each"])
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", BAD)
def test_each_gets_the_others_report(name: str, seed: int, apart: bool) -> None:
    ends = meet(replace(PATH), seed=seed, apart=apart)
    ends.p.forward.change(BAD[name])
    ends.p.back.change(BAD[name])
    ends.close()
    took = ends.until(lambda: ends.closed, 4100 * MS)
    ends.run(SECOND)
    assert [event.data for event in ends.from_receivers()] == [OURS]
    assert ends.from_sender() == [THEIRS]
    if name == "good":
        assert took < SECOND, "what is on its way may arrive for 500 ms"


def test_one_report_is_about_all_streams_of_a_sender() -> None:
    ends = meet(apart=True)
    ends.close()
    ends.until(lambda: ends.closed, 2 * SECOND)
    ((moment, due),) = told.events(ends.p, ReportDue)
    assert due.ssrcs == {pair.VIDEO.ssrc, pair.AUDIO.ssrc}
    assert all(ended <= moment for ended, _ in told.events(ends.p, StreamEnded))


def test_a_report_waits_until_all_has_been_played() -> None:
    ends = meet(PATH, seconds=1)
    ends.p.receiver = listening(ends.p, Latency(fixed=800 * MS))
    ends.p.run(told.sound(2 * SECOND, first=50, stream=1))
    ends.close()
    ends.until(lambda: ends.closed, 4 * SECOND)
    (due,) = [moment for moment, _ in told.events(ends.p, ReportDue)]
    assert due >= max(unit.playout_time for _, unit in ends.p.units)
    assert [event.data for event in ends.from_receivers()] == [OURS]


def test_without_any_way_back_the_sender_waits_two_seconds() -> None:
    ends = meet()
    ends.p.back.change(replace(PATH, loss=1.0))
    ends.close()
    assert 1900 * MS < ends.until(lambda: ends.closed, 4 * SECOND) < 2100 * MS


def test_a_receiver_that_announces_its_report_and_dies_costs_four_seconds() -> None:
    ends = meet()
    ends.close()
    ends.run(200 * MS)
    ends.p.receiver = None
    assert ends.until(lambda: ends.closed, 5 * SECOND) < 3900 * MS
    assert ends.from_receivers() == []


def test_a_receiver_that_does_not_exchange_reports_is_not_waited_for() -> None:
    p = pair.meet(PATH)
    p.run(both(2))
    ends = Ends(p)
    ends.close()
    assert ends.until(lambda: ends.closed, SECOND) <= 60 * MS


@pytest.mark.parametrize("loss", [0.0, 0.4])
def test_a_receiver_that_leaves_first_exchanges_reports_too_and_the_sender_goes_on(loss: float) -> None:
    ends = meet()
    p = ends.p
    p.forward.change(replace(PATH, loss=loss))
    p.back.change(replace(PATH, loss=loss))
    assert p.receiver is not None
    p.receiver.close(p.clock.now)
    ends.until(lambda: p.receiver is not None and p.receiver.settled(p.clock.now) and bool(ends.due), 2 * SECOND)
    assert [event.data for event in ends.from_receivers()] == [OURS]
    assert ends.from_sender() == [THEIRS]
    before = told.statistics(p)
    p.run(both(1))
    assert told.statistics(p) == before, "what comes after the end changes no figure"
    assert not ends.closed


def test_a_sender_that_vanished_is_not_waited_for() -> None:
    ends = meet()
    p = ends.p
    p.sender = None
    p.run(duration=5 * SECOND)
    assert p.receiver is not None
    p.receiver.close(p.clock.now)
    assert p.receiver.settled(p.clock.now)


def test_a_report_that_nobody_takes_is_given_up_and_time_goes_on() -> None:
    ends = meet()
    p = ends.p
    assert p.sender is not None
    p.sender.offer_report(0x1234, THEIRS, p.sender_clock.local(p.clock.now))
    p.run(both(4))
    local = p.sender_clock.local(p.clock.now)
    timeout = p.sender.next_timeout()
    assert timeout is not None
    assert timeout > local


def test_the_end_of_all_streams_is_told_before_a_report_is_due() -> None:
    """So a receiver that ends with its senders can close its outputs first."""
    ends = meet()
    ends.close()
    ends.until(lambda: bool(told.events(ends.p, ReportDue)), 2 * SECOND)
    kinds = [type(event) for _, event in ends.p.receiver_events]
    assert kinds.index(AllEnded) < kinds.index(ReportDue)


def test_two_senders_get_a_report_each_about_their_own_streams() -> None:
    first = meet()
    p = first.p
    streams = [replace(pair.VIDEO, ssrc=0x33333333), replace(pair.AUDIO, ssrc=0x44444444)]
    first.close()
    first.until(lambda: first.closed, 2 * SECOND)
    p.sender = pair.make_sender(p.clock, p.sender_clock, streams, 9)
    first.run(6 * SECOND)
    p.run(both(2))
    first.close()
    first.until(lambda: first.closed, 2 * SECOND)
    dues = [due.ssrcs for _, due in told.events(p, ReportDue)]
    assert dues[0] == {pair.VIDEO.ssrc, pair.AUDIO.ssrc}
    assert dues[1] == {0x33333333, 0x44444444}
    assert len(first.from_receivers()) == 2
    assert first.from_sender() == [THEIRS, THEIRS]


def test_media_is_not_disturbed() -> None:
    """Pieces are control: the account knows nothing of them."""
    ends = meet()
    ends.close()
    ends.until(lambda: ends.closed, 2 * SECOND)
    ends.run(SECOND)
    told.assert_true(ends.p)
    assert rtp_only(ends.p.forward.log[0].head)
