"""Where no retransmission comes in time, what was sent ahead repairs: virtual time, a path of 150 ms each way."""

from __future__ import annotations

from random import Random

import pytest

from protocol.datagram import Batch
from protocol.fec.payload import Repair
from receiver.events import RepairPlanned
from receiver.session import ReceiverSession
from receiver.statistics import StreamStatistics
from sender.session import Repair as Repairing
from tests.support.clock import MILLISECOND, SECOND
from tests.support.netem import Conditions, GilbertElliott
from tests.support.pair import REPAIRED, Pair, meet
from tests.support.traffic import audio, together, video

FAR = Conditions(delay=150 * MILLISECOND, loss=0.05)
VIDEO, AUDIO = REPAIRED


def streamed(conditions: Conditions, *, seconds: int = 20, seed: int = 3, repair: Repairing = "auto") -> Pair:
    pair = meet(conditions, seed=seed, streams=REPAIRED, repair=repair)
    pair.run(together(video(seconds * SECOND), audio(seconds * SECOND, stream=1)))
    pair.finish()
    return pair


def of(pair: Pair, media: str) -> StreamStatistics:
    assert pair.receiver is not None
    (stream,) = (stream for stream in pair.receiver.statistics().streams if stream.format.media == media)
    return stream


def octets(pair: Pair, *ssrcs: int) -> int:
    """Of UDP payload, as the network saw them leave."""
    return sum(fate.size for fate in pair.forward.log if int.from_bytes(fate.head[8:12]) in ssrcs)


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_a_far_stream_is_repaired_by_what_was_sent_ahead(seed: int) -> None:
    pair = streamed(FAR, seed=seed)
    for stream, ssrc in ((of(pair, "video"), VIDEO.ssrc), (of(pair, "audio"), AUDIO.ssrc)):
        counts = stream.ledger
        lost = sum(fate.what == "lost" for fate in pair.forward.log if int.from_bytes(fate.head[8:12]) == ssrc)
        assert counts.lost == lost > 0, "repair hides no loss"
        assert counts.recovered_fec >= 0.85 * lost, "the plan is made of the first losses"
        assert counts.recovered_fec + counts.missed == lost
    assert VIDEO.fec_ssrc is not None
    assert octets(pair, VIDEO.fec_ssrc) <= 0.4 * octets(pair, VIDEO.ssrc)
    planned = [event.why for _, event in pair.receiver_events if isinstance(event, RepairPlanned)]
    assert any("forward correction" in why for why in planned)
    assert any("repeats" in why for why in planned)


def test_bursts_are_repaired_over_more_frames() -> None:
    pair = streamed(Conditions(delay=150 * MILLISECOND, bursts=GilbertElliott.of(0.03, 3)), seconds=30)
    counts = of(pair, "video").ledger
    assert counts.recovered_fec >= 0.7 * counts.lost


def test_nothing_is_sent_ahead_on_a_clean_path_or_a_near_one() -> None:
    for conditions in (Conditions(delay=150 * MILLISECOND), Conditions(delay=4 * MILLISECOND, loss=0.05)):
        pair = streamed(conditions, seconds=10)
        assert VIDEO.fec_ssrc is not None
        assert octets(pair, VIDEO.fec_ssrc) == 0
        first_seconds = 4 * 50 * 125
        assert octets(pair, AUDIO.ssrc) < (120 + 12) * 50 * 10 + first_seconds


def test_nothing_is_sent_ahead_to_who_announced_nothing() -> None:
    pair = meet(FAR, streams=REPAIRED, repair="auto")
    assert isinstance(pair.receiver, ReceiverSession)
    plain = meet(FAR, streams=REPAIRED, repair="none")
    pair.receiver = plain.receiver
    pair.run(together(video(10 * SECOND), audio(10 * SECOND, stream=1)))
    kinds = {int.from_bytes(fate.head[8:12]) for fate in pair.forward.log if not 192 <= fate.head[1] <= 223}
    assert kinds == {VIDEO.ssrc, AUDIO.ssrc}
    assert {fate.head[1] & 0x7F for fate in pair.forward.log if not 192 <= fate.head[1] <= 223} == {96, 97}


def test_false_repair_packets_change_nothing() -> None:
    """Junk, windows far away, and a flood of symbols that contradict what came, all with the media's SSRC in them."""
    pair = meet(Conditions(delay=20 * MILLISECOND), streams=REPAIRED, repair="auto", log=False)
    both = together(video(6 * SECOND), audio(6 * SECOND, stream=1))
    pair.run(both, duration=0)
    pair.run(video(SECOND, start=0, first=180), duration=0)
    assert pair.receiver is not None
    dice, now = Random(1), pair.clock.now
    before = of(pair, "video").ledger
    for number in range(2000):
        covered = dice.randrange(1, 140)
        junk = bytes(Repair(VIDEO.ssrc, dice.randrange(65536), min(covered, 127), 1, dice.randbytes(200)))
        payload = junk if number % 3 else dice.randbytes(dice.randrange(300))
        head = bytes([0x80, 102]) + number.to_bytes(2) + bytes(4) + (0x99).to_bytes(4)
        pair.receiver.handle_datagrams(Batch.of([head + payload], now, "way"), now)
    after = of(pair, "video").ledger
    assert (after.recovered_fec, after.arrived, after.duplicates) == (0, before.arrived, before.duplicates)
    ahead = of(pair, "video").ahead
    assert ahead is not None
    assert ahead.fec is not None
    assert ahead.fec.rebuilt == 0
    assert ahead.fec.waiting <= 32
