"""A report on its way to the other end, in pieces that RTCP can carry (APP `SCST`, subtypes 2 and 3; docs/wire.md).

What the report says is none of this module's business: octets go in and come out, whole and checked, or not at all.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from protocol.errors import Malformed, Truncated
from protocol.rtcp.app import App
from protocol.rtcp.range import NAME

PIECE, PIECE_ACKNOWLEDGEMENT = 2, 3
MAX_PIECES = 64
PIECE_SIZE = 1000
"""octets of a report in a datagram, at most."""
MAX_SIZE = MAX_PIECES * PIECE_SIZE
OVERHEAD = 28 + 4
"""octets of an APP packet around a piece, and what fills its last word."""
REPEAT = 100_000_000
PATIENCE = 2_000_000_000
MAX_REPORTS = 16
"""that may come in at once."""
_WINDOW = 16
"""pieces sent before any is acknowledged."""
_REASON = "rtcp_report"
_PIECE = struct.Struct("!I8sBBH")
_ACKNOWLEDGEMENT = struct.Struct("!I8sQ")


@dataclass(frozen=True, slots=True)
class ReportPiece:
    """One of the `count` pieces of a report."""

    ssrc: int
    """who reports."""
    to: int
    """SSRC of the one it is meant for."""
    digest: bytes
    """first eight octets of the whole report's SHA-256: its name, too."""
    index: int
    count: int
    """1 to 64."""
    data: bytes

    def to_app(self) -> App:
        fields = _PIECE.pack(self.to, self.digest, self.index, self.count, len(self.data))
        return App(self.ssrc, PIECE, NAME, fields + self.data + bytes(-len(self.data) % 4))


@dataclass(frozen=True, slots=True)
class PieceAcknowledgement:
    """Which pieces of a report have come."""

    ssrc: int
    """who has them."""
    to: int
    """SSRC of the one who reports."""
    digest: bytes
    received: int
    """bit n: piece n."""

    def to_app(self) -> App:
        fields = _ACKNOWLEDGEMENT.pack(self.to, self.digest, self.received)
        return App(self.ssrc, PIECE_ACKNOWLEDGEMENT, NAME, fields)


def parse(app: App) -> ReportPiece | PieceAcknowledgement | None:
    """What an APP packet means; None where it is none of these. Raises Truncated or Malformed."""
    if app.name != NAME:
        return None
    if app.subtype == PIECE:
        return _piece(app)
    if app.subtype == PIECE_ACKNOWLEDGEMENT:
        _require(app.data, _ACKNOWLEDGEMENT.size)
        return PieceAcknowledgement(app.ssrc, *_ACKNOWLEDGEMENT.unpack_from(app.data))
    return None


def digest_of(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:8]


class OutgoingReport:
    """One report to one other end: what of it is to be sent now. Times in monotonic ns."""

    def __init__(
        self, ssrc: int, to: int, data: bytes, now: int, *, size: int = PIECE_SIZE, patience: int = PATIENCE
    ) -> None:
        """`size` of a piece. Raises ValueError for a report of more than 64 pieces."""
        parts = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
        if len(parts) > MAX_PIECES:
            raise ValueError(f"{len(data)} octets are more than {MAX_PIECES} pieces of {size}")
        digest = digest_of(data)
        self.to = to
        self._pieces = [ReportPiece(ssrc, to, digest, i, len(parts), part) for i, part in enumerate(parts)]
        self._missing = list(range(len(parts)))
        self._on_their_way: set[int] = set()
        self._next = now
        self._deadline = now + patience

    @property
    def delivered(self) -> bool:
        """Every piece was acknowledged."""
        return not self._missing

    def over(self, now: int) -> bool:
        """Delivered, or given up."""
        return not self._missing or now >= self._deadline

    def acknowledge(self, said: PieceAcknowledgement, now: int) -> None:
        """Pieces that wait for room leave at once when those before them have all come."""
        if said.ssrc != self.to or said.digest != self._pieces[0].digest:
            return
        self._missing = [index for index in self._missing if not said.received >> index & 1]
        if self._on_their_way:
            self._on_their_way &= set(self._missing)
            if not self._on_their_way:
                self._next = now

    def take(self, now: int) -> list[ReportPiece]:
        """The pieces that leave now: those not acknowledged, every 100 ms."""
        if now < self._next or self.over(now):
            return []
        self._next = now + REPEAT
        chosen = self._missing[:_WINDOW]
        self._missing = self._missing[_WINDOW:] + chosen  # when acknowledgements are lost, all still have their turn
        self._on_their_way = set(chosen)
        return [self._pieces[index] for index in chosen]

    def next_time(self) -> int:
        """When something happens next: pieces leave, or it is over."""
        return min(self._next, self._deadline) if self._missing else 0


class IncomingReports:
    """Puts the reports of several reporters together; bounded: the one begun longest ago makes room."""

    def __init__(self) -> None:
        self._reports: dict[tuple[int, bytes], _Assembly] = {}

    def __len__(self) -> int:
        """Reports that are remembered, whole or not."""
        return len(self._reports)

    def receive(self, piece: ReportPiece) -> tuple[PieceAcknowledgement, bytes | None]:
        """Of a piece meant for us: (what is to be answered; the report that it completes, once)."""
        key = piece.ssrc, piece.digest
        report = self._reports.get(key)
        if report is None:
            if len(self._reports) >= MAX_REPORTS:
                del self._reports[next(iter(self._reports))]
            report = self._reports[key] = _Assembly(piece.count)
        whole = report.add(piece)
        return PieceAcknowledgement(piece.to, piece.ssrc, piece.digest, report.received), whole


class _Assembly:
    """The pieces of one report; only their number when it is complete."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._parts: dict[int, bytes] = {}
        self._complete = False

    @property
    def received(self) -> int:
        indexes = range(self._count) if self._complete else self._parts
        return sum(1 << index for index in indexes)

    def add(self, piece: ReportPiece) -> bytes | None:
        """The whole report, when this was what it lacked. Pieces that do not fit together are all forgotten."""
        if self._complete or piece.count != self._count:
            return None
        self._parts.setdefault(piece.index, piece.data)
        if len(self._parts) < self._count:
            return None
        whole = b"".join(self._parts[index] for index in range(self._count))
        self._parts = {}
        self._complete = digest_of(whole) == piece.digest
        return whole if self._complete else None


def _piece(app: App) -> ReportPiece:
    _require(app.data, _PIECE.size)
    to, digest, index, count, size = _PIECE.unpack_from(app.data)
    if not index < count <= MAX_PIECES or size > 2 * PIECE_SIZE:
        raise Malformed(_REASON, f"piece {index} of {count}, {size} octets")
    _require(app.data, _PIECE.size + size)
    return ReportPiece(app.ssrc, to, digest, index, count, app.data[_PIECE.size : _PIECE.size + size])


def _require(data: bytes, size: int) -> None:
    if len(data) < size:
        raise Truncated(_REASON, f"{len(data)} octets where {size} are needed")
