"""Packets a second sent, beside a bare `sendto` loop in the same run (`make bench`).

Nobody reads the receiving socket: the kernel takes each datagram as far as its queue and drops the rest, for all alike.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from random import Random

import pytest

from protocol.datagram import Transmission
from sender.config import SenderConfig, Target
from sender.media import AccessUnit
from sender.session import SenderSession, StreamConfig
from sender.transport import Transport

PAYLOAD = 1200
SECONDS = 0.5
ROUNDS = 4
FRAME = b"\0\0\0\1\x41" + b"\x55" * 70_000  # 60 packets of about 1180 octets

pytestmark = pytest.mark.bench


@pytest.fixture
def target() -> Iterator[Target]:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as opened:
        opened.bind(("127.0.0.1", 0))
        yield Target("127.0.0.1", opened.getsockname()[1])


def bare(opened: socket.socket, target: Target) -> Callable[[], int]:
    """One `sendto` a packet, nothing else."""
    data, address = bytes(PAYLOAD), (target.host, target.port)

    def send() -> int:
        for _ in range(64):
            opened.sendto(data, address)
        return 64

    return send


def transport_alone(transport: Transport) -> Callable[[], int]:
    """Ready datagrams through the transport, 64 at a time."""
    transmission = Transmission([bytes(PAYLOAD)] * 64, transport.targets[0].rtp("video"))

    def send() -> int:
        transport.send(transmission)
        return 64

    return send


def whole_path(transport: Transport) -> Callable[[], int]:
    """Frames through packetizer, pacer, session and transport."""
    path = transport.targets[0].rtp("video")
    config = StreamConfig("video", "H264", 96, 90_000, 1, 33_333_333, 20_000_000, rtp_path=path, rtcp_path=path)
    now = time.monotonic_ns()
    session = SenderSession((config,), cname="bench", now=now, wall=time.time_ns(), random=Random(1))
    ticks = iter(range(0, 1 << 40, 3000))

    def send() -> int:
        now = time.monotonic_ns()
        session.send(0, AccessUnit(FRAME, next(ticks), now, False), now)
        sent = 0
        for transmission in session.poll(now + 33_333_333).transmissions:  # the whole frame is due by then
            transport.send(transmission)
            sent += len(transmission.datagrams)
        return sent

    return send


def rate(send: Callable[[], int]) -> float:
    """Packets a second."""
    start, packets = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < SECONDS:
        packets += send()
    return packets / elapsed


def test_packets_per_second(target: Target) -> None:
    with (
        closing(Transport(SenderConfig((target,)))) as transport,
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as opened,
    ):
        ways = {
            "bare sendto": bare(opened, target),
            "transport": transport_alone(transport),
            "whole path": whole_path(transport),
        }
        # In turn, several times: what else the machine does hits all alike. The best round counts.
        best = dict.fromkeys(ways, 0.0)
        for _ in range(ROUNDS):
            for name, send in ways.items():
                best[name] = max(best[name], rate(send))
    for name, packets in best.items():
        print(f"\n{name:12} {packets:10,.0f} packets/s  {packets / best['bare sendto']:5.2f} x bare sendto", end="")
    print()
