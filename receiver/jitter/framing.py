"""What payloads say of their frames; an unreadable one says nothing."""

from __future__ import annotations

from protocol.errors import ProtocolError
from protocol.payload.base import Depacketizer


class Framing:
    """For the jitter buffer."""

    def __init__(self, depacketizer: Depacketizer) -> None:
        self._depacketizer = depacketizer

    def begins(self, payload: bytes) -> bool:
        try:
            return self._depacketizer.begins(payload)
        except ProtocolError:
            return False

    def duration(self, payload: bytes) -> int | None:
        try:
            return self._depacketizer.duration(payload)
        except ProtocolError:
            return None
