"""Where datagrams go: over UDP, or through a TCP connection beside its messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sender.resolve import SocketAddress


@dataclass(slots=True, eq=False)
class Path:
    """Where datagrams of one kind go over UDP; opaque to sessions."""

    target: int
    """the target's key."""
    socket: int
    """key among the transport's sockets."""
    address: SocketAddress
    """changes when a receiver turns out to be elsewhere."""
    media: bool
    """RTP goes there, not RTCP alone."""


@dataclass(slots=True, eq=False)
class Channel:
    """Datagrams of one kind in a TCP connection (RFC 2326 §10.12); opaque to sessions."""

    target: int
    number: int
    """what the connection tells them apart by."""
    media: bool
    hand_over: Callable[[Channel, Sequence[bytes]], Sequence[bytes]]
    """Takes the channel and datagrams, returns those for which there is no room. It must not block."""


@dataclass(slots=True, eq=False)
class Route:
    """A path that is agreed on later, and may be again; opaque to sessions."""

    via: Path | Channel | None = None
    """None: at present it leads nowhere."""


AnyPath = Path | Channel | Route


@dataclass(frozen=True, slots=True)
class TargetPaths:
    """One target, resolved."""

    key: int
    name: str
    address: SocketAddress
    multicast: bool
    paths: Mapping[str, tuple[AnyPath, AnyPath]]
    """of "audio" and "video": where packets go, and where reports about them go."""

    def comes_from(self, path: object) -> bool:
        """Whether datagrams from this socket address, or channel, are of who media goes to; of a group, anybody may
        be."""
        if isinstance(path, Channel):
            return path.target == self.key
        anybody = self.multicast or self.address[0] in ("0.0.0.0", "::")
        return anybody or (isinstance(path, tuple) and path[0] == self.address[0])

    def rtp(self, media: str) -> AnyPath:
        """Where packets of "audio" or "video" go; all else goes with video."""
        return self.paths[media if media == "audio" else "video"][0]

    def rtcp(self, media: str) -> AnyPath:
        """Where reports about them go."""
        return self.paths[media if media == "audio" else "video"][1]
