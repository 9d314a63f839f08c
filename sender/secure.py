"""Encryption between a destination's session and the transport. It belongs to the network thread."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

from protocol.command.keys import warnings
from protocol.datagram import Batch, Transmission
from protocol.srtp.complaints import Complaints
from protocol.srtp.encryption import Encryption
from protocol.srtp.profile import SRTCP_INDEX
from sender.config import SenderConfig
from sender.paths import TargetPaths
from sender.session import SenderSession

_MAX_REPORTERS = 64


def encrypt(
    config: SenderConfig, targets: Sequence[TargetPaths], log: Callable[[str], None], *, now: int, wall: int
) -> list[Encryption | None]:
    """What --key-file asks for, of each target. `wall`: Unix ns at `now`, monotonic ns."""
    if config.key_file is None:
        return [None] * len(targets)
    for line in warnings(config.key_file, receives=False):
        log(line)
    return [config.key_file.sender(now=now, wall=wall) for _ in targets]


class Secured:
    """One destination, by its name. `tell` gets lines for people."""

    def __init__(self, encryption: Encryption, name: str, tell: Callable[[str], None]) -> None:
        self._encryption, self._name = encryption, name
        self._complaints = Complaints(tell, "reports")
        self._reporters: dict[int, Hashable] = {}
        """receivers that have proved themselves, by SSRC, and where they were last."""
        self.reporter: int | None = None
        """the newest of them,"""
        self.moved = False
        """and whether that came from another place than before."""

    def receive(self, session: SenderSession, batch: Batch, now: int) -> bool:
        """Hands in what may be; False where that is nothing."""
        opened = self._encryption.open(batch, now)
        refused = self._encryption.take_refused()
        if refused:
            session.refuse(refused)
        self._complaints.look(self._name, len(opened), refused.total(), now)
        if len(opened):
            self._place(opened)
            session.handle_datagrams(opened, now)
        return len(opened) > 0

    def _place(self, opened: Batch) -> None:
        datagram = opened.datagram(len(opened) - 1)
        if len(datagram) < 8 or not 192 <= datagram[1] <= 223:
            return
        ssrc = int.from_bytes(datagram[4:8])
        self.moved = self._reporters.get(ssrc, opened.path) != opened.path
        if ssrc in self._reporters or len(self._reporters) < _MAX_REPORTERS:
            self._reporters[ssrc] = opened.path
            self.reporter = ssrc

    def seal(self, transmission: Transmission, now: int) -> list[Transmission]:
        """What leaves in its place."""
        return self._encryption.seal(transmission, now)

    def unsealed(self, datagrams: Iterable[bytes]) -> list[bytes]:
        """RTP packets that did not leave: as long as they were before, headers and all, so that they can be counted."""
        grown = self._encryption.overhead - SRTCP_INDEX
        return [datagram[: len(datagram) - grown] for datagram in datagrams]
