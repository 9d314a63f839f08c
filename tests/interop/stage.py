"""What the interop tests share: the clip, our programs at one end, and what is expected of each codec."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import media, peers

SECONDS = 3.0
PICTURES = round(SECONDS * media.FPS)
PAIRS = (("h264", "opus"), ("vp8", "l16"), ("jpeg", "pcmu"))
PSNR = {"h264": 40.0, "vp8": 36.0, "jpeg": 36.0}
"""dB, median over the pictures, at the 1.5 to 2 Mbit/s (or the quality) the tests ask for."""
CORRELATION = {"opus": 0.99, "l16": 0.99, "pcmu": 0.99}
ENCODINGS = {"h264": "H264", "vp8": "VP8", "jpeg": "JPEG", "opus": "opus", "l16": "L16", "pcmu": "PCMU"}


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where decoded pictures and sound go."""

    pictures: Path
    sound: Path

    @classmethod
    def of(cls, folder: Path) -> Outputs:
        return cls(folder / "pictures.y4m", folder / "sound.wav")


def clip(folder: Path) -> Path:
    """The reference clip."""
    return media.make_clip(folder / "clip.mkv", SECONDS)


def receiver(source: object, out: Outputs, *options: object) -> list[object]:
    """Our receiver, writing to files and reporting on stdout. The latency is fixed because an adaptive one stretches
    sound by up to 0.5 % while it adapts, and a correlation of waveforms would measure that."""
    files = ("--video", out.pictures, "--audio", out.sound)
    return peers.receiver(source, *files, "--latency", "100ms", "--json", *options)


def sender(target: str, clip: Path, video: str, audio: str, *options: object) -> list[object]:
    """Our sender with the clip, reporting on stdout."""
    codecs = ("--video-codec", video, "--audio-codec", audio, "--video-bitrate", "2M")
    return peers.sender(target, "--video", clip, "--audio", clip, *codecs, "--json", *options)


def check(out: Outputs, video: str, audio: str, levels: str = "same", *, cut: float = 0.0) -> None:
    """Decoded pictures and sound against the clip; up to `cut` seconds of it may be missing (at its end)."""
    seen = media.look(out.pictures, levels)
    expected = PICTURES - round(cut * media.FPS)
    assert seen.in_order, f"pictures out of order: {seen.numbers}"
    assert len(set(seen.numbers)) >= expected - 2, f"{len(set(seen.numbers))} of {expected} pictures: {seen.numbers}"
    assert seen.unreadable == 0
    assert seen.median_psnr > PSNR[video], f"median PSNR {seen.median_psnr:.1f} dB"
    heard = media.listen(out.sound, media.sound(SECONDS))
    assert len(heard.correlations) >= 2 * (SECONDS - cut) - 1, f"{heard.seconds:.2f} s of sound"
    assert heard.median > CORRELATION[audio], f"{heard}"


def stream(report: dict[str, Any], kind: str) -> dict[str, Any]:
    """The one stream of this kind in a receiver's report."""
    found = [stream for stream in report["streams"] if stream["media"] == kind]
    assert len(found) == 1, f"{len(found)} {kind} streams: {report['streams']}"
    return found[0]  # type: ignore[no-any-return]


def check_report(report: dict[str, Any], video: str, audio: str) -> None:
    """Nothing was lost on loopback, and the report says so for both streams."""
    assert report["error"] is None
    for kind, codec in (("video", video), ("audio", audio)):
        told = stream(report, kind)
        ledger = told["ledger"]
        assert told["encoding"] == ENCODINGS[codec]
        assert ledger["arrived"] > 0
        assert (ledger["lost"], ledger["missed"], ledger["duplicates"], ledger["late"]) == (0, 0, 0, 0), f"{ledger}"
