"""An RTSP server that says what a test wants it to say."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType

from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Interleaved, Message, Request, Response, serialize
from protocol.rtsp.reader import Reader

Answer = Callable[[Request], "Response | Sequence[Message] | None"]
"""What is said to a request; None: nothing. CSeq is added to responses."""

SDP = """v=0\r
o=- 1 1 IN IP4 127.0.0.1\r
s=a test\r
t=0 0\r
a=control:*\r
m=video 0 RTP/AVP 96\r
a=rtpmap:96 VP8/90000\r
a=control:one\r
m=audio 0 RTP/AVP 0\r
a=control:two\r
"""


def described(text: str = SDP) -> Response:
    """An answer to DESCRIBE."""
    return Response(200, Headers.of(("Content-Type", "application/sdp")), text.encode())


class RtspScript:
    """Serves any number of connections, a thread each, until it is left."""

    def __init__(self, answer: Answer, packet: Callable[[Interleaved], object] = lambda _: None) -> None:
        """`packet` is told of each that comes between the requests."""
        self._answer, self._packet = answer, packet
        self.requests: list[Request] = []
        self.connections: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.url = f"rtsp://127.0.0.1:{self.port}/live"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> RtspScript:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()

    def cut(self) -> None:
        """Closes every connection."""
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self.connections.clear()

    def said(self, method: str) -> list[Request]:
        """The requests of this method so far."""
        return [request for request in self.requests if request.method == method]

    def say(self, message: Message) -> None:
        """On the newest connection."""
        self.connections[-1].sendall(serialize(message))

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        reader = Reader()
        with suppress(OSError):
            while data := connection.recv(65536):
                for message in reader.receive(data):
                    if isinstance(message, Request):
                        self.requests.append(message)
                        self._reply(connection, message)
                    elif isinstance(message, Interleaved):
                        self._packet(message)

    def _reply(self, connection: socket.socket, request: Request) -> None:
        said = self._answer(request)
        for message in [said] if isinstance(said, Response) else said or ():
            if isinstance(message, Response):
                headers = Headers.of(("CSeq", request.headers.get("CSeq") or "")).plus(message.headers)
                message = Response(message.status, headers, message.body)
            connection.sendall(serialize(message))
