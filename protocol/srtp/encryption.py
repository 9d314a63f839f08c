"""What stands between a session and its transport where packets are encrypted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from protocol.datagram import Batch, Transmission
from protocol.srtp.key_ring import KeyRing
from protocol.srtp.master_key import MasterKey
from protocol.srtp.protector import Protector
from protocol.srtp.refused import Refused


class Encryption(Protocol):
    """Of one session, or of one agreement; `now` is monotonic ns. Not for two threads at once."""

    @property
    def overhead(self) -> int:
        """Octets that a datagram may grow by: so much less of one is the session's."""

    def seal(self, transmission: Transmission, now: int) -> list[Transmission]:
        """What leaves in its place; [] where nothing may."""

    def open(self, batch: Batch, now: int) -> Batch:
        """What of it is authentic, valid until the next call."""

    def take_answers(self) -> list[Transmission]:
        """What is to leave at once because of what came: complete, not to be sealed."""

    def take_refused(self) -> Refused:
        """What was not let in since it was asked last."""


class FixedKeys:
    """Keys that were agreed on before the first packet."""

    def __init__(self, ours: Protector | Mapping[Any, Protector] | None, theirs: Iterable[MasterKey]) -> None:
        """`ours`: by path where there are several; without one nothing leaves. `theirs`: of everybody who may send."""
        self._ours = ours if isinstance(ours, Mapping) else {}
        self._default = None if isinstance(ours, Mapping) else ours
        self._ring = KeyRing(theirs)

    def trust(self, key: MasterKey) -> None:
        """Somebody else may send, too."""
        self._ring.add(key)

    @property
    def overhead(self) -> int:
        protectors = [*self._ours.values(), *([self._default] if self._default else [])]
        return max((protector.key.rtcp_overhead for protector in protectors), default=0)

    def seal(self, transmission: Transmission, now: int) -> list[Transmission]:  # noqa: ARG002
        ours = self._ours.get(transmission.path, self._default)
        return [] if ours is None else [Transmission(ours.protect(transmission.datagrams), transmission.path)]

    def open(self, batch: Batch, now: int) -> Batch:  # noqa: ARG002
        return self._ring.open(batch)

    def take_answers(self) -> list[Transmission]:
        return []

    def take_refused(self) -> Refused:
        return self._ring.take_refused()
