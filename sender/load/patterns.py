"""What a load looks like: when its units are due and how large they are. Rates are of UDP payload, as iperf3 counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from protocol.payload.load import HEADER_SIZE
from protocol.rtp import HEADER_SIZE as RTP_HEADER_SIZE

SECOND = 1_000_000_000
TICK = 500_000
"""ns between units at least: of a higher rate several packets leave together, so that pacing costs no core."""
OVERHEAD = RTP_HEADER_SIZE + HEADER_SIZE
"""octets of UDP payload that are not filler."""
IP_AND_UDP = 28
"""octets of IPv4 and UDP header."""
CALL_PACKET = 172
"""octets of UDP payload: 20 ms of G.711."""
CALL_PACKETS = 50
"""packets a second of one call."""
GROUP = 60
"""pictures from one key frame to the next."""
KEY_FRAME = 6.0
"""times as large as the others."""
SPREAD = 0.25
"""standard deviation of the logarithm of a picture's size."""

Pattern = Literal["cbr", "video", "voip"]


@dataclass(frozen=True, slots=True)
class Due:
    """One unit."""

    at: int
    """ns since the load began."""
    filler: int
    """octets in all its packets together."""
    packets: int
    key_frame: bool = True


def even(rate: int, packet_size: int, start: int = 0) -> Iterator[Due]:
    """Packets of one size, evenly spaced: `rate` in bit/s of UDP payload, from `start` (ns) on, without end."""
    interval = 8 * SECOND * packet_size
    together = max(1, round(TICK * rate / interval))
    number = 0
    while True:
        at = start + number * together * interval // rate
        yield Due(at, together * (packet_size - OVERHEAD), together)
        number += 1


def calls(rate: int, packet_size: int = CALL_PACKET) -> tuple[int, Iterator[Due]]:
    """As many telephone calls as `rate` pays for, at least one, and their packets: each call sends one each 20 ms,
    and they take turns."""
    one = 8 * packet_size * CALL_PACKETS
    number = max(1, round(rate / one))
    return number, even(number * one, packet_size)


def pictures(rate: int, packet_size: int, frames_a_second: float, random: Random) -> Iterator[Due]:
    """Pictures of an encoder that holds `rate` over each group: a large key frame, then predicted ones that vary."""
    interval = SECOND / frames_a_second
    group = 0
    while True:
        sizes = [random.lognormvariate(0, SPREAD) * (1 if index else KEY_FRAME) for index in range(GROUP)]
        octets = rate * GROUP / frames_a_second / 8 / sum(sizes)
        for index, size in enumerate(sizes):
            payload = max(OVERHEAD + 1, round(size * octets))
            packets = -(-payload // packet_size)
            filler = max(1, payload - packets * OVERHEAD)
            yield Due(round((group * GROUP + index) * interval), filler, packets, index == 0)
        group += 1


def on_the_wire(rate: float, packet_size: int) -> float:
    """bit/s with IPv4 and UDP headers, of packets of this UDP payload."""
    return rate * (packet_size + IP_AND_UDP) / packet_size
