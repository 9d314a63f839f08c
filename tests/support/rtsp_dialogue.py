"""A client of RTSP that says exactly what a test tells it to."""

from __future__ import annotations

import socket
import time
from collections import deque
from types import TracebackType

from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Interleaved, Message, Request, Response, serialize
from protocol.rtsp.reader import Reader

WAIT = 5.0


class Dialogue:
    """One connection."""

    def __init__(self, port: int, host: str = "127.0.0.1", path: str = "/cam", agent: str = "a test") -> None:
        self.url = f"rtsp://{host}:{port}{path}"
        self._socket = socket.create_connection((host, port), WAIT)
        self._reader = Reader()
        self._waiting: deque[Message] = deque()
        self._cseq = 0
        self._agent = agent
        self.session: str | None = None
        self.packets: list[Interleaved] = []
        """what came beside the answers."""

    def __enter__(self) -> Dialogue:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def ask(self, method: str, track: str = "", body: bytes = b"", **headers: str) -> Response:
        """`Some_Header="value"`; the answer."""
        self._cseq += 1
        fields = {"CSeq": str(self._cseq), "User-Agent": self._agent}
        if self.session is not None:
            fields["Session"] = self.session
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{self.url}/{track}" if track else self.url
        self._socket.sendall(serialize(Request(method, url, Headers(tuple(fields.items())), body)))
        while not isinstance(message := self._next(), Response):
            assert isinstance(message, Interleaved)
            self.packets.append(message)
        if (session := message.headers.get("Session")) is not None:
            self.session = session.partition(";")[0]
        return message

    def next_packet(self, timeout: float = WAIT) -> Interleaved | None:
        """The next one that comes beside messages; None at the end, and when none comes in time."""
        if self.packets:
            return self.packets.pop(0)
        try:
            message = self._next(timeout)
        except TimeoutError:
            return None
        return message if isinstance(message, Interleaved) else None

    def next_request(self) -> Request:
        """What the other end asks of us."""
        while not isinstance(message := self._next(), Request):
            pass
        return message

    def send(self, message: Message) -> None:
        self._socket.sendall(serialize(message))

    def ended(self) -> bool:
        """The other end closes the connection within a moment."""
        self._socket.settimeout(WAIT)
        try:
            while self._socket.recv(65_536):
                pass
        except OSError:
            return False
        return True

    def _next(self, timeout: float = WAIT) -> Message:
        deadline = time.monotonic() + timeout
        while not self._waiting:
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))
            data = self._socket.recv(65_536)
            if not data:
                raise ConnectionError("the other end closed the connection")
            self._waiting.extend(self._reader.receive(data))
        return self._waiting.popleft()
