"""RTP headers that the packetizer writes: RFC 3550 §5.1, RFC 3551 §4.1, RFC 6184 §5.1."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from protocol import rtp
from protocol.errors import ProtocolError
from sender.media import AccessUnit
from sender.transmit.packetizer import RtpPacketizer, max_payload
from sender.transmit.stream import StreamConfig

VIDEO = StreamConfig("video", "H264", 96, 90_000, 0x1234_5678, 33_333_333, 2_000_000)
OPUS = StreamConfig("audio", "opus", 97, 48_000, 0x8765_4321, 20_000_000, 64_000, channels=2)
L16 = StreamConfig("audio", "L16", 99, 48_000, 7, 20_000_000, 768_000)
IDR = b"\0\0\0\1\x65" + bytes(range(1, 201)) * 20


def packets(config: StreamConfig, *units: AccessUnit, seed: int = 1) -> list[rtp.RtpPacket]:
    packetizer = RtpPacketizer(config, Random(seed), max_payload(1200))
    return [rtp.parse(datagram) for unit in units for datagram in packetizer.packetize(unit)]


def opus(position: int) -> AccessUnit:
    return AccessUnit(b"\xf8\xff\xfe", position, 0)


def test_a_frame_is_consecutive_packets_of_one_timestamp_with_the_marker_on_the_last() -> None:
    found = packets(VIDEO, AccessUnit(IDR, 0, 0))
    assert len(found) == 4  # 4001 octets of NAL unit in FU-A of at most 1186
    assert len({p.timestamp for p in found}) == 1
    first = found[0].sequence_number
    assert [p.sequence_number for p in found] == list(range(first, first + 4))
    assert [p.marker for p in found] == [False, False, False, True]
    assert all(p.ssrc == 0x1234_5678 and p.payload_type == 96 for p in found)
    assert all(len(bytes(p)) <= 1200 for p in found)


def test_timestamps_advance_with_the_units_from_a_random_offset() -> None:
    one, two = packets(OPUS, opus(0), opus(960))
    assert (two.timestamp - one.timestamp) % (1 << 32) == 960
    assert {packets(OPUS, opus(0), seed=seed)[0].timestamp for seed in range(8)} != {0}


def test_the_beginning_is_random_and_far_from_the_wrap() -> None:
    starts = [packets(OPUS, opus(0), seed=seed)[0].sequence_number for seed in range(64)]
    assert len(set(starts)) > 32
    assert max(starts) < 1 << 15


def test_the_sequence_number_wraps() -> None:
    units = [opus(960 * n) for n in range(70_000)]
    numbers = [p.sequence_number for p in packets(OPUS, *units)]
    assert all((b - a) % (1 << 16) == 1 for a, b in itertools.pairwise(numbers))


def test_the_timestamp_wraps() -> None:
    found = packets(OPUS, opus(0), opus((1 << 32) + 960))
    assert (found[1].timestamp - found[0].timestamp) % (1 << 32) == 960


def test_the_marker_of_sound_stands_at_the_start_and_after_silence() -> None:
    found = packets(OPUS, opus(0), opus(960), opus(1920), opus(9600), opus(10_560))
    assert [p.marker for p in found] == [True, False, False, True, False]


def test_each_packet_of_split_sound_is_stamped_with_its_own_first_sample() -> None:
    found = packets(L16, AccessUnit(bytes(1920), 0, 0))  # 20 ms of 48 kHz mono do not fit one datagram
    assert len(found) > 1
    samples = 0
    for packet in found:
        assert (packet.timestamp - found[0].timestamp) % (1 << 32) == samples
        samples += len(packet.payload) // 2
    assert samples == 960


def test_nothing_comes_of_an_empty_unit() -> None:
    assert packets(OPUS, AccessUnit(b"", 0, 0)) == []


def test_what_the_format_cannot_carry_is_refused() -> None:
    with pytest.raises(ProtocolError):
        packets(StreamConfig("video", "JPEG", 26, 90_000, 1, 1, 1), AccessUnit(b"not a JPEG", 0, 0))
