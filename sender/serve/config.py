"""Everything `serve` was asked to do, already checked."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocol.command.security import Security
from sender.config import SenderConfig

DEFAULT_PORT = 8554
DEFAULT_NAME = "live"


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """`media.targets` holds the multicast group, if any."""

    media: SenderConfig
    host: str | None = None
    """address of this machine to listen on; None: all."""
    port: int = DEFAULT_PORT
    name: str = DEFAULT_NAME
    """the path of the URL."""
    media_port: int = 0
    """the first of the two UDP ports that media leave from; 0: any."""
    security: Security = field(default_factory=Security)
    """who may come in, and what certificate they see."""
    tls_only: bool = False
    """who speaks in the open is turned away."""
    no_announce: bool = False
    """the network is not told."""
    exit_on_end: bool = False
    """the end of the media is the end of the program."""

    @property
    def path(self) -> str:
        return f"/{self.name}"
