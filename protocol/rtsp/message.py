"""RTSP's messages (RFC 2326 §4 to §7) and their bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from protocol.rtsp.headers import Headers

VERSION = "RTSP/1.0"
FORBIDDEN = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f]")
"""Control characters: no header holds them (§15.1), and no terminal should see them."""

REASONS: Mapping[int, str] = {
    100: "Continue",
    200: "OK",
    201: "Created",
    250: "Low on Storage Space",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    303: "See Other",
    304: "Not Modified",
    305: "Use Proxy",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Time-out",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Large",
    415: "Unsupported Media Type",
    451: "Parameter Not Understood",
    452: "Conference Not Found",
    453: "Not Enough Bandwidth",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    456: "Header Field Not Valid for Resource",
    457: "Invalid Range",
    458: "Parameter Is Read-Only",
    459: "Aggregate Operation Not Allowed",
    460: "Only Aggregate Operation Allowed",
    461: "Unsupported Transport",
    462: "Destination Unreachable",
    463: "Key Management Failure",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Time-out",
    505: "RTSP Version not supported",
    551: "Option not supported",
}
"""§7.1.1, and 463 of RFC 4567 §7."""


@dataclass(frozen=True, slots=True)
class Request:
    """§6, from either side."""

    method: str
    url: str
    """as written; `*` for the server as a whole."""
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    @property
    def cseq(self) -> int | None:
        return _cseq(self.headers)


@dataclass(frozen=True, slots=True)
class Response:
    """§7."""

    status: int
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    reason: str = ""
    """for people; REASONS has it where it is empty."""

    def __post_init__(self) -> None:
        if not self.reason:
            object.__setattr__(self, "reason", REASONS.get(self.status, "Unknown"))

    @property
    def cseq(self) -> int | None:
        return _cseq(self.headers)


@dataclass(frozen=True, slots=True)
class Interleaved:
    """A packet between the messages (§10.12)."""

    channel: int
    """0 to 255."""
    data: bytes
    """one RTP or RTCP packet, at most 65,535 bytes."""


Message = Request | Response | Interleaved


def serialize(message: Message) -> bytes:
    """The message's bytes; Content-Length is written where there is a body. Raises ValueError for what would be read
    as something else: a line break or another control character inside a line, a packet too long for its header."""
    if isinstance(message, Interleaved):
        return interleaved_header(message.channel, len(message.data)) + message.data
    if isinstance(message, Request):
        start = f"{message.method} {message.url} {VERSION}"
    else:
        start = f"{VERSION} {message.status} {message.reason}"
    headers = message.headers
    if message.body:
        headers = headers.with_("Content-Length", str(len(message.body)))
    lines = [start, *(f"{name}: {value}" for name, value in headers)]
    if any(map(FORBIDDEN.search, lines)):
        raise ValueError("a control character inside a line of a message")
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode() + message.body


def interleaved_header(channel: int, length: int) -> bytes:
    """What stands before a packet of `length` bytes between the messages. Raises ValueError."""
    if not 0 <= channel <= 0xFF or not 0 <= length <= 0xFFFF:
        raise ValueError(f"{length} bytes on channel {channel} do not fit between messages")
    return b"$" + bytes([channel]) + length.to_bytes(2)


def _cseq(headers: Headers) -> int | None:
    """§12.17; None where there is none that can be used."""
    value = (headers.get("CSeq") or "").strip()
    return int(value) if re.fullmatch("[0-9]{1,10}", value) else None
