"""Reads a file or an address once, for all who want one of its streams."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from protocol.errors import ResourceError, UsageError
from sender.libraries import av

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet

SECOND = 1_000_000_000
AHEAD = 16
"""packets kept ready for every stream."""
CAPACITY = 32 << 20
"""bytes kept ready in all: reached only when the streams of a file lie far apart in it."""
LIVE = ("rtsp:", "rtsps:", "rtp:", "udp:", "srt:", "tcp:", "rtmp:")
LIVE_TIMEOUT = 5.0
"""seconds without data after which an address has failed."""
PATIENCE = 2.0
"""seconds that closing waits for a read in progress."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A packet, or the end of one pass through the file."""

    stream: Any
    """the av stream of this pass: with --loop each has its own, and so a decoder in its first state."""
    packet: Packet[Any] | None
    """None: the decoder has to give what it still holds."""
    offset: int
    """ns to add to the packet's own time, so that the first pass starts at 0 and a later one goes on from it."""


def is_live(path: str) -> bool:
    """It gives its packets when it likes, not when they are asked for."""
    return path.lower().startswith(LIVE)


class Demuxer:
    """One thread that keeps some packets of each wanted stream ready. Nothing is dropped: it stops reading instead."""

    def __init__(self, path: str, kinds: Iterable[str], *, loop: bool, start: int = 0) -> None:
        """`kinds`: of "video", "audio"; `start`: ns into the file. Raises UsageError when the file can't be read or
        has no such stream."""
        self._path = path
        self._loop = loop and not is_live(path)
        self._container = _open(path)
        try:
            self.streams = {kind: self._select(kind) for kind in kinds}
        except UsageError:
            self._container.close()
            raise
        self._start = min(_start(stream) for stream in self.streams.values())
        self._offset = -self._start - start
        self._skips = start > 0
        if self._skips:
            self._seek(self._start + start)
        self._shelves: dict[str, deque[Parcel]] = {kind: deque() for kind in self.streams}
        self._held = 0
        self._ended = False
        self._failure: str | None = None
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="demux", daemon=True)
        self._thread.start()

    def get(self, kind: str) -> Parcel | None:
        """Blocks for the next one; None at the end, and once closed. Raises ResourceError when reading fails."""
        with self._change:
            self._change.wait_for(lambda: kind not in self._shelves or self._shelves[kind] or self._ended)
            shelf = self._shelves.get(kind)
            if shelf:
                parcel = shelf.popleft()
                self._held -= _size(parcel)
                self._change.notify_all()
                return parcel
            if shelf is not None and self._failure:
                raise ResourceError(self._failure)
            return None

    def close(self, kind: str) -> None:
        """Nobody wants this stream any more; with the last one the thread ends. Safe from any thread, and twice."""
        with self._change:
            self._held -= sum(map(_size, self._shelves.pop(kind, ())))
            self._change.notify_all()
            if self._shelves:
                return
        self._thread.join(PATIENCE)

    def before_start(self, frame: Any, offset: int) -> bool:
        """Whether a frame is there only because those behind it need it."""
        known = self._skips and frame.pts is not None and frame.time_base is not None
        return bool(known and frame.pts * frame.time_base * SECOND + offset < 0)

    def _seek(self, moment: int) -> None:
        """To a place before this moment (ns, by the file's own clock) from which everything behind it can be read."""
        try:
            self._container.seek(moment // 1000)
        except (av.error.FFmpegError, OSError) as error:
            self._container.close()
            raise UsageError(f"cannot go to {moment / SECOND:.1f} s in {self._path}: {error.strerror}") from error

    def _select(self, kind: str) -> Any:
        candidates = self._container.streams.video if kind == "video" else self._container.streams.audio
        for stream in candidates:
            if not stream.disposition & av.stream.Disposition.attached_pic:
                return stream
        raise UsageError(f"{self._path} has no {kind}: use --{kind} none or another file")

    def _run(self) -> None:
        try:
            while self._read_pass() and self._loop:
                self._container = _open(self._path)
                self.streams = {kind: self._select(kind) for kind in self.streams}
        except av.error.FFmpegError as error:
            self._failure = f"{self._path} can no longer be read: {error.strerror}"
        except UsageError as error:
            self._failure = str(error)
        with self._change:
            self._ended = True
            self._change.notify_all()

    def _read_pass(self) -> bool:
        """From the first packet to the last; False when nobody wants more."""
        kinds = {stream.index: kind for kind, stream in self.streams.items()}
        end = self._start
        for packet in self._container.demux(*self.streams.values()):
            if packet.size == 0:  # PyAV's own mark of the end; ours follows for all at once
                continue
            if packet.pts is not None:
                duration = packet.duration or 0
                end = max(end, int((packet.pts + duration) * packet.time_base * SECOND))
            if not self._put(kinds[packet.stream_index], packet):
                return False
        for kind in self.streams:
            self._put(kind, None)
        if end == self._start:  # nothing in it: going round again would never stop
            return False
        self._offset += end - self._start
        return True

    def _put(self, kind: str, packet: Packet[Any] | None) -> bool:
        parcel = Parcel(self.streams[kind], packet, self._offset)
        with self._change:
            self._change.wait_for(self._room)
            if kind in self._shelves:
                self._shelves[kind].append(parcel)
                self._held += _size(parcel)
                self._change.notify_all()
            return bool(self._shelves)

    def _room(self) -> bool:
        """Some stream runs short, and there is space; or nobody waits for anything."""
        short = any(len(shelf) < AHEAD for shelf in self._shelves.values())
        return not self._shelves or (short and self._held < CAPACITY)


def _size(parcel: Parcel) -> int:
    return parcel.packet.size if parcel.packet is not None else 0


def _start(stream: Any) -> int:
    """ns on the file's own clock."""
    return int((stream.start_time or 0) * stream.time_base * SECOND)


def length(path: str) -> float:
    """Seconds of a file. Raises UsageError when it can't be read."""
    with _open(path) as container:
        return (container.duration or 0) / av.time_base


def _open(path: str) -> InputContainer:
    options = {"fflags": "nobuffer", "analyzeduration": "1000000"} if is_live(path) else {}
    try:
        return av.open(path, options=options, timeout=LIVE_TIMEOUT if is_live(path) else None)
    except (av.error.FFmpegError, OSError) as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
