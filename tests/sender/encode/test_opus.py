"""In-band FEC that comes and goes while sound is being encoded, judged by libopus as a receiver uses it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from protocol.errors import ResourceError
from receiver.decode import opus as decoder
from sender.encode.opus import OPUS_FRAME, OpusCoder


def voice(seconds: float) -> NDArray[np.float32]:
    """Vowel-like: a fundamental that glides, harmonics, a syllable's envelope: libopus protects what is active."""
    t = np.arange(round(seconds * 48_000)) / 48_000
    phase = 2 * np.pi * (120 * t + 2 * np.sin(2 * np.pi * t))
    tone = sum(np.sin(k * phase) / k for k in range(1, 12))
    return (0.15 * tone * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * t))).astype(np.float32)[:, None]


def encode(coder: OpusCoder, sound: NDArray[np.float32]) -> list[bytes]:
    return [coder(sound[at : at + OPUS_FRAME]) for at in range(0, len(sound), OPUS_FRAME)]


def test_fec_comes_with_loss_and_goes_with_it() -> None:
    coder, sound = OpusCoder(1, 64_000), voice(1)
    assert not any(map(decoder.has_fec, encode(coder, sound)))
    coder.expect_loss(0.08)
    assert sum(map(decoder.has_fec, encode(coder, sound)[3:])) > 10
    coder.expect_loss(0.01)
    assert sum(map(decoder.has_fec, encode(coder, sound))) > 10, "not at once given up"
    coder.expect_loss(0.0)
    assert not any(map(decoder.has_fec, encode(coder, sound)[3:]))


def test_one_percent_is_not_worth_it() -> None:
    coder = OpusCoder(1, 64_000)
    coder.expect_loss(0.01)
    assert not any(map(decoder.has_fec, encode(coder, voice(0.5))))


@pytest.mark.parametrize("channels", [1, 2])
def test_the_change_is_not_heard(channels: int) -> None:
    """Against the same sound encoded without a change: no click, and no sample more or less."""
    sound = np.repeat(voice(3), channels, axis=1)
    steady, changing = OpusCoder(channels, 64_000 * channels), OpusCoder(channels, 64_000 * channels)
    packets = []
    for n, at in enumerate(range(0, len(sound), OPUS_FRAME)):
        changing.expect_loss(0.1 if 50 <= n < 100 else 0.0)
        packets.append(changing(sound[at : at + OPUS_FRAME]))
    heard, plain = (
        np.concatenate([d.decode(p) for p in some])
        for d, some in ((decoder.Decoder(48_000, channels), packets),
                        (decoder.Decoder(48_000, channels), encode(steady, sound)))
    )  # fmt: skip
    assert heard.shape == plain.shape
    for part in range(9600, len(heard) - 4800, 4800):
        assert np.corrcoef(heard[part : part + 4800, 0], plain[part : part + 4800, 0])[0, 1] > 0.85
    assert np.abs(np.diff(heard, axis=0)).max() < 1.5 * np.abs(np.diff(plain, axis=0)).max()


def test_what_cannot_be_encoded_is_one_line() -> None:
    with pytest.raises(ResourceError, match="audio-bitrate"):
        OpusCoder(1, 10_000_000)
