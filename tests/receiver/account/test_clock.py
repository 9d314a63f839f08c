"""The sender's clock as seen through delays of a known distribution."""

from __future__ import annotations

import numpy as np
import pytest

from receiver.account.clock import SenderClock

SECOND = 1_000_000_000
MS = 1_000_000
START = 5_000 * SECOND


class Path:
    """50 packets a second with at least 30 ms on the way; feeds a clock and knows the truth."""

    def __init__(self, clock: SenderClock, *, skew: float = 0.0, rate: int = 48_000) -> None:
        self.clock, self.skew, self.rate = clock, skew, rate
        self.random = np.random.default_rng(7)
        self.sent = 0.0

    def run(self, seconds: float, least: float = 0.030, jitter: float = 0.010, size: int = 5) -> None:
        for _ in range(int(seconds * 50 / size)):
            sent = self.sent + np.arange(size) * 0.02
            arrivals = sent + least + self.random.exponential(jitter, size)
            self.clock.observe(self.timestamps(sent), START + (np.sort(arrivals) * SECOND).astype(np.int64))
            self.sent += size * 0.02

    def timestamps(self, sent: object) -> np.ndarray:
        return np.round(np.asarray(sent) * self.rate * (1 - self.skew)).astype(np.int64) + (1 << 32)

    def error(self, least: float = 0.030) -> float:
        """ms by which `local_time` differs from the arrival of an undelayed packet sent now."""
        local = self.clock.local_time(int(self.timestamps(self.sent)))
        return (local - START - (self.sent + least) * SECOND) / MS


def test_least_transit_is_found_under_jitter() -> None:
    path = Path(SenderClock(48_000))
    path.run(10)
    assert abs(path.error()) < 0.5
    uncertainty = path.clock.uncertainty
    assert uncertainty is not None
    assert uncertainty < MS


@pytest.mark.parametrize("size", [1, 5, 25])
def test_skew_of_either_sign_is_followed(size: int) -> None:
    for skew in (200e-6, -200e-6):
        path = Path(SenderClock(48_000), skew=skew)
        path.run(120, size=size)
        assert abs(path.error()) < 1.5
        assert path.clock.skew_ppm == pytest.approx(skew * 1e6, abs=40)


def test_a_faster_route_is_followed_at_once() -> None:
    path = Path(SenderClock(48_000))
    path.run(30, least=0.230)
    path.run(0.5)
    assert abs(path.error()) < 3
    path.run(20)
    assert abs(path.error()) < 1.5


def test_a_slower_route_is_believed_within_five_seconds() -> None:
    path = Path(SenderClock(48_000))
    path.run(60)
    path.run(5, least=0.230)
    assert abs(path.error(0.230)) < 2
    path.run(30, least=0.230)
    assert abs(path.error(0.230)) < 1.5


def test_a_short_spike_moves_nothing() -> None:
    path = Path(SenderClock(48_000))
    path.run(30)
    path.run(0.6, least=0.330)
    path.run(0.4)
    assert abs(path.error()) < 1


def test_ten_seconds_of_silence() -> None:
    path = Path(SenderClock(48_000))
    path.run(20)
    path.sent += 10
    assert abs(path.error()) < 1.5
    path.run(0.1, jitter=0.040)
    assert abs(path.error()) < 1.5


def test_excess_is_never_negative_and_measured_from_the_least() -> None:
    clock = SenderClock(90_000)
    assert clock.observe(np.array([0]), np.array([START])).tolist() == [0]
    later = clock.observe(np.array([9000, 18_000]), np.array([START + 105 * MS, START + 195 * MS]))
    assert later.tolist() == [10 * MS, 0]
    many = clock.observe(18_000 + np.arange(1, 9) * 900, START + 195 * MS + np.arange(1, 9) * 10 * MS + 2 * MS)
    assert many.tolist() == [2 * MS] * 8


def test_capture_time_follows_the_newest_sender_report() -> None:
    clock = SenderClock(90_000)
    assert clock.capture_time(0) is None
    clock.sender_report(1_700_000_000 * SECOND, 1000)
    clock.sender_report(1_600_000_000 * SECOND, 5)
    assert clock.capture_time(1000 + 90_000) == 1_700_000_001 * SECOND
    assert clock.capture_time(1000 - 45_000) == 1_700_000_000 * SECOND - SECOND // 2


def test_no_packet_no_time() -> None:
    with pytest.raises(ValueError, match="no packet"):
        SenderClock(90_000).local_time(0)
