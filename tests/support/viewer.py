"""Clients of an RTSP server that only look at numbers, with a few lines of their own: nothing of ours judges ours."""

from __future__ import annotations

import re
import select
import socket
import threading
import time

LOCAL = "127.0.0.1"


class Client:
    """A connection that asks and reads the answers."""

    def __init__(self, url: str, patience: float = 5.0, source: str = LOCAL) -> None:
        """`patience`: s for each answer; `source`: the address it comes from."""
        self.url = url
        port = re.search(r":(\d+)/", url)
        assert port
        self._tcp = socket.create_connection((LOCAL, int(port[1])), patience, (source, 0))
        self._cseq, self.session = 0, ""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Without a word."""
        self._tcp.close()

    def ask(self, method: str, url: str, *headers: str, body: bytes = b"") -> str:
        """The answer's head and body; an AssertionError where it is none of 200."""
        self._cseq += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self._cseq}", *headers]
        if self.session:
            lines.append(f"Session: {self.session}")
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self._tcp.sendall("".join(f"{line}\r\n" for line in [*lines, ""]).encode() + body)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._receive()
        head, _, rest = answer.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        while length and len(rest) < int(length[1]):
            rest += self._receive()
        assert head.startswith(b"RTSP/1.0 200"), head
        if session := re.search(r"(?im)^Session: *([^;\s]+)", head.decode()):
            self.session = session[1]
        return (head + b"\r\n" + rest).decode()

    def _receive(self) -> bytes:
        data = self._tcp.recv(65536)
        assert data, "the server closed the connection"
        return data


class Viewer(Client):
    """Plays the last track by UDP while inside; counts what is missing."""

    def __init__(self, url: str, patience: float = 5.0) -> None:
        super().__init__(url, patience)
        self._udp = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for sock in self._udp:
            sock.bind((LOCAL, 0))
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

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(3)
        try:
            self.ask("TEARDOWN", self.url)
        finally:
            self.close()

    def close(self) -> None:
        super().close()
        for sock in self._udp:
            sock.close()

    def _begin(self) -> None:
        track = re.findall(r"a=control:(\S+)", self.ask("DESCRIBE", self.url))[-1]
        ports = "-".join(str(sock.getsockname()[1]) for sock in self._udp)
        where = track if track.startswith("rtsp:") else f"{self.url}/{track}"
        self.ask("SETUP", where, f"Transport: RTP/AVP;unicast;client_port={ports}")
        self.ask("PLAY", self.url)

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
