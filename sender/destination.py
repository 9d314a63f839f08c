"""What the network thread knows of one destination beside its session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sender.paths import Path, TargetPaths
from sender.secure import Secured
from sender.session import RateLimited, SenderSession
from sender.snapshot import TargetSnapshot

QUIET = 3_000_000_000
"""ns without a refusal after which somebody listens: systems send few, but one a second."""
_FALL = 0.95
"""of a limit, that is worth an event."""
MAX_REPORTS = 64
"""of receivers, for each target."""


@dataclass(slots=True, eq=False)
class Destination:
    """Times are monotonic ns."""

    to: TargetPaths
    session: SenderSession
    feeds: Sequence[int]
    """of each of the session's streams: the feed that it comes from."""
    context: object = None
    """whoever added it."""
    acknowledges: bool = True
    """it may answer the final range."""
    secured: Secured | None = None
    """its encryption; None: there is none."""
    playing: bool = True
    """media goes there."""
    unwanted: set[int] = field(default_factory=set)
    """feeds that do not."""
    starving: bool = False
    """media does not, because there is no room in its connection."""
    waiting: set[int] = field(default_factory=set)
    """feeds that begin there with their next key frame."""
    first_sent: dict[Path, int] = field(default_factory=dict)
    """media paths in use → since when."""
    last_sent: dict[Path, int] = field(default_factory=dict)
    refusals: dict[Path, int] = field(default_factory=dict)
    """media paths that refused → when they last did."""
    heard: int | None = None
    """when something last came from there."""
    reached: bool = False
    """somebody answered, or took what was sent for a while without a refusal."""
    peers: dict[int, dict[str, Any]] = field(default_factory=dict)
    """receivers' reports, by SSRC."""
    limits: dict[int, int] = field(default_factory=dict)
    """bit/s of streams that are limited, as they were told: the highest since the last fall."""

    @property
    def name(self) -> str:
        return self.to.name

    def takes(self, feed: int, *, key_frame: bool) -> int | None:
        """The session's stream that a unit of this feed goes to; None: it does not go there."""
        if not self.playing or self.starving or feed not in self.feeds or feed in self.unwanted:
            return None
        if feed in self.waiting:
            if not key_frame:
                return None
            self.waiting.discard(feed)
        return self.feeds.index(feed)

    def handle_sent(self, path: Path, now: int) -> None:
        """Media has left for there."""
        self.first_sent.setdefault(path, now)
        self.last_sent[path] = now

    def handle_unsent(self, datagrams: Sequence[bytes]) -> None:
        """These were sealed, but did not leave."""
        self.session.handle_unsent(datagrams if self.secured is None else self.secured.unsealed(datagrams))

    def handle_refusal(self, path: Path, now: int) -> bool:
        """True when this path did not refuse until now."""
        before = self.refusals.get(path, 0)
        self.reached |= now - max(before, self.first_sent.get(path, now)) > QUIET
        self.refusals[path] = now
        return now - before > QUIET

    def refused(self) -> bool:
        """Every path that media takes refuses it at present."""
        return bool(self.last_sent) and all(
            self.refusals.get(path, 0) > sent - QUIET for path, sent in self.last_sent.items()
        )

    def keep_report(self, ssrc: int, report: dict[str, Any]) -> None:
        """What a receiver says of its side."""
        if ssrc in self.peers or len(self.peers) < MAX_REPORTS:
            self.peers[ssrc] = report

    def note_limit(self, limited: RateLimited, *, follows: bool) -> tuple[str, str | None] | None:
        """What a limit is worth noting, and the line for the person: its beginning, each fall worth a word, and its
        end. `follows`: the encoder does."""
        told, bitrate = self.limits.get(limited.stream), limited.bitrate
        if bitrate is None:
            if self.limits.pop(limited.stream, None) is None:
                return None
            return f"no limit any more at {self.name}", f"{self.name} takes all of the video again"
        self.limits[limited.stream] = bitrate if told is None else max(told, bitrate)
        if told is not None and bitrate > _FALL * told:
            return None
        self.limits[limited.stream] = bitrate
        takes = f"{self.name} takes {bitrate / 1000:.0f} kbit/s of the video: {limited.why}"
        takes += "" if follows else "; what is copied cannot follow"
        return takes, takes if told is None else None

    def snapshot(self, now: int) -> TargetSnapshot:
        refused = self.refused()
        peers = tuple(self.peers.values())
        return TargetSnapshot(self.name, refused, self.reached or not refused, self.session.statistics(now), peers)
