"""The E-model against figures of ITU-T G.107 and G.109, and against approximations published by others."""

from __future__ import annotations

import pytest

from receiver.account.e_model import G711, OPUS, burst_ratio, codec_of, mos, rate
from receiver.media import Format


def test_the_defaults_of_the_recommendation() -> None:
    # G.107 §7.7: with all parameters at their defaults, R = 93.2, which is a MOS of 4.41
    perfect = rate(0, 0, 1, G711)
    assert perfect.r == pytest.approx(93.2, abs=0.05)
    assert perfect.mos == pytest.approx(4.41, abs=0.005)


@pytest.mark.parametrize(
    ("r", "score"), [(90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58), (0, 1), (100, 4.5)]
)
def test_scores_of_the_bands_of_satisfaction(r: float, score: float) -> None:
    # G.107 Table B.1 (G.109): lower limits of best, high, medium, low, poor
    assert mos(r) == pytest.approx(score, abs=0.007)


@pytest.mark.parametrize("delay", [20, 50, 100, 150, 177.3, 250, 350])
def test_delay_costs_what_cole_and_rosenbluth_found(delay: float) -> None:
    # Cole, Rosenbluth, "Voice over IP performance monitoring" (2001): Id = 0.024 d + 0.11 (d - 177.3) H(d - 177.3)
    expected = 0.024 * delay + 0.11 * max(0.0, delay - 177.3)
    assert 93.2 - rate(delay, 0, 1, G711).r == pytest.approx(expected, abs=2.5)


@pytest.mark.parametrize(("loss", "bursts", "cost"), [(1, 1, 3.64), (5, 1, 15.78), (20, 1, 42.13), (5, 2, 17.21)])
def test_loss_costs_g711_what_the_equation_says(loss: float, bursts: float, cost: float) -> None:
    # G.107 (7-29) by hand: 95 * Ppl / (Ppl / BurstR + 25.1), with G.113's Bpl of G.711 with concealment
    assert rate(0, 0, 1, G711).r - rate(0, loss / 100, bursts, G711).r == pytest.approx(cost, abs=0.01)


def test_inputs_travel_with_the_rating() -> None:
    rating = rate(150, 0.01, 99, OPUS)
    assert (rating.delay_ms, rating.loss, rating.burst_ratio, rating.codec) == (150, 0.01, 8, OPUS)
    assert 0 <= rate(5000, 1, 8, OPUS).r < 40


def test_codecs() -> None:
    assert codec_of(Format("opus", 48_000, 2)) is OPUS
    assert codec_of(Format("PCMU", 8_000)) is G711
    assert codec_of(Format("H264", 90_000)) is None


def test_burst_ratio() -> None:
    # 10 of 100 lost at random make runs of 1 / (1 - 0.1) on average
    assert burst_ratio(10, 100, 9) == pytest.approx(1.0)
    assert burst_ratio(10, 100, 5) == pytest.approx(1.8)
    assert burst_ratio(0, 100, 0) == 1
