"""Which repair packets leave beside media: never more than the share, over the right packets."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import rtp
from protocol.fec import payload, reed_solomon
from protocol.fec.payload import OVERHEAD, Repair
from protocol.fec.reed_solomon import Equation
from protocol.rtp import RtpPacket
from sender.transmit.protection import Protection

MEDIA, REPAIR = 7, 8


def protection(share: float, frames: int = 2, *, stride: int = 1, sound: bool = False) -> Protection:
    made = Protection(MEDIA, REPAIR, 102, 65_530, every_packet_is_a_frame=sound)
    made.share, made.frames, made.stride = share, frames, stride
    return made


class Media:
    """Numbers packets."""

    def __init__(self, first: int = 65_500) -> None:
        self.next = first
        self.sent: dict[int, bytes] = {}

    def frame(self, sizes: Sequence[int], *, timestamp: int = 0) -> list[bytes]:
        """Packets with payloads of these sizes, the last with the marker."""
        datagrams = []
        for at, size in enumerate(sizes):
            body = (self.next.to_bytes(4) * size)[:size]
            marker = at == len(sizes) - 1
            packet = RtpPacket(96, self.next & 0xFFFF, timestamp, MEDIA, body, marker)
            datagrams.append(bytes(packet))
            self.sent[self.next] = datagrams[-1]
            self.next += 1
        return datagrams


def read(datagram: bytes) -> tuple[RtpPacket, Repair]:
    packet = rtp.parse(datagram)
    return packet, Repair.parse(packet.payload)


def covered(repair: Repair) -> list[int]:
    return [(repair.first + at * repair.stride) & 0xFFFF for at in range(repair.count)]


def test_a_quarter_of_a_large_frame() -> None:
    media, made = Media(), protection(0.25)
    assert len(made.protect(media.frame([100] * 3))) == 1
    repair = made.protect(media.frame([1180] * 32, timestamp=90))
    packets = [read(datagram) for datagram in repair]
    assert [packet.sequence_number for packet, _ in packets] == [65_531, 65_532, 65_533, 65_534, 65_535, 0, 1, 2]
    assert {(p.ssrc, p.payload_type, p.marker, p.timestamp) for p, _ in packets} == {(REPAIR, 102, False, 90)}
    assert {(r.media_ssrc, r.first, r.count, r.stride) for _, r in packets} == {(MEDIA, 65_503, 32, 1)}
    assert {len(datagram) for datagram in repair} == {1192 + OVERHEAD}
    assert (made.packets, made.octets) == (9, sum(map(len, repair)) + 112 + OVERHEAD)


def test_small_frames_together() -> None:
    media, made = Media(100), protection(0.5, frames=3)
    windows = [[covered(read(d)[1]) for d in made.protect(media.frame([500] * 2))] for _ in range(5)]
    assert [window[0] for window in windows] == [
        [100, 101], [100, 101, 102, 103], [*range(100, 106)], [*range(102, 108)], [*range(104, 110)]
    ]  # fmt: skip


def test_sound_packet_by_packet() -> None:
    media, made = Media(10), protection(0.34, frames=5, sound=True)
    windows = [covered(read(d)[1]) for _ in range(30) for d in made.protect(media.frame([160]))]
    assert windows[-1] == [*range(windows[-1][0], windows[-1][0] + 5)]
    assert len(windows) == pytest.approx(30 * 0.34 * 172 / 192, abs=1)


def test_an_endless_frame_gets_its_repair_on_the_way() -> None:
    media, made = Media(0), protection(0.1)
    packets = [read(datagram)[1] for datagram in made.protect(media.frame([1000] * 300))]
    assert {number for repair in packets for number in covered(repair)} == set(range(300))
    assert max(repair.count for repair in packets) == 128


def test_every_second_packet() -> None:
    media, made = Media(1000), protection(0.25, stride=2)
    first, second, *_ = (read(d)[1] for d in made.protect(media.frame([900] * 20)))
    assert sorted(covered(first) + covered(second)) == [*range(1000, 1020)]
    assert first.stride == second.stride == 2


@given(
    frames=st.lists(st.lists(st.integers(1, 1180), min_size=1, max_size=30), min_size=1, max_size=10),
    share=st.floats(0.01, 1),
    window=st.integers(0, 10),
    stride=st.integers(1, 5),
    sound=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_the_share_is_never_exceeded_and_always_used(
    frames: list[list[int]], share: float, window: int, stride: int, sound: bool
) -> None:
    media, made = Media(), protection(share, window, stride=stride, sound=sound)
    octets = 0
    for sizes in frames:
        datagrams = media.frame(sizes)
        repair = made.protect(datagrams)
        octets += sum(map(len, datagrams))
        half = 0.5 * (1192 + OVERHEAD) + 1e-6
        assert made.octets <= share * octets + half
        assert stride > 1 or made.octets >= share * octets - half
        for datagram in repair:
            assert len(datagram) <= max(map(len, media.sent.values())) + OVERHEAD


@given(share=st.floats(0.1, 1), window=st.integers(1, 4), stride=st.integers(1, 4), sizes=st.lists(st.integers(1, 300)))
@settings(max_examples=50, deadline=None)
def test_each_repair_packet_gives_back_one_packet(share: float, window: int, stride: int, sizes: list[int]) -> None:
    media, made = Media(65_536 - 4), protection(share, window, stride=stride)
    for sizes_of_frame in (sizes[:7] or [1], sizes[7:] or [1], [250] * 9):
        for datagram in made.protect(media.frame(sizes_of_frame)):
            packet, repair = read(datagram)
            numbers = [n for n in media.sent if n & 0xFFFF in covered(repair)]
            window_ = range(numbers[0], numbers[-1] + 1, repair.stride)
            lost = numbers[len(numbers) // 2]
            equation = Equation(packet.sequence_number % 128, window_, repair.symbol)
            found = reed_solomon.solve(
                [equation], lambda n, lost=lost: None if n == lost else payload.symbol(media.sent[n])
            )
            assert payload.datagram(found[lost], lost, MEDIA) == media.sent[lost]


def test_no_share_no_work() -> None:
    media, made = Media(), protection(0.0)
    assert made.protect(media.frame([500] * 30)) == []
    made.share = 0.5
    assert len(made.protect(media.frame([500] * 4))) == 2
    made.share = 0.0
    assert made.protect(media.frame([500] * 4)) == []
    made.share = 0.5
    (repair, _) = (read(d)[1] for d in made.protect(media.frame([500] * 4)))
    assert repair.count == 4, "packets that left without a share are not covered"


def test_a_gap_in_the_numbers_is_not_covered() -> None:
    media, made = Media(0), protection(0.5)
    made.protect(media.frame([500] * 4))
    media.next = 100
    (repair, _) = (read(d)[1] for d in made.protect(media.frame([500] * 4)))
    assert covered(repair) == [100, 101, 102, 103]


def test_its_memory_is_bounded() -> None:
    media, made = Media(), protection(0.2, frames=1000)
    for _ in range(500):
        made.protect(media.frame([1100]))
        media.sent.clear()
    held = [len(value) for value in vars(made).values() if hasattr(value, "__len__")]
    assert max(held) <= 128
    assert sys.getsizeof(made._symbols) < 10_000
