"""Lip-sync: what was captured together is played together."""

from __future__ import annotations

from random import Random

import pytest

from receiver.config import Latency
from sender.session import SenderSession
from sender.transmit.stream import StreamConfig
from tests.scenario import told
from tests.support import pair, traffic
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND
from tests.support.netem import Conditions


def slower(p: pair.Pair, ssrc: int, extra: int) -> None:
    """One of the two streams goes a longer way: its datagrams, RTP and RTCP, leave the sender later."""
    send = p.forward.send

    def send_later(datagram: bytes, now: int, path: object = None) -> object:
        rtcp = 192 <= datagram[1] <= 223
        of = int.from_bytes(datagram[4:8] if rtcp else datagram[8:12])
        return send(datagram, now + (extra if of == ssrc else 0), path)

    p.forward.send = send_later  # type: ignore[method-assign, assignment]


def skews(p: pair.Pair) -> list[int]:
    """Playout of sound minus playout of the picture captured at the same moment, ns, one for each picture."""
    sound = {unit.timestamp: unit for _, unit in told.units(p, "audio") if unit.data}
    pictures = {unit.timestamp: unit for _, unit in told.units(p, "video") if unit.data}
    first_sound, first_picture = min(sound), min(pictures)
    found = []
    for number in range(0, 10_000, 3):  # every 100 ms a picture and a packet of sound are captured together
        picture = pictures.get(first_picture + number * 3000)
        heard = sound.get(first_sound + number * 1600)
        if picture is not None and heard is not None:
            found.append(heard.playout_time - picture.playout_time)
    return found


@pytest.mark.parametrize("which", [pair.VIDEO, pair.AUDIO])
@pytest.mark.parametrize("latency", [Latency(), Latency(fixed=60 * MS)], ids=["adaptive", "fixed"])
def test_streams_that_arrive_80_ms_apart_are_played_together(which: StreamConfig, latency: Latency) -> None:
    p = pair.meet(Conditions(delay=20 * MS, jitter=3 * MS), latency=latency)
    slower(p, which.ssrc, 80 * MS)
    p.run(traffic.together(traffic.video(15 * SECOND), traffic.audio(15 * SECOND, stream=1)))
    settled = skews(p)[30:]
    assert len(settled) > 100
    assert max(map(abs, settled)) <= 11 * MS
    planned = told.statistics(p).planned_skew
    assert planned is not None
    assert abs(planned) <= 11 * MS


def test_the_sound_cards_own_delay_is_allowed_for() -> None:
    p = pair.meet(Conditions(delay=20 * MS), latency=Latency(fixed=60 * MS))
    assert p.receiver is not None
    p.receiver.set_device_latency("audio", 35 * MS)
    p.run(traffic.together(traffic.video(5 * SECOND), traffic.audio(5 * SECOND, stream=1)))
    assert all(-46 * MS <= skew <= -24 * MS for skew in skews(p)[20:])
    planned = told.statistics(p).planned_skew
    assert planned is not None
    assert abs(planned) <= 11 * MS


def test_streams_of_different_senders_do_not_wait_for_each_other() -> None:
    p = pair.meet(Conditions(delay=20 * MS), latency=Latency(fixed=60 * MS), streams=(pair.VIDEO,))
    p.run(traffic.video(3 * SECOND))
    first = p.sender
    p.sender = SenderSession(
        (pair.AUDIO,), cname="another@test", now=p.sender_clock.local(p.clock.now), wall=p.clock.wall,
        random=Random(5),
    )  # fmt: skip
    slower(p, pair.AUDIO.ssrc, 80 * MS)
    p.run(traffic.audio(3 * SECOND))
    assert first is not None
    assert told.statistics(p).planned_skew is None or told.stream(p, "video").target == 60 * MS


def test_a_restarted_sender_is_not_synchronised_by_what_the_one_before_reported() -> None:
    p = pair.meet(Conditions(delay=20 * MS))
    p.run(traffic.together(traffic.video(4 * SECOND), traffic.audio(4 * SECOND, stream=1)), 5 * SECOND)
    p.sender = pair.make_sender(p.clock, p.sender_clock, (pair.VIDEO, pair.AUDIO), 77)
    p.units.clear()
    p.run(traffic.together(traffic.video(4 * SECOND), traffic.audio(4 * SECOND, stream=1)))
    assert max(unit.playout_time - unit.arrival_time for _, unit in p.units) < 60 * MS
    assert max(map(abs, skews(p)[10:])) <= 11 * MS
