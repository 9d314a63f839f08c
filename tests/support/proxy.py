"""The seeded network between real programs: a UDP proxy around `netem.Link`, in real time.

    python -m tests.support.proxy --map 6004:5004 --map 6005:5005 --loss-burst 3% 3 --jitter 20ms --seed 1

What comes to the first port of a --map goes on to the second; answers take the same way back, to whoever sent last.
A third port of a --map is where what goes on comes from, for programs that must know it beforehand. All pairs of one
direction share one link; moments of both count from the first datagram of either. On SIGTERM or SIGINT (or after
--duration) it writes the log, one JSON line a datagram, and prints a summary of one JSON line.
"""

from __future__ import annotations

import argparse
import json
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

from tests.support import truth
from tests.support.clock import MILLISECOND
from tests.support.netem import Conditions, Fate, GilbertElliott, Link, rtp_only

_BUFFER = 4 << 20
_SPIN = 100_000
"""ns before a delivery at which the proxy stops sleeping: a sleep ends some 60 µs late."""


@dataclass
class PortPair:
    """A port, and the one behind it."""

    front: socket.socket
    """programs send here."""
    rear: socket.socket
    """connected to where it goes on."""
    client: tuple[str, int] | None = None
    """who sent last: answers go there."""


@dataclass
class Proxy:
    """Forwards datagrams between port pairs until `stop`."""

    pairs: Sequence[PortPair]
    forward: Link
    back: Link
    refused: int = 0
    """datagrams that nobody listened for, or that did not fit into a socket."""
    _stopping: bool = False
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def stop(self) -> None:
        """Ends `run`; safe in a signal handler."""
        self._stopping = True

    def run(self, until: int | None = None) -> None:
        """Until `stop`, or the monotonic moment `until` (ns)."""
        for at, pair in enumerate(self.pairs):
            self._selector.register(pair.front, selectors.EVENT_READ, (self._from_front, at))
            self._selector.register(pair.rear, selectors.EVENT_READ, (self._from_rear, at))
        while not self._stopping and (until is None or time.monotonic_ns() < until):
            for key, _ in self._selector.select(self._wait()):
                receive, at = key.data
                receive(at)
            self._deliver()

    def close(self) -> None:
        """Closes all sockets."""
        self._selector.close()
        for pair in self.pairs:
            pair.front.close()
            pair.rear.close()

    def _wait(self) -> float:
        """Seconds to sleep: a little less than to the next delivery, and never long (a signal only sets a flag)."""
        moments = [moment for link in (self.forward, self.back) if (moment := link.next_time()) is not None]
        if not moments:
            return 0.1
        return min(0.1, max(0, min(moments) - time.monotonic_ns() - _SPIN) * 1e-9)

    def _from_front(self, at: int) -> None:
        for data, address in _drain(self.pairs[at].front):
            self.pairs[at].client = address
            self._hand(self.forward, data, at)

    def _from_rear(self, at: int) -> None:
        for data, _ in _drain(self.pairs[at].rear):
            self._hand(self.back, data, at)

    def _hand(self, link: Link, data: bytes, at: int) -> None:
        now = time.monotonic_ns()
        for each in (self.forward, self.back):
            each.begin(now)
        link.send(data, now, at)

    def _deliver(self) -> None:
        now = time.monotonic_ns()
        for _, data, at in self.forward.arrivals(now):
            self._send(self.pairs[at].rear, data)
        for _, data, at in self.back.arrivals(now):
            pair = self.pairs[at]
            if pair.client is None:
                self.refused += 1  # an answer before anybody asked
            else:
                self._send(pair.front, data, pair.client)

    def _send(self, sock: socket.socket, data: bytes, to: tuple[str, int] | None = None) -> None:
        try:
            if to is None:
                sock.send(data)
            else:
                sock.sendto(data, to)
        except (ConnectionRefusedError, BlockingIOError):
            self.refused += 1


def _drain(sock: socket.socket) -> Iterator[tuple[bytes, tuple[str, int]]]:
    """What waits in a socket; a refusal reported by an earlier send is no datagram."""
    while True:
        try:
            yield sock.recvfrom(65535)
        except ConnectionRefusedError:
            continue
        except BlockingIOError:
            return


def open_pair(listen: int, target: int, origin: int = 0, host: str = "127.0.0.1") -> PortPair:
    """Binds `listen` on loopback and connects to `target` there, from port `origin` (0: any)."""
    front, rear = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    for sock in (front, rear):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        sock.setblocking(False)
    front.bind((host, listen))
    rear.bind((host, origin))
    rear.connect((host, target))
    return PortPair(front, rear)


