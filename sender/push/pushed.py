"""What is sent to one server: its streams, and paths that are agreed on as often as it takes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from protocol.control.trust import known_hosts
from protocol.rtsp.url import Url
from sender.config import Target
from sender.identity import Identity
from sender.paths import AnyPath, Channel, Path, Route, TargetPaths
from sender.transmit.stream import StreamConfig


@dataclass(slots=True, eq=False)
class Pushed:
    """The routes and `host` belong to the network thread, once it runs."""

    key: int
    name: str
    """as the person has it."""
    url: Url
    streams: Sequence[StreamConfig]
    routes: Sequence[tuple[Route, Route]]
    """of each stream: of its packets, and of reports about them."""
    host: str | None = None
    """the server's address, as soon as that is known."""

    @classmethod
    def of(
        cls, key: int, target: Target, forms: Sequence[StreamConfig], *, repair: bool, numbers: random.Random
    ) -> Pushed:
        """`forms`: the streams, but for SSRCs and paths."""
        assert target.url is not None
        name = str(target.url) if target.encryption == "no" else known_hosts.name(target.host, target.port)
        streams = [Identity.new(numbers).given_to(form, repair=repair) for form in forms]
        routes = [(Route(), Route()) for _ in forms]
        streams = [
            replace(stream, rtp_path=rtp, rtcp_path=rtcp) for stream, (rtp, rtcp) in zip(streams, routes, strict=True)
        ]
        return cls(key, name, target.url, streams, routes)

    @property
    def to(self) -> TargetPaths:
        """As the network thread has it."""
        paths: dict[str, tuple[AnyPath, AnyPath]] = {
            stream.media: pair for stream, pair in zip(self.streams, self.routes, strict=True)
        }
        return TargetPaths(self.key, self.name, (self.url.host, self.url.port), False, paths)

    def lead(self, index: int, rtp: Path | Channel | None, rtcp: Path | Channel | None) -> None:
        """Where a stream's packets go from now on."""
        for route, via in zip(self.routes[index], (rtp, rtcp), strict=True):
            route.via = via

    def cut(self) -> None:
        """They go nowhere."""
        for index in range(len(self.routes)):
            self.lead(index, None, None)

    def comes_from(self, path: object) -> bool:
        """Whether something that came along this path is the server's."""
        return isinstance(path, Channel) or (isinstance(path, tuple) and path[0] == self.host)
