"""What the network loses comes back, in time, for little more than was lost."""

from __future__ import annotations

import struct
from collections import Counter

import pytest

from protocol.datagram import Batch
from protocol.rtcp.nack import Nack
from protocol.rtp import RtpPacket
from receiver.config import Latency
from receiver.session import REPAIR_GRACE, REPAIR_WAIT, SessionStatistics
from receiver.statistics import StreamStatistics
from sender.session import Repair
from sender.transmit.retransmission import FLOOR, SHARE
from tests.support.clock import MILLISECOND, SECOND
from tests.support.netem import Conditions, GilbertElliott, rtp_only
from tests.support.pair import ADAPTIVE, REPAIRED, Pair, make_sender, meet
from tests.support.traffic import audio, frame_number, together, video

WAY = 20 * MILLISECOND
VIDEO, AUDIO = REPAIRED
RTX = {VIDEO.rtx_ssrc: VIDEO.ssrc, AUDIO.rtx_ssrc: AUDIO.ssrc}


def streamed(
    conditions: Conditions,
    back: Conditions | None = None,
    *,
    seconds: int = 20,
    seed: int = 7,
    repair: Repair = "auto",
    latency: Latency = ADAPTIVE,
) -> Pair:
    pair = meet(conditions, back, seed=seed, streams=REPAIRED, repair=repair, latency=latency)
    pair.run(together(video(seconds * SECOND), audio(seconds * SECOND, stream=1)))
    pair.finish()
    return pair


def statistics(pair: Pair) -> SessionStatistics:
    assert pair.receiver is not None
    return pair.receiver.statistics()


def of(pair: Pair, media: str) -> StreamStatistics:
    (stream,) = (stream for stream in statistics(pair).streams if stream.format.media == media)
    return stream


def added(pair: Pair, ssrc: int) -> float:
    """Octets of retransmission for each of media, headers included, as the network saw them."""
    octets: Counter[int] = Counter()
    for fate in pair.forward.log:
        if rtp_only(fate.head):
            sent = int.from_bytes(fate.head[8:12])
            octets[sent] += fate.size + 28
    return octets[next(again for again, media in RTX.items() if media == ssrc)] / octets[ssrc]


