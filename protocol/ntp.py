"""NTP timestamps (RFC 5905 §6, RFC 3550 §4) and Unix time in integer nanoseconds."""

from __future__ import annotations

from protocol.serial import difference

NTP_EPOCH_OFFSET_S = 2_208_988_800  # 1900-01-01 to 1970-01-01
_SECOND = 1_000_000_000


def ntp_from_unix(unix_ns: int) -> int:
    """64-bit NTP timestamp of a Unix time in ns, rounded to the nearest 2**-32 s; wraps with its era."""
    seconds, rest = divmod(unix_ns, _SECOND)
    fraction = ((rest << 32) + _SECOND // 2) // _SECOND
    return (((seconds + NTP_EPOCH_OFFSET_S) << 32) + fraction) & 0xFFFF_FFFF_FFFF_FFFF


def unix_from_ntp(ntp: int) -> int:
    """Unix time in ns of a 64-bit NTP timestamp; the era is the one nearest to 2036 (1968 to 2104)."""
    seconds, fraction = ntp >> 32, ntp & 0xFFFF_FFFF
    if seconds < 0x8000_0000:
        seconds += 1 << 32
    return (seconds - NTP_EPOCH_OFFSET_S) * _SECOND + ((fraction * _SECOND + (1 << 31)) >> 32)


def middle_32(ntp: int) -> int:
    """The middle 32 bits, as LSR carries them (RFC 3550 §6.4.1): units of 2**-16 s."""
    return (ntp >> 16) & 0xFFFF_FFFF


def short_from_ns(duration_ns: int) -> int:
    """A duration in ns as 16.16 fixed-point seconds (DLSR), saturated at 32 bits."""
    return max(0, min(0xFFFF_FFFF, (duration_ns << 16) // _SECOND))


def ns_from_short(short: int) -> int:
    """ns of a duration in units of 2**-16 s."""
    return (short * _SECOND) >> 16


def round_trip_ns(arrival_ntp: int, lsr: int, dlsr: int) -> int | None:
    """A - LSR - DLSR in ns (RFC 3550 §6.4.1); None where no SR was echoed. Clock rounding may leave it just below 0."""
    if not lsr:
        return None
    return max(0, ns_from_short(difference(middle_32(arrival_ntp), (lsr + dlsr) & 0xFFFF_FFFF, 32)))
