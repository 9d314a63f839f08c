"""A client of an RTSP server that only looks at numbers, with a few lines of its own: nothing of ours judges ours."""

from __future__ import annotations

import re
import select
import socket
import threading
import time

LOCAL = "127.0.0.1"


class Viewer:
    """Plays the first track by UDP while inside; keeps the session alive; counts what is missing."""

    def __init__(self, url: str, *, patience: float = 5.0) -> None:
        self._url = url
        port = re.search(r":(\d+)/", url)
        assert port
        self._tcp = socket.create_connection((LOCAL, int(port[1])), patience)
        self._udp = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for sock in self._udp:
            sock.bind((LOCAL, 0))
        self._cseq, self._session = 0, ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self.packets = self.missing = 0
        self.longest_gap = 0.0
        """s between two packets."""

    def __enter__(self) -> Viewer:
        try:
            self._begin()
        except BaseException:
            self.close()
            raise
        self._thread.start()
        return self

    def _begin(self) -> None:
        description = self.ask("DESCRIBE", self._url)
        controls = re.findall(r"a=control:(\S+)", description)
        track = controls[-1] if controls[-1].startswith("rtsp:") else f"{self._url}/{controls[-1]}"
        ports = "-".join(str(sock.getsockname()[1]) for sock in self._udp)
        answer = self.ask("SETUP", track, f"Transport: RTP/AVP;unicast;client_port={ports}")
        session = re.search(r"(?im)^Session: *([^;\s]+)", answer)
        assert session, answer
        self._session = session[1]
        self.ask("PLAY", self._url)

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(3)
        try:
            self.ask("TEARDOWN", self._url)
        finally:
            self.close()

    def close(self) -> None:
        """Without a word."""
        for sock in (self._tcp, *self._udp):
            sock.close()

    def ask(self, method: str, url: str, *headers: str) -> str:
        """The answer's head and body; an AssertionError where it is none of 200."""
        self._cseq += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self._cseq}", *headers]
        if self._session:
            lines.append(f"Session: {self._session}")
        self._tcp.sendall("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._receive()
        head, _, body = answer.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        while length and len(body) < int(length[1]):
            body += self._receive()
        assert head.startswith(b"RTSP/1.0 200"), head
        return (head + b"\r\n" + body).decode()

    def _receive(self) -> bytes:
        data = self._tcp.recv(65536)
        assert data, "the server closed the connection"
        return data

    def _listen(self) -> None:
        last_number, last_time = -1, time.monotonic()
        while not self._stop.is_set():
            ready, _, _ = select.select(self._udp, [], [], 0.1)
            if self._udp[1] in ready:
                self._udp[1].recv(2048)
            if self._udp[0] not in ready:
                continue
            number, now = int.from_bytes(self._udp[0].recv(2048)[2:4]), time.monotonic()
            if last_number >= 0:
                self.missing += (number - last_number - 1) & 0xFFFF
                self.longest_gap = max(self.longest_gap, now - last_time)
            self.packets += 1
            last_number, last_time = number, now
