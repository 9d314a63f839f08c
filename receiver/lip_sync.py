"""Which streams of a session are played together, and by how much each has to wait for the other (jitter.sync)."""

from __future__ import annotations

from collections.abc import Iterable

from receiver.jitter.sync import Offset, extras
from receiver.source import Source
from receiver.stream import Stream


class LipSync:
    """`sources` is read whenever something is asked."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = sources
        self.device_latency: dict[str, int] = {}
        """by media, ns from hand-over to the device until it is heard or seen."""

    def synchronise(self) -> None:
        """The quicker of two streams waits."""
        found = self._offsets()
        for (stream, _), extra in zip(found, extras([offset for _, offset in found]), strict=True):
            stream.delay_further(extra)

    def planned_skew(self) -> int | None:
        """ns by which sound is meant to be heard after the picture captured with it; None without both and their SR."""
        meant = {o.media: s.extra + o.playout_offset + o.device_latency for s, o in self._offsets()}
        return meant["audio"] - meant["video"] if len(meant) == 2 else None

    def _offsets(self) -> list[tuple[Stream, Offset]]:
        """The streams whose capture times can be compared."""
        found: list[tuple[Stream, Offset]] = []
        for source in self._sources:
            stream = source.playing
            offset = None if stream is None else stream.playout_offset()
            if source.format.media == "load":  # nobody sees or hears it
                continue
            if stream is not None and offset is not None and source.cname is not None:
                latency = self.device_latency.get(source.format.media, 0)
                found.append((stream, Offset(source.cname, source.format.media, offset, latency)))
        return found
