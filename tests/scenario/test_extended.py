"""Extended reports on their way: what they say of each packet is what the network's log says, and no burden."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocol.errors import ProtocolError
from protocol.rtcp import compound, trace
from protocol.rtcp.xr import Block, ExtendedReport, RunLengths, StatisticsSummary, VoipMetrics
from tests.scenario import told
from tests.support import pair, traffic
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND
from tests.support.netem import Conditions, rtp_only

PATH = Conditions(delay=20 * MS)
LOSSY = replace(PATH, loss=0.05, duplication=0.02, only=rtp_only)


class Listener:
    """Reads along what the receiver says."""

    def __init__(self, p: pair.Pair) -> None:
        self.octets = 0
        self.blocks: list[Block] = []
        self._send = p.back.send
        p.back.send = self._hear  # type: ignore[method-assign]

    def _hear(self, data: bytes, now: int, path: object = None) -> None:
        self.octets += len(data) + 28
        try:
            packets = compound.parse(data)
        except ProtocolError as error:
            raise AssertionError("the receiver sent what nobody can read") from error
        self.blocks += [block for packet in packets if isinstance(packet, ExtendedReport) for block in packet.blocks]
        self._send(data, now, path)


def copies(p: pair.Pair, ssrc: int) -> dict[int, int]:
    """By sequence number, how many copies of it arrived."""
    sent = [fate for fate in p.forward.log if rtp_only(fate.head) and int.from_bytes(fate.head[8:12]) == ssrc]
    return {int.from_bytes(fate.head[2:4]): len(fate.arrivals) for fate in sent}


def numbers(begin: int, end: int) -> list[int]:
    return [(begin + i) & 0xFFFF for i in range((end - begin) & 0xFFFF)]


@pytest.fixture(scope="module")
def run() -> tuple[pair.Pair, Listener]:
    """Half a minute with losses and copies."""
    p = pair.meet(LOSSY, back=PATH, seed=4)
    heard = Listener(p)
    p.run(traffic.together(traffic.video(30 * SECOND), traffic.audio(30 * SECOND, stream=1)))
    return p, heard


@pytest.mark.parametrize("ssrc", [pair.VIDEO.ssrc, pair.AUDIO.ssrc])
def test_which_packets_were_lost(run: tuple[pair.Pair, Listener], ssrc: int) -> None:
    p, heard = run
    traces = [block for block in heard.blocks if isinstance(block, RunLengths) and block.ssrc == ssrc]
    arrived, expected = copies(p, ssrc), next(iter(copies(p, ssrc)))
    for block in traces:
        assert block.begin == expected, "none is left out, none told twice"
        expected = block.end
        said = trace.bits(block.chunks, (block.end - block.begin) & 0xFFFF)
        assert said.tolist() == [arrived[number] > 0 for number in numbers(block.begin, block.end)]
    assert sum((block.end - block.begin) & 0xFFFF for block in traces) > 0.75 * len(arrived)


@pytest.mark.parametrize("ssrc", [pair.VIDEO.ssrc, pair.AUDIO.ssrc])
def test_how_many_were_lost_and_came_twice(run: tuple[pair.Pair, Listener], ssrc: int) -> None:
    p, heard = run
    summaries = [block for block in heard.blocks if isinstance(block, StatisticsSummary) and block.ssrc == ssrc]
    arrived, expected = copies(p, ssrc), next(iter(copies(p, ssrc)))
    assert len(summaries) >= 10
    for block in summaries:
        assert block.begin == expected
        expected = block.end
        came = [arrived[number] for number in numbers(block.begin, block.end)]
        assert (block.lost, block.duplicates) == (came.count(0), sum(max(0, n - 1) for n in came))


def test_how_a_call_would_sound(run: tuple[pair.Pair, Listener]) -> None:
    p, heard = run
    metrics = [block for block in heard.blocks if isinstance(block, VoipMetrics)]
    assert {block.ssrc for block in metrics} == {pair.AUDIO.ssrc}
    last, counts = metrics[-1], told.stream(p, "audio").ledger
    assert abs(last.loss_rate / 256 - counts.lost / counts.span) < 0.01
    assert last.round_trip_delay == 40
    assert last.gmin == 16
    assert 50 < last.r_factor < 94


def test_the_sender_keeps_what_was_said_last(run: tuple[pair.Pair, Listener]) -> None:
    p, heard = run
    assert p.sender is not None
    video, audio = p.sender.statistics(p.sender_clock.local(p.clock.now)).streams
    for stream, ssrc in ((video, pair.VIDEO.ssrc), (audio, pair.AUDIO.ssrc)):
        (said,) = stream.extended
        assert said.losses == [b for b in heard.blocks if isinstance(b, RunLengths) and b.ssrc == ssrc][-1]
        assert said.summary == [b for b in heard.blocks if isinstance(b, StatisticsSummary) and b.ssrc == ssrc][-1]
    assert video.extended[0].voip is None
    assert audio.extended[0].voip == [b for b in heard.blocks if isinstance(b, VoipMetrics)][-1]


def test_all_that_the_receiver_says_stays_within_its_share(run: tuple[pair.Pair, Listener]) -> None:
    """5 % of the 1 Mbit/s that it assumes; three quarters of that are the receivers'."""
    _, heard = run
    assert heard.octets / 30 < 0.75 * 0.05 * 1_000_000 / 8


def test_a_storm_of_losses_fits_into_a_datagram() -> None:
    p = pair.meet(replace(PATH, loss=0.5, only=rtp_only), back=PATH, seed=5)
    heard = Listener(p)
    sizes: list[int] = []
    send = p.back.send
    p.back.send = lambda data, now, path=None: (sizes.append(len(data)), send(data, now, path))[1]  # type: ignore
    p.run(traffic.video(20 * SECOND, size=60_000))
    assert max(sizes) < 600
    assert any(isinstance(block, RunLengths) for block in heard.blocks)


@pytest.mark.parametrize("streams", [(pair.AUDIO,), (pair.VIDEO, pair.AUDIO)], ids=["sound", "both"])
def test_the_first_round_trip_is_known_soon(streams: tuple[pair.StreamConfig, ...]) -> None:
    """The receiver's first report leaves within 0.22 s (RFC 3550 §6.2, §6.3.1), and is answered at once."""
    for seed in range(8):
        p = pair.meet(PATH, streams=streams, seed=seed)
        p.run(traffic.audio(400 * MS, stream=len(streams) - 1))
        assert told.stream(p, "audio").round_trip is not None
