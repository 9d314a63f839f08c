"""A made-up run, second by second: video and sound over a link that has a bad spell in the middle."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from receiver.account.ledger import LedgerCounts
from receiver.media import AudioPlayoutStatistics, VideoPlayoutStatistics
from receiver.report.document import document, interval
from receiver.report.snapshot import (
    BufferSnapshot,
    Bursts,
    EModel,
    Estimate,
    Event,
    GilbertElliott,
    Percentiles,
    Snapshot,
    SocketSnapshot,
    StreamSnapshot,
    Traffic,
)
from tests.receiver.report.example import audio, counts, video

VIDEO, AUDIO = 0x1CE5EED5, 0x50D1F00D
_EVENTS = (
    Event(0.2, "stream_started", "video starts: H264, SSRC 1ce5eed5"),
    Event(0.2, "stream_started", "audio starts: opus, SSRC 50d1f00d"),
    Event(0.6, "key_frame_request", "asked for a key frame: joined in the middle"),
)


def story(seconds: int, seed: int = 7) -> Iterator[Snapshot]:
    """A snapshot for each second; the counts are cumulative and balance."""
    rng = np.random.default_rng(seed)
    ledgers = {VIDEO: counts(0), AUDIO: counts(0)}
    events = list(_EVENTS)
    runs: dict[int, int] = {}
    freezes, waited = 0, 0.0
    for second in range(1, seconds + 1):
        bad = 0.4 * seconds < second < 0.6 * seconds
        for ssrc, rate in ((VIDEO, 210), (AUDIO, 50)):
            ledgers[ssrc] = _second(rng, ledgers[ssrc], rate, 0.03 if bad else 0.002)
        if bad:
            length = int(rng.geometric(0.45))
            runs[length] = runs.get(length, 0) + 1
            if second % 4 == 0:
                freezes += 1
                events.append(Event(second + 0.3, "key_frame_request", "asked for a key frame: a picture was damaged"))
        runs[1] = runs.get(1, 0) + 1
        spread = (18.0 if bad else 5.0) + 1.5 * math.sin(second / 7) + float(rng.normal(0, 0.6))
        waited += spread * 1.4
        yield Snapshot(
            float(second),
            (
                _video(ledgers[VIDEO], second, spread, waited / second, dict(sorted(runs.items())), freezes),
                _audio(ledgers[AUDIO], second, spread),
            ),
            SocketSnapshot(260 * second, {}, 0),
            tuple(events),
        )


def _second(rng: np.random.Generator, before: LedgerCounts, sent: int, loss: float) -> LedgerCounts:
    lost = int(rng.binomial(sent, loss))
    recovered = int(rng.binomial(lost, 0.6))
    late = int(rng.binomial(sent - lost, loss / 6))
    return replace(
        before,
        sent=(before.sent or 0) + sent,
        span=before.span + sent,
        arrived=before.arrived + sent - lost,
        lost=before.lost + lost,
        lost_network=before.lost_network + lost,
        in_time=before.in_time + sent - lost - late,
        recovered_rtx=before.recovered_rtx + recovered,
        missed=before.missed + lost - recovered + late,
        late=before.late + late,
        reordered=before.reordered + int(rng.binomial(sent, 0.01)),
        duplicates=before.duplicates + int(rng.binomial(sent, 0.002)),
    )


def _video(
    ledger: LedgerCounts, second: int, spread: float, waited: float, runs: dict[int, int], freezes: int
) -> StreamSnapshot:
    return video(
        ledger,
        ssrc=VIDEO,
        bitrate_bps=1.9e6 + 1.5e5 * math.sin(second / 5),
        jitter_ms=spread / 3,
        delay_variation_ms=Percentiles(None, spread / 3, spread, spread * 1.6, spread * 2.4),
        rtt_ms=41 + spread / 4,
        one_way_delay_ms=19.4,
        one_way_delay_error_ms=1.1,
        clock_skew_ppm=12.5,
        buffer=BufferSnapshot(waited, spread * 1.7, 30 * second),
        playout_delay_ms=Percentiles(spread * 1.8, spread * 1.7, spread * 2.2),
        av_skew_ms=Percentiles(p50=3.0, p95=9.0),
        video=VideoPlayoutStatistics(
            frames_received=30 * second,
            frames_decoded=30 * second - freezes,
            frames_rendered=30 * second - freezes,
            dropped_network=freezes,
            freeze_count=freezes,
            total_freezes_duration_s=freezes * 0.31,
            width=1280,
            height=720,
        ),
        loss_runs=runs,
        late_runs={1: 3},
        bursts=Bursts(16, 9, 0.31, 0.0021, 210.0, 9200.0),
        gilbert_elliott=GilbertElliott(
            Estimate(0.0021, 0.0014, 0.003),
            Estimate(0.44, 0.36, 0.53),
            Estimate(0.92, 0.81, 0.97),
            Estimate(0.0004, 0.0001, 0.0009),
        ),
        reordering_extent={1: 20, 2: 7, 3: 2},
        reordering_late_ms=Percentiles(p50=2.0, p95=6.0, p99=8.0),
        delay_distribution=tuple((float(ms), int(9000 * math.exp(-ms / 6) * ms / 4) + 1) for ms in range(60)),
        needed_buffer=tuple((float(ms), round(math.exp(-ms / 9), 6)) for ms in range(0, 100, 2)),
        traffic=Traffic(240_000 * second, 9_000 * second, 8_400 * second, 300 * second),
    )


def _audio(ledger: LedgerCounts, second: int, spread: float) -> StreamSnapshot:
    return audio(
        ledger,
        ssrc=AUDIO,
        cname="someone@somewhere",
        bitrate_bps=64_000.0,
        jitter_ms=spread / 4,
        delay_variation_ms=Percentiles(None, spread / 4, spread * 0.9, spread * 1.3, spread * 2),
        rtt_ms=41 + spread / 4,
        buffer=BufferSnapshot(spread * 1.5, spread * 1.7, 50 * second),
        playout_delay_ms=Percentiles(spread * 1.8, spread * 1.7, spread * 2.2),
        audio=AudioPlayoutStatistics(
            total_samples_received=48_000 * second,
            concealed_samples=960 * (ledger.missed or 0),
            concealment_events=ledger.missed,
            rate=48_000,
            channels=2,
        ),
        loss_runs={1: ledger.lost} if ledger.lost else {},
        needed_buffer=tuple((float(ms), round(math.exp(-ms / 7), 6)) for ms in range(0, 100, 2)),
        delay_distribution=tuple((float(ms), int(2000 * math.exp(-ms / 5) * ms / 4) + 1) for ms in range(50)),
        e_model=EModel(78.0, 3.97, 96.0, 0.004, 1.2, 0.0, 10.0),
    )


def full_report(seconds: int, **more: Any) -> dict[str, Any]:
    """The JSON object at the end of the story, with everything in it that a report can have."""
    moments = list(story(seconds))
    report = document(moments[-1], {"latency": "auto", "port": 5004}, intervals=_intervals(moments))
    for stream, figures in zip(report["streams"], moments[-1].streams, strict=True):  # type: ignore[call-overload]
        stream.update(
            late_runs={str(length): count for length, count in figures.late_runs.items()},
            bursts=figures.bursts and asdict(figures.bursts),
            gilbert_elliott=figures.gilbert_elliott and asdict(figures.gilbert_elliott),
            delay_distribution=[list(pair) for pair in figures.delay_distribution],
            needed_buffer=[list(pair) for pair in figures.needed_buffer],
            traffic=figures.traffic and asdict(figures.traffic),
            e_model=figures.e_model and {"r": 78.0, "mos": 3.97, "delay_ms": 96.0, "loss": 0.004},
        )
    peer = {**document(moments[-1], {"target": "192.0.2.7", "video": "camera"}), "peer": None, "intervals": []}
    return {**report, "peer": peer, **more}


def _intervals(moments: list[Snapshot]) -> list[dict[str, Any]]:
    """A row for each second, with what was counted in it."""
    rows = []
    for before, after in itertools.pairwise(moments):
        row: dict[str, Any] = interval(after, before)
        for stream, earlier in zip(row["streams"], before.streams, strict=True):
            was = asdict(earlier.ledger)
            stream["ledger"] = {
                name: count - was[name] if isinstance(count, int) and not isinstance(count, bool) else count
                for name, count in stream["ledger"].items()
            }
        rows.append(row)
    return rows
