import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.rtcp.timer import MINIMUM, FeedbackAllowance, RtcpTimer, reduced_minimum, rtcp_bandwidth

SECOND = 1_000_000_000
MIDDLE = 0.5  # the random number whose factor is 1
COMPENSATION = 2.71828 - 1.5  # as RFC 3550 A.7 writes it


def seconds(timer: RtcpTimer, random: float = MIDDLE, *, initial: bool = False) -> float:
    """The interval before the division that makes up for timer reconsideration."""
    return timer.interval(random, initial=initial) * COMPENSATION / SECOND


def test_rtcp_gets_five_percent() -> None:
    assert rtcp_bandwidth(1_000_000) == pytest.approx(6250)  # octets per second of 1 Mbit/s


@pytest.mark.parametrize(
    ("bits", "expected"), [(72_000, 5.0), (720_000, 0.5), (7_200_000, 0.05), (8_000, 5.0), (0, 5.0)]
)
def test_reduced_minimum(bits: float, expected: float) -> None:
    """§6.2: 360 / (session bandwidth in kbit/s) seconds; below 5 s from 72 kbit/s on."""
    assert reduced_minimum(bits) == pytest.approx(expected * SECOND)


def test_small_sessions_wait_for_the_minimum_and_half_of_it_at_first() -> None:
    timer = RtcpTimer(bandwidth=10_000)
    assert seconds(timer) == pytest.approx(5, rel=1e-5)
    assert seconds(timer, initial=True) == pytest.approx(2.5, rel=1e-5)


@pytest.mark.parametrize(("random", "factor"), [(0.0, 0.5), (0.5, 1.0), (1.0, 1.5)])
def test_the_interval_is_spread_over_half_to_one_and_a_half(random: float, factor: float) -> None:
    assert seconds(RtcpTimer(bandwidth=10_000), random) == pytest.approx(5 * factor, rel=1e-5)


# Worked by hand from §6.3.1: 1000 octets/s for RTCP, packets of 100 octets, 1000 members.
@pytest.mark.parametrize(
    ("senders", "we_sent", "expected"),
    [
        (100, True, 100 * 100 / 250),  # 40 s: 100 senders share a quarter
        (100, False, 900 * 100 / 750),  # 120 s: 900 receivers share three quarters
        (250, True, 250 * 100 / 250),  # still a quarter of the members
        (500, True, 1000 * 100 / 1000),  # 100 s: too many senders, all share everything
        (500, False, 1000 * 100 / 1000),
    ],
)
def test_bandwidth_is_shared_as_in_rfc_3550(senders: int, we_sent: bool, expected: float) -> None:
    timer = RtcpTimer(1000, members=1000, senders=senders, we_sent=we_sent, average_size=100)
    assert seconds(timer) == pytest.approx(expected, rel=1e-5)


def test_average_size_moves_by_a_sixteenth() -> None:
    assert RtcpTimer(1000, average_size=160).with_packet(320).average_size == pytest.approx(170)  # §6.3.3


@given(st.floats(0, 1), st.integers(2, 5000), st.integers(0, 5000), st.booleans())
def test_reports_of_all_members_stay_within_the_bandwidth(
    random: float, members: int, senders: int, we_sent: bool
) -> None:
    timer = RtcpTimer(2000, members=members, senders=min(senders, members), we_sent=we_sent)
    interval = timer.interval(random)
    assert interval >= MINIMUM * 0.5 / COMPENSATION * 0.999
    assert math.isfinite(interval)


def test_feedback_goes_at_once_until_the_share_is_used_up() -> None:
    allowance = FeedbackAllowance.full(rate=1000, now=0, burst=2000)
    for _ in range(20):
        assert allowance.allows(100, 0)
        allowance = allowance.spend(100, 0)
    assert not allowance.allows(100, 0)
    assert allowance.next_time(100, 0) == pytest.approx(0.1 * SECOND, abs=2)
    assert allowance.allows(100, allowance.next_time(100, 0))


def test_reports_overdraw_the_allowance_but_not_for_ever() -> None:
    allowance = FeedbackAllowance.full(rate=1000, now=0, burst=1500)
    for _ in range(100):
        allowance = allowance.spend(1500, 0)
    assert allowance.next_time(100, 0) <= 1.61 * SECOND


def test_an_idle_allowance_saves_no_more_than_its_burst() -> None:
    allowance = FeedbackAllowance.full(rate=1000, now=0, burst=1500)
    assert not allowance.spend(1500, 3600 * SECOND).allows(1, 3600 * SECOND)


@given(st.lists(st.tuples(st.integers(0, SECOND), st.integers(50, 1400)), max_size=60), st.floats(100, 1e6))
def test_allowed_feedback_stays_within_rate_and_burst(steps: list[tuple[int, int]], rate: float) -> None:
    allowance = FeedbackAllowance.full(rate, 0)
    now = spent = 0
    for wait, size in steps:
        now += wait
        if allowance.allows(size, now):
            allowance = allowance.spend(size, now)
            spent += size
    assert spent <= allowance.burst + rate * now / SECOND + 1
