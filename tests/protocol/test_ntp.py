from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import ntp

SECOND = 1_000_000_000
YEAR_1968, YEAR_2104 = (1 << 31) - ntp.NTP_EPOCH_OFFSET_S, 3 * (1 << 31) - ntp.NTP_EPOCH_OFFSET_S


@pytest.mark.parametrize(
    ("date", "seconds"),
    [  # RFC 5905 figure 4
        ((1970, 1, 1), 2_208_988_800),
        ((1972, 1, 1), 2_272_060_800),
        ((1999, 12, 31), 3_155_587_200),
        ((2036, 2, 8), 63_104),  # era 1
    ],
)
def test_dates_of_rfc_5905(date: tuple[int, int, int], seconds: int) -> None:
    unix_ns = int(datetime(*date, tzinfo=UTC).timestamp()) * SECOND
    assert ntp.ntp_from_unix(unix_ns) == seconds << 32
    assert ntp.unix_from_ntp(seconds << 32) == unix_ns


def test_fraction_is_in_units_of_two_to_the_minus_32() -> None:
    assert ntp.ntp_from_unix(SECOND // 2) & 0xFFFF_FFFF == 0x8000_0000
    assert ntp.unix_from_ntp((ntp.NTP_EPOCH_OFFSET_S << 32) + 0x4000_0000) == SECOND // 4


@given(st.integers(YEAR_1968 * SECOND, YEAR_2104 * SECOND - 1))
def test_nanoseconds_survive(unix_ns: int) -> None:
    assert ntp.unix_from_ntp(ntp.ntp_from_unix(unix_ns)) == unix_ns


def test_round_trip_of_rfc_3550_figure_2() -> None:
    # §6.4.1: A = 0xb710:8000, DLSR = 5.250 s, LSR = 0xb705:2000 give 6.125 s
    sent = 0xB44D_B705_2000_0000
    assert ntp.middle_32(sent) == 0xB705_2000
    arrival = 0xB44D_B710_8000_0000
    assert ntp.round_trip_ns(arrival, 0xB705_2000, 0x0005_4000) == 6_125_000_000


def test_round_trip_across_the_wrap_of_the_middle_bits() -> None:
    lsr, dlsr = 0xFFFF_8000, 0x0000_4000
    assert ntp.round_trip_ns(0x0000_0000_C000_0000, lsr, dlsr) == 1_000_000_000


def test_no_round_trip_without_a_sender_report() -> None:
    assert ntp.round_trip_ns(1 << 40, 0, 0) is None


def test_a_clock_that_rounds_does_not_make_the_round_trip_negative() -> None:
    assert ntp.round_trip_ns(0x0000_0001_0000_0000, 0x0001_0000, 1) == 0


@pytest.mark.parametrize(
    ("duration_ns", "short"), [(5_250_000_000, 0x0005_4000), (0, 0), (-1, 0), (10**15, 0xFFFF_FFFF)]
)
def test_short_format(duration_ns: int, short: int) -> None:
    assert ntp.short_from_ns(duration_ns) == short


@given(st.integers(0, 0xFFFF_FFFF))
def test_short_format_is_exact_within_a_unit(short: int) -> None:
    assert ntp.short_from_ns(ntp.ns_from_short(short)) in (short, short - 1)
