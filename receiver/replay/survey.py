"""A first look through a capture: which RTP streams are in it, and whether it can be replayed call by call."""

from __future__ import annotations

import ipaddress
from collections import Counter
from dataclasses import dataclass, field
from threading import Event
from typing import Any, NamedTuple

from protocol.errors import Malformed
from receiver.capture import journal
from receiver.capture.file import CaptureFile
from receiver.capture.link import Datagram, Unwrapper
from receiver.capture.records import Counters, Note, Packet

_HEADER = 12
_NEAR = 100
"""steps of sequence numbers that a stream makes, also where packets were lost or overtook each other."""
LONGEST_SILENCE = 3600 * 1_000_000_000
"""ns between two packets of a capture; more is a clock that was set."""
_MOST_FLOWS = 65_536
"""that are looked at; what looks like RTP and is none seldom repeats its SSRC."""


class Flow(NamedTuple):
    """What tells one stream from another."""

    source: bytes
    source_port: int
    destination: bytes
    destination_port: int
    ssrc: int

    def __str__(self) -> str:
        ends = (self.source, self.source_port), (self.destination, self.destination_port)
        return " → ".join(f"[{host(a)}]:{port}" if len(a) == 16 else f"{host(a)}:{port}" for a, port in ends)


@dataclass(slots=True)
class Found:
    """What was seen of a flow."""

    flow: Flow
    packets: int = 0
    payload_types: Counter[int] = field(default_factory=Counter)
    near: int = 0
    """steps to the next packet's number that were small."""
    forward: int = 0
    """and upwards."""
    last: int = 0

    def add(self, payload_type: int, sequence: int) -> None:
        step = (sequence - self.last + 0x8000) % 0x10000 - 0x8000
        if self.packets:
            self.near += abs(step) <= _NEAR
            self.forward += 0 < step <= _NEAR
        self.packets += 1
        self.payload_types[payload_type] += 1
        self.last = sequence

    @property
    def is_stream(self) -> bool:
        """RFC 3550 A.1, for a whole capture: its numbers follow each other."""
        return self.forward > 0 and 2 * self.near >= self.packets - 1


@dataclass(slots=True)
class Survey:
    """What is in a capture."""

    packets: int = 0
    first_time: int | None = None
    """Unix ns of the first packet of all."""
    began: int | None = None
    """Unix ns at which the capture began, where it says."""
    datagrams: int = 0
    snapped: int = 0
    """datagrams of which not every octet was kept."""
    dropped_by_interface: int = 0
    """packets that the capturing program did not get, by its own count."""
    dropped_by_system: int | None = None
    flows: dict[Flow, Found] = field(default_factory=dict)
    unwrapper: Unwrapper = field(default_factory=Unwrapper)
    session: dict[str, Any] | None = None
    """what our own captures begin with."""
    journal_fits: bool = False
    """its calls are about exactly the packets that are there."""
    last_call: int = 0
    """monotonic ns, by the journal."""
    wall_offset: int = 0
    """by which stamps are more."""
    gap: int = 0
    """datagrams that our own capture had no time to write."""

    @property
    def streams(self) -> list[Found]:
        """RTP streams, the largest first."""
        return sorted((f for f in self.flows.values() if f.is_stream), key=lambda f: (-f.packets, f.flow))

    @property
    def exact(self) -> bool:
        """Every call was recorded."""
        return self.session is not None and self.journal_fits


def survey(file: CaptureFile, stop: Event) -> Survey:
    """Reads the whole file, or up to `stop`. Of a capture whose journal fits, the streams need not be known."""
    found = _look(file, stop, own=True)
    if found.session is None or found.journal_fits:
        return found
    found = _look(file, stop, own=False)
    found.journal_fits = False
    return found


def _look(file: CaptureFile, stop: Event, *, own: bool) -> Survey:
    """`own`: each packet that came is a datagram, as the journal has it."""
    found = Survey()
    waiting = 0
    """inbound datagrams that no call has taken yet."""
    for record in file.records():
        if isinstance(record, Packet):
            if own and found.session is not None:
                found.packets += 1
                found.datagrams += not record.outbound
                waiting += not record.outbound
                moment = record.time - found.wall_offset
                found.journal_fits &= -LONGEST_SILENCE <= moment - found.last_call <= LONGEST_SILENCE
            else:
                waiting += _packet(found, record)
        elif isinstance(record, Counters):
            _counters(found, record)
        else:
            waiting = _note(found, record, waiting)
        if stop.is_set():
            break
    found.unwrapper.finish()
    return found


def host(address: bytes) -> str:
    """An address of 4 or 16 octets as text."""
    return str(ipaddress.ip_address(address))


def _packet(found: Survey, packet: Packet) -> int:
    """How many inbound datagrams it is, or completes."""
    found.packets += 1
    if found.first_time is None:
        found.first_time = packet.time
    datagram = found.unwrapper.unwrap(packet)
    if datagram is None:
        return 0
    found.datagrams += 1
    found.snapped += len(datagram.payload) < datagram.length
    if is_rtp(datagram.payload):
        _rtp(found, datagram)
    return int(not packet.outbound)


def is_rtp(payload: bytes) -> bool:
    """Version 2, long enough, and not RTCP (RFC 5761 §4)."""
    return len(payload) >= _HEADER and payload[0] & 0xC0 == 0x80 and not 192 <= payload[1] <= 223


def _rtp(found: Survey, datagram: Datagram) -> None:
    payload = datagram.payload
    flow = Flow(*datagram[:4], int.from_bytes(payload[8:12], "big"))
    known = found.flows.get(flow)
    if known is None:
        if len(found.flows) >= _MOST_FLOWS:
            found.flows = {key: kept for key, kept in found.flows.items() if kept.is_stream}
        if len(found.flows) >= _MOST_FLOWS:
            return
        known = found.flows[flow] = Found(flow)
    known.add(payload[1] & 127, payload[2] << 8 | payload[3])


def _counters(found: Survey, counters: Counters) -> None:
    for began in counters.began:
        if found.began is None and found.first_time is not None and 0 <= found.first_time - began <= LONGEST_SILENCE:
            found.began = began
    if counters.dropped_by_interface is not None:
        found.dropped_by_interface = max(found.dropped_by_interface, counters.dropped_by_interface)
    if counters.dropped_by_system is not None:
        found.dropped_by_system = counters.dropped_by_system


def _in_time(found: Survey, call: journal.Call) -> bool:
    """A session is called again and again: no call is long after another, none before."""
    match call:
        case journal.Datagrams(now=now) | journal.Timeout(now) | journal.Command("close", [int(now)]):
            before, found.last_call = found.last_call, now
            return 0 <= now - before <= LONGEST_SILENCE
    return True


def _note(found: Survey, note: Note, waiting: int) -> int:
    """Inbound datagrams that still wait for their call."""
    try:
        if note.kind == journal.BEGIN and found.session is None:
            found.session, found.journal_fits = journal.read_begin(note.body), found.packets == 0
            found.last_call = int(str(found.session["began"]))
            found.wall_offset = int(str(found.session["wall_offset"]))
        elif note.kind == journal.CALLS:
            for call in journal.decode(note.body):
                if isinstance(call, journal.Datagrams):
                    waiting -= call.packets
                    found.journal_fits &= call.packets > 0
                elif isinstance(call, journal.Gap):
                    found.gap += call.datagrams
                found.journal_fits &= _in_time(found, call)
            found.journal_fits &= waiting == 0
    except (Malformed, OverflowError, KeyError, TypeError, ValueError):
        found.journal_fits = False
    return waiting
