"""The control thread's part of `serve`: connections, the RTSP server, and what it hears of the network thread."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import replace

from protocol.control.connection import Connection
from protocol.control.limits import Limits
from protocol.control.listening import Listener
from protocol.control.loop import ControlThread
from protocol.rtsp import final_range
from protocol.rtsp.application import Peer, Refused
from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Request, Response
from protocol.rtsp.server import MAX_SESSIONS, Guard, Server
from sender.destination import Destination
from sender.interleaving import Interleaver
from sender.last_words import last_words
from sender.network import Network
from sender.serve.agreeing import Agreeing
from sender.serve.application import Served
from sender.serve.conversation import Conversation
from sender.serve.delivery import Agreement, Delivery

_LOOK_S = 1.0
_START_S = 3.0
_PARTING_S = 1.0
"""for receivers to leave by themselves."""
_LOST = "its connection was lost"


class Control:
    """Everything but `start` and `close` runs on the control thread."""

    def __init__(
        self,
        thread: ControlThread,
        network: Network,
        application: Served,
        agreeing: Agreeing,
        *,
        tls: ssl.SSLContext | None,
        tls_only: bool = False,
        guard: Guard | None = None,
    ) -> None:
        """`tls`: None: it is refused; `tls_only`: everything else is. `guard`: None lets everybody in."""
        self._thread, self._network, self._application, self._agreeing = thread, network, application, agreeing
        self._tls, self._tls_only = tls, tls_only
        self._server = Server(application, guard=guard, on_refused=self._note_refusal)
        self._conversations: set[Conversation] = set()
        self._listener: Listener | None = None
        network.ending, network.ended = self._tell_ending, self._tell_end

    # From another thread

    def start(self, sockets: Sequence[socket.socket]) -> None:
        """Listen."""
        self._thread.call(self._start(sockets)).result(_START_S)

    def close(self) -> None:
        """Listen no more, and close every connection."""
        self._thread.call(self._close()).result(_START_S)

    async def _start(self, sockets: Sequence[socket.socket]) -> None:
        limits = Limits(connections=MAX_SESSIONS)
        self._listener = Listener(sockets, self._greet, tls=self._tls, limits=limits)
        self._listener.start()
        asyncio.get_running_loop().call_later(_LOOK_S, self._look)

    async def _close(self) -> None:
        """Receivers have heard the goodbye: those that say theirs get an answer."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _PARTING_S
        while self._server.sessions and loop.time() < until:
            await asyncio.sleep(0.02)
        if self._listener is not None:
            self._listener.close()

    # Connections

    def _greet(self, connection: Connection) -> Conversation:
        conversation = Conversation(connection, self, Interleaver(connection, self._network, self._thread.post))
        self._conversations.add(conversation)
        return conversation

    def handle(self, conversation: Conversation, request: Request) -> None:
        """A request."""
        connection = conversation.connection
        if self._tls_only and not connection.tls:
            self._note_refusal(conversation.peer, request, Refused(403, "it does not encrypt"))
            connection.send(Response(403, Headers.of(("CSeq", str(request.cseq or 0)))))
            connection.close("it does not encrypt")
            return
        response = self._server.handle(conversation.peer, request, time.monotonic_ns())
        if (words := self._application.take_last_words()) is not None:
            response = _with_parameter(response, words)
        connection.send(response)
        if (response.headers.get("Connection") or "").lower() == "close":
            connection.close("it was refused too often")
        for todo in self._application.take_afterwards():
            todo()
        self._keep()

    def left(self, conversation: Conversation, _why: str) -> None:
        """The connection is closed."""
        self._conversations.discard(conversation)
        self._agreeing.forget(conversation)
        self._server.lost(conversation.peer, time.monotonic_ns())

    def acknowledged(self, target: int) -> None:
        """This target's receiver has its final ranges."""
        self._network.call(lambda now: self._network.told(target, now))

    # Time, and the network thread

    def _look(self) -> None:
        asyncio.get_running_loop().call_later(_LOOK_S, self._look)
        self._network.call(self._report_heard)
        self._server.handle_timeout(time.monotonic_ns())
        self._keep()

    def _report_heard(self, _: int) -> None:
        """On the network thread: who was heard when, and who is not there any more."""
        told = {key: (each.heard, each.refused()) for key, each in self._network.destinations.items()}
        self._thread.post(self._hear, told)

    def _hear(self, told: dict[int, tuple[int | None, bool]]) -> None:
        for session in self._server.sessions:
            if not isinstance(session.context, Agreement):
                continue
            heard, refused = told.get(session.context.delivery.key, (None, False))
            if session.abandoned and refused:
                self._server.end(session.id, _LOST)
            elif heard is not None:
                self._server.alive(session.id, heard)

    def _keep(self) -> None:
        """A connection with a session may be silent as long as the session."""
        with_session = {session.peer.connection for session in self._server.sessions}
        for conversation in self._conversations:
            conversation.connection.kept = conversation in with_session

    def _tell_ending(self, destination: Destination) -> None:
        """On the network thread."""
        if isinstance(destination.context, Delivery):
            self._thread.post(self._application.handle_ending, destination.context, last_words(destination.session))

    def _tell_end(self, destination: Destination) -> None:
        """On the network thread."""
        if isinstance(destination.context, Delivery):
            self._thread.post(self._application.handle_end, destination.context, destination.session)

    def _note_refusal(self, peer: Peer, request: Request, refused: Refused) -> None:
        if refused.status == 401 and "Authorization" not in request.headers:
            return  # how it always begins
        where = f"{peer.host} port {peer.port}"
        why = f"{request.method} of {where}: {refused.status}" + (f": {refused.why}" if refused.why else "")
        line = f"{where} is not let in: {refused.why}" if refused.status in (401, 403) else None
        self._network.call(lambda now: self._network.journal.note(now, "refused", why, line))


def _with_parameter(response: Response, ranges: str) -> Response:
    """The answer to TEARDOWN, with what was sent until then (docs/wire.md)."""
    headers = response.headers.with_("Content-Type", "text/parameters")
    return replace(response, headers=headers, body=f"{final_range.NAME}: {ranges}\r\n".encode())
