"""The live status line: what plays now, what was lost so far."""

from __future__ import annotations

from receiver.report.snapshot import Ratio, Snapshot, StreamSnapshot, ratios


def line(snapshot: Snapshot, before: Snapshot | None = None) -> str:
    """One line, the most important first; `before` is the snapshot a second or so earlier, for rates."""
    if not snapshot.streams:
        what = f"{snapshot.socket.datagrams} datagrams, none of a stream" if snapshot.socket.datagrams else "waiting"
        return f"{_clock(snapshot.time_s)}  {what}"
    parts = [_stream(stream, snapshot, before) for stream in current(snapshot)]
    if snapshot.socket.kernel_drops:
        parts.append(f"this machine dropped {snapshot.socket.kernel_drops}")
    return f"{_clock(snapshot.time_s)}  " + "  |  ".join(parts)


def current(snapshot: Snapshot) -> list[StreamSnapshot]:
    """The newest stream of each medium, video first."""
    newest = {stream.media: stream for stream in snapshot.streams}
    return sorted(newest.values(), key=lambda stream: stream.media != "video")


def rate(value: float | None) -> str:
    """`1.9 Mbit/s`; empty where it is not known."""
    if value is None:
        return ""
    return f"{value / 1e6:.1f} Mbit/s" if value >= 1e6 else f"{value / 1e3:.0f} kbit/s"


def _stream(stream: StreamSnapshot, snapshot: Snapshot, before: Snapshot | None) -> str:
    words = [stream.media, _playing(stream, snapshot, before), rate(stream.bitrate_bps), _loss(stream)]
    if stream.ledger.late:
        words.append(f"late {stream.ledger.late}")
    if stream.buffer.delay_mean_ms is not None:
        words.append(f"buffer {stream.buffer.delay_mean_ms:.0f} ms")
    words.append(_trouble(stream))
    return " ".join(word for word in words if word)


def _playing(stream: StreamSnapshot, snapshot: Snapshot, before: Snapshot | None) -> str:
    if before is None:
        return ""
    earlier = next((s for s in before.streams if (s.ssrc, s.epoch) == (stream.ssrc, stream.epoch)), None)
    if stream.video is None or earlier is None or earlier.video is None:
        return ""
    elapsed = snapshot.time_s - before.time_s
    shown = stream.video.frames_rendered - earlier.video.frames_rendered
    return f"{shown / elapsed:.0f} fps" if elapsed > 0 else ""


def _loss(stream: StreamSnapshot) -> str:
    loss = ratios(stream.ledger)["network_loss"]
    return f"lost {loss}" if loss.value is not None else f"lost {stream.ledger.lost} seen"


def _trouble(stream: StreamSnapshot) -> str:
    if stream.video is not None and stream.video.freeze_count:
        return f"frozen {stream.video.freeze_count}× {stream.video.total_freezes_duration_s:.1f} s"
    if stream.audio is not None and stream.audio.concealed_samples:
        return f"concealed {Ratio(stream.audio.concealed_samples, stream.audio.total_samples_received)}"
    return ""


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
