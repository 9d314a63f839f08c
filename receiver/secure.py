"""Encryption between transport and session: which keys are in use on which of our ports and lanes."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable

from protocol.command.keys import warnings
from protocol.datagram import Batch, Transmission
from protocol.srtp.complaints import Complaints
from protocol.srtp.encryption import Encryption, FixedKeys
from receiver.account.local import queue
from receiver.config import ReceiverConfig
from receiver.session import ReceiverSession


def secure(config: ReceiverConfig, log: Callable[[str], None], *, now: int) -> Secure:
    """What --key-file and a description's keys ask for. `now`: monotonic ns."""
    default = None
    if config.key_file is not None:
        for line in warnings(config.key_file, receives=True):
            log(line)
        default = config.key_file.receiver(now=now, wall=time.time_ns())
    made = Secure(default, log)
    for port, keys in config.listen.keys.items():
        made.agree([port], FixedKeys(None, keys))
    return made


class Secure:
    """It belongs to the network thread."""

    def __init__(self, default: Encryption | None, tell: Callable[[str], None]) -> None:
        """`default`: where nothing was agreed on; None: there nothing is encrypted. `tell` gets lines for people."""
        self._default = default
        self._agreed: dict[Hashable, Encryption | None] = {}
        self._complaints = Complaints(tell, "packets")

    def agree(self, ports: Iterable[int], encryption: Encryption | None) -> None:
        """What holds on these, our UDP ports or lanes, from now on; None: packets come in the clear."""
        self._agreed |= dict.fromkeys(ports, encryption)

    def forget(self, ports: Iterable[int]) -> None:
        """Their agreement is over; what still comes there is as it would be without one."""
        for port in ports:
            self._agreed.pop(port, None)

    def receive(self, session: ReceiverSession, batch: Batch, now: int) -> list[Transmission]:
        """Hands in what may be; returns what is to leave at once."""
        encryption = self._of(batch.path)
        if encryption is None:
            session.handle_datagrams(batch, now)
            return []
        opened = encryption.open(batch, now)
        refused = encryption.take_refused()
        if len(opened) or opened.kernel_drops:
            session.handle_datagrams(opened, now)
        if refused:  # after those that it may repeat
            session.refuse(refused, now)
        if len(batch):
            self._complaints.look(str(batch.path), len(opened), refused.total(), now)
        return encryption.take_answers()

    def seal(self, transmission: Transmission, now: int) -> list[Transmission]:
        """What leaves in its place."""
        encryption = self._of(transmission.path)
        return [transmission] if encryption is None else encryption.seal(transmission, now)

    def _of(self, path: Hashable) -> Encryption | None:
        return self._agreed.get(queue(path), self._default) if self._agreed else self._default
