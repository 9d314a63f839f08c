"""VP8 (RFC 7741)."""

from __future__ import annotations

import pytest

from protocol.errors import Malformed, Truncated, UsageError
from protocol.payload import vp8
from protocol.payload.vp8 import Depacketizer, Packetizer, parse_descriptor
from tests.protocol.payload.streams import decode, encode, pictures, same


def test_descriptor_with_every_field() -> None:
    # §4.2: X N S PID 3; I L T K; M and 15 bits; TL0PICIDX; TID 2, Y, KEYIDX 9.
    descriptor = parse_descriptor(bytes([0b1011_0011, 0b1111_0000, 0x92, 0x34, 0x56, 0b1010_1001]) + b"data")
    assert descriptor.size == 6
    assert descriptor.start_of_partition
    assert descriptor.partition == 3
    assert descriptor.non_reference
    assert (descriptor.picture_id, descriptor.picture_id_bits) == (0x1234, 15)
    assert descriptor.tl0_picture_index == 0x56
    assert (descriptor.temporal_layer, descriptor.layer_sync, descriptor.key_index) == (2, True, 9)
    assert not descriptor.begins_frame


@pytest.mark.parametrize(
    ("head", "size", "picture_id"),
    [
        ("10", 1, None),  # §4.6.1-like: no extension
        ("908011", 3, 0x11),  # 7-bit picture ID
        ("90809234", 4, 0x1234),
        ("904007", 3, None),  # TL0PICIDX alone
        ("9010ff", 3, None),  # KEYIDX alone: TID and Y mean nothing
    ],
)
def test_descriptor_sizes(head: str, size: int, picture_id: int | None) -> None:
    descriptor = parse_descriptor(bytes.fromhex(head) + b"d")
    assert (descriptor.size, descriptor.picture_id) == (size, picture_id)
    assert descriptor.begins_frame
    assert descriptor.temporal_layer is None
    for cut in range(size + 1):
        with pytest.raises(Truncated):
            parse_descriptor((bytes.fromhex(head) + b"d")[:cut])


def test_packets_of_a_frame() -> None:
    packetizer = Packetizer(picture_id=0x7FFF)
    first = packetizer.packetize(bytes(100), 54)
    assert [payload[:4].hex() for payload in first] == ["9080ffff", "8080ffff"]
    assert [len(payload) for payload in first] == [54, 54]
    assert packetizer.packetize(b"x", 54) == [bytes.fromhex("90808000") + b"x"]  # wrapped, 15 bits all the same
    assert packetizer.packetize(b"", 54) == []
    assert [Depacketizer().begins(payload) for payload in first] == [True, False]
    with pytest.raises(UsageError):
        packetizer.packetize(b"x", 4)


def test_a_frame_with_a_hole_is_refused() -> None:
    payloads: list[bytes | None] = list(Packetizer().packetize(bytes(100), 40))
    for missing in range(len(payloads)):
        with pytest.raises(Truncated):
            Depacketizer().depacketize([None if i == missing else p for i, p in enumerate(payloads)])
    with pytest.raises(Truncated, match="beginning"):
        Depacketizer().depacketize(payloads[1:])
    other = Packetizer(picture_id=9).packetize(bytes(100), 40)
    with pytest.raises(Malformed):
        Depacketizer().depacketize([payloads[0], *other[1:]])


def test_libvpx_frames_decode_the_same() -> None:
    units = encode("libvpx", pictures(12), {"deadline": "realtime", "cpu-used": "8", "g": "6", "lag-in-frames": "0"})
    packetizer, depacketizer = Packetizer(), Depacketizer()
    out = []
    for unit in units:
        payloads = packetizer.packetize(unit, 1188)
        assert all(len(payload) <= 1188 for payload in payloads)
        out.append(depacketizer.depacketize(payloads))
    assert out == units
    assert same(decode("vp8", out), decode("vp8", units))
    assert [number for number, unit in enumerate(out) if vp8.key_frame(unit)] == [0, 6]
