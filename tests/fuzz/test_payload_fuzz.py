"""Any bytes give a value or a ProtocolError, and any frame comes back from its packets."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import ProtocolError
from protocol.payload import h264, opus, registry
from protocol.payload.h264 import nal_units, to_annexb
from tests.protocol.payload.streams import jpeg, pictures

FORMATS = [("H264", 90000, 1), ("VP8", 90000, 1), ("JPEG", 90000, 1), ("opus", 48000, 2), ("L16", 48000, 2)]

# Headers that random bytes would seldom hit.
HEADS = [
    b"", b"\x18\0\5", b"\x7c\x85", b"\x7c\x45", b"\x7c\x05", b"\x90\x80\x11", b"\x80\xf0\x92\x34\1\2",
    bytes([0, 0, 0, 0, 65, 50, 4, 4, 0, 2, 0xC0, 0]), bytes([0, 0, 0, 9, 65, 50, 4, 4, 0, 2, 0xC0, 1]),
    bytes([0, 0, 0, 0, 65, 50, 4, 4, 0, 1, 0xFF, 0xFF]), bytes([0, 0, 0, 0, 1, 200, 4, 4, 0, 0, 0, 0]),
    bytes([0, 0, 0, 0, 0, 255, 4, 4, 0, 3, 1, 0]), b"\x0b", b"\xff\xd8\xff\xdb\0\x43\0", b"\0\0\0\1\x06\x05",
]  # fmt: skip
payloads = st.builds(bytes.__add__, st.sampled_from(HEADS), st.binary(max_size=300))
frames = st.lists(st.none() | payloads, max_size=6)


@pytest.mark.parametrize("layout", FORMATS)
@given(frames=st.lists(frames, min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_any_payloads(layout: tuple[str, int, int], frames: list[list[bytes | None]]) -> None:
    depacketizer = registry.depacketizer(*layout, {})
    for frame in frames:
        for payload in frame:
            if payload is not None:
                with suppress(ProtocolError):
                    assert depacketizer.begins(payload) in (True, False)
                with suppress(ProtocolError):
                    depacketizer.begins(memoryview(payload))
                with suppress(ProtocolError):
                    depacketizer.duration(memoryview(payload))
                assert depacketizer.key_frame(payload) in (True, False)
        with suppress(ProtocolError):
            data = depacketizer.depacketize(frame)
            assert data
            depacketizer.key_frame(data)


@pytest.mark.parametrize("layout", FORMATS)
@given(data=payloads)
@settings(max_examples=100, deadline=None)
def test_any_frame(layout: tuple[str, int, int], data: bytes) -> None:
    with suppress(ProtocolError):
        packets = registry.packetizer(*layout, {}).packetize(data, 100)
        assert all(0 < len(packet) <= 100 for packet in packets)


@given(data=payloads)
def test_opus_packets(data: bytes) -> None:
    with suppress(ProtocolError):
        assert 0 < opus.packet_samples(data) <= 5760


@given(text=st.text(max_size=50))
def test_any_parameter_sets(text: str) -> None:
    with suppress(ProtocolError):
        h264.parse_parameter_sets(text)


units = st.lists(
    st.builds(lambda kind, body: bytes([0x60 | kind]) + body + b"\x80", st.integers(1, 8), st.binary(max_size=400)),
    min_size=1,
    max_size=12,
).filter(lambda units: not any(b"\0\0\1" in unit or b"\0\0\0" in unit for unit in units))


@given(units=units, room=st.integers(10, 500), start_code=st.sampled_from([b"\0\0\1", b"\0\0\0\1"]))
def test_h264_comes_back(units: list[bytes], room: int, start_code: bytes) -> None:
    stream = b"".join(start_code + unit for unit in units)
    assert nal_units(stream) == units
    packets = registry.packetizer("H264", 90000, 1, {}).packetize(stream, room)
    assert all(0 < len(packet) <= room for packet in packets)
    assert registry.depacketizer("H264", 90000, 1, {}).depacketize(packets) == to_annexb(units)


@given(units=units, room=st.integers(10, 500), data=st.data())
def test_h264_with_holes_invents_nothing(units: list[bytes], room: int, data: st.DataObject) -> None:
    packets = registry.packetizer("H264", 90000, 1, {}).packetize(to_annexb(units), room)
    here = data.draw(st.lists(st.booleans(), min_size=len(packets), max_size=len(packets)))
    kept = [packet if there else None for packet, there in zip(packets, here, strict=True)]
    with suppress(ProtocolError):
        remaining = iter(units)
        for unit in nal_units(registry.depacketizer("H264", 90000, 1, {}).depacketize(kept)):
            assert unit in remaining  # in order: `in` consumes the iterator


@given(frame=st.binary(min_size=1, max_size=3000), room=st.integers(5, 1200))
def test_vp8_comes_back(frame: bytes, room: int) -> None:
    packets = registry.packetizer("VP8", 90000, 1, {}).packetize(frame, room)
    assert all(len(packet) <= room for packet in packets)
    assert registry.depacketizer("VP8", 90000, 1, {}).depacketize(packets) == frame


@given(data=st.data(), restart_interval=st.sampled_from([0, 1, 4, 20]))
@settings(max_examples=100, deadline=None)
def test_jpeg_files_with_damage(data: st.DataObject, restart_interval: int) -> None:
    file = bytearray(jpeg(pictures(1, 64, 48)[0], 60, restart_interval))
    for _ in range(data.draw(st.integers(0, 4))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ProtocolError):
        packets = registry.packetizer("JPEG", 90000, 1, {}).packetize(bytes(file), 400)
        here = data.draw(st.lists(st.booleans(), min_size=len(packets), max_size=len(packets)))
        kept = [packet if there else None for packet, there in zip(packets, here, strict=True)]
        registry.depacketizer("JPEG", 90000, 1, {}).depacketize(kept)
