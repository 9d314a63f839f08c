"""So late as that nothing is seen to stand still while it is asked for again."""

from __future__ import annotations

from receiver.config import Latency
from receiver.jitter.standstill import Standstill
from receiver.jitter.target import policy
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND


def test_short_retransmissions_cost_nothing() -> None:
    still = Standstill()
    for second in range(100):
        still.retransmitted(90 * MS, second * SECOND)
    assert still.delay(100 * SECOND) == 0


def test_a_long_one_is_remembered_for_a_minute_and_worth_60_ms_at_most() -> None:
    still = Standstill()
    still.retransmitted(140 * MS, 0)
    assert still.delay(0) == 40 * MS
    still.retransmitted(190 * MS, 10 * SECOND)
    still.retransmitted(120 * MS, 20 * SECOND)
    assert still.delay(70 * SECOND) == 60 * MS
    assert still.delay(71 * SECOND) == 20 * MS, "of the one before it"
    assert still.delay(81 * SECOND) == 0


def delay(caution: float) -> int:
    """Of pictures, two seconds after a long retransmission."""
    target = policy(Latency(caution=caution), "video")
    target.retransmitted(150 * MS, 0)
    for frame in range(60):
        target.observe(0, frame * SECOND // 30)
    return target.delay


def test_who_wants_it_quick_does_not_wait() -> None:
    assert delay(0.0) < 5 * MS
    assert 45 * MS <= delay(0.3) <= 55 * MS
