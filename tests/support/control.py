"""Both ends of a control connection within one loop, and somebody to write down what they hear."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from protocol.control.connection import Connection
from protocol.control.limits import Limits
from protocol.control.listening import Listener, open_sockets
from protocol.rtsp.message import Message, Request, Response

PATIENCE = 5.0


class Listening:
    """A handler that keeps what it hears, and answers each request with 200 unless told otherwise."""

    def __init__(self, answer: Callable[[Connection, Request], Response | None] | None = None) -> None:
        self.connections: list[Connection] = []
        self.heard: list[Message] = []
        self.ends: list[str] = []
        self._answer = answer or (lambda _, request: Response(200, request.headers))
        self._news = asyncio.Event()

    def __call__(self, connection: Connection) -> Listening:
        self.connections.append(connection)
        self._news.set()
        return self

    def received(self, connection: Connection, message: Message) -> None:
        self.heard.append(message)
        self._news.set()
        if isinstance(message, Request) and (response := self._answer(connection, message)) is not None:
            connection.send(response)

    def lost(self, _connection: Connection, why: str) -> None:
        self.ends.append(why)
        self._news.set()

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait for something that changes when something is heard."""
        async with asyncio.timeout(PATIENCE):
            while not done():
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def listener(
    handler: Callable[[Connection], Listening], *, tls: ssl.SSLContext | None = None, limits: Limits | None = None
) -> AsyncIterator[Listener]:
    """On a free port of 127.0.0.1."""
    listening = Listener(open_sockets("127.0.0.1", 0, ""), handler, tls=tls, limits=limits)
    listening.start()
    try:
        yield listening
    finally:
        listening.close()
        await asyncio.sleep(0.05)


async def eventually(done: Callable[[], bool], what: str) -> None:
    """Wait for something nobody tells of."""
    for _ in range(int(PATIENCE / 0.02)):
        if done():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{what} did not happen")
