"""One request, one answer, then the connection is closed; only the stream of updates stays open."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from receiver.report.prometheus import CONTENT_TYPE
from receiver.report.web.access import Access
from receiver.report.web.feed import Feed
from receiver.report.web.files import LIBRARY, File, files
from receiver.report.web.picture import Pictures

STREAMS = 8
"""pages open at once: fewer than there are threads, so the rest is still answered."""
TIMEOUT = 10.0
"""s a client may take to send or take in the next few bytes."""
HEARTBEAT = 10.0
_SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_NO_TOKEN = "The token is missing or wrong: open the address that the receiver printed when it started.\n"
_NO_NAME = "This machine is not known by that name: ask by address, or by localhost.\n"
_JSON = "application/json; charset=utf-8"
_CSV = "text/csv; charset=utf-8"


@dataclass(slots=True)
class Site:
    """What all requests share."""

    access: Access
    feed: Feed
    pictures: Pictures | None
    streams: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(STREAMS))


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD."""

    server_version, sys_version = "steadycast", ""
    timeout = TIMEOUT

    def __init__(self, site: Site, *request: Any) -> None:
        self._site = site
        super().__init__(*request)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        access = self._site.access
        if not access.knows_host(self.headers.get("Host")):
            self._text(HTTPStatus.MISDIRECTED_REQUEST, _NO_NAME)
        elif path == "/healthz":
            self._text(HTTPStatus.OK, "ok\n")
        elif not access.admits(query, self.headers.get("Authorization"), self.headers.get("Cookie")):
            self._text(HTTPStatus.UNAUTHORIZED, _NO_TOKEN, {"WWW-Authenticate": "Bearer"})
        elif path == "/" and "token=" in query:
            self._answer(HTTPStatus.SEE_OTHER, "text/plain", b"", {"Location": "/", "Set-Cookie": access.set_cookie()})
        else:
            self._route(path)

    def _route(self, path: str) -> None:
        feed = self._site.feed
        answers: dict[str, Callable[[], None]] = {
            "/metrics": lambda: self._answer(HTTPStatus.OK, CONTENT_TYPE, feed.metrics()),
            "/api/snapshot": lambda: self._answer(HTTPStatus.OK, _JSON, feed.report()),
            "/report.json": lambda: self._download("report.json", _JSON, feed.report()),
            "/intervals.csv": lambda: self._download("intervals.csv", _CSV, feed.intervals()),
            "/api/stream": self._stream,
            "/picture.jpg": self._picture,
        }
        file = files().get(path)
        if path in answers:
            answers[path]()
        elif file is not None:
            self._file(path, file())
        else:
            self._text(HTTPStatus.NOT_FOUND, "There is no such page.\n")

    def _file(self, path: str, file: File) -> None:
        more = {"Cache-Control": "private, max-age=3600"} if path == LIBRARY else {}
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            self._answer(HTTPStatus.OK, file.content_type, file.compressed, {**more, "Content-Encoding": "gzip"})
        else:
            self._answer(HTTPStatus.OK, file.content_type, file.data, more)

    def _download(self, name: str, content_type: str, data: bytes) -> None:
        self._answer(HTTPStatus.OK, content_type, data, {"Content-Disposition": f'attachment; filename="{name}"'})

    def _picture(self) -> None:
        pictures = self._site.pictures
        jpeg = None if pictures is None else pictures.jpeg(time.monotonic_ns())
        if jpeg is None:
            self._answer(HTTPStatus.NO_CONTENT, None, b"")
        else:
            self._answer(HTTPStatus.OK, "image/jpeg", jpeg)

    def _stream(self) -> None:
        """Server-sent events: `history` once, then `update` with each snapshot. A slow client skips some."""
        if not self._site.streams.acquire(blocking=False):
            self._text(HTTPStatus.SERVICE_UNAVAILABLE, "Too many pages are open.\n", {"Retry-After": "5"})
            return
        try:
            self._head(HTTPStatus.OK, {"Content-Type": "text/event-stream"})
            if self.command == "HEAD":
                return
            self._send_event("history", self._site.feed.history())
            self._send_updates(self._site.feed)
        finally:
            self._site.streams.release()

    def _send_updates(self, feed: Feed) -> None:
        told = -1
        while (number := feed.wait(told, HEARTBEAT)) is not None:
            if number > told:
                told = number
                self._send_event("update", feed.update())
            else:
                self.wfile.write(b": nothing new\n\n")

    def _send_event(self, name: str, data: bytes) -> None:
        self.wfile.write(b"event: " + name.encode() + b"\ndata: " + data + b"\n\n")

    def _text(self, status: HTTPStatus, text: str, more: dict[str, str] | None = None) -> None:
        self._answer(status, "text/plain; charset=utf-8", text.encode(), more)

    def _answer(
        self, status: HTTPStatus, content_type: str | None, data: bytes, more: dict[str, str] | None = None
    ) -> None:
        kind = {} if content_type is None else {"Content-Type": content_type, "Content-Length": str(len(data))}
        self._head(status, {**kind, **(more or {})})
        if self.command != "HEAD":
            self.wfile.write(data)

    def _head(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Cache-Control": "no-store", **_SECURITY, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """For requests that the standard library refuses."""
        del explain
        self.close_connection = True
        status = HTTPStatus(code)
        self.command = getattr(self, "command", None) or "GET"
        self._text(status, f"{message or status.phrase}\n")

    def log_message(self, *_: object) -> None:
        """The user's terminal is for the stream."""
