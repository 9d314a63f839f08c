"""L16, G.711 (RFC 3551) and Opus (RFC 7587, RFC 6716 §3.1)."""

from __future__ import annotations

import ctypes
import ctypes.util

import pytest

from protocol.errors import Malformed, Truncated, Unsupported, UsageError
from protocol.payload import opus
from protocol.payload.opus import Opus
from protocol.payload.pcm import Pcm


def test_pcm_is_split_between_sample_frames() -> None:
    stereo = Pcm(4)
    data = bytes(range(100))
    payloads = stereo.packetize(data, 35)
    assert [len(payload) for payload in payloads] == [32, 32, 32, 4]
    assert b"".join(payloads) == data
    assert [stereo.duration(payload) for payload in payloads] == [8, 8, 8, 1]
    assert Pcm(1).packetize(data, 1200) == [data]
    assert Pcm(2).packetize(b"", 1200) == []


def test_pcm_keeps_whole_packets() -> None:
    mono = Pcm(2)
    assert mono.depacketize([b"abcd", None, b"odd", b"ef"]) == b"abcdef"
    with pytest.raises(Malformed):
        mono.depacketize([b"odd"])
    with pytest.raises(Truncated):
        mono.depacketize([None])
    with pytest.raises(Malformed):
        mono.packetize(b"odd", 1200)
    with pytest.raises(UsageError):
        mono.packetize(b"even", 1)


@pytest.mark.parametrize(
    ("toc", "milliseconds"),
    [(0, 10), (3, 60), (11, 60), (12, 10), (15, 20), (16, 2.5), (17, 5), (18, 10), (19, 20), (31, 20)],
)
def test_opus_frame_sizes_of_rfc_6716_table_2(toc: int, milliseconds: float) -> None:
    assert opus.packet_samples(bytes([toc << 3, 1])) == 48 * milliseconds


def test_opus_agrees_with_libopus_about_every_first_two_octets() -> None:
    name = ctypes.util.find_library("opus")
    if name is None:
        pytest.skip("libopus is not installed")
    libopus = ctypes.CDLL(name)
    for toc in range(256):
        for second in range(256) if toc & 3 == 3 else (1,):
            packet = bytes([toc, second, 0]) if toc & 3 == 1 else bytes([toc, second])
            expected = libopus.opus_packet_get_nb_samples(packet, len(packet), 48000)
            try:
                samples = opus.packet_samples(packet)
            except Malformed:
                samples = 0  # libopus: invalid (negative), or no frames at all
            assert samples == max(expected, 0), packet.hex()
            assert opus.channels(packet) == libopus.opus_packet_get_nb_channels(packet)


@pytest.mark.parametrize("packet", [b"", b"\x03", b"\x03\x00", b"\x01\x00", b"\x1b\x03"])
def test_opus_refuses_what_rfc_6716_calls_invalid(packet: bytes) -> None:
    with pytest.raises((Malformed, Truncated)):
        opus.packet_samples(packet)


def test_opus_packets_travel_whole() -> None:
    packet = bytes([15 << 3 | 4]) + bytes(79)
    assert Opus().packetize(packet, 1200) == [packet]
    assert Opus().depacketize([packet]) == packet
    assert Opus().duration(packet) == 960
    assert opus.channels(packet) == 2
    assert Opus().packetize(b"", 1200) == []
    with pytest.raises(Unsupported, match="lower the audio bitrate"):
        Opus().packetize(packet, 79)
    with pytest.raises(Truncated):
        Opus().depacketize([b""])
