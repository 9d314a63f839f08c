"""Two sessions in virtual time: what the receiver's ledger says is what the network did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support import pair, traffic, truth
from tests.support.clock import MILLISECOND, SECOND
from tests.support.netem import Conditions, GilbertElliott, rtp_only

MS = MILLISECOND


def both(duration: int) -> Iterator[traffic.Item]:
    return traffic.together(traffic.video(duration), traffic.audio(duration, stream=1))


def test_a_clean_path_delivers_every_unit_as_it_was_sent() -> None:
    p = pair.meet(Conditions(delay=20 * MS))
    p.run(both(3 * SECOND))
    p.finish()
    assert p.sender is not None
    assert p.sender.closed
    for media, sent in (("video", traffic.video(3 * SECOND)), ("audio", traffic.audio(3 * SECOND))):
        got = [unit.data for _, unit in p.units if unit.format.media == media]
        assert got == [item.data for item in sent]


BAD = {
    "bursts": Conditions(delay=40 * MS, bursts=GilbertElliott.of(0.05, 3), only=rtp_only),
    "jitter": Conditions(delay=60 * MS, jitter=15 * MS),
    "copies": Conditions(delay=40 * MS, jitter=5 * MS, duplication=0.1, loss=0.1),
    "head": Conditions(delay=10 * MS, drop=frozenset(range(3, 12)), only=rtp_only),
}


@pytest.mark.parametrize("name", BAD)
def test_the_ledger_is_the_truth(name: str) -> None:
    p = pair.meet(BAD[name], seed=4)
    p.run(both(5 * SECOND))
    p.finish()
    assert p.receiver is not None
    told = {stream.key.ssrc: stream for stream in p.receiver.statistics().streams}
    for ssrc, real in truth.of_streams(p.forward.log).items():
        counts = told[ssrc].ledger
        assert counts.sent_known
        seen = (counts.sent, counts.arrived, counts.lost, counts.duplicates, counts.reordered)
        assert seen == (real.sent, real.arrived, real.lost, real.duplicates, real.reordered)
        assert counts.in_time + counts.missed == real.sent
        assert {n: k for n, k in told[ssrc].loss_runs.items() if k} == real.loss_runs


def test_a_sender_whose_clock_runs_fast_is_followed() -> None:
    p = pair.meet(Conditions(delay=20 * MS), skew=300.0)
    p.run(traffic.audio(60 * SECOND, stream=1))
    delays = [moment - unit.arrival_time for moment, unit in p.units]
    assert max(delays[-100:]) < 100 * MS


def test_nobody_hears_what_is_sent_before_the_receiver_starts() -> None:
    p = pair.meet(Conditions(delay=20 * MS))
    receiver, p.receiver = p.receiver, None
    p.run(traffic.audio(SECOND, stream=1), 2 * SECOND)
    assert p.unheard > 50
    p.receiver = receiver
    p.run(traffic.audio(SECOND, stream=1, first=50))
    assert p.units


def test_in_the_classical_layout_reports_go_to_where_rtcp_comes_from() -> None:
    streams = [replace(s, rtp_path=s.media, rtcp_path=f"{s.media} RTCP") for s in (pair.VIDEO, pair.AUDIO)]
    p = pair.meet(Conditions(delay=20 * MS), streams=streams)
    p.run(both(3 * SECOND))
    assert {fate.path for fate in p.back.log} == {"video RTCP", "audio RTCP"}
    assert p.sender is not None
    for stream in p.sender.statistics(p.sender_clock.local(p.clock.now)).streams:
        assert stream.rtt_ms == pytest.approx(40, abs=1)
