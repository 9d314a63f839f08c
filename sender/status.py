"""The sender's status line."""

from __future__ import annotations

from sender.snapshot import Snapshot, StreamStatistics, TargetSnapshot


def line(snapshot: Snapshot, before: Snapshot | None = None) -> str:
    """One line; `before` is the snapshot a second or so earlier, for rates."""
    parts = [_target(target, snapshot, before) for target in snapshot.targets]
    dropped = sum(source.dropped for source in snapshot.sources)
    if dropped:
        parts.append(f"{dropped} frames dropped here: the queue to the network was full")
    minutes, seconds = divmod(int(snapshot.time_s), 60)
    return f"{minutes}:{seconds:02d}  " + "  |  ".join(parts or ["starting"])


def _target(target: TargetSnapshot, snapshot: Snapshot, before: Snapshot | None) -> str:
    if target.refused:
        return f"{target.name}: nobody listens there"
    earlier = next((t for t in before.targets if t.name == target.name), None) if before is not None else None
    elapsed = snapshot.time_s - before.time_s if before is not None else 0.0
    streams = [_stream(s, _same(s, earlier), elapsed) for s in target.statistics.streams]
    return f"{target.name}: " + ", ".join(streams) + _answer(target)


def _same(stream: StreamStatistics, earlier: TargetSnapshot | None) -> StreamStatistics | None:
    return next((s for s in earlier.statistics.streams if s.ssrc == stream.ssrc), None) if earlier else None


def _stream(stream: StreamStatistics, earlier: StreamStatistics | None, elapsed: float) -> str:
    if earlier is None or elapsed <= 0:
        return f"{stream.media} {stream.packets} packets"
    rate = 8 * (stream.octets - earlier.octets) / elapsed / 1000
    limited = "" if stream.rate_limit is None else f" of at most {stream.rate_limit / 1000:.0f}"
    return f"{stream.media} {rate:.0f}{limited} kbit/s"


def _answer(target: TargetSnapshot) -> str:
    reports = [(stream, stream.reception) for stream in target.statistics.streams if stream.reception is not None]
    if not reports:
        return " (no receiver report)"
    lost = ", ".join(f"{stream.media} {100 * said.fraction_lost:.1f} %" for stream, said in reports)
    trip = next((f"; round trip {stream.rtt_ms:.0f} ms" for stream, _ in reports if stream.rtt_ms is not None), "")
    return f" (receiver lately lost {lost}{trip})"
