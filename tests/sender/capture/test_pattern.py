import time
from fractions import Fraction

import numpy as np

from sender.capture.pattern import open_pattern, open_tone
from sender.capture.rate import RateLimit
from sender.media import Picture

MIDDAY = 1_700_000_000_500_000_000


def test_pictures_move_and_are_numbered():
    source = open_pattern((320, 180), Fraction(100))
    pictures = [source.read() for _ in range(4)]
    source.close()
    assert source.read() is None
    times = [p.media_time for p in pictures]
    assert times[0] == 0
    assert all(t % 10_000_000 == 0 for t in times)
    assert times == sorted(set(times))
    assert all(p.capture_time - pictures[0].capture_time == p.media_time for p in pictures)
    assert (pictures[0].frame.width, pictures[0].frame.height) == (320, 180)
    assert len({p.frame.to_ndarray().tobytes() for p in pictures}) == 4


def test_number_and_clock_can_be_seen():
    source = open_pattern((320, 180))
    rows = slice(0, 18)
    first, other_number, other_time = (
        source.draw(number, wall).to_ndarray()[rows]
        for number, wall in ((1, MIDDAY), (2, MIDDAY), (1, MIDDAY + 1_000_000))
    )
    assert not np.array_equal(first, other_number)
    assert not np.array_equal(first, other_time)


def test_the_mark_is_lit_for_the_first_tenth_of_a_second():
    source = open_pattern((320, 180))
    lit = [
        source.draw(0, MIDDAY // 10**9 * 10**9 + ms * 1_000_000).to_ndarray()[2:16, 304:318].mean()
        for ms in (0, 99, 100, 999)
    ]
    assert np.array(lit).round().tolist() == [235, 235, 16, 16]


def test_bars_are_those_of_bt_601():
    """75 % bars through another converter (swscale) are the eight combinations of 0 and 191."""
    frame = open_pattern((640, 360)).draw(0, MIDDAY)
    row = frame.to_ndarray(format="rgb24")[320, 40::80].astype(int)
    expected = [(r, g, b) for g in (191, 0) for r in (191, 0) for b in (191, 0)]
    assert np.abs(row - expected).max() <= 3


def test_odd_sizes_become_even():
    source = open_pattern((101, 75))
    assert (source.width, source.height) == (100, 74)
    assert source.draw(3, MIDDAY).width == 100


def test_tone_is_440_hz_without_a_seam():
    source = open_tone(48_000, 2)
    blocks = [source.read() for _ in range(12)]
    source.close()
    assert source.read() is None
    assert [b.position for b in blocks] == [n * 480 for n in range(12)]
    assert all(b.samples.shape == (480, 2) for b in blocks)
    samples = np.concatenate([b.samples for b in blocks])[:, 0]
    # No step larger than the steepest slope of 880 Hz at this level.
    assert np.abs(np.diff(samples)).max() < 0.2 * 2 * np.pi * 880 / 48_000 * 1.01
    assert 0.19 < np.abs(samples).max() <= 0.2


def test_a_second_of_tone_has_its_mark_first():
    source = open_tone(8_000)
    second = source._second[:, 0]
    source.close()
    assert np.argmax(np.abs(np.fft.rfft(second[:800]))) * 10 == 880
    assert np.argmax(np.abs(np.fft.rfft(second[800:]))) * 8_000 / 7_200 == 440
    assert abs(second[0] - second[-1]) < 0.2 * 2 * np.pi * 880 / 8_000


class Steady:
    width, height, frame_rate = 2, 2, Fraction(30)

    def __init__(self):
        self.number = -1

    def read(self):
        self.number += 1
        return Picture(None, 0, self.number * 33_333_333) if self.number < 90 else None

    def close(self):
        self.number = 90


def test_rate_limit_keeps_an_even_share():
    for wanted, count in ((30, 90), (60, 90), (15, 45), (10, 30), (20, 60), (1, 3)):
        source = RateLimit(Steady(), Fraction(wanted))
        times = [p.media_time for p in iter(source.read, None)]
        assert len(times) == count
        assert source.frame_rate == min(30, wanted)
        assert time.monotonic_ns() > 0
        source.close()
