"""Link layers, IP and fragments, as their registries and RFCs have them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.capture.link import LINKS, Datagram, Unwrapper
from receiver.capture.records import Packet
from tests.support import captures
from tests.support.captures import CLIENT, CLIENT6, SERVER, SERVER6, ethernet, ipv4, ipv6, udp

BODY = b"payload of a datagram"
UDP = udp(BODY)
V4 = Datagram(CLIENT, 6000, SERVER, 5004, BODY, len(BODY))
V6 = Datagram(CLIENT6, 6000, SERVER6, 5004, BODY, len(BODY))


def unwrap(data: bytes, link: int = 101, length: int | None = None) -> Datagram | None:
    return Unwrapper().unwrap(Packet(0, link, data, len(data) if length is None else length))


@pytest.mark.parametrize(
    ("link", "before"),
    [
        (1, bytes(12) + b"\x08\x00"),
        (1, bytes(12) + b"\x81\x00\x00\x05\x08\x00"),
        (1, bytes(12) + b"\x88\xa8\x00\x05\x81\x00\x00\x07\x08\x00"),
        (113, struct.pack(">HHH8sH", 0, 1, 6, bytes(8), 0x0800)),
        (276, struct.pack(">HHIHBB8s", 0x0800, 0, 1, 1, 0, 6, bytes(8))),
        (12, b""),
        (101, b""),
        (228, b""),
        (0, struct.pack("<I", 2)),
        (0, struct.pack(">I", 2)),
        (108, struct.pack(">I", 2)),
    ],
)
def test_link_types(link: int, before: bytes) -> None:
    assert unwrap(before + ipv4(UDP), link) == V4
    assert unwrap(before + ipv4(UDP) + bytes(6), link) == V4  # a short Ethernet frame is filled up


@pytest.mark.parametrize(
    ("link", "before"),
    [
        (1, bytes(12) + b"\x86\xdd"),
        (113, struct.pack(">HHH8sH", 0, 1, 6, bytes(8), 0x86DD)),
        (276, struct.pack(">HHIHBB8s", 0x86DD, 0, 1, 1, 0, 6, bytes(8))),
        (101, b""),
        (229, b""),
        (0, struct.pack("<I", 30)),
        (108, struct.pack(">I", 24)),
    ],
)
def test_ipv6(link: int, before: bytes) -> None:
    assert unwrap(before + ipv6(UDP), link) == V6


def test_ipv4_options() -> None:
    assert unwrap(ipv4(UDP, options=b"\x94\x04\x00\x00" * 3)) == V4


def test_ipv6_extension_headers() -> None:
    hop, destination = b"\x3c\x00" + bytes(6), b"\x33\x01" + bytes(14)
    authentication = b"\x11\x04" + bytes(22)
    assert unwrap(ipv6(hop + destination + authentication + UDP, following=0)) == V6
    assert unwrap(ipv6(b"\x11\x00\x00\x00" + bytes(4) + UDP, following=44)) == V6  # an atomic fragment


def test_what_is_no_datagram_is_counted() -> None:
    unwrapper = Unwrapper()
    arp, tcp = ethernet(bytes(28), 0x0806), ethernet(ipv4(bytes(20), protocol=6))
    for data in (arp, tcp, ethernet(b""), b"", ethernet(ipv4(b"short")), ethernet(b"\x20" + bytes(30))):
        assert unwrapper.unwrap(Packet(0, 1, data, len(data))) is None
    assert unwrapper.other == 6
    assert unwrapper.unwrap(Packet(0, 105, b"a beacon", 8)) is None
    assert unwrapper.unknown_links == {105: 1}


def test_a_card_that_cuts_packets_up_later_leaves_no_length() -> None:
    packet = ipv4(UDP)
    assert unwrap(packet[:2] + b"\0\0" + packet[4:]) == V4


def test_what_was_not_kept_is_known_by_its_length() -> None:
    packet = ethernet(ipv4(UDP))
    found = unwrap(packet[:60], 1, len(packet))
    assert found is not None
    assert (found.payload, found.length) == (BODY[:18], len(BODY))


def pieces(version: int) -> list[bytes]:
    """A datagram of 40 octets in fragments of 16, 16 and 16."""
    whole = udp(bytes(range(40)))
    cut = [whole[at : at + 16] for at in (0, 16, 32)]
    if version == 4:
        return [ipv4(part, fragment=i * 2 | (0x2000 if i < 2 else 0)) for i, part in enumerate(cut)]
    heads = [struct.pack(">BBHI", 17, 0, i * 16 | (i < 2), 99) for i in range(3)]
    return [ipv6(head + part, following=44) for head, part in zip(heads, cut, strict=True)]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 1, 2, 0)])
def test_fragments_come_together(version: int, order: tuple[int, ...]) -> None:
    unwrapper = Unwrapper()
    *before, last = [unwrapper.unwrap(Packet(0, 101, pieces(version)[i], len(pieces(version)[i]))) for i in order]
    assert before == [None] * (len(order) - 1)
    assert last is not None
    assert (last.payload, last.length) == (bytes(range(40)), 40)
    unwrapper.finish()
    assert unwrapper.fragments_alone == 0


def test_fragments_that_stay_alone_are_counted_and_bounded() -> None:
    unwrapper = Unwrapper()
    for number in range(500):
        packet = ipv4(UDP[:16], fragment=0x2000, number=number)
        assert unwrapper.unwrap(Packet(0, 101, packet, len(packet))) is None
    assert unwrapper.fragments_alone == 500 - 64
    unwrapper.finish()
    assert unwrapper.fragments_alone == 500


@given(st.binary(max_size=120), st.sampled_from(sorted(LINKS)), st.integers(0, 2000))
def test_any_octets(data: bytes, link: int, missing: int) -> None:
    unwrapper = Unwrapper()
    found = unwrapper.unwrap(Packet(0, link, data, len(data) + missing))
    assert found is None or len(found.payload) <= min(found.length, len(data))
    unwrapper.finish()


@given(st.binary(max_size=60), st.integers(0, 255), st.integers(0, 0xFFFF))
def test_any_octets_in_ip(data: bytes, following: int, fragment: int) -> None:
    for packet in (ipv4(data, protocol=following, fragment=fragment), captures.ipv6(data, following=following)):
        found = unwrap(packet)
        assert found is None or len(found.payload) <= found.length
