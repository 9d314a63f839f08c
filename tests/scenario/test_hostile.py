"""What others send beside a good stream: it plays on, and every datagram is counted somewhere."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from protocol.datagram import Batch
from protocol.rtcp.bye import Bye
from protocol.rtcp.range import SenderRange
from protocol.rtp import RtpPacket
from receiver.config import Latency
from receiver.session import SessionOutput
from tests.scenario import told
from tests.support import pair, traffic
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND
from tests.support.netem import Conditions

PATH = Conditions(delay=20 * MS)
ELSEWHERE = ("192.0.2.66", 6666)
AUDIO = pair.AUDIO.ssrc


def play(p: pair.Pair, disturb: Iterator[list[bytes]], *, path: object = ELSEWHERE) -> None:
    """Six seconds of sound; every 10 ms other datagrams come in between."""
    assert p.receiver is not None
    for number in range(300):
        p.run(told.sound(20 * MS, first=number))
        for _ in range(2):
            datagrams = next(disturb)
            if datagrams:
                p.receiver.handle_datagrams(Batch.of(datagrams, p.clock.now, path), p.clock.now)
            p.run(duration=10 * MS)
    p.finish()


def assert_plays(p: pair.Pair) -> None:
    numbers = [traffic.frame_number(u.data) for _, u in told.units(p, "audio") if u.stream.ssrc == AUDIO and u.data]
    assert numbers == list(range(300))
    ours = [s for s in told.statistics(p).streams if s.key.ssrc == AUDIO]
    assert [s.ledger.missed for s in ours] == [0]
    told.assert_balanced(p)


def junk_ssrcs(rng: random.Random) -> Iterator[list[bytes]]:
    while True:
        yield [
            bytes(
                RtpPacket(rng.choice([0, 96, 97]), rng.getrandbits(16), rng.getrandbits(32), rng.getrandbits(32), b"x")
            )
            for _ in range(50)
        ]


def junk_streams(rng: random.Random) -> Iterator[list[bytes]]:
    """Each looks like a stream for three packets."""
    while True:
        ssrc, first = rng.getrandbits(32), rng.randrange(60_000)
        yield [bytes(RtpPacket(97, first + n, 960 * n, ssrc, b"\xf8xxxx")) for n in range(3)]


def rtcp_garbage(rng: random.Random) -> Iterator[list[bytes]]:
    while True:
        head = bytes([rng.choice([0x80, 0x81, 0x9F, 0xA1]), rng.randrange(192, 224)])
        yield [head + rng.randbytes(rng.randrange(0, 120)) for _ in range(8)]


def noise(rng: random.Random) -> Iterator[list[bytes]]:
    while True:
        yield [rng.randbytes(rng.choice([0, 1, 2, 11, 12, 60, 1400, 9000])) for _ in range(10)]


@pytest.mark.parametrize("make", [junk_ssrcs, junk_streams, rtcp_garbage, noise])
def test_a_good_stream_plays_on_beside(make: Callable[[random.Random], Iterator[list[bytes]]]) -> None:
    p = pair.meet(PATH, streams=(pair.AUDIO,))
    play(p, make(random.Random(4)))
    assert_plays(p)


@pytest.mark.parametrize("last", [1 << 16, 1 << 40, (1 << 63) - 1, (1 << 64) - 1])
@pytest.mark.parametrize("final", [True, False])
def test_ranges_that_cannot_be_are_not_believed(last: int, final: bool) -> None:
    def forged() -> Iterator[list[bytes]]:
        while True:
            yield [bytes(SenderRange(AUDIO, last // 2 + 5, last, 1, 0, final).to_app())]

    p = pair.meet(PATH, streams=(pair.AUDIO,))
    play(p, forged())
    numbers = told.numbers(p, "audio")
    assert numbers == list(range(300))
    told.assert_balanced(p)


def test_a_forged_goodbye_interrupts_for_a_moment_only() -> None:
    def forged() -> Iterator[list[bytes]]:
        for number in range(10_000):
            yield [bytes(Bye((AUDIO,)))] if number == 200 else []

    p = pair.meet(PATH, streams=(pair.AUDIO,))
    play(p, forged())
    numbers = told.numbers(p, "audio")
    assert numbers == sorted(numbers)
    assert len(numbers) >= 295
    told.assert_balanced(p)


def test_other_payload_types_on_the_same_ssrc_are_no_loss() -> None:
    """Comfort noise (13) and telephone events (101) take numbers of the stream."""
    p = pair.meet(PATH, streams=(pair.AUDIO,), latency=Latency(fixed=60 * MS))
    assert p.sender is not None
    send = p.forward.send

    def other_types(datagram: bytes, now: int, path: object = None) -> object:
        if not 192 <= datagram[1] <= 223 and datagram[3] % 10 == 7:
            datagram = datagram[:1] + bytes([13 if datagram[3] % 20 == 7 else 101]) + datagram[2:]
        return send(datagram, now, path)

    p.forward.send = other_types  # type: ignore[method-assign, assignment]
    p.run(traffic.audio(6 * SECOND))
    p.finish()
    told.assert_true(p)
    stream = told.stream(p, "audio")
    assert stream.ledger.missed == 0
    assert stream.unusable["payload_type"] == 300 - len(told.numbers(p, "audio")) > 20
    assert all(unit.data for _, unit in told.units(p, "audio"))


def test_oversized_payloads_are_carried() -> None:
    p = pair.meet(PATH, streams=(pair.AUDIO,))
    assert p.receiver is not None
    sound = [bytes(RtpPacket(97, n, n * 960, 5, traffic.opus_packet(n, 60_000))) for n in range(50)]
    for number, datagram in enumerate(sound):
        now = p.clock.advance(20 * MS)
        p.receiver.handle_datagrams(Batch.of([datagram], now, ELSEWHERE), now)
        p.run(duration=MS)
        assert number < 1 or len(told.numbers(p, "audio")) == number + 1
    told.assert_balanced(p)


def test_a_stream_that_loops_back_is_copies() -> None:
    """An echo of the last second, again and again, from elsewhere."""
    p = pair.meet(PATH, streams=(pair.AUDIO,))
    heard: list[bytes] = []
    send = p.forward.send

    def remember(datagram: bytes, now: int, path: object = None) -> object:
        heard.append(bytes(datagram))
        return send(datagram, now, path)

    p.forward.send = remember  # type: ignore[method-assign, assignment]

    def echo() -> Iterator[list[bytes]]:
        while True:
            yield [datagram for datagram in heard[-60:-5] if not 192 <= datagram[1] <= 223]

    play(p, echo())
    assert_plays(p)
    assert told.stream(p, "audio").ledger.duplicates > 5000


def goodbyes(rng: random.Random) -> Iterator[list[bytes]]:
    """Final ranges of streams that never were: each asks for an acknowledgement."""
    while True:
        yield [bytes(SenderRange(rng.getrandbits(32), 0, 100, 101, 0, True).to_app())]


def streams_with_holes(rng: random.Random) -> Iterator[list[bytes]]:
    """Each long enough to be believed, then silent: reports, requests for what is missing and for key frames."""
    while True:
        payload_type, ssrc = rng.choice([96, 97]), rng.getrandbits(32)
        body = b"\x41xxxx" if payload_type == 96 else b"\xf8xxxx"
        for number in (0, 1, 2, 3, 4, 5, 6, 7, 20, 40):
            yield [bytes(RtpPacket(payload_type, number, 960 * number, ssrc, body))]
        for _ in range(290):
            yield []
        yield [bytes(SenderRange(ssrc, 0, 1000, 900, 0, True).to_app()), bytes(Bye((ssrc,)))]


@pytest.mark.parametrize("make", [junk_streams, streams_with_holes, rtcp_garbage, goodbyes])
def test_nobody_can_have_more_sent_to_another_than_they_send_themselves(
    make: Callable[[random.Random], Iterator[list[bytes]]],
) -> None:
    """Whose address stands on the datagrams gets no more than the receiver got, headers of IP and UDP included."""
    p = pair.meet(PATH, streams=(pair.AUDIO,))
    assert p.receiver is not None
    came, went = Tally(), Tally()
    poll = p.receiver.poll

    def watched() -> SessionOutput:
        output = poll()
        for transmission in output.transmissions:
            if transmission.path == ELSEWHERE:
                went.add(transmission.datagrams)
        return output

    def counted(datagrams: Iterator[list[bytes]]) -> Iterator[list[bytes]]:
        for each in datagrams:
            came.add(each)
            yield each

    p.receiver.poll = watched  # type: ignore[method-assign]
    play(p, counted(make(random.Random(6))))
    assert went.octets <= came.octets
    assert_plays(p)


@dataclass
class Tally:
    octets: int = 0

    def add(self, datagrams: Sequence[bytes]) -> None:
        self.octets += sum(28 + len(datagram) for datagram in datagrams)
