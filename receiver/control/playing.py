"""A presentation that is asked for (RFC 2326), watched while it plays, and asked for again when it breaks off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from protocol.control.client import Options
from protocol.control.trying import again_and_again
from protocol.errors import FatalError
from receiver.config import ReceiverConfig
from receiver.control.conversation import Conversation
from receiver.network import Network

SILENT = 2_000_000_000
"""ns without a packet, or an answer, after which we say so; what never came by UDP is asked for in the connection."""
STALE = 10_000_000_000
"""ns without a packet after which the server is asked anew, whether or not its connection still stands."""
_LOOK = 0.25
_SLEPT = 1_500_000_000
"""ns between two looks."""


class Player:
    """`run` until it is cancelled, then `leave`, and `close`. On the control thread."""

    def __init__(
        self,
        config: ReceiverConfig,
        network: Network,
        post: Callable[..., None],
        log: Callable[[str], None],
        options: Options,
    ) -> None:
        assert config.listen.url is not None
        self._config, self._network, self._post, self._log, self._options = config, network, post, log, options
        self._url = config.listen.url
        self._lower = "UDP" if config.rtsp_transport == "auto" else config.rtsp_transport.upper()
        self._conversation: Conversation | None = None
        self._played = False
        """the server has let us in and played, in any try."""

    async def run(self) -> None:
        """Raises FatalError for what another try would not change."""
        await again_and_again(self._attempt, lambda: self._played, self._log)

    async def _attempt(self) -> str:
        """Until the stream has broken off: why. Raises FatalError."""
        try:
            await self._try()
        except FatalError:
            self.close()
            raise
        self.close()
        return f"no packets from {self._url.host} for {STALE // 1_000_000_000} s"

    async def leave(self) -> None:
        """The server is told; what it then says that it has sent counts."""
        if self._conversation is not None:
            await self._conversation.leave()

    def close(self) -> None:
        """Whatever is left of the conversation."""
        if self._conversation is not None:
            self._conversation.close()
            self._conversation = None

    async def _try(self) -> None:
        """One conversation, until it is worth another. Raises FatalError."""
        conversation = self._conversation = Conversation(
            self._url, self._config, self._network, self._post, self._log, self._options
        )
        place, seconds = conversation.place, SILENT // 1_000_000_000
        slow = asyncio.get_running_loop().call_later(SILENT / 1e9, self._log, f"no answer from {place} for {seconds} s")
        try:
            await conversation.open()
            await conversation.play(self._lower)
        finally:
            slow.cancel()
        self._played = True
        while await self._watch(conversation):
            self._log(f"no packets by UDP for {seconds} s: asking for them in the TCP connection")
            self._lower = "TCP"
            await conversation.stop()
            await conversation.play(self._lower)

    async def _watch(self, conversation: Conversation) -> bool:
        """Until the stream has broken off: False. True: nothing came by UDP. Raises FatalError where the connection
        is lost."""
        began = looked = time.monotonic_ns()
        said = False
        while True:
            await conversation.wait(_LOOK)
            heard, now = await conversation.heard(), time.monotonic_ns()
            if now - looked > _SLEPT:  # this machine was asleep: what came meanwhile is read first
                began = now
            looked = now
            silence = now - (began if heard is None else max(began, heard))
            if conversation.over:
                began, said = now, False
            elif silence < SILENT:
                said = False
            elif heard is None and conversation.lower == "UDP" and self._config.rtsp_transport == "auto":
                return True
            elif silence >= STALE:
                return False
            elif not said:
                said = True
                self._log(f"no packets from {conversation.place} for {SILENT // 1_000_000_000} s")
