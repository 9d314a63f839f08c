"""What receivers' clocks showed, to be echoed to them (RFC 3611 §4.5): so they know the round trip."""

from __future__ import annotations

from protocol.ntp import middle_32, short_from_ns
from protocol.rtcp.xr import DelaySinceReferenceTime, Echo, ReferenceTime

_MOST = 16
"""receivers echoed; of more, those heard last."""
_OLDEST = 10_000_000_000
"""ns after which a receiver that has not spoken again is not answered any more."""


class References:
    """The newest reference time of each receiver."""

    def __init__(self) -> None:
        self._heard: dict[int, tuple[int, int]] = {}

    def hear(self, ssrc: int, reference: ReferenceTime, arrival_time: int) -> bool:
        """True for a receiver that has not been heard lately: it waits for its first answer. `arrival_time`: monotonic
        ns."""
        before = self._heard.pop(ssrc, None)
        self._heard[ssrc] = middle_32(reference.ntp_timestamp), arrival_time
        if len(self._heard) > _MOST:
            del self._heard[next(iter(self._heard))]
        return before is None or arrival_time - before[1] >= _OLDEST

    def echo(self, now: int) -> DelaySinceReferenceTime | None:
        """For a packet that leaves at `now`; None when there is nobody to answer."""
        recent = [(ssrc, lrr, now - arrival) for ssrc, (lrr, arrival) in self._heard.items() if now - arrival < _OLDEST]
        if not recent:
            return None
        return DelaySinceReferenceTime(tuple(Echo(ssrc, lrr, short_from_ns(held)) for ssrc, lrr, held in recent))
