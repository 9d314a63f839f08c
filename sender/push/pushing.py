"""A presentation that is sent to a server, watched, and announced again when that breaks off."""

from __future__ import annotations

import time
from collections.abc import Callable

from protocol.control.trying import again_and_again
from protocol.errors import FatalError, ResourceError
from sender.push.conversation import Conversation

SILENT = 2_000_000_000
"""ns without a word by UDP after which packets go through the connection; and of one of ours, after which we say so."""
SLOW = 4_000_000_000
"""the same of others: their first report takes up to 3.1 s (RFC 3550 §6.2, §6.3.1)."""
STALE = 10_000_000_000
"""ns without a word after which one of ours, that still answers, is asked anew."""
_LOOK = 0.25


class Pusher:
    """`run` until it is cancelled; then `stop`. On the control thread."""

    def __init__(
        self,
        converse: Callable[[], Conversation],
        log: Callable[[str], None],
        taken: Callable[[], None],
    ) -> None:
        """`converse` begins a conversation with the server; `taken` is told when it has agreed."""
        self._converse, self._log, self._tell_taken = converse, log, taken
        self._lower = "UDP"
        self._conversation: Conversation | None = None
        self._insists = True
        """on hearing something."""
        self._taken = False
        self.ending = False
        """nothing more will be sent: what breaks off now may."""

    async def run(self) -> None:
        """Raises FatalError for what another try would not change."""
        await again_and_again(self._attempt, lambda: self._taken, self._log)

    async def _attempt(self) -> str | None:
        """Until it has broken off: why; None where nothing was to follow. Raises FatalError."""
        try:
            await self._try()
        except FatalError:
            if self._taken and self.ending:
                return None
            raise
        finally:
            await self._let_go()
        return "announcing it anew"

    async def say(self, ranges: str) -> None:
        """Everything that was sent."""
        if self._conversation is not None:
            await self._conversation.say(ranges)

    async def stop(self) -> None:
        """The server is told that we leave."""
        if self._conversation is not None:
            await self._conversation.leave()

    async def _try(self) -> None:
        """One conversation, until it is worth another. Raises FatalError."""
        conversation = self._conversation = self._converse()
        await conversation.open()
        await conversation.record(self._lower)
        self._taken = True
        self._tell_taken()
        while await self._watch(conversation):
            await self._change(conversation)

    async def _change(self, conversation: Conversation) -> None:
        """From UDP to the connection, and back where the server does not take it. Raises FatalError."""
        seconds = self._patience(conversation) // 1_000_000_000
        self._log(f"nothing comes back by UDP for {seconds} s: sending in the TCP connection")
        await conversation.stop()
        try:
            await conversation.record("TCP")
            self._lower = "TCP"
        except ResourceError as error:
            self._log(f"by UDP all the same: {error}")
            self._insists = False
            await conversation.record("UDP")

    def _patience(self, conversation: Conversation) -> int:
        return SILENT if conversation.ours else SLOW

    async def _let_go(self) -> None:
        """Whatever is left of the conversation."""
        if self._conversation is not None:
            conversation, self._conversation = self._conversation, None
            await conversation.close()

    async def _watch(self, conversation: Conversation) -> bool:
        """Until it has broken off: False. True: nothing came back by UDP. Raises FatalError where the connection is
        lost."""
        began = time.monotonic_ns()
        said = False
        while True:
            await conversation.wait(_LOOK)
            if self.ending:
                continue
            heard, now = await conversation.heard(), time.monotonic_ns()
            silence = now - (began if heard is None else max(began, heard))
            if silence < SILENT:
                said = False
            elif heard is None and conversation.lower == "UDP" and self._insists:
                if silence >= self._patience(conversation):
                    return True
            elif conversation.ours and silence >= STALE:
                return False
            elif conversation.ours and not said:
                said = True
                self._log(f"no reports from {conversation.place} for {SILENT // 1_000_000_000} s")
                await conversation.probe()
