"""A network that goes away and comes back, or is another one: pictures and sound return by themselves, soon, and leave
nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import pytest

from protocol.datagram import Batch
from protocol.rtcp import compound
from protocol.rtcp.app import App
from protocol.rtcp.nack import Nack
from protocol.rtcp.pli import PictureLossIndication
from protocol.rtcp.repair_offer import RepairOffer
from protocol.rtcp.repair_offer import parse as parse_offer
from receiver.events import KeyFrameRequested, RateLimited, RepairPlanned
from receiver.media import AccessUnit
from sender.session import KeyFrameRequested as KeyFrameWanted
from sender.transmit.key_frames import KeyFrameGate
from tests.scenario import told
from tests.support import pair, traffic, truth
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND
from tests.support.netem import Conditions, rtp_only

WAY = 20 * MS
PATH = Conditions(delay=WAY)
DARK = Conditions(delay=WAY, loss=1.0)
ROUND_TRIP = 2 * WAY
FRAME = SECOND // 30


class Live:
    """An encoder that makes a key frame at the start and when its gate lets a request through, and sound beside it."""

    def __init__(self, conditions: Conditions = PATH, back: Conditions | None = None, *, seed: int = 1) -> None:
        self.pair = pair.meet(conditions, back, seed=seed, streams=pair.REPAIRED, repair="auto")
        self.began = self.pair.clock.now
        self._gate = KeyFrameGate()
        self._frames = self._sounds = self._heard = 0
        self.said: list[tuple[int, Hashable, object]] = []
        """(moment, path, packet) of the receiver's RTCP, once `listen` was called."""

    def listen(self) -> None:
        link = self.pair.back
        send = link.send

        def heard(datagram: bytes, now: int, path: Any = None) -> Any:
            self.said += [(now, path, packet) for packet in compound.parse(datagram)]
            return send(datagram, now, path)

        link.send = heard  # type: ignore[method-assign]

    def run(self, duration: int) -> None:
        end = self.pair.clock.now + duration
        while self._frames * SECOND // 30 < end - self.began:
            self._turn()

    def _turn(self) -> None:
        """One picture, the sound beside it, and what that sets off."""
        p, now = self.pair, self.pair.clock.now
        for _, event in p.sender_events[self._heard :]:
            if isinstance(event, KeyFrameWanted):
                self._gate.request()
        self._heard = len(p.sender_events)
        key = self._frames == 0 or self._gate.take(p.sender_clock.local(now))
        if key:
            self._gate.key_frame()
        items = [self._picture(key), *self._sound(now)]
        self._frames += 1
        p.run(items, self.began + self._frames * SECOND // 30 - now)

    def _picture(self, key: bool) -> traffic.Item:
        data = traffic.h264_frame(self._frames, 20_000 if key else 4000, key)
        return traffic.Item(0, 0, data, self._frames * 3000, key)

    def _sound(self, now: int) -> Iterator[traffic.Item]:
        until = self.began + (self._frames + 1) * SECOND // 30
        while (at := self.began + self._sounds * 20 * MS) < until:
            yield traffic.Item(max(0, at - now), 1, traffic.opus_packet(self._sounds), self._sounds * 960)
            self._sounds += 1

    def dark(self, duration: int) -> int:
        """Nothing passes for so long; the moment of its end."""
        self.change(DARK)
        self.run(duration)
        self.change(PATH)
        return self.pair.clock.now

    def change(self, conditions: Conditions) -> None:
        self.pair.forward.change(conditions)
        self.pair.back.change(conditions)

    def units(self, media: str, since: int = 0) -> list[tuple[int, AccessUnit]]:
        return [(moment, unit) for moment, unit in told.units(self.pair, media) if moment >= since]

    def first_key_frame(self, since: int) -> int:
        """When a whole one was handed out."""
        return next(m for m, unit in self.units("video", since) if told.is_key(unit) and not unit.missing)

    def first_sound(self, since: int) -> int:
        """When what was captured after `since` was handed out."""
        return next(m for m, unit in self.units("audio", since) if unit.data and self._captured(unit) >= since - SECOND)

    def _captured(self, unit: AccessUnit) -> int:
        rate = unit.format.clock_rate
        start = told.units(self.pair, unit.format.media)[0][1].timestamp
        return self.began + (unit.timestamp - start) * SECOND // rate

    def delay(self, media: str, since: int, until: int | None = None) -> list[int]:
        """ns from capture to playout of each whole unit handed out then."""
        units = [(m, u) for m, u in self.units(media, since) if u.data and not u.missing]
        return [max(m, u.playout_time) - self._captured(u) for m, u in units if until is None or m < until]

    def account(self) -> None:
        """The end: what the receiver says of each stream is what the network's log says."""
        self.pair.finish()
        told.assert_balanced(self.pair)
        found = {stream.key.ssrc: stream.ledger for stream in told.statistics(self.pair).streams}
        real = truth.of_streams(self.pair.forward.log)
        assert set(found) == set(told.NAMES.values())
        for ssrc, counts in found.items():
            expected = real[ssrc]
            assert (counts.sent, counts.arrived, counts.lost) == (expected.sent, expected.arrived, expected.lost)
            assert (counts.duplicates, counts.undecided) == (expected.duplicates, 0)


@pytest.mark.parametrize("phase", [0, 9, 18, 27])
@pytest.mark.parametrize("seconds", [2, 10])
def test_after_a_blackout_everything_is_back_within_a_round_trip_and_300_ms(seconds: int, phase: int) -> None:
    """Pictures, sound, and the delay. The network comes back at any moment between two pictures."""
    live = Live()
    live.run(6 * SECOND)
    went = live.pair.clock.now
    before = {media: median(live.delay(media, went - SECOND, went)) for media in told.NAMES}
    back = live.dark(seconds * SECOND) + phase * MS
    assert live.pair.forward.origin is not None
    live.change(replace(PATH, blackouts=((0, back - live.pair.forward.origin),)))
    live.run(3 * SECOND)
    assert live.first_key_frame(back) - back <= ROUND_TRIP + 2 * FRAME + 50 * MS, "first packet, request, next picture"
    assert live.first_sound(back) - back <= WAY + 21 * MS
    for media, delay in before.items():
        assert max(live.delay(media, back)) <= delay + 25 * MS
        assert max(live.delay(media, back + SECOND)) <= delay + 3 * MS, "at the target within the second"
    requests = [moment - back for moment, _ in told.events(live.pair, KeyFrameRequested)]
    assert len(requests) == 1
    assert requests[0] <= WAY + FRAME, "with the first packet"
    assert told.events(live.pair, RateLimited) == []
    assert [event for moment, event in told.events(live.pair, RepairPlanned) if moment >= went] == []
    asked = told.stream(live.pair, "video").repair
    assert asked is not None
    assert asked.requested <= 3 * 5, "three frames, missed by their rhythm"
    live.account()


def test_a_blackout_of_a_long_way_asks_for_one_key_frame_and_for_no_correction() -> None:
    far = Conditions(delay=150 * MS)
    live = Live(far)
    live.run(6 * SECOND)
    went = live.pair.clock.now
    live.change(replace(far, loss=1.0))
    live.run(2 * SECOND)
    live.change(far)
    back = live.pair.clock.now
    live.run(12 * SECOND)
    assert live.first_key_frame(back) - back <= 300 * MS + 300 * MS
    assert len(told.events(live.pair, KeyFrameRequested)) == 1
    planned = [event for moment, event in told.events(live.pair, RepairPlanned) if moment >= went]
    assert planned == [], "nothing sent ahead outlasts an outage"
    live.account()


def test_blackouts_leave_nothing_behind_in_either_session() -> None:
    live = Live()
    sizes = []
    for seconds in (2, 2, 10, 2, 10):
        live.run(5 * SECOND)
        live.dark(seconds * SECOND)
        live.run(5 * SECOND)
        sizes.append((size(live.pair.receiver), size(live.pair.sender)))
    for ends in zip(*sizes, strict=True):
        assert max(ends[1:]) <= 1.05 * ends[0]


def test_a_route_longer_by_200_ms_and_back() -> None:
    live = Live()
    live.run(6 * SECOND)
    before = median(live.delay("video", live.pair.clock.now - SECOND))
    changed = live.pair.clock.now
    live.change(replace(PATH, delay=WAY + 200 * MS))
    live.run(4 * SECOND)
    round_trip = ROUND_TRIP + 400 * MS
    for media, frames in (("video", 30), ("audio", 50)):
        shown = next(moment for moment, unit in live.units(media, changed + WAY) if unit.data and not unit.missing)
        assert shown - changed <= round_trip + 300 * MS
        assert len(live.delay(media, changed + SECOND, changed + 2 * SECOND)) >= frames - 1, "no gap, once it is heard"
        assert max(live.delay(media, changed + 2 * SECOND)) <= before + 225 * MS, "its length, and no more"
    assert told.stream(live.pair, "video").ledger.missed == 0
    assert told.stream(live.pair, "audio").ledger.missed <= 12
    changed = live.pair.clock.now
    live.change(PATH)
    live.run(4 * SECOND)
    for media in told.NAMES:
        assert max(live.delay(media, changed + 2 * SECOND)) <= before + 25 * MS, "and back again"
    assert live.first_key_frame(changed) - changed <= ROUND_TRIP + 300 * MS
    assert told.events(live.pair, RateLimited) == []
    live.account()


# -- another address ---------------------------------------------------------------------------------------------


def along(live: Live, path: Callable[[bytes], list[Hashable]]) -> None:
    """From now on datagrams of the sender come along these, a copy along each."""
    link = live.pair.forward
    send = type(link).send

    def routed(datagram: bytes, now: int, _: Any = None) -> Any:
        return [send(link, datagram, now, way) for way in path(datagram)].pop()

    link.send = routed  # type: ignore[method-assign]


def answers(live: Live, since: int, until: int | None = None) -> set[Hashable]:
    """Along which paths the receiver's RTCP left then."""
    log = [fate for fate in live.pair.back.log if fate.send_time >= since]
    return {fate.path for fate in log if until is None or fate.send_time < until}


def offered(live: Live, since: int) -> set[Hashable]:
    return {path for moment, path, packet in live.said if moment >= since and _is_offer(packet)}


def _is_offer(packet: object) -> bool:
    return isinstance(packet, App) and isinstance(parse_offer(packet), RepairOffer)


@pytest.mark.parametrize("port_alone", [True, False])
def test_a_sender_that_moves_is_answered_where_it_is(port_alone: bool) -> None:
    first, second = ("192.0.2.1", 5000), ("192.0.2.1" if port_alone else "192.0.2.9", 6000)
    live = Live(replace(PATH, loss=0.03), PATH)
    live.listen()
    along(live, lambda _: [first])
    live.run(4 * SECOND)
    along(live, lambda _: [second])
    moved = live.pair.clock.now
    live.run(4 * SECOND)
    assert answers(live, 0, moved + 500 * MS) == {first}, "an echo does not end the stream it repeats"
    assert answers(live, moved + 550 * MS) == {second}
    assert offered(live, moved + 550 * MS) == {second}
    kinds = {type(packet) for moment, path, packet in live.said if moment > moved + SECOND and path == second}
    assert Nack in kinds
    assert [stream.key.epoch for stream in told.streams(live.pair, "video")] == [0]
    assert told.stream(live.pair, "video").ledger.missed <= 5
    live.account()


def test_a_sender_that_moves_during_a_blackout_is_asked_for_a_key_frame_at_once() -> None:
    live = Live()
    live.listen()
    along(live, lambda _: ["first"])
    live.run(4 * SECOND)
    back = live.dark(2 * SECOND)
    along(live, lambda _: ["second"])
    live.run(3 * SECOND)
    assert live.first_key_frame(back) - back <= ROUND_TRIP + 2 * FRAME + 50 * MS
    (asked,) = {path for moment, path, packet in live.said if isinstance(packet, PictureLossIndication)}
    assert asked == "second"
    live.account()


def test_reports_from_elsewhere_are_answered_there_once_the_sender_has_moved() -> None:
    """RTP and RTCP have ports of their own, before and after."""
    live = Live()
    along(live, lambda datagram: ["rtp" if rtp_only(datagram) else "rtcp"])
    live.run(4 * SECOND)
    assert answers(live, live.pair.clock.now - SECOND) == {"rtcp"}
    along(live, lambda datagram: ["new rtp" if rtp_only(datagram) else "new rtcp"])
    moved = live.pair.clock.now
    live.run(12 * SECOND)
    assert answers(live, moved, moved + 490 * MS) == {"rtcp"}
    assert answers(live, moved + SECOND) <= {"new rtp", "new rtcp"}
    assert answers(live, moved + 8 * SECOND) == {"new rtcp"}


def test_an_echo_from_elsewhere_is_not_followed() -> None:
    live = Live()
    along(live, lambda _: ["first", "echo"])
    live.run(4 * SECOND)
    assert answers(live, 0) == {"first"}
    told.assert_balanced(live.pair)


def test_an_echo_that_goes_on_when_the_sender_is_silent_is_not_followed() -> None:
    """Nor is a packet of this SSRC with a number that does not continue."""
    live = Live()
    sent: list[bytes] = []
    along(live, lambda datagram: sent.append(datagram) or ["first"])  # type: ignore[func-returns-value]
    live.run(4 * SECOND)
    receiver, silent = live.pair.receiver, live.pair.clock.now
    assert receiver is not None
    media = [data for data in sent if rtp_only(data) and int.from_bytes(data[8:12]) == pair.VIDEO.ssrc]
    strange = bytearray(media[-1])
    strange[2] ^= 0x55  # the high octet of its number
    strange[4] ^= 0x55  # and of its timestamp
    for data in [*media[-60:], bytes(strange)]:
        live.pair.run(duration=20 * MS)
        receiver.handle_datagrams(Batch.of([data], live.pair.clock.now, "echo"), live.pair.clock.now)
    assert live.pair.clock.now - silent > SECOND
    live.run(live.pair.clock.now - silent + 2 * SECOND)
    assert answers(live, 0) == {"first"}
    told.assert_balanced(live.pair)


def size(thing: Any, seen: set[int] | None = None) -> int:
    """Elements of everything a session keeps, arrays and octets included."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, int | float | str | type(None) | type) or callable(thing):
        return 0
    seen.add(id(thing))
    if isinstance(thing, bytes | bytearray | memoryview):
        return len(thing)
    if isinstance(thing, np.ndarray):
        return thing.size
    if isinstance(thing, dict):
        return len(thing) + sum(size(each, seen) for each in thing.values())
    if isinstance(thing, list | tuple | set | frozenset) or hasattr(thing, "popleft"):
        return len(thing) + sum(size(each, seen) for each in thing)
    names = [
        *getattr(thing, "__dict__", ()),
        *(n for kind in type(thing).__mro__ for n in getattr(kind, "__slots__", ())),
    ]
    return sum(size(getattr(thing, name, None), seen) for name in names)
