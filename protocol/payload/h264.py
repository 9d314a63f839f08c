"""H.264 in RTP (RFC 6184), packetization modes 0 and 1: single NAL unit packets, STAP-A and FU-A.

NAL header         |F|NRI|  Type   |
STAP-A (24), §5.7  |F|NRI|   24    | size (16 bits), NAL unit | size, NAL unit | …
FU-A (28), §5.8    |F|NRI|   28    |S|E|R|  Type  | piece of a NAL unit, its header left out
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocol.errors import Malformed, Truncated, Unsupported
from protocol.payload.base import Video, fragments, parse_each

START_CODE = b"\0\0\0\1"

# NAL unit types (ITU-T H.264 table 7-1) and packet types (RFC 6184 table 1).
SLICE, PARTITION_A, IDR, SEI, SPS, PPS, DELIMITER, FILLER = 1, 2, 5, 6, 7, 8, 9, 12
STAP_A, FU_A = 24, 28
_PARAMETER_SETS = frozenset({SPS, PPS})
_SLICES = frozenset({SLICE, PARTITION_A, IDR})
_BEFORE_SLICES = frozenset({SEI, SPS, PPS, DELIMITER, 14, 15, 16, 17, 18})
"""Whichever of these comes first begins an access unit (ITU-T H.264 §7.4.1.2.3)."""
_RECOVERY_POINT = 6
_SEI_LOOK = 4096
"""Bytes of an SEI NAL unit that are looked at; the message wanted has three."""


def nal_units(annexb: bytes) -> list[bytes]:
    """The NAL units of an Annex B byte stream, with 3- or 4-byte start codes, without trailing zeros.

    Raises Malformed when it does not begin with a start code."""
    start = annexb.find(b"\0\0\1")
    if start < 0 or annexb[:start].strip(b"\0"):
        raise Malformed("h264_start_code", "not an Annex B byte stream")
    units = []
    while start >= 0:
        end = annexb.find(b"\0\0\1", start + 3)
        unit = annexb[start + 3 : end if end >= 0 else len(annexb)].rstrip(b"\0")  # no NAL unit ends in a zero
        if unit:
            units.append(unit)
        start = end
    return units


def to_annexb(units: Sequence[bytes]) -> bytes:
    """NAL units as an Annex B byte stream."""
    return b"".join(START_CODE + unit for unit in units)


def parameter_sets(annexb: bytes) -> str:
    """`sprop-parameter-sets` (RFC 6184 §8.1): the SPS and PPS found, in base64, with commas. Raises Malformed."""
    found = [unit for unit in nal_units(annexb) if unit[0] & 0x1F in _PARAMETER_SETS]
    return ",".join(base64.b64encode(unit).decode() for unit in found)


def parse_parameter_sets(value: str) -> list[bytes]:
    """The NAL units in a `sprop-parameter-sets`. Raises Malformed."""
    try:
        units = [base64.b64decode(text, validate=True) for text in value.split(",") if text.strip()]
    except (binascii.Error, ValueError):
        raise Malformed("h264_parameter_sets", "sprop-parameter-sets is not base64") from None
    return [unit for unit in units if unit]


def profile_level_id(annexb: bytes) -> str:
    """`profile-level-id` (RFC 6184 §8.1): three octets of the first SPS in hexadecimal. Raises Malformed."""
    for unit in nal_units(annexb):
        if unit[0] & 0x1F == SPS and len(unit) >= 4:
            return unit[1:4].hex()
    raise Malformed("h264_parameter_sets", "no sequence parameter set")


def format_parameters(annexb: bytes) -> dict[str, str]:
    """The fmtp of a stream whose parameter sets are in `annexb` (an encoder's extradata). Raises Malformed."""
    return {
        "packetization-mode": "1",
        "profile-level-id": profile_level_id(annexb),
        "sprop-parameter-sets": parameter_sets(annexb),
    }


def key_frame(annexb: bytes) -> bool:
    """Whether a decoder that knows nothing can begin here: parameter sets, and an IDR picture or a recovery point."""
    return _key_frame(annexb, frozenset())


def _key_frame(annexb: bytes, known: frozenset[int]) -> bool:
    try:
        units = nal_units(annexb)
    except Malformed:
        return False
    types = {unit[0] & 0x1F for unit in units} | known
    if not types >= _PARAMETER_SETS:
        return False
    return IDR in types or any(_has_recovery_point(unit) for unit in units if unit[0] & 0x1F == SEI)


def _has_recovery_point(sei: bytes) -> bool:
    """Walks the messages of an SEI NAL unit (ITU-T H.264 §7.3.2.3.1)."""
    body = sei[1:_SEI_LOOK].replace(b"\0\0\3", b"\0\0")
    at = 0
    while at + 2 < len(body):
        payload_type, at = _sei_number(body, at)
        size, at = _sei_number(body, at)
        if payload_type == _RECOVERY_POINT:
            return True
        at += size
    return False


def _sei_number(body: bytes, at: int) -> tuple[int, int]:
    """(value, offset behind it): a run of 0xFF adds 255 each, the octet after it ends the number."""
    start = at
    while body[at : at + 1] == b"\xff":
        at += 1
    return 255 * (at - start) + sum(body[at : at + 1]), at + 1


class Packetizer:
    """Access unit → payloads, packetization mode 1."""

    def __init__(self, parameters: Mapping[str, str] | None = None) -> None:
        """`parameters`: the fmtp. Raises Unsupported when it announces another mode than 1."""
        mode = (parameters or {}).get("packetization-mode", "1")
        if mode != "1":
            raise Unsupported("h264_mode", f"packetization-mode={mode}; only 1 is sent")

    def packetize(self, data: bytes, max_payload: int) -> list[bytes]:
        """Small NAL units share a STAP-A, large ones are cut into FU-As, in decoding order.

        Delimiters and filler are left out: the timestamp and the marker already say where a picture ends, and
        filler only pads a constant bit rate."""
        if not data:
            return []
        payloads: list[bytes] = []
        group: list[bytes] = []
        for unit in nal_units(data):
            if unit[0] & 0x1F in (DELIMITER, FILLER):
                continue
            if group and _aggregate_size([*group, unit]) > max_payload:
                payloads.append(_aggregate(group))
                group = []
            if len(unit) > max_payload:
                payloads += _fragment(unit, max_payload)
            else:
                group.append(unit)
        if group:
            payloads.append(_aggregate(group))
        return payloads


def _aggregate_size(units: Sequence[bytes]) -> int:
    return 1 + sum(2 + len(unit) for unit in units)


def _aggregate(units: Sequence[bytes]) -> bytes:
    """One NAL unit as it is, several as a STAP-A with the highest NRI and the F of any (RFC 6184 §5.7)."""
    if len(units) == 1:
        return units[0]
    forbidden = max(unit[0] & 0x80 for unit in units)
    reference = max(unit[0] & 0x60 for unit in units)
    parts = (len(unit).to_bytes(2, "big") + unit for unit in units)
    return bytes([forbidden | reference | STAP_A]) + b"".join(parts)


def _fragment(unit: bytes, max_payload: int) -> list[bytes]:
    """FU-As of a NAL unit that is larger than a packet (RFC 6184 §5.8)."""
    pieces = fragments(unit[1:], max_payload - 2)
    last = len(pieces) - 1
    indicator = unit[0] & 0xE0 | FU_A
    return [
        bytes([indicator, (i == 0) << 7 | (i == last) << 6 | unit[0] & 0x1F]) + piece for i, piece in enumerate(pieces)
    ]


@dataclass(frozen=True, slots=True)
class _FragmentationUnit:
    header: int
    """NAL header of the unit it is a piece of."""
    start: bool
    end: bool
    data: bytes


class Depacketizer(Video):
    """Payloads → Annex B. Remembers only whether parameter sets were seen, in band or out of it."""

    def __init__(self, parameters: Mapping[str, str] | None = None) -> None:
        """`parameters`: the fmtp. Raises Malformed or Unsupported."""
        parameters = parameters or {}
        if parameters.get("packetization-mode", "0") not in ("0", "1"):
            raise Unsupported("h264_mode", "interleaved packetization (mode 2)")
        sets = parse_parameter_sets(parameters.get("sprop-parameter-sets", ""))
        self._out_of_band = to_annexb(sets)
        self._known = frozenset(unit[0] & 0x1F for unit in sets) & _PARAMETER_SETS

    def begins(self, payload: bytes | memoryview) -> bool:
        """What precedes slices begins a picture, and so does a slice whose first macroblock is 0: the ue(v) that a
        slice header starts with is then a single 1 bit (ITU-T H.264 §7.3.3)."""
        head = bytes(payload[:5])
        if not head:
            raise Truncated("h264_payload", "empty")
        kind, at = head[0] & 0x1F, 1
        if kind == FU_A:
            if len(head) < 2:
                raise Truncated("h264_fu_a", "no header")
            if not head[1] & 0x80:
                return False
            kind, at = head[1] & 0x1F, 2
        elif kind == STAP_A:
            if len(head) < 4:
                raise Truncated("h264_stap_a", "no NAL unit")
            kind, at = head[3] & 0x1F, 4
        return kind in _BEFORE_SLICES or (kind in _SLICES and bool(head[at : at + 1] >= b"\x80"))

    def depacketize(self, payloads: Sequence[bytes | None]) -> bytes:
        """All NAL units that are whole; one with a missing fragment is dropped."""
        units: list[bytes] = []
        pieces: list[bytes] = []  # of the fragmented unit under way
        for part in parse_each(payloads, _parse):
            if not isinstance(part, _FragmentationUnit):
                units += part or []
                pieces = []
                continue
            header = bytes([part.header])
            if part.start:
                pieces = [header]
            elif not pieces or pieces[0] != header:
                pieces = []
                continue
            pieces.append(part.data)
            if part.end:
                units.append(b"".join(pieces))
                pieces = []
        if not units:
            raise Truncated("h264_frame", "no NAL unit is whole")
        self._known |= _PARAMETER_SETS.intersection(unit[0] & 0x1F for unit in units)
        return to_annexb(units)

    def key_frame(self, data: bytes) -> bool:
        """An IDR picture or a recovery point, once parameter sets came with it, before it or out of band."""
        return _key_frame(data, self._known)

    def out_of_band(self) -> bytes:
        return self._out_of_band


def _parse(payload: bytes) -> list[bytes] | _FragmentationUnit:
    """The NAL units in a payload, or its piece of one."""
    if not payload:
        raise Truncated("h264_payload", "empty")
    if payload[0] & 0x80:
        raise Malformed("h264_forbidden_bit", "F is set: the unit has bit errors")
    kind = payload[0] & 0x1F
    if kind == STAP_A:
        return _parse_aggregate(payload)
    if kind == FU_A:
        return _parse_fragment(payload)
    if not 1 <= kind <= 23:
        raise Unsupported("h264_packet_type", f"type {kind}")
    return [payload]


def _parse_aggregate(payload: bytes) -> list[bytes]:
    units = []
    at = 1
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 2], "big")
        unit = payload[at + 2 : at + 2 + size]
        if len(unit) < size or at + 2 > len(payload):
            raise Truncated("h264_stap_a", "shorter than its NAL units")
        if not size or not 1 <= unit[0] & 0x1F <= 23:
            raise Malformed("h264_stap_a", "holds what is no NAL unit")
        units.append(unit)
        at += 2 + size
    if not units:
        raise Truncated("h264_stap_a", "no NAL unit")
    return units


def _parse_fragment(payload: bytes) -> _FragmentationUnit:
    if len(payload) < 3:
        raise Truncated("h264_fu_a", f"{len(payload)} bytes")
    start, end, kind = bool(payload[1] & 0x80), bool(payload[1] & 0x40), payload[1] & 0x1F
    if (start and end) or not 1 <= kind <= 23:
        raise Malformed("h264_fu_a", "starts and ends at once" if start and end else f"NAL unit type {kind}")
    return _FragmentationUnit(payload[0] & 0x60 | kind, start, end, payload[2:])
