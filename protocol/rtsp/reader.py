"""Bytes as they come → messages, in linear time and bounded memory, whoever sends them.

Lenient where the field is: blank lines before a message, lines that end with LF alone, folded lines (RFC 2068 §2.2),
space before a colon. Strict in all else, and at once: after a mistake nothing tells where the next message begins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from protocol.errors import Malformed
from protocol.rtsp.headers import Headers
from protocol.rtsp.message import FORBIDDEN, Interleaved, Message, Request, Response

TLS_HANDSHAKE = 0x16
"""the first byte of a TLS connection (RFC 8446 §5.1)."""
_DOLLAR = ord("$")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}")
_VERSION = re.compile("RTSP/1[.][0-9]")
_ANY_VERSION = re.compile("[A-Za-z]{2,8}/[0-9][.][0-9]")
_STATUS = re.compile("[1-5][0-9][0-9]")
_LENGTH = re.compile("[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one message may take, in bytes where nothing else is said."""

    line: int = 8192
    headers: int = 65536
    """all lines of a message."""
    lines: int = 200
    """their number."""
    body: int = 262_144


class Reader:
    """Takes the bytes of one connection."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._buffer = bytearray()
        self._searched = 0
        """bytes of the buffer without a line's end."""
        self._head: list[list[str]] = []
        """lines of a message that has begun, each with what was folded into it."""
        self._head_size = self._line_count = 0
        self._waiting: Request | Response | None = None
        """a message without its body yet."""
        self._body_length = 0
        self._broken: Malformed | None = None

    @property
    def pending(self) -> int:
        """Bytes kept of messages that are not whole."""
        return len(self._buffer) + self._head_size

    def receive(self, data: bytes) -> list[Message]:
        """The messages that these bytes complete. Raises Malformed where the bytes are no RTSP, and from then on; the
        messages before such bytes come first, and the next call (b"" will do) raises."""
        if self._broken is not None:
            raise self._broken
        self._buffer += data
        messages: list[Message] = []
        try:
            self._read(messages)
        except Malformed as error:
            self._broken = error
            self._buffer.clear()
            self._forget_head()
            if not messages:
                raise
        return messages

    def _read(self, messages: list[Message]) -> None:
        at = 0
        while at < len(self._buffer):
            began = at
            if self._waiting is not None:
                at = self._read_body(at, messages)
            elif not self._head and self._buffer[at] == _DOLLAR:
                at = self._read_packet(at, messages)
            else:
                at = self._read_line(at, messages)
            if at == began:
                break
        del self._buffer[:at]

    def _read_body(self, at: int, messages: list[Message]) -> int:
        end = at + self._body_length
        message = self._waiting
        if message is None or end > len(self._buffer):
            return at
        messages.append(replace(message, body=bytes(self._buffer[at:end])))
        self._waiting = None
        return end

    def _read_packet(self, at: int, messages: list[Message]) -> int:
        begin = at + 4
        if begin > len(self._buffer):
            return at
        end = begin + int.from_bytes(self._buffer[at + 2 : begin])
        if end > len(self._buffer):
            return at
        messages.append(Interleaved(self._buffer[at + 1], bytes(self._buffer[begin:end])))
        return end

    def _read_line(self, at: int, messages: list[Message]) -> int:
        if not self._head:
            _check_first(self._buffer[at])
        end = self._buffer.find(b"\n", at + self._searched)
        if (len(self._buffer) if end < 0 else end) - at > self._limits.line:
            raise Malformed("rtsp_line", f"a line of more than {self._limits.line} bytes")
        if end < 0:
            self._searched = len(self._buffer) - at
            return at
        self._searched = 0
        self._take_line(bytes(self._buffer[at:end]), messages)
        return end + 1

    def _take_line(self, data: bytes, messages: list[Message]) -> None:
        line = data.removesuffix(b"\r").decode(errors="replace")
        if FORBIDDEN.search(line):
            raise Malformed("rtsp_line", "a control character")
        if not line.strip():
            if self._head:
                self._end_of_head(messages)
            return
        self._head_size += len(data)
        self._line_count += 1
        if self._head_size > self._limits.headers or self._line_count > self._limits.lines:
            raise Malformed("rtsp_headers", "more of them than a message may have")
        if line[0] not in " \t":
            self._head.append([line])
            if len(self._head) == 1:
                _parse_start(line, Headers())  # a stranger is told at once
        elif len(self._head) > 1:
            self._head[-1].append(line)
        else:
            raise Malformed("rtsp_line", "it begins with a space")

    def _end_of_head(self, messages: list[Message]) -> None:
        start, *lines = (" ".join(map(str.strip, parts)) for parts in self._head)
        self._forget_head()
        message = _parse_start(start, Headers(tuple(map(_parse_field, lines))))
        self._body_length = _body_length(message.headers, self._limits.body)
        if self._body_length:
            self._waiting = message
        else:
            messages.append(message)

    def _forget_head(self) -> None:
        self._head, self._head_size, self._line_count = [], 0, 0


def _check_first(octet: int) -> None:
    """A message begins with a letter, a blank line with its end."""
    if octet == TLS_HANDSHAKE:
        raise Malformed("rtsp_tls", "TLS where none is spoken")
    if not (chr(octet).isalpha() and octet < 0x80) and octet not in b"\r\n \t":
        raise Malformed("rtsp_start", f"no message begins with the byte {octet:#04x}")


def _parse_start(line: str, headers: Headers) -> Request | Response:
    """§6.1 or §7.1. A URL may hold spaces: people write them, and programs pass them on."""
    first, _, rest = line.partition(" ")
    if _ANY_VERSION.fullmatch(first):
        _check_version(first)
        status, _, reason = rest.strip().partition(" ")
        if not _STATUS.fullmatch(status):
            raise Malformed("rtsp_start", f"the status {status[:20]!r}")
        return Response(int(status), headers, b"", reason.strip())
    url, _, version = rest.strip().rpartition(" ")
    if not _TOKEN.fullmatch(first) or not url.strip():
        raise Malformed("rtsp_start", f"{line[:40]!r} begins no message")
    _check_version(version)
    return Request(first, url.strip(), headers)


def _check_version(text: str) -> None:
    if not _VERSION.fullmatch(text):
        raise Malformed("rtsp_version", f"{text[:20]!r} is not RTSP/1.0")


def _parse_field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not _TOKEN.fullmatch(name.rstrip()):
        raise Malformed("rtsp_header", f"{line[:40]!r} is no header")
    return name.rstrip(), value.strip()


def _body_length(headers: Headers, limit: int) -> int:
    """§12.14. Two lengths that differ would let two readers see different messages."""
    lengths = set(headers.all("Content-Length"))
    if not lengths:
        return 0
    text = lengths.pop()
    if lengths or not _LENGTH.fullmatch(text):
        raise Malformed("rtsp_length", f"Content-Length {text[:20]!r}")
    if int(text) > limit:
        raise Malformed("rtsp_body", f"{text} bytes, where {limit} are the most")
    return int(text)
