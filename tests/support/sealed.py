"""Sessions with their encryption around them, as the programs' network threads have it, for `pair`."""

from __future__ import annotations

from typing import Any

from protocol.datagram import Batch, Transmission
from protocol.srtp.encryption import Encryption
from receiver.secure import Secure
from receiver.session import ReceiverSession
from receiver.session import SessionOutput as ReceiverOutput
from sender.secure import Secured
from sender.session import SenderSession, SessionOutput
from tests.support.clock import VirtualClock
from tests.support.pair import Pair


class SealedReceiver:
    """A ReceiverSession in everything."""

    def __init__(self, session: ReceiverSession, encryption: Encryption, clock: VirtualClock) -> None:
        self.session, self._clock = session, clock
        self.lines: list[str] = []
        """what a person would read."""
        self.secure = Secure(encryption, self.lines.append)
        self._answers: list[Transmission] = []
        self.left: list[tuple[int, object]] = []
        """when something left, and by which path."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def handle_datagrams(self, batch: Batch, now: int) -> None:
        self._answers += self.secure.receive(self.session, batch, now)

    def poll(self) -> ReceiverOutput:
        out, answers = self.session.poll(), self._answers
        self._answers = []
        sealed = [each for sent in out.transmissions for each in self.secure.seal(sent, self._clock.now)]
        self.left += [(self._clock.now, each.path) for each in answers + sealed]
        return ReceiverOutput(answers + sealed, out.units, out.events)


class SealedSender:
    """A SenderSession in everything."""

    def __init__(self, session: SenderSession, encryption: Encryption) -> None:
        self.session = session
        self.lines: list[str] = []
        """what a person would read."""
        self.secured = Secured(encryption, "there", self.lines.append)
        self.path: object = None
        """by which it leaves."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def handle_datagrams(self, batch: Batch, now: int) -> None:
        self.secured.receive(self.session, batch, now)

    def poll(self, now: int) -> SessionOutput:
        out = self.session.poll(now)
        sealed = [each for sent in out.transmissions for each in self.secured.seal(sent, now)]
        return SessionOutput([Transmission(each.datagrams, self.path) for each in sealed], out.events)


def seal(pair: Pair, sender: Encryption, receiver: Encryption) -> tuple[SealedSender, SealedReceiver]:
    """Puts these around the pair's sessions."""
    assert pair.sender is not None
    assert pair.receiver is not None
    there, here = SealedSender(pair.sender, sender), SealedReceiver(pair.receiver, receiver, pair.clock)
    pair.sender, pair.receiver = there, here  # type: ignore[assignment]
    return there, here


def clocks(pair: Pair) -> tuple[dict[str, int], dict[str, int]]:
    """`now` and `wall` at each end, for what wants both."""
    now, ours = pair.clock.now, pair.sender_clock
    return {"now": ours.local(now), "wall": pair.clock.wall}, {"now": now, "wall": pair.clock.wall}
