"""The Transport header (RFC 2326 §12.39) as it is written in the field.

Read leniently: names and words in any case, quotes or none, `RTP/AVP` and `RTP/AVP/UDP` for the same thing, one port
for two, an SSRC with spaces or without its zeros. Of several offers those nothing here can use are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from protocol.errors import Malformed
from protocol.rtsp import quoted

Pair = tuple[int, int]
"""of RTP, of RTCP; one and the same where they share."""

PROFILES = ("RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF")
_PAIR = re.compile(r"([0-9]{1,5})\s*(?:-\s*([0-9]{1,5}))?")
_SSRC = re.compile("(?:0[xX])?([0-9A-Fa-f]{1,8})")
_NUMBER = re.compile("[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class Transport:
    """One way for a track's packets."""

    profile: str = "RTP/AVP"
    """one of PROFILES."""
    lower: str = "UDP"
    """UDP, or TCP: interleaved in the connection."""
    multicast: bool = False
    destination: str | None = None
    source: str | None = None
    client_port: Pair | None = None
    server_port: Pair | None = None
    port: Pair | None = None
    """of multicast."""
    interleaved: Pair | None = None
    """channels."""
    ttl: int | None = None
    ssrc: int | None = None
    mode: str = "PLAY"
    """or RECORD."""
    rtcp_mux: bool = False
    """RTP and RTCP share the port (RFC 7826 §18.54)."""

    @property
    def secure(self) -> bool:
        """SRTP's profiles."""
        return "SAVP" in self.profile


def parse(text: str) -> list[Transport]:
    """The offers that can be used, in their order."""
    found = []
    for offer in quoted.split(text, ","):
        try:
            found.append(_parse_offer(offer))
        except Malformed:
            continue
    return found


def serialize(transports: Sequence[Transport]) -> str:
    """The header's value. Raises ValueError for an address that would be read as something else."""
    return ",".join(";".join(_words(transport)) for transport in transports)


def _parse_offer(text: str) -> Transport:
    pieces = quoted.parameters(text, ";")
    profile, lower = _parse_kind(pieces[0][0] if pieces else "")
    values = dict(reversed(pieces))  # of a name written twice the first counts
    mux = "rtcp-mux" in values
    ports = {name: _pair(values.get(name), 65535, 0 if mux else 1) for name in ("client_port", "server_port", "port")}
    channels = _pair(values.get("interleaved"), 255, 0)
    if channels is not None and not any(ports.values()):
        lower = "TCP"  # some leave the /TCP out
    return Transport(
        profile,
        lower,
        "multicast" in values,
        _address(values.get("destination")),
        _address(values.get("source")),
        ports["client_port"],
        ports["server_port"],
        ports["port"],
        channels,
        _ttl(values.get("ttl", "")),
        _ssrc(values.get("ssrc", "")),
        _mode(values.get("mode", "")),
        mux,
    )


def _parse_kind(text: str) -> tuple[str, str]:
    """(profile, lower transport) of RTP/profile[/lower]."""
    words = text.upper().split("/")
    profile, lower = "/".join(words[:2]), "/".join(words[2:]) or "UDP"
    if profile not in PROFILES or lower not in ("UDP", "TCP"):
        raise Malformed("rtsp_transport", f"{text[:40]!r} is nothing that can be used here")
    return profile, lower


def _pair(text: str | None, limit: int, step: int) -> Pair | None:
    """a-b; one number alone goes with the one `step` above."""
    if text is None:
        return None
    match = _PAIR.fullmatch(text)
    if not match:
        raise Malformed("rtsp_transport", f"{text[:20]!r} where two numbers should be")
    first = int(match[1])
    second = first + step if match[2] is None else int(match[2])
    if max(first, second) > limit:
        raise Malformed("rtsp_transport", f"{text[:20]!r} is above {limit}")
    return first, second


def _address(text: str | None) -> str | None:
    """None for what is missing, empty, or no address nor name."""
    if text is None or not re.fullmatch(r"[\w.:%\-\[\]]{1,255}", text):
        return None
    return text.strip("[]") or None


def _ttl(text: str) -> int | None:
    return min(int(text), 255) if _NUMBER.fullmatch(text) else None


def _ssrc(text: str) -> int | None:
    match = _SSRC.fullmatch(text.replace(" ", ""))
    return int(match[1], 16) if match else None


def _mode(text: str) -> str:
    """`receive` is what old FFmpeg called it."""
    words = {word.strip(' "').upper() for word in text.split(",")}
    return "RECORD" if words & {"RECORD", "RECEIVE"} else "PLAY"


def _words(transport: Transport) -> Iterable[str]:
    yield transport.profile + ("/TCP" if transport.lower == "TCP" else "")
    yield "multicast" if transport.multicast else "unicast"
    for name in ("destination", "source"):
        address = getattr(transport, name)
        if address is not None:
            if not _address(address):
                raise ValueError(f"{address!r} is no address")
            yield f"{name}={address}"
    for name in ("interleaved", "port", "client_port", "server_port"):
        pair = getattr(transport, name)
        if pair is not None:
            yield f"{name}={pair[0]}-{pair[1]}"
    if transport.ttl is not None:
        yield f"ttl={transport.ttl}"
    if transport.rtcp_mux:
        yield "RTCP-mux"
    if transport.ssrc is not None:
        yield f"ssrc={transport.ssrc:08X}"
    if transport.mode != "PLAY":
        yield f'mode="{transport.mode}"'
