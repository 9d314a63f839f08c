"""What an H.264 access unit says about where decoding may begin, read without decoding it (ITU-T H.264 §7.3)."""

from __future__ import annotations

from collections.abc import Iterator

_START_CODE = b"\0\0\1"
_SLICE, _IDR, _SEI, _SPS, _PPS = 1, 5, 6, 7, 8
_RECOVERY_POINT = 6
"""SEI payload type (§D.1.8)."""


def nal_units(annex_b: bytes) -> Iterator[bytes]:
    """The NAL units of an Annex B byte stream, without start codes."""
    start = annex_b.find(_START_CODE)
    while start >= 0:
        start += 3
        following = annex_b.find(_START_CODE, start)
        unit = annex_b[start : following if following >= 0 else len(annex_b)].rstrip(b"\0")
        if unit:
            yield unit
        start = following


def has_picture(annex_b: bytes) -> bool:
    """Whether a slice is in it: parameter sets may travel alone."""
    return any(_SLICE <= unit[0] & 31 <= _IDR for unit in nal_units(annex_b))


def frames_to_recovery(annex_b: bytes) -> int | None:
    """0 for an IDR picture; the recovery frame count of a recovery point SEI, after which intra-refresh has cleaned the
    picture; None for a unit that decoding cannot begin with."""
    found = None
    for unit in nal_units(annex_b):
        if unit[0] & 31 == _IDR:
            return 0
        if unit[0] & 31 == _SEI and found is None:
            found = _recovery_frame_count(unit[1:])
    return found


def parameter_sets(annex_b: bytes) -> bytes:
    """Its sequence and picture parameter sets, as Annex B; b"" unless both are there."""
    sets = {unit[0] & 31: unit for unit in nal_units(annex_b) if unit[0] & 31 in {_SPS, _PPS}}
    if len(sets) < 2:
        return b""
    return b"".join(b"\0" + _START_CODE + sets[kind] for kind in (_SPS, _PPS))


def _recovery_frame_count(sei: bytes) -> int | None:
    """Walks the SEI messages (§7.3.2.3.1); a broken one says nothing."""
    offset = 0
    try:
        while offset + 2 <= len(sei) and sei[offset] != 0x80:
            kind, offset = _sum_of_bytes(sei, offset)
            size, offset = _sum_of_bytes(sei, offset)
            if kind == _RECOVERY_POINT:
                return _exp_golomb(sei[offset : offset + size])
            offset += size
    except (IndexError, ValueError):
        pass
    return None


def _sum_of_bytes(data: bytes, offset: int) -> tuple[int, int]:
    total = 0
    while data[offset] == 255:
        total, offset = total + 255, offset + 1
    return total + data[offset], offset + 1


def _exp_golomb(data: bytes) -> int:
    """ue(v) at the start of `data` (§9.1)."""
    bits = f"{int.from_bytes(data[:8]):0{8 * len(data[:8])}b}"
    zeros = bits.index("1")
    return int(bits[zeros : 2 * zeros + 1], 2) - 1
