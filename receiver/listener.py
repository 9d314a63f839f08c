"""What a listener would say of a stream of sound, by ITU-T G.107."""

from __future__ import annotations

from receiver.account.e_model import Rating, burst_ratio, codec_of, rate
from receiver.statistics import StreamStatistics


def rating(s: StreamStatistics) -> Rating | None:
    """Of the way from capture to playout; the way to the ear and the microphone's are not known here. Without an
    exchange with the sender its length is not known, so nothing is said."""
    codec, counts, least = codec_of(s.format), s.ledger, _least_transit(s)
    decided = counts.span - counts.undecided
    if codec is None or s.playout_delay_mean is None or decided <= 0 or least is None:
        return None
    runs = sum(s.loss_runs.values()) + sum(s.late_runs.values())
    bursts = burst_ratio(counts.missed, decided, runs)
    return rate((least + s.playout_delay_mean) / 1e6, counts.missed / decided, bursts, codec)


def _least_transit(s: StreamStatistics) -> float | None:
    """ns; half the round trip where the clocks were not compared."""
    if s.one_way is not None:
        return max(0, s.one_way.delay)
    return None if s.round_trip is None else s.round_trip / 2