def whole(pair: Pair) -> list[tuple[int, int]]:
    """(frame's number, ns from its capture until it was whole) of each that came whole."""
    began = pair.sender_clock.origin
    pictures = [(now, unit) for now, unit in pair.units if unit.format.media == "video" and unit.data]
    return [
        (number, now - began - number * SECOND // 30)
        for now, unit in pictures
        if not unit.missing
        for number in [frame_number(unit.data)]
    ]


@pytest.mark.parametrize(
    ("conditions", "least", "most_added", "p95"),
    [
        (Conditions(delay=WAY), 1, 0.0, 30),
        (Conditions(delay=WAY, loss=0.02), 0.999, 0.045, 75),
        (Conditions(delay=WAY, loss=0.05), 0.998, 0.086, 90),
        (Conditions(delay=WAY, loss=0.1), 0.995, 0.18, 100),
        (Conditions(delay=WAY, bursts=GilbertElliott.of(0.05, 4)), 0.99, 0.12, 95),
    ],
)
def test_lost_packets_come_back(conditions: Conditions, least: float, most_added: float, p95: int) -> None:
    """The issue's table, in virtual time: lost both ways, 20 ms each way. Half a minute of bursts is luck."""
    pair = streamed(conditions, seconds=30)
    frames = whole(pair)
    assert len(frames) >= least * 900
    waits = sorted(wait for _, wait in frames)
    assert waits[int(0.95 * len(waits))] <= p95 * MILLISECOND
    assert waits[-1] <= WAY + (REPAIR_WAIT + REPAIR_GRACE) + 5 * MILLISECOND
    assert added(pair, VIDEO.ssrc) <= most_added
    counts = of(pair, "video").ledger
    truth = [
        fate for fate in pair.forward.log if rtp_only(fate.head) and fate.head[8:12] == struct.pack("!I", VIDEO.ssrc)
    ]
    assert counts.sent == len(truth)
    assert counts.lost == sum(not fate.arrivals for fate in truth)
    assert counts.in_time + counts.recovered_rtx + counts.missed == counts.sent
    assert counts.recovered_rtx >= 0.85 * counts.lost
    assert statistics(pair).unparsed == {}
    assert len(statistics(pair).streams) == 2


def test_sound_comes_back_by_whatever_is_sooner() -> None:
    pair = streamed(Conditions(delay=WAY, loss=0.05), latency=Latency(fixed=100 * MILLISECOND))
    counts = of(pair, "audio").ledger
    assert counts.lost > 30
    assert counts.missed <= 0.005 * counts.span
    assert counts.recovered_rtx + counts.recovered_fec == counts.lost - counts.missed


def test_a_fixed_latency_is_kept() -> None:
    """40 ms are not enough for a round trip: nothing is asked for, nothing waits."""
    pair = streamed(Conditions(delay=WAY, loss=0.05), latency=Latency(fixed=39 * MILLISECOND))
    video_stream = of(pair, "video")
    assert video_stream.ledger.recovered_rtx == 0
    assert video_stream.repair is not None
    assert video_stream.repair.requested <= 2
    assert all(wait <= 65 * MILLISECOND for _, wait in whole(pair)[60:])


def test_reordering_is_not_taken_for_loss() -> None:
    pair = streamed(Conditions(delay=30 * MILLISECOND, jitter=30 * MILLISECOND), seconds=30)
    assert added(pair, VIDEO.ssrc) <= 0.08
    assert added(pair, AUDIO.ssrc) <= 0.08
    assert len(whole(pair)) >= 0.997 * 900


def test_nothing_is_asked_for_that_cannot_come_in_time() -> None:
    """150 ms each way: before the round trip is known, a request or two."""
    pair = streamed(Conditions(delay=150 * MILLISECOND, loss=0.05))
    for media in ("video", "audio"):
        repair = of(pair, media).repair
        assert repair is not None
        assert repair.requested <= 6
        assert repair.not_requested > (10 if media == "video" else 0), "sound is mostly here again by its copies"


def test_nothing_is_sent_to_who_announced_nothing() -> None:
    pair = meet(Conditions(delay=WAY, loss=0.05), streams=REPAIRED, repair="auto")
    other = meet(Conditions(delay=WAY, loss=0.05), streams=REPAIRED)
    pair.receiver = other.receiver  # one without repair
    pair.run(video(3 * SECOND))
    assert {int.from_bytes(f.head[8:12]) for f in pair.forward.log if rtp_only(f.head)} == {VIDEO.ssrc}
    assert of(pair, "video").repair is None


def test_a_sender_that_does_not_answer_is_not_waited_for_long() -> None:
    pair = streamed(Conditions(delay=WAY, loss=0.05), repair="auto", seconds=10)
    silent = meet(Conditions(delay=WAY, loss=0.05), streams=REPAIRED, repair="auto", seed=7)
    silent.sender = make_sender(silent.clock, silent.sender_clock, REPAIRED, 7)  # says nothing of what it does not do
    silent.run(together(video(10 * SECOND), audio(10 * SECOND, stream=1)))
    assert of(pair, "video").ledger.recovered_rtx > 0
    late = [wait for number, wait in whole(silent) if number > 150]
    assert max(late) < WAY + 130 * MILLISECOND


# -- what others may send ------------------------------------------------------------------------------------------


def nack(media: int, numbers: range, receiver: int = 99) -> Batch:
    asked = Nack(receiver, media, tuple(number & 0xFFFF for number in numbers))
    return Batch.of([bytes(asked)], 0)


def test_floods_of_requests_are_answered_within_the_budget() -> None:
    """10,000 a second for the whole history and for what was never sent, from a receiver that takes repair."""
    pair = meet(Conditions(delay=WAY), streams=(VIDEO,), repair="nack")
    assert pair.sender is not None
    for tenth in range(20):
        pair.run(video(SECOND // 10, first=3 * tenth), SECOND // 10)
        now = pair.sender_clock.local(pair.clock.now)
        last = pair.sender.statistics(now).streams[0].last or 0
        for _ in range(1000):
            pair.sender.handle_datagrams(nack(VIDEO.ssrc, range(last - 40, last + 20)), now)
    now = pair.sender_clock.local(pair.clock.now)
    repair = pair.sender.statistics(now).streams[0].repair
    assert repair is not None
    assert repair.octets <= FLOOR + SHARE * VIDEO.bitrate / 8 * 2.5
    assert {"never_sent", "too_soon"} <= set(repair.refused)


def test_requests_of_strangers_are_not_answered() -> None:
    pair = meet(Conditions(delay=WAY), streams=(VIDEO,), repair="auto")
    assert pair.sender is not None
    pair.run(video(SECOND), SECOND)
    now = pair.sender_clock.local(pair.clock.now)
    pair.sender.handle_datagrams(nack(VIDEO.ssrc, range(10)), now)
    pair.sender.handle_datagrams(nack(5, range(10)), now)
    found = pair.sender.statistics(now)
    assert found.unparsed["nack_unanswered"] == 1
    assert found.unparsed["request_for_other_source"] == 1
    assert found.streams[0].repair is not None
    assert found.streams[0].repair.packets == 0


def rtx(number: int, osn: int, timestamp: int, ssrc: int = VIDEO.rtx_ssrc, payload: bytes = b"\x41junk") -> bytes:
    return bytes(RtpPacket(112, number, timestamp & 0xFFFF_FFFF, ssrc, osn.to_bytes(2) + payload))


def test_retransmissions_of_anything_else_are_never_delivered() -> None:
    """Wrong original numbers, from the stream's own RTX SSRC and from others; empty ones; half a number."""
    pair = meet(Conditions(delay=WAY, loss=0.05), Conditions(delay=WAY), streams=REPAIRED, repair="auto")
    assert pair.receiver is not None
    for part in range(20):
        pair.run(video(SECOND // 10, first=3 * part, key_every=10_000), SECOND // 10)
        wrong = [rtx(n, n * 7 + part, n * 90_000) for n in range(500)]
        wrong += [rtx(n, n * 11 + part, n * 90_000, ssrc=1000 + n) for n in range(100)]
        wrong += [bytes(RtpPacket(112, 1, 0, VIDEO.rtx_ssrc, payload)) for payload in (b"", b"\0")]
        wrong += [bytes(RtpPacket(112, 1, 0, VIDEO.rtx_ssrc, padding=8))]
        pair.receiver.handle_datagrams(Batch.of(wrong, pair.clock.now), pair.clock.now)
    pair.finish()
    assert not any(b"junk" in unit.data for _, unit in pair.units)
    (stream,) = statistics(pair).streams
    assert stream.repair is not None
    assert stream.repair.refused["not_requested"] > 0
    assert stream.repair.refused["empty"] > 0
    assert statistics(pair).unmatched_repair["rtx_osn"] == 20
    assert statistics(pair).unmatched_repair["rtx_of_no_stream"] > 0
    assert stream.ledger.recovered_rtx >= stream.ledger.lost - stream.ledger.missed
    assert statistics(pair).unparsed == {}
