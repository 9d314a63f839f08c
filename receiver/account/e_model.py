"""ITU-T G.107, the E-model: what a listener would say of a telephone conversation with this delay and this loss.

An estimate for planning, on the narrow-band scale; the parameters of telephone sets, rooms and lines that nobody can
measure here have the recommendation's default values (its Table 2), for which R = 93.2 without delay and loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from receiver.media import Format

_SLR, _RLR, _STMR, _TELR, _WEPL = 8.0, 2.0, 15.0, 65.0, 110.0
_DR = _DS = 3.0
_NC, _NFOR, _PS, _PR = -70.0, -64.0, 35.0, 35.0
_MOST_BURSTY = 8.0
"""G.107 §7.4: the range of BurstR."""


@dataclass(frozen=True, slots=True)
class Codec:
    """How a codec sounds and how it stands loss."""

    equipment_impairment: float
    """Ie, without loss."""
    loss_robustness: float
    """Bpl: per cent of loss that cost half of what is left."""
    source: str


G711 = Codec(0.0, 25.1, "ITU-T G.113 Appendix I: G.711 with packet loss concealment")
"""holds for L16 too, on a scale on which G.711 sounds as good as anything can."""
OPUS = Codec(0.0, 20.0, "an assumption: no planning values for Opus have been published")


@dataclass(frozen=True, slots=True)
class Rating:
    """With the inputs it was made of."""

    r: float
    """transmission rating, 0 to 100."""
    mos: float
    """mean opinion score, 1 to 4.5."""
    delay_ms: float
    loss: float
    burst_ratio: float
    codec: Codec


def codec_of(form: Format) -> Codec | None:
    """None for pictures."""
    if form.media != "audio":
        return None
    return OPUS if form.encoding.lower() == "opus" else G711


def rate(delay_ms: float, loss: float, burst_ratio: float, codec: Codec) -> Rating:
    """`delay_ms`: one way, mouth to ear; `loss`: share (0 to 1) of packets the listener missed; `burst_ratio`: mean
    length of a run of missed packets over what it would be were they independent."""
    burst_ratio = min(_MOST_BURSTY, max(1.0, burst_ratio))
    delay, equipment = _delay_impairment(delay_ms), _effective_equipment(100 * loss, burst_ratio, codec)
    r = min(100.0, max(0.0, _RO - _simultaneous(delay_ms) - delay - equipment))
    return Rating(r, mos(r), delay_ms, loss, burst_ratio, codec)


def mos(r: float) -> float:
    """Annex B, equation B-4."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)


def burst_ratio(lost: int, sent: int, runs: int) -> float:
    """BurstR of `lost` packets in so many `runs`; 1 where nothing was lost."""
    return lost / runs * (1 - lost / sent) if runs and sent else 1.0


def _noise() -> float:
    """No in dBm0p, §7.2."""
    loudness = _SLR + _RLR
    sender = _PS - _SLR - _DS - 100 + 0.004 * (_PS - loudness - _DS - 14) ** 2
    room = _PR + 10 * math.log10(1 + 10 ** ((10 - (_STMR + _DR)) / 10))
    receiver = _RLR - 121 + room + 0.008 * (room - 35) ** 2
    return 10 * math.log10(sum(10 ** (level / 10) for level in (_NC, sender, receiver, _NFOR + _RLR)))


_NO = _noise()
_RO = 15 - 1.5 * (_SLR + _NO)
"""basic signal-to-noise ratio, §7.2."""


def _simultaneous(delay_ms: float) -> float:
    """Is, §7.3: too loud a connection, sidetone that is not optimal, quantising distortion."""
    x = _SLR + _RLR + 0.2 * (64 + _NO - _RLR)
    loud = 20 * ((1 + (x / 8) ** 8) ** (1 / 8) - x / 8)
    s = -10 * math.log10(10 ** (-_STMR / 10) + math.exp(-delay_ms / 4) * 10 ** (-_TELR / 10))
    sidetone = (
        12 * (1 + ((s - 13) / 6) ** 8) ** (1 / 8)
        - 28 * (1 + ((s + 1) / 19.4) ** 35) ** (1 / 35)
        - 13 * (1 + ((s - 3) / 33) ** 13) ** (1 / 13)
        + 29
    )
    g = 1.07 + 0.258 * 37 + 0.0602 * 37**2
    y, z = (_RO - 100) / 15 + 46 / 8.4 - g / 9, 46 / 30 - g / 40
    return float(loud + sidetone + 15 * math.log10(1 + 10**y + 10**z))


def _delay_impairment(delay_ms: float) -> float:
    """Id, §7.4: talker echo, listener echo and the delay itself; all echo paths as long as the one way is."""
    t = delay_ms
    terv = _TELR - 40 * math.log10((1 + t / 10) / (1 + t / 150)) + 6 * math.exp(-0.3 * t * t)
    half = (-1.5 * (_NO - _RLR) - (80 + 2.5 * (terv - 14))) / 2
    talker = 0.0 if t < 1 else (half + math.sqrt(half * half + 100) - 1) * (1 - math.exp(-t))
    half = (_RO - 10.5 * (_WEPL + 7) * (2 * t + 1) ** -0.25) / 2
    listener = half + math.sqrt(half * half + 169)
    return float(talker + listener + _too_long(t))


def _too_long(delay_ms: float) -> float:
    """Idd."""
    if delay_ms <= 100:
        return 0.0
    x = math.log2(delay_ms / 100)
    return float(25 * ((1 + x**6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2))


def _effective_equipment(loss: float, bursts: float, codec: Codec) -> float:
    """Ie,eff, §7.5; `loss` in per cent."""
    impairment = codec.equipment_impairment
    return impairment + (95 - impairment) * loss / (loss / bursts + codec.loss_robustness)
