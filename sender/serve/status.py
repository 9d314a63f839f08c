"""The status line of `serve`."""

from __future__ import annotations

from sender.snapshot import Snapshot, TargetSnapshot


def line(snapshot: Snapshot, before: Snapshot | None = None) -> str:
    """One line; `before` is the snapshot a second or so earlier, for rates."""
    minutes, seconds = divmod(int(snapshot.time_s), 60)
    present = [target for target in snapshot.targets if not target.left]
    text = f"{minutes}:{seconds:02d}  {len(present) or 'no'} receiver{'' if len(present) == 1 else 's'}"
    if before is not None and snapshot.time_s > before.time_s:
        octets = _octets(snapshot) - _octets(before)
        text += f", {8 * octets / (snapshot.time_s - before.time_s) / 1000:.0f} kbit/s"
    refusing = sum(target.refused for target in present)
    text += f"; {refusing} of them not reached" if refusing else ""
    dropped = sum(source.dropped for source in snapshot.sources)
    return text + (f"  |  {dropped} frames dropped here: the queue to the network was full" if dropped else "")


def _octets(snapshot: Snapshot) -> int:
    return sum(map(_sent, snapshot.targets))


def _sent(target: TargetSnapshot) -> int:
    return sum(stream.octets for stream in target.statistics.streams)
