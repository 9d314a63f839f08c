"""What receivers say of a stream beside report blocks (RFC 3611): the newest of each kind, of each receiver."""

from __future__ import annotations

from dataclasses import dataclass, replace

from protocol.rtcp.xr import Block, RunLengths, StatisticsSummary, VoipMetrics

_MOST = 64
"""receivers; of more, those heard last."""


@dataclass(frozen=True, slots=True)
class Extended:
    """Of one receiver; None where it has not said."""

    reporter: int
    """SSRC."""
    losses: RunLengths | None = None
    summary: StatisticsSummary | None = None
    voip: VoipMetrics | None = None


class ExtendedReports:
    """Of one stream."""

    def __init__(self) -> None:
        self._told: dict[int, Extended] = {}

    def hear(self, reporter: int, block: Block) -> None:
        """A block about this stream."""
        told = self._told.pop(reporter, None) or Extended(reporter)
        match block:
            case RunLengths(duplicates=False):
                told = replace(told, losses=block)
            case StatisticsSummary():
                told = replace(told, summary=block)
            case VoipMetrics():
                told = replace(told, voip=block)
        self._told[reporter] = told
        if len(self._told) > _MOST:
            del self._told[next(iter(self._told))]

    def all(self) -> tuple[Extended, ...]:
        """The one heard last is last."""
        return tuple(self._told.values())
