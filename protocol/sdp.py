"""Session descriptions (RFC 8866): text ↔ frozen values, and what they say about RTP.

Reading is lenient, because descriptions are pasted from other programs' logs: lines before `v=` and lines that are not
`letter=value` are passed over, order is not enforced, `o=`, `s=` and `t=` may be missing, lines end as they like.
Fields without a use here (u e p t r z k, further c= lines of one section) are not kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from protocol.errors import Malformed, Unsupported

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_PAYLOAD_TYPE = re.compile("[0-9]{1,3}")


class Attribute(NamedTuple):
    """One a= line (§5.13); `value` is None for a flag."""

    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """The o= line (§5.2)."""

    username: str = "-"
    session_id: str = "0"
    session_version: str = "0"
    address_type: str = "IP4"
    address: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Connection:
    """A c= line (§5.7)."""

    address: str
    address_type: str = "IP4"
    """IP4 or IP6."""
    ttl: int | None = None
    """of IPv4 multicast."""
    address_count: int = 1
    """contiguous multicast addresses."""


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """An m= line (§5.14) and what belongs to it."""

    media: str
    """audio, video, …"""
    port: int
    """of RTP; 0: not in use."""
    protocol: str = "RTP/AVP"
    formats: tuple[str, ...] = ()
    """payload types, most wanted first."""
    port_count: int = 1
    title: str | None = None
    connection: Connection | None = None
    """None: the session's."""
    bandwidth: tuple[tuple[str, int], ...] = ()
    """(type, value) of the b= lines: AS in kbit/s, RS and RR (RFC 3556) in bit/s."""
    attributes: tuple[Attribute, ...] = ()

    def attribute(self, name: str) -> str | None:
        """The first value of an attribute; "" for a flag, None without it."""
        return _first(self.attributes, name)

    @property
    def rtcp_mux(self) -> bool:
        """RTP and RTCP share the port (RFC 5761)."""
        return self.attribute("rtcp-mux") is not None

    @property
    def rtcp_port(self) -> int:
        """a=rtcp's (RFC 3605), or one above RTP's; RTP's own when multiplexed. Raises Malformed."""
        if self.rtcp_mux or not self.port:
            return self.port
        value = self.attribute("rtcp") or str(self.port + 1)
        return _number(value.split(" ")[0], 65535, "the RTCP port")

    @property
    def sources(self) -> dict[int, dict[str, str]]:
        """Attributes by SSRC (RFC 5576 §4.1), "cname" the one that must be there. Raises Malformed."""
        sources: dict[int, dict[str, str]] = {}
        for value in _values(self.attributes, "ssrc"):
            ssrc, _, rest = value.partition(" ")
            name, _, text = rest.strip().partition(":")
            sources.setdefault(_number(ssrc, 0xFFFF_FFFF, "a=ssrc"), {})[name] = text
        return sources

    @property
    def flows(self) -> list[tuple[int, int]]:
        """SSRCs of media and of their retransmissions (RFC 5576 §4.2, semantics FID of RFC 5888). Raises Malformed."""
        words = [value.split() for value in _values(self.attributes, "ssrc-group")]
        pairs = [ssrcs for kind, *ssrcs in filter(None, words) if kind == "FID" and len(ssrcs) == 2]
        return [(_number(a, 0xFFFF_FFFF, "a=ssrc-group"), _number(b, 0xFFFF_FFFF, "a=ssrc-group")) for a, b in pairs]


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description."""

    origin: Origin = field(default_factory=Origin)
    name: str = "-"
    information: str | None = None
    connection: Connection | None = None
    bandwidth: tuple[tuple[str, int], ...] = ()
    attributes: tuple[Attribute, ...] = ()
    media: tuple[MediaDescription, ...] = ()

    def attribute(self, name: str) -> str | None:
        """The first value of a session attribute; "" for a flag, None without it."""
        return _first(self.attributes, name)

    def connection_of(self, media: MediaDescription) -> Connection | None:
        """The media's own connection, else the session's."""
        return media.connection or self.connection

    def direction_of(self, media: MediaDescription) -> str:
        """One of DIRECTIONS: the media's own, else the session's, else sendrecv (§6.7)."""
        for attributes in (media.attributes, self.attributes):
            for attribute in attributes:
                if attribute.name in DIRECTIONS:
                    return attribute.name
        return "sendrecv"


@dataclass(frozen=True, slots=True)
class RtpMap:
    """What a payload type means (§6.6 a=rtpmap, §6.15 a=fmtp)."""

    encoding: str
    """as written; names compare without case."""
    clock_rate: int
    channels: int = 1
    parameters: Mapping[str, str] = field(default_factory=dict)
    """of a=fmtp, names in lower case; "" for one without a value."""


STATIC_PAYLOAD_TYPES: Mapping[int, RtpMap] = {
    0: RtpMap("PCMU", 8000),
    3: RtpMap("GSM", 8000),
    4: RtpMap("G723", 8000),
    5: RtpMap("DVI4", 8000),
    6: RtpMap("DVI4", 16000),
    7: RtpMap("LPC", 8000),
    8: RtpMap("PCMA", 8000),
    9: RtpMap("G722", 8000),
    10: RtpMap("L16", 44100, 2),
    11: RtpMap("L16", 44100),
    12: RtpMap("QCELP", 8000),
    13: RtpMap("CN", 8000),
    14: RtpMap("MPA", 90000),
    15: RtpMap("G728", 8000),
    16: RtpMap("DVI4", 11025),
    17: RtpMap("DVI4", 22050),
    18: RtpMap("G729", 8000),
    25: RtpMap("CelB", 90000),
    26: RtpMap("JPEG", 90000),
    28: RtpMap("nv", 90000),
    31: RtpMap("H261", 90000),
    32: RtpMap("MPV", 90000),
    33: RtpMap("MP2T", 90000),
    34: RtpMap("H263", 90000),
}
"""RFC 3551 §6, known without a=rtpmap."""


def rtp_formats(media: MediaDescription) -> dict[int, RtpMap]:
    """The payload types of a media line, in its order; those nobody explains are left out. Raises Malformed."""
    maps, parameters = _by_payload_type(media, "rtpmap"), _by_payload_type(media, "fmtp")
    formats: dict[int, RtpMap] = {}
    for text in filter(_PAYLOAD_TYPE.fullmatch, media.formats):
        number = int(text)
        known = _parse_map(maps[number]) if number in maps else STATIC_PAYLOAD_TYPES.get(number)
        if known is not None:
            formats[number] = replace(known, parameters=_parse_parameters(parameters.get(number, "")))
    return formats


def format_attributes(formats: Mapping[int, RtpMap]) -> tuple[Attribute, ...]:
    """The a=rtpmap and a=fmtp lines of payload types, as `rtp_formats` reads them."""
    attributes = []
    for payload_type, known in formats.items():
        channels = f"/{known.channels}" if known.channels != 1 else ""
        attributes.append(Attribute("rtpmap", f"{payload_type} {known.encoding}/{known.clock_rate}{channels}"))
        if known.parameters:
            pairs = ";".join(f"{name}={value}" if value else name for name, value in known.parameters.items())
            attributes.append(Attribute("fmtp", f"{payload_type} {pairs}"))
    return tuple(attributes)


def parse(data: bytes | str) -> SessionDescription:
    """Raises Malformed where a line that matters cannot be read, Unsupported for another version."""
    text = data.decode("utf-8-sig", errors="replace") if isinstance(data, bytes) else data
    lines = _lines(text)
    if not lines:
        raise Malformed("sdp", "there is no v=0 line")
    sections: list[list[tuple[str, str]]] = [[]]
    for kind, value in lines[1:]:
        if kind == "v":
            raise Unsupported("sdp", "more than one session description")
        if kind == "m":
            sections.append([])
        sections[-1].append((kind, value))
    session, *media = sections
    return _parse_session(session, tuple(map(_parse_media, media)))


def serialize(session: SessionDescription) -> bytes:
    """The description as text, lines ended by CRLF, in the order of RFC 8866 §9. Raises ValueError for a line break
    inside a value."""
    origin = session.origin
    lines = [
        "v=0",
        f"o={origin.username} {origin.session_id} {origin.session_version} IN {origin.address_type} {origin.address}",
        f"s={session.name or '-'}",
        *_common_lines(session.information, session.connection, session.bandwidth),
        "t=0 0",
        *map(_attribute_line, session.attributes),
    ]
    for media in session.media:
        count = f"/{media.port_count}" if media.port_count != 1 else ""
        lines.append(f"m={media.media} {media.port}{count} {media.protocol} {' '.join(media.formats)}")
        lines += _common_lines(media.title, media.connection, media.bandwidth)
        lines += map(_attribute_line, media.attributes)
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a line break inside a value of a session description")
    return "".join(f"{line}\r\n" for line in lines).encode()


def _lines(text: str) -> list[tuple[str, str]]:
    """(letter, value) from the v= line on."""
    found = [(line[0], line[2:].strip()) for line in re.split("[\r\n]+", text) if re.match("[a-z]=", line)]
    start = next((i for i, (kind, _) in enumerate(found) if kind == "v"), len(found))
    if start < len(found) and found[start][1] != "0":
        raise Unsupported("sdp", f"version {found[start][1][:20]!r}")
    return found[start:]


def _parse_session(lines: list[tuple[str, str]], media: tuple[MediaDescription, ...]) -> SessionDescription:
    return SessionDescription(
        _parse_origin(_value(lines, "o")),
        _value(lines, "s") or "-",
        _value(lines, "i"),
        _parse_connection(_value(lines, "c")),
        _parse_bandwidth(lines),
        _parse_attributes(lines),
        media,
    )


def _parse_media(lines: list[tuple[str, str]]) -> MediaDescription:
    words = lines[0][1].split()
    if len(words) < 3:
        raise Malformed("sdp", f"m={lines[0][1][:60]}")
    media, port, protocol, *formats = words
    port, _, count = port.partition("/")
    return MediaDescription(
        media,
        _number(port, 65535, "the port of m="),
        protocol,
        tuple(formats),
        _number(count, 65535, "the port count of m=") if count else 1,
        _value(lines, "i"),
        _parse_connection(_value(lines, "c")),
        _parse_bandwidth(lines),
        _parse_attributes(lines),
    )


def _parse_origin(value: str | None) -> Origin:
    words = (value or "").split()
    if len(words) != 6:
        return Origin()  # nothing here depends on it
    username, session_id, version, _, address_type, address = words
    return Origin(username, session_id, version, address_type, address)


def _parse_connection(value: str | None) -> Connection | None:
    """IN IP4 address[/ttl[/count]] or IN IP6 address[/count]."""
    if value is None:
        return None
    words = value.split()
    if len(words) != 3 or words[1] not in ("IP4", "IP6"):
        raise Malformed("sdp", f"c={value[:60]}")
    address, *numbers = words[2].split("/")
    limits = (255, 65535) if words[1] == "IP4" else (65535,)
    if not address or len(numbers) > len(limits):
        raise Malformed("sdp", f"c={value[:60]}")
    parts = [_number(text, limit, "c=") for text, limit in zip(numbers, limits, strict=False)]
    if words[1] == "IP6":
        return Connection(address, "IP6", None, *parts)
    return Connection(address, "IP4", *parts)


def _parse_bandwidth(lines: list[tuple[str, str]]) -> tuple[tuple[str, int], ...]:
    pairs = [value.partition(":") for kind, value in lines if kind == "b"]
    return tuple((name, _number(value, 0xFFFF_FFFF, "b=")) for name, _, value in pairs)


def _parse_attributes(lines: list[tuple[str, str]]) -> tuple[Attribute, ...]:
    pairs = [value.partition(":") for kind, value in lines if kind == "a"]
    return tuple(Attribute(name, value if colon else None) for name, colon, value in pairs)


def _by_payload_type(media: MediaDescription, name: str) -> dict[int, str]:
    """What the attribute lines of that name say, by the payload type they begin with."""
    pairs = [value.partition(" ") for value in _values(media.attributes, name)]
    return {int(number): text.strip() for number, _, text in pairs if _PAYLOAD_TYPE.fullmatch(number)}


def _parse_map(text: str) -> RtpMap:
    """encoding/clock rate[/channels]"""
    encoding, _, numbers = text.partition("/")
    rate, _, channels = numbers.partition("/")
    clock_rate, channel_count = _number(rate, 0x7FFF_FFFF, "a=rtpmap"), _number(channels or "1", 255, "a=rtpmap")
    if not encoding or not clock_rate or not channel_count:
        raise Malformed("sdp", f"a=rtpmap {text[:60]}")
    return RtpMap(encoding, clock_rate, channel_count)


def _parse_parameters(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(";")]
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}


def _number(text: str, limit: int, where: str) -> int:
    number = int(text) if re.fullmatch("[0-9]{1,10}", text) else -1
    if not 0 <= number <= limit:
        raise Malformed("sdp", f"{where} has {text[:20]!r} where a number up to {limit} should be")
    return number


def _value(lines: list[tuple[str, str]], wanted: str) -> str | None:
    return next((value for kind, value in lines if kind == wanted), None)


def _values(attributes: Iterable[Attribute], name: str) -> list[str]:
    return [attribute.value or "" for attribute in attributes if attribute.name == name]


def _first(attributes: Iterable[Attribute], name: str) -> str | None:
    return next(iter(_values(attributes, name)), None)


def _attribute_line(attribute: Attribute) -> str:
    return f"a={attribute.name}" if attribute.value is None else f"a={attribute.name}:{attribute.value}"


def _common_lines(
    information: str | None, connection: Connection | None, bandwidth: Iterable[tuple[str, int]]
) -> list[str]:
    """i=, c= and b=, which a session and a media section have alike."""
    lines = [] if information is None else [f"i={information}"]
    if connection is not None:
        lines.append(f"c=IN {connection.address_type} {_connection_address(connection)}")
    return lines + [f"b={name}:{value}" for name, value in bandwidth]


def _connection_address(connection: Connection) -> str:
    suffix = "" if connection.ttl is None else f"/{connection.ttl}"
    return connection.address + suffix + (f"/{connection.address_count}" if connection.address_count != 1 else "")
