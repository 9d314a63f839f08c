"""--record: audio and video as received, not encoded again, in one Matroska file."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from protocol.errors import ResourceError
from receiver.decode import h264
from receiver.decode.audio import a_law_table, mu_law_table
from receiver.decode.video import VideoDecoder
from receiver.libraries import av
from receiver.media import AccessUnit, Format, StreamKey
from receiver.playout.background import Writer
from receiver.playout.outputs import Log

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.stream import Stream

_QUEUE = 2048
_PATIENCE = 1_500_000_000
"""ns to wait for the other medium before the file begins with one: Matroska lists its tracks at the front."""
_REORDERING = 500
"""ms that B-frames may be out of order."""
_CODECS = {
    "H264": "h264",
    "VP8": "vp8",
    "JPEG": "mjpeg",
    "OPUS": "libopus",
    "L16": "pcm_s16be",
    "PCMU": "pcm_s16be",
    "PCMA": "pcm_s16be",
}
"""G.711 is kept as the 16-bit samples it stands for: Matroska has no name for it that every player knows."""
_TABLES = {"PCMU": mu_law_table, "PCMA": a_law_table}


@dataclass(frozen=True, slots=True)
class _Entry:
    format: Format
    data: bytes
    pts: int
    """ms"""


class Recorder:
    """Writes units on a thread of its own. A new SSRC goes on in the same tracks; a medium or format that the file does
    not have begins another part, NAME-2.mkv.

    Raises ResourceError when the file cannot be created.
    """

    def __init__(
        self, path: str, log: Log, media: frozenset[str] = frozenset({"audio", "video"}), *, patient: bool = False
    ) -> None:
        """`media` that are expected: the file begins when all are there, or after 1.5 s. `patient`: nothing is left
        out, however long it takes."""
        try:
            Path(path).open("wb").close()
        except OSError as error:
            raise ResourceError(f"{path} cannot be written: {error.strerror}") from error
        self._path = Path(path)
        self._expected = media
        self._waiting: list[_Entry] = []
        self._waiting_since: int | None = None
        """pts of the first unit that no part of the file could take."""
        self._parts = 0
        self._part: _Part | None = None
        self._writer: Writer[_Entry] = Writer(path, self._take, self._finish, log, _QUEUE, patient=patient)

    @property
    def failed(self) -> bool:
        return self._writer.failed

    @property
    def dropped(self) -> int:
        """units the disk was too slow for."""
        return self._writer.dropped

    def write(self, unit: AccessUnit, pts: int, out_of_band: bytes = b"") -> None:
        """`pts`: ns since the recording began, on a clock audio and video share. `out_of_band`: what a decoder needs
        before the first unit. Missing units are left out."""
        if unit.data:
            data = unit.data
            if out_of_band and h264.frames_to_recovery(data) is not None and not h264.parameter_sets(data):
                data = out_of_band + data
            table = _TABLES.get(unit.format.encoding.upper())
            if table is not None:
                data = _expanded(data, table())
            self._writer.put(_Entry(unit.format, data, pts // 1_000_000))

    def close(self) -> None:
        self._writer.close()

    def _take(self, entry: _Entry) -> None:
        if self._part is not None and self._part.accepts(entry.format):
            self._part.write(entry)
            return
        self._waiting.append(entry)
        if self._waiting_since is None:
            self._waiting_since = entry.pts
        known = self._part.formats if self._part else {}
        media = {e.format.media for e in self._waiting} | set(known)
        if self._part is not None or media >= self._expected or self._has_waited(entry.pts):
            self._begin({**known, **{e.format.media: e.format for e in self._waiting}}, self._has_waited(entry.pts))

    def _has_waited(self, pts: int) -> bool:
        return self._waiting_since is not None and (pts - self._waiting_since) * 1_000_000 >= _PATIENCE

    def _begin(self, formats: dict[str, Format], at_once: bool) -> None:
        """A video track needs its picture size first: what comes before a key frame cannot be played anyway."""
        size = None
        if "video" in formats:
            size = self._size(formats["video"])
            if size is None:
                if not at_once:
                    return
                formats = {medium: format for medium, format in formats.items() if medium != "video"}
                self._waiting = [e for e in self._waiting if e.format.media != "video"]
        if not formats or not self._waiting:
            return
        if self._part is not None:
            self._part.close()
        self._parts += 1
        name = self._path if self._parts == 1 else self._path.with_stem(f"{self._path.stem}-{self._parts}")
        self._part = _Part(name, formats, size)
        for entry in self._waiting:
            self._part.write(entry)
        self._waiting, self._waiting_since = [], None

    def _size(self, format: Format) -> tuple[int, int] | None:
        """Width and height of the first waiting picture that can be decoded; drops those before it."""
        while video := [e for e in self._waiting if e.format == format]:
            decoder = VideoDecoder(format)
            images = decoder.decode(_unit(video[0])) + decoder.flush()
            if images:
                return images[0].frame.width, images[0].frame.height
            self._waiting.remove(video[0])
        return None

    def _finish(self) -> None:
        if self._waiting and not self._writer.failed:
            self._begin({e.format.media: e.format for e in self._waiting}, at_once=True)
        if self._part is not None:
            self._part.close()


class _Part:
    """One Matroska file."""

    def __init__(self, path: Path, formats: dict[str, Format], size: tuple[int, int] | None) -> None:
        self.formats = formats
        options = {"flush_packets": "1", "cluster_time_limit": "1000"}
        self._container: OutputContainer = av.open(str(path), "w", format="matroska", container_options=options)
        self._tracks = {medium: _track(self._container, format, size) for medium, format in formats.items()}
        self._last = dict.fromkeys(formats, -(1 << 62))

    def accepts(self, format: Format) -> bool:
        return self.formats.get(format.media) == format

    def write(self, entry: _Entry) -> None:
        medium = entry.format.media
        packet = av.Packet(entry.data)
        packet.stream = self._tracks[medium]
        packet.time_base = Fraction(1, 1000)
        reordering = _REORDERING if entry.format.encoding.upper() == "H264" else 0
        packet.dts = max(self._last[medium] + 1, entry.pts - reordering)
        packet.pts = max(entry.pts, packet.dts)
        packet.is_keyframe = _is_key_frame(entry)
        self._last[medium] = packet.dts
        self._container.mux(packet)

    def close(self) -> None:
        self._container.close()


def _track(container: OutputContainer, format: Format, size: tuple[int, int] | None) -> Stream:
    codec = _CODECS[format.encoding.upper()]
    if format.media == "video":
        assert size is not None
        return container.add_mux_stream(codec, width=size[0], height=size[1])
    layout = "stereo" if format.channels == 2 else "mono"
    return container.add_stream(codec, rate=format.clock_rate, layout=layout)


def _expanded(data: bytes, table: NDArray[np.float32]) -> bytes:
    return (table[np.frombuffer(data, np.uint8)] * 32768).astype(">i2").tobytes()


def _is_key_frame(entry: _Entry) -> bool:
    match entry.format.encoding.upper():
        case "H264":
            return h264.frames_to_recovery(entry.data) is not None
        case "VP8":
            return not entry.data[0] & 1
        case _:
            return True


def _unit(entry: _Entry) -> AccessUnit:
    return AccessUnit(StreamKey(0), entry.format, entry.data, 0, 0, 0)
