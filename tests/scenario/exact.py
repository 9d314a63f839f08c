"""One RTP stream through a random network into a receiver's session, with the network's own log as NumPy arrays: fast
enough for 200,000 packets. What the ledger says of every single number stands beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from protocol.datagram import Batch
from protocol.ntp import ntp_from_unix
from protocol.rtcp import compound
from protocol.rtcp.range import SenderRange
from protocol.rtcp.sr import SenderReport
from protocol.rtp import parse_batch
from receiver import stream
from receiver.account.intervals import Interval
from receiver.account.ledger import Ledger, LedgerCounts
from receiver.account.runs import FateObserver
from receiver.account.source import SourceTracker
from receiver.config import Latency
from receiver.media import Format
from receiver.session import ReceiverSession, SessionConfig

SECOND = 1_000_000_000
MS = 1_000_000
WALL = 1_790_000_000 * SECOND
SSRC = 0x5EED
CLOCK_RATE = 90_000
PAYLOAD = 20
MISORDERED = 300
"""RFC 3550 A.1 knows a stream by two consecutive numbers: in worse disorder they are not among the first 64 packets."""


@dataclass(frozen=True)
class Network:
    """A sender and what lies behind it."""

    packets: int
    seconds: float
    first: int
    """16-bit number of the first packet."""
    loss: float
    burst: float
    """mean length of a run of lost packets."""
    copies: float
    jitter: int
    """ns, standard deviation; less where packets would overtake more than MISORDERED others."""
    head: int
    """packets lost at the beginning."""
    tail: int
    frame: int
    """packets that share a timestamp and leave at once."""
    seed: int


@dataclass(frozen=True)
class Log:
    """The truth; index i is the packet with number first + i."""

    send_times: NDArray[np.int64]
    lost: NDArray[np.bool_]
    rows: NDArray[np.int64]
    """packet of each arrival, in the order of arrival."""
    times: NDArray[np.int64]
    """ns of each arrival."""

    @property
    def first_copies(self) -> NDArray[np.int64]:
        """Each packet that arrived, in the order of its first arrival."""
        return self.rows[np.sort(np.unique(self.rows, return_index=True)[1])]

    @property
    def reordered(self) -> int:
        """RFC 4737 §3.3: a first copy that comes after one with a higher number."""
        rows = self.first_copies
        return int(np.count_nonzero(rows < np.maximum.accumulate(rows))) if len(rows) else 0


def run(network: Network) -> Log:
    """Sends everything; the order of what arrives at one moment is that of sending."""
    random = np.random.default_rng(network.seed)
    n = network.packets
    send_times = np.arange(n) // network.frame * network.frame * round(network.seconds * SECOND / n) + SECOND
    lost = _in_runs(random, n, network.loss, network.burst)
    lost[: network.head] = True
    lost[n - network.tail :] = True
    came = np.flatnonzero(~lost)
    rows = np.concatenate((came, came[random.random(len(came)) < network.copies]))
    jitter = min(network.jitter, round(MISORDERED * network.seconds * SECOND / n / 6))
    delays = np.clip(random.normal(0, 1, len(rows)), -3, 3) * jitter
    times = send_times[rows] + 3 * jitter + 5 * MS + delays.astype(np.int64)
    order = np.lexsort((rows, times))
    return Log(send_times, lost, rows[order], times[order])


def _in_runs(random: np.random.Generator, n: int, loss: float, burst: float) -> NDArray[np.bool_]:
    """Runs of lost and of other packets in turn, both of random length."""
    if not loss:
        return np.zeros(n, bool)
    lengths = np.empty(2 * n, np.int64)
    lengths[::2] = random.geometric(min(1.0, loss / (1 - loss) / burst), n)
    lengths[1::2] = random.geometric(1 / burst, n)
    ends = np.cumsum(lengths)
    return np.searchsorted(ends, np.arange(n), side="right") % 2 == 1


class Witness:
    """Sees the fate of every number as it closes."""

    ledger: Ledger

    def __init__(self) -> None:
        self.pieces: list[NDArray[np.bool_]] = [np.zeros(0, bool)]

    def good(self, n: int, /) -> None:
        self.pieces.append(np.zeros(n, bool))

    def bad(self, n: int, /) -> None:
        self.pieces.append(np.ones(n, bool))

    def observe(self, flags: NDArray[np.bool_], /) -> None:
        self.pieces.append(flags.copy())

    @property
    def lost(self) -> NDArray[np.bool_]:
        return np.concatenate(self.pieces)


class Witnesses:
    """One for each ledger that a session opens, in order; use it as a context."""

    def __init__(self) -> None:
        self.all: list[Witness] = []
        self._patch = pytest.MonkeyPatch()

    def _open(self, observers: Sequence[FateObserver] = (), loss_observers: Sequence[FateObserver] = ()) -> Ledger:
        witness = Witness()
        self.all.append(witness)
        witness.ledger = Ledger(observers, (*loss_observers, witness))
        return witness.ledger

    def __enter__(self) -> Witnesses:
        self._patch.setattr(stream, "Ledger", self._open)
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()


def datagrams(network: Network, log: Log, every: int, since: int) -> Iterator[tuple[int, Batch]]:
    """(moment of reading, what had come by then), as a receiver that reads every so many ns gets it."""
    size = 12 + PAYLOAD
    rows, times = log.rows[log.times >= since], log.times[log.times >= since]
    packets = np.zeros((len(rows), size), np.uint8)
    numbers = (network.first + rows).astype(">u2")
    stamps = (log.send_times[rows] * CLOCK_RATE // SECOND + 0xFFFF_F000).astype(np.uint32).astype(">u4")
    packets[:, 0], packets[:, 1], packets[:, 12] = 0x80, 96, 0x41
    packets[:, 2:4] = numbers.view(np.uint8).reshape(-1, 2)
    packets[:, 4:8] = stamps.view(np.uint8).reshape(-1, 4)
    packets[:, 8:12] = np.frombuffer(SSRC.to_bytes(4, "big"), np.uint8)
    wakes = times // every
    edges = np.flatnonzero(np.diff(wakes, prepend=-1, append=-1)).tolist()
    for start, stop in pairwise(edges):
        offsets = np.arange(stop - start) * size
        lengths = np.full(stop - start, size)
        batch = Batch(packets[start:stop].reshape(-1), offsets, lengths, times[start:stop], "sender")
        yield int(wakes[start] + 1) * every, batch


def report(network: Network, log: Log, now: int, *, final: bool) -> Batch:
    """SR and range, as ours are sent, of what was sent by `now`."""
    sent = network.packets if final else max(1, int(np.searchsorted(log.send_times, now, side="right")))
    ntp, first_time = (ntp_from_unix(WALL + t) for t in (now, int(log.send_times[0])))
    told = SenderRange(SSRC, network.first, network.first + sent - 1, sent, first_time, final)
    timestamp = (now * CLOCK_RATE // SECOND + 0xFFFF_F000) & 0xFFFF_FFFF
    data = compound.serialize([SenderReport(SSRC, ntp, timestamp, sent, sent * PAYLOAD), told.to_app()])
    return Batch.of([data], now, "sender")


@dataclass(frozen=True)
class Told:
    """What the account says."""

    counts: LedgerCounts
    loss_runs: dict[int, int]
    intervals: tuple[Interval, ...]
    lost: NDArray[np.bool_]
    """of each number from the first one counted to the last."""


def account(network: Network, log: Log, every: int, since: int) -> list[Told]:
    """Numbering and ledger alone, from `since` on: quick enough for any number of packets."""
    tracker, witness = SourceTracker(CLOCK_RATE), Witness()
    ledger = Ledger(loss_observers=[witness])
    last = 0

    def ranged(sent: int, *, final: bool) -> None:
        end = network.first + sent - 1
        ledger.set_range(network.first, end, sent, final=final, heard_from_start=not since)

    for now, batch in datagrams(network, log, every, since):
        for part in tracker.track(parse_batch(batch), batch.arrival_times, batch.buffer):
            ledger.arrive(part.extended, part.arrival_times)
            last = max(last, int(part.extended.max()))
        ledger.decide(last - 100)
        ranged(int(np.searchsorted(log.send_times, now, side="right")), final=False)
        ledger.close(now, 4 * SECOND)
    ranged(network.packets, final=True)
    ledger.finish()
    return [Told(ledger.counts(), ledger.loss_runs(), ledger.intervals(), witness.lost)] if tracker.confirmed else []


def listen(network: Network, log: Log, every: int, since: int) -> list[Told]:
    """The whole of a receiver that listens from `since` on, to the end; the sender reports."""
    with Witnesses() as witnesses:
        session = _session(network, log, every, since)
    return [
        Told(told.ledger, told.loss_runs, witness.ledger.intervals(), witness.lost)
        for told, witness in zip(session.statistics().streams, witnesses.all, strict=True)
    ]


def _session(network: Network, log: Log, every: int, since: int) -> ReceiverSession:
    session = ReceiverSession(SessionConfig({96: Format("H264", CLOCK_RATE)}, Latency(), seed=1), since)
    next_report = since + SECOND // 2
    for now, batch in datagrams(network, log, every, since):
        if now >= next_report and now > log.send_times[0]:
            session.handle_datagrams(report(network, log, now, final=False), now)
            next_report = now + 2 * SECOND
        session.handle_datagrams(batch, now)
        session.handle_timeout(now)
        session.poll()
    end = max(int(log.send_times[-1]), *log.times[-1:].tolist(), 0) + every
    for now in range(end, end + 2 * SECOND, 100 * MS):
        session.handle_datagrams(report(network, log, now, final=True), now)
        session.handle_timeout(now)
        session.poll()
    session.close(end + 2 * SECOND)
    return session
