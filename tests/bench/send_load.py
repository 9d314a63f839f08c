"""Paced RTP to 127.0.0.1 for the benchmarks: right numbers, 30 pictures a second, a marker on the last packet of each.

    send_load.py PORT --rate 100000 --seconds 2 [--burst 8] [--size 1200]

With --burst 8 the kernel is handed eight datagrams at once (UDP_SEGMENT), with --burst 1 each alone. At first it sends
slowly, so that nothing of the receiver is loaded or allocated for the first time under load. The last line of its
output is JSON: packets sent, those of the warm-up apart, and the seconds it took.
"""

from __future__ import annotations

import argparse
import json
import socket
import time

import numpy as np
from numpy.typing import NDArray

UDP_SEGMENT = 103
PICTURES = 30
CHUNK = 512
"""packets whose headers are made at once."""
PACED_TOGETHER = 8
"""packets between looks at the clock."""
WARM_UP_RATE, WARM_UP_SECONDS, PAUSE = 20_000.0, 0.3, 0.3
SINGLE_NAL = 0x61
"""H.264 header octet of a slice that is a NAL unit by itself."""


def headers(first: int, count: int, rate: float, begin: int, elapsed: float) -> NDArray[np.uint8]:
    """shape (count, 7): octets 1 to 7 of each RTP header: marker and payload type, number, timestamp. `begin` numbers
    and `elapsed` seconds lie before packet 0."""
    numbers = np.arange(first, first + count)
    picture = ((numbers / rate + elapsed) * PICTURES).astype(np.int64)
    last = (((numbers + 1) / rate + elapsed) * PICTURES).astype(np.int64) != picture
    rows = np.empty((count, 7), np.uint8)
    rows[:, 0] = 96 | last.astype(np.uint8) << 7
    rows[:, 1:3] = (numbers + begin & 0xFFFF).astype(">u2").view(np.uint8).reshape(count, 2)
    rows[:, 3:7] = (picture * 90_000 // PICTURES).astype(">u4").view(np.uint8).reshape(count, 4)
    return rows


class Load:
    """A socket, and how much went out of it."""

    def __init__(self, port: int, burst: int, size: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))
        if burst > 1:
            self._socket.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
        self._burst = burst
        self._packets = np.zeros((CHUNK // burst * burst, size), np.uint8)
        self._packets[:, 0] = 0x80
        self._packets[:, 8:12] = list(b"LOAD")
        self._packets[:, 12] = SINGLE_NAL
        self._views = [
            memoryview(self._packets[at : at + burst].data).cast("B") for at in range(0, len(self._packets), burst)
        ]
        self._began = time.perf_counter()
        self._sent = 0

    def send(self, rate: float, seconds: float) -> tuple[int, float]:
        """(packets sent, seconds it took)."""
        burst = self._burst
        total = int(rate * seconds) // burst * burst
        together = max(1, PACED_TOGETHER // burst)
        begin = time.perf_counter()
        for first in range(0, total, len(self._packets)):
            count = min(len(self._packets), total - first)
            self._packets[:count, 1:8] = headers(first, count, rate, self._sent, begin - self._began)
            for index in range(count // burst):
                if index % together == 0:
                    ahead = begin + (first + index * burst) / rate - time.perf_counter()
                    if ahead > 0:
                        time.sleep(ahead)
                self._socket.send(self._views[index])
        self._sent += total
        return total, time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--burst", type=int, default=8)
    parser.add_argument("--size", type=int, default=1200)
    options = parser.parse_args()
    load = Load(options.port, options.burst, options.size)
    warm, _ = load.send(min(options.rate, WARM_UP_RATE), WARM_UP_SECONDS)
    time.sleep(PAUSE)
    sent, took = load.send(options.rate, options.seconds)
    print(json.dumps({"sent": sent, "seconds": round(took, 4), "warm_up": warm}))


if __name__ == "__main__":
    main()
