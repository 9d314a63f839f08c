"""A receiver for receive.py: `receive_node.py session | account | bare PORT`; runs until SIGTERM, then prints JSON.

session   the whole ReceiverSession: account, jitter buffer, depacketizer, access units
account   transport, headers, numbering, ledger, delay and clock, payload into the jitter buffer
bare      a Python loop around recv_into, which only counts
"""

from __future__ import annotations

import gc
import json
import signal
import socket
import sys
import time

from protocol.rtp import parse_batch
from receiver.account.clock import SenderClock
from receiver.account.delay import Delay
from receiver.account.ledger import Ledger
from receiver.account.source import Segment, SourceTracker
from receiver.config import Latency, Listen
from receiver.jitter.buffer import JitterBuffer, Packets
from receiver.media import Format
from receiver.session import ReceiverSession, SessionConfig
from receiver.transport import open_transport

CLOCK_RATE = 90_000
BEHIND = 256
"""numbers the jitter buffer's cursor trails, as it does while it waits."""


class Stopped(Exception):
    """SIGTERM came."""


def bare(port: int) -> dict[str, object]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
    sock.bind(("127.0.0.1", port))
    buffer, count = bytearray(65_536), 0
    try:
        while True:
            sock.recv_into(buffer)
            count += 1
    except Stopped:
        return {"received": count}


def _packets(part: Segment) -> Packets:
    head = part.headers
    where = head.payload_offset, head.payload_length, part.buffer
    return Packets(part.extended, part.timestamps, head.marker, part.arrival_times, *where)


class NoFraming:
    """Frames are never asked for here."""

    def begins(self, _payload: bytes, /) -> bool:
        return True

    def duration(self, _payload: bytes, /) -> int | None:
        return None


def account(port: int) -> dict[str, object]:
    tracker, ledger = SourceTracker(CLOCK_RATE), Ledger()
    delay = Delay(CLOCK_RATE, SenderClock(CLOCK_RATE))
    buffer = JitterBuffer(NoFraming(), every_packet_is_a_frame=False)
    with open_transport(Listen("127.0.0.1", (port,))) as transport:
        try:
            while True:
                for batch in transport.receive(time.monotonic_ns() + 100_000_000):
                    headers = parse_batch(batch)
                    for part in tracker.track(headers, batch.arrival_times, batch.buffer):
                        delay.count(delay.observe(part.timestamps, part.arrival_times))
                        ledger.arrive(part.extended, part.arrival_times)
                        buffer.insert(_packets(part))
                        buffer.skip_to(buffer.highest - BEHIND)
                        ledger.decide(buffer.highest - BEHIND)
                ledger.close(time.monotonic_ns(), 4_000_000_000)
        except Stopped:
            counts = ledger.counts()
            return {"received": counts.arrived + counts.duplicates, "lost": counts.lost}


def session(port: int) -> dict[str, object]:
    now = time.monotonic_ns()
    receiver = ReceiverSession(SessionConfig({96: Format("H264", CLOCK_RATE)}, Latency()), now)
    with open_transport(Listen("127.0.0.1", (port,))) as transport:
        try:
            while True:
                batches = transport.receive(receiver.next_timeout())
                now = time.monotonic_ns()
                for batch in batches:
                    receiver.handle_datagrams(batch, now)
                receiver.handle_timeout(now)
                for transmission in receiver.poll().transmissions:
                    transport.send(transmission)
        except Stopped:
            streams = receiver.statistics().streams
            return {"received": sum(s.packets for s in streams), "lost": sum(s.ledger.lost for s in streams)}


def stop(*_: object) -> None:
    raise Stopped


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    gc.freeze()  # as the receiver does
    run = {"session": session, "account": account, "bare": bare}[sys.argv[1]]
    print(json.dumps(run(int(sys.argv[2]))), flush=True)
