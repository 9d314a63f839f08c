"""A snapshot with numbers that are easy to follow, for the tests of its views."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from receiver.account.ledger import Ledger, LedgerCounts
from receiver.media import AudioPlayoutStatistics, VideoPlayoutStatistics
from receiver.report.snapshot import BufferSnapshot, Percentiles, Snapshot, SocketSnapshot, StreamSnapshot


def counts(sent: int | None, *, lost: int = 0, late: int = 0, local: int = 0, sender: int = 0) -> LedgerCounts:
    """A ledger that balances; with `sent` None, 1000 numbers were seen and nobody said how many there were."""
    span = 1000 if sent is None else sent
    return replace(
        Ledger().counts(),
        sent=sent,
        sent_known=sent is not None,
        span=span,
        arrived=span - lost,
        lost=lost,
        lost_local=local,
        lost_sender=sender,
        lost_network=lost - local - sender,
        in_time=span - lost - late,
        missed=lost + late,
        late=late,
    )


def video(ledger: LedgerCounts, **more: Any) -> StreamSnapshot:
    statistics = VideoPlayoutStatistics(
        frames_received=300, frames_decoded=298, frames_rendered=297, width=640, height=360
    )
    return StreamSnapshot(
        **{
            "ssrc": 0x1234,
            "epoch": 0,
            "media": "video",
            "encoding": "H264",
            "payload_type": 96,
            "ledger": ledger,
            "cname": "someone@somewhere",
            "bitrate_bps": 1_900_000.0,
            "jitter_ms": 3.25,
            "delay_variation_ms": Percentiles(None, 1.0, 5.0, 9.0),
            "rtt_ms": 41.0,
            "buffer": BufferSnapshot(23.4, 25.0, 300),
            "playout_delay_ms": Percentiles(24.0, 23.0, 31.0),
            "video": statistics,
            **more,
        }
    )


def audio(ledger: LedgerCounts, **more: Any) -> StreamSnapshot:
    statistics = AudioPlayoutStatistics(total_samples_received=480_000, rate=48_000, channels=2)
    return StreamSnapshot(
        **{
            "ssrc": 0x5678,
            "epoch": 0,
            "media": "audio",
            "encoding": "opus",
            "payload_type": 97,
            "ledger": ledger,
            "audio": statistics,
            **more,
        }
    )


def snapshot(*streams: StreamSnapshot, time_s: float = 10.0, **socket: Any) -> Snapshot:
    return Snapshot(time_s, streams, SocketSnapshot(**{"datagrams": 1500, "kernel_drops": 0, **socket}))
