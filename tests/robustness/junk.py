"""What nobody should send: datagrams of every bad kind at a steady rate, and a relay that sends things back."""

from __future__ import annotations

import random
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import peers

LOCAL = "127.0.0.1"
Make = Callable[[random.Random, int], list[bytes]]


def rtp(ssrc: int, sequence: int, timestamp: int, payload_type: int, payload: bytes) -> bytes:
    """RFC 3550 §5.1."""
    return struct.pack("!BBHII", 0x80, payload_type, sequence & 0xFFFF, timestamp & 0xFFFF_FFFF, ssrc) + payload


def random_bytes(r: random.Random, _: int) -> list[bytes]:
    return [r.randbytes(r.randrange(200))]


def truncated(r: random.Random, number: int) -> list[bytes]:
    return [rtp(1, number, number, 96, b"")[: r.randrange(13)]]


def oversized(r: random.Random, number: int) -> list[bytes]:
    return [r.randbytes(65507 if number % 100 == 0 else 9000)] if number % 10 == 0 else []


def random_sources(r: random.Random, _: int) -> list[bytes]:
    return [rtp(r.getrandbits(32), r.getrandbits(16), r.getrandbits(32), r.choice((96, 97)), r.randbytes(100))]


def pairs(r: random.Random, _: int) -> list[bytes]:
    """Random SSRCs, each with two consecutive packets: what RFC 3550 A.1 takes for a source."""
    ssrc, sequence, timestamp, kind = r.getrandbits(32), r.getrandbits(16), r.getrandbits(32), r.choice((96, 97))
    return [rtp(ssrc, sequence + i, timestamp, kind, r.randbytes(100)) for i in range(2)]


def steady(r: random.Random, number: int) -> list[bytes]:
    """One source that never ends, of video that no decoder takes: reserved NAL unit types (RFC 6184 §5.2)."""
    return [rtp(777, number, int(time.monotonic() * 90000), 96, b"\x1f" + r.randbytes(99))]


def control(r: random.Random, _: int) -> list[bytes]:
    head = struct.pack("!BBH", 0x80 | r.randrange(32), r.randrange(192, 224), r.randrange(30))
    return [head + r.randbytes(r.randrange(120))]


KINDS: tuple[Make, ...] = (random_bytes, truncated, oversized, random_sources, pairs, steady, control)


@contextmanager
def flood(port: int, rate: int, kinds: tuple[Make, ...] = KINDS) -> Iterator[list[int]]:
    """Sends about `rate` datagrams a second, of all kinds in turn, while inside; the list holds how many it were."""
    stop, sent = threading.Event(), [0]
    thread = threading.Thread(target=_send, args=(port, rate, kinds, stop, sent), daemon=True)
    thread.start()
    try:
        yield sent
    finally:
        stop.set()
        thread.join(5)


def _send(port: int, rate: int, kinds: tuple[Make, ...], stop: threading.Event, sent: list[int]) -> None:
    r, number, begin = random.Random(1), 0, time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        while not stop.is_set():
            for make in kinds:
                number += 1
                for datagram in make(r, number):
                    sock.sendto(datagram, (LOCAL, port))
                    sent[0] += 1
            time.sleep(max(0.0, begin + sent[0] / rate - time.monotonic()))


@contextmanager
def full_flood(port: int, folder: Path, seconds: float) -> Iterator[peers.Process]:
    """Sends datagrams of all kinds as fast as a process can, for so long at most, while inside."""
    command = [sys.executable, "-m", "tests.robustness.junk", port, seconds]
    with peers.Process(command, folder, "flood") as flooding:
        yield flooding


def main(port: int, seconds: float) -> None:
    """Prints how many datagrams it sent."""
    r, end, sent = random.Random(1), time.monotonic() + seconds, 0
    pool = [datagram for number in range(5000) for make in KINDS for datagram in make(r, number)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        while time.monotonic() < end:
            for datagram in pool:
                sock.sendto(datagram, (LOCAL, port))
            sent += len(pool)
    print(sent)


class Mirror:
    """A relay between a sender and a receiver. What the receiver says comes back to it too, and so does what the
    sender says; and every packet of media also reaches the receiver from another address."""

    def __init__(self, receiver_port: int) -> None:
        self._receiver = (LOCAL, receiver_port)
        self._front, self._echo = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self._front.bind((LOCAL, 0))
        self._front.settimeout(0.1)
        self.port: int = self._front.getsockname()[1]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Mirror:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(2)
        self._front.close()
        self._echo.close()

    def _run(self) -> None:
        sender: tuple[str, int] | None = None
        while not self._stop.is_set():
            try:
                data, source = self._front.recvfrom(65536)
            except (TimeoutError, ConnectionError):
                continue
            if source == self._receiver:
                self._front.sendto(data, self._receiver)
                if sender is not None:
                    self._front.sendto(data, sender)
            else:
                sender = source
                self._front.sendto(data, self._receiver)
                self._echo.sendto(data, self._receiver)
                self._front.sendto(data, sender)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
