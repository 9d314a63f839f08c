"""Everything `serve` was asked to do, already checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
    cert: str | None = None
    """PEM file; None: our own certificate, made on first start."""
    key: str | None = None
    """PEM file; None: it is in the certificate's."""
    tls_only: bool = False
    """who speaks in the open is turned away."""
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    """passwords by user; empty: everybody is let in."""
    exit_on_end: bool = False
    """the end of the media is the end of the program."""

    @property
    def path(self) -> str:
        return f"/{self.name}"
