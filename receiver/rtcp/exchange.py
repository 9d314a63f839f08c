"""Two-way exchanges seen from the receiver: its clock's reading goes out, and comes back with the next sender report.

The reading is of the monotonic clock as if it were NTP (RFC 3611 §4.4 leaves open which clock it is), so an echo says
by itself when it left, and nothing has to be remembered.
"""

from __future__ import annotations

from protocol.ntp import middle_32, ns_from_short, ntp_from_unix, unix_from_ntp
from protocol.rtcp.sr import SenderReport
from protocol.rtcp.xr import DelaySinceReferenceTime, Echo, ExtendedReport, ReferenceTime

_LONGEST = 60_000_000_000
"""ns: an echo that took longer is not ours, or of no use."""


def reference_time(now: int) -> ReferenceTime:
    """`now`: monotonic ns."""
    return ReferenceTime(ntp_from_unix(now))


def echo_to(ssrc: int, report: ExtendedReport) -> Echo | None:
    """What a sender answers to the receiver of this SSRC."""
    blocks = (block for block in report.blocks if isinstance(block, DelaySinceReferenceTime))
    return next((echo for block in blocks for echo in block.echoes if echo.ssrc == ssrc), None)


def times(echo: Echo, report: SenderReport, arrival: int) -> tuple[int, int, int, int] | None:
    """(t1, t2, t3, t4) of account.one_way, ns, of an echo that came with `report` at `arrival` (monotonic ns).

    t1 is as exact as the middle 32 bits of NTP are, 15 µs. None for an echo that cannot be.
    """
    elapsed = ns_from_short((middle_32(ntp_from_unix(arrival)) - echo.lrr) & 0xFFFF_FFFF)
    held = ns_from_short(echo.dlrr)
    if not echo.lrr or elapsed > _LONGEST:
        return None
    left = unix_from_ntp(report.ntp_timestamp)
    return arrival - elapsed, left - held, left, arrival
