"""A camera on the network: numbered pictures as MJPEG over HTTP, in a process that can be killed or stand still.

python -m tests.support.camera PORT [FIRST]
"""

from __future__ import annotations

import signal
import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2

from tests.support import media, peers

FPS = 25
_BOUNDARY = b"--picture"


class NetworkCamera:
    """The process, plugged in (`start`), unplugged (`kill`), or hanging (`pause`)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = _free_tcp_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self._process: peers.Process | None = None

    def start(self, first: int = 0) -> None:
        """Its pictures are numbered from `first` on, one each 40 ms of its life."""
        command = [sys.executable, "-m", "tests.support.camera", self.port, first]
        self._process = peers.Process(command, self._folder, "camera")
        self._process.wait_for_text("ready")

    def pause(self) -> None:
        """It keeps its connection and sends nothing more."""
        assert self._process is not None
        self._process.process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """Harmless when it is dead."""
        if self._process is not None:
            self._process.process.kill()
            self._process.process.wait()


class _Handler(BaseHTTPRequestHandler):
    first = 0
    began = 0.0

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        self.end_headers()
        with suppress(OSError):
            while True:
                number = round((time.monotonic() - self.began) * FPS)
                self._send(self.first + number)
                time.sleep(max(0.0, self.began + (number + 1) / FPS - time.monotonic()))

    def _send(self, number: int) -> None:
        written, data = cv2.imencode(".jpg", media.picture(number), [cv2.IMWRITE_JPEG_QUALITY, 90])
        assert written
        header = b"%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (_BOUNDARY, len(data))
        self.wfile.write(header + data.tobytes() + b"\r\n")

    def log_message(self, *_: object) -> None:
        """Nothing is said of requests."""


def _free_tcp_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def main() -> None:
    _Handler.first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    _Handler.began = time.monotonic()
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Handler)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
