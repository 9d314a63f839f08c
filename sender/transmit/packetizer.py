"""Access units into RTP packets: sequence numbers, timestamps, markers (RFC 3550 §5.1)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from random import Random

from protocol.payload import registry
from protocol.rtp import HEADER_SIZE
from sender.media import AccessUnit
from sender.transmit.stream import StreamConfig

_HEADER = struct.Struct("!BBHII")
_SECOND = 1_000_000_000


class RtpPacketizer:
    """Numbers the packets of one SSRC.

    Both beginnings are random (RFC 3550 §5.1). The first number lies in the lower half, so that a receiver that misses
    the first packets cannot mistake its cycle (RFC 3711 §3.3.1).
    """

    def __init__(self, config: StreamConfig, random: Random, max_payload: int) -> None:
        """`max_payload`: bytes of RTP payload that fit in a datagram."""
        layout = (config.encoding, config.clock_rate, config.channels, config.parameters)
        self._payloads = registry.packetizer(*layout)
        self._durations = registry.depacketizer(*layout)
        self._config = config
        self.max_payload = max_payload
        self.first_sequence = random.randrange(1 << 15)
        self.timestamp_offset = random.getrandbits(32)
        self.next_sequence = self.first_sequence
        """extended: not wrapped."""
        self._silence = 3 * config.frame_interval * config.clock_rate // (2 * _SECOND)
        self._last_timestamp: int | None = None

    def packetize(self, unit: AccessUnit) -> list[bytes]:
        """The datagrams of one unit; none for an empty one. Raises ProtocolError when the format cannot carry it."""
        payloads = self._payloads.packetize(unit.data, self.max_payload)
        if not payloads:
            return []
        if self._config.media != "audio":
            markers = [False] * (len(payloads) - 1) + [True]
            timestamps = [unit.timestamp] * len(payloads)
        else:
            markers = [self._begins_talk(unit.timestamp)] + [False] * (len(payloads) - 1)
            timestamps = self._sound_timestamps(unit.timestamp, payloads)
        self._last_timestamp = timestamps[-1]
        return [
            self._header(marker, timestamp) + payload
            for marker, timestamp, payload in zip(markers, timestamps, payloads, strict=True)
        ]

    def _begins_talk(self, timestamp: int) -> bool:
        """The first packet, or the first after a silence that was not sent (RFC 3551 §4.1)."""
        return self._last_timestamp is None or timestamp - self._last_timestamp > self._silence

    def _sound_timestamps(self, timestamp: int, payloads: Sequence[bytes]) -> list[int]:
        """Each packet of sound is stamped with its own first sample."""
        timestamps = [timestamp]
        for payload in payloads[:-1]:
            timestamps.append(timestamps[-1] + (self._durations.duration(payload) or 0))
        return timestamps

    def _header(self, marker: bool, timestamp: int) -> bytes:
        sequence = self.next_sequence
        self.next_sequence += 1
        return _HEADER.pack(
            0x80,
            marker << 7 | self._config.payload_type,
            sequence & 0xFFFF,
            (timestamp + self.timestamp_offset) & 0xFFFF_FFFF,
            self._config.ssrc,
        )


def max_payload(max_datagram: int) -> int:
    """Bytes of RTP payload in a datagram of `max_datagram` bytes."""
    return max_datagram - HEADER_SIZE