def summary(proxy: Proxy) -> dict[str, object]:
    """What happened, for a program to read: fates in both directions and the truth about each RTP stream."""
    streams = truth.of_streams(proxy.forward.log)
    return {
        "forward": dict(proxy.forward.counts),
        "back": dict(proxy.back.counts),
        "refused": proxy.refused,
        "streams": [{**asdict(stream), "lost": stream.lost} for stream in streams.values()],
    }


def log_line(fate: Fate, direction: str) -> str:
    """One datagram as JSON; `sequence` and `ssrc` only of RTP."""
    line = {"direction": direction, **asdict(fate), "head": fate.head.hex()}
    if rtp_only(fate.head):
        line |= {"sequence": int.from_bytes(fate.head[2:4]), "ssrc": int.from_bytes(fate.head[8:12])}
    return json.dumps(line)


def write_log(proxy: Proxy, path: Path) -> None:
    """All datagrams, forward ones first, each direction in the order of sending."""
    with path.open("w") as file:
        for direction, link in (("forward", proxy.forward), ("back", proxy.back)):
            file.writelines(log_line(fate, direction) + "\n" for fate in link.log)


def share(text: str) -> float:
    """0.03 or 3% as a fraction."""
    value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share: write 0.03 or 3%")
    return value


def milliseconds(text: str) -> int:
    """20ms, or 20, in ns."""
    return round(float(text.removesuffix("ms")) * MILLISECOND)


def ports(text: str) -> tuple[int, ...]:
    """LISTEN:TARGET or LISTEN:TARGET:ORIGIN."""
    numbers = tuple(map(int, text.split(":")))
    if len(numbers) not in (2, 3):
        raise argparse.ArgumentTypeError(f"{text!r} is no LISTEN:TARGET")
    return numbers


def parser() -> argparse.ArgumentParser:
    """The options; impairments go forward unless said otherwise, `--back` repeats them on the way back."""
    options = argparse.ArgumentParser(prog="python -m tests.support.proxy", description="A seeded bad network.")
    add = options.add_argument
    where = "ports on 127.0.0.1"
    add("--map", type=ports, action="append", required=True, metavar="LISTEN:TARGET[:ORIGIN]", help=where)
    add("--seed", type=int, default=1)
    add("--loss", type=share, default=0.0, metavar="SHARE", help="random loss, as 3%% or 0.03")
    add("--loss-burst", nargs=2, metavar=("SHARE", "PACKETS"), help="loss in bursts of that many packets on average")
    add("--delay", type=milliseconds, default=0, metavar="MS")
    add("--jitter", type=milliseconds, default=0, metavar="MS", help="standard deviation")
    add("--no-reordering", action="store_true", help="jitter never lets a datagram overtake another")
    add("--duplication", type=share, default=0.0, metavar="SHARE")
    add("--corruption", type=share, default=0.0, metavar="SHARE", help="one bit is flipped")
    add("--rate", type=float, metavar="BIT/S", help="bottleneck")
    add("--trace", type=Path, metavar="FILE", help="mahimahi delivery trace")
    add("--queue", type=milliseconds, metavar="MS", help="the bottleneck's queue")
    add("--blackout", nargs=2, type=milliseconds, action="append", default=[], metavar=("FROM", "TO"), help="in ms")
    add("--back", choices=("same", "delay", "clean"), default="same", help="the way back: the same (default), …")
    add("--duration", type=float, metavar="S")
    add("--log", type=Path, metavar="FILE", help="one JSON line a datagram")
    return options


def conditions(options: argparse.Namespace) -> Conditions:
    """The forward conditions asked for."""
    bursts = None
    if options.loss_burst:
        bursts = GilbertElliott.of(share(options.loss_burst[0]), float(options.loss_burst[1]))
    trace = tuple(int(line) for line in options.trace.read_text().split()) if options.trace else None
    return Conditions(
        delay=options.delay, jitter=options.jitter, reordering=not options.no_reordering, loss=options.loss,
        bursts=bursts, duplication=options.duplication, corruption=options.corruption, rate=options.rate,
        trace=trace, queue_time=options.queue, blackouts=tuple(map(tuple, options.blackout)),
    )  # fmt: skip


def way_back(there: Conditions, how: str) -> Conditions:
    """The return path's conditions: same, delay (alone) or clean."""
    if how == "same":
        return there
    return Conditions(delay=there.delay if how == "delay" else 0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until a signal."""
    options = parser().parse_args(arguments)
    there = conditions(options)
    proxy = Proxy(
        [open_pair(*pair) for pair in options.map],
        Link(there, options.seed),
        Link(way_back(there, options.back), options.seed + 1),
    )

    def stop(_signal: int, _frame: FrameType | None) -> None:
        proxy.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print("ready", flush=True)
    proxy.run(None if options.duration is None else time.monotonic_ns() + round(options.duration * 1e9))
    proxy.close()
    if options.log is not None:
        write_log(proxy, options.log)
    print(json.dumps(summary(proxy)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
