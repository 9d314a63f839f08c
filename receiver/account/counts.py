"""What a ledger says: frozen counts, in packets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LedgerCounts:
    """Cumulative counts of numbers (packets); always

    sent (or the span seen) = arrived + lost = in_time + recovered_rtx + recovered_fec + missed + undecided;
    datagrams of the stream = arrived + duplicates + after_close + before_join;
    lost = lost_network + lost_local + lost_sender.
    """

    sent: int | None
    """None while the sender's range is not known."""
    sent_known: bool
    arrived: int
    lost: int
    """did not arrive; provisional for numbers that are not closed."""
    lost_network: int
    lost_local: int
    lost_sender: int
    in_time: int
    recovered_rtx: int
    recovered_fec: int
    missed: int
    late: int
    arrived_after_recovery: int
    duplicates: int
    after_close: int
    before_join: int
    reordered: int
    corrupted: int
    undecided: int
    """numbers whose deadline has not come; 0 after `finish`."""
    span: int
    """numbers from the first counted to the highest known; equals `sent` where that is known."""
    closed: int
    """numbers of the span that are closed: what follows is final for them."""
    closed_lost: int
    closed_late: int
    sender_count_flagged: bool
    """the sender claims to have handed over more packets than it has numbers: its count is not used."""
    replicated: int = 0
    """numbers of which more than one copy came (RFC 5560): `duplicates` counts the copies beyond the first."""
    lost_local_exact: bool = True
    """False: this machine's kernel counted aggregates (UDP_GRO), so `lost_local` is at least this; or just then
    the network too took packets from one of the streams on this socket."""
    duplicates_unverified: int = 0
    """of `duplicates`: by their numbers alone, since SRTP does not look into what it has seen."""


@dataclass(frozen=True, slots=True)
class Reception:
    """What a report block needs (RFC 3550 §6.4.1, A.3): duplicates and late packets count as received there."""

    extended_highest_sequence: int
    """32 bits, cycles counted from 0."""
    expected: int
    received: int
