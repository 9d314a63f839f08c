"""The snapshot as a few lines over the picture (key s)."""

from __future__ import annotations

from receiver.report.line import current, rate
from receiver.report.snapshot import Snapshot, StreamSnapshot, ratios


def overlay(snapshot: Snapshot) -> list[str]:
    """Short lines, ASCII only: OpenCV draws nothing else."""
    lines = [line for stream in current(snapshot) for line in _stream(stream)]
    skew = next((s.av_skew_ms for s in current(snapshot) if s.av_skew_ms is not None), None)
    if skew is not None and skew.p95 is not None:
        lines.append(f"sound to picture: within {skew.p95:.0f} ms")
    if snapshot.socket.kernel_drops:
        lines.append(f"this machine dropped {snapshot.socket.kernel_drops} datagrams")
    return lines or ["nothing received yet"]


def _stream(stream: StreamSnapshot) -> list[str]:
    size = f" {stream.video.width}x{stream.video.height}" if stream.video and stream.video.width else ""
    lines = [f"{stream.media}: {stream.encoding}{size}, {rate(stream.bitrate_bps).replace(chr(0x2013), '-')}"]
    shares = ratios(stream.ledger)
    if stream.ledger.sent_known:
        lines += [f"  {name.replace('_', ' ')} {shares[name]}" for name in ("network_loss", "late", "effective_loss")]
    else:
        lines.append(f"  lost {stream.ledger.lost} seen, late {stream.ledger.late}")
    if stream.buffer.delay_mean_ms is not None and stream.buffer.target_ms is not None:
        lines.append(f"  buffer {stream.buffer.delay_mean_ms:.0f} ms, target {stream.buffer.target_ms:.0f} ms")
    if stream.jitter_ms is not None:
        lines.append(f"  jitter {stream.jitter_ms:.1f} ms")
    if stream.video is not None:
        v = stream.video
        lines.append(f"  shown {v.frames_rendered}, frozen {v.freeze_count} times, {v.total_freezes_duration_s:.1f} s")
    if stream.audio is not None:
        lines.append(f"  concealed {stream.audio.concealed_samples} samples, underruns {stream.audio.underruns}")
    return lines
