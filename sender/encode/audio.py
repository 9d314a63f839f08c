"""Sound → access units: Opus, L16 and G.711.

The time of an access unit is that of the first sample which decoding it gives back. For Opus that is the encoder's
pre-skip (6.5 ms) before the first sample which went in: RTP has no field for it, so timestamps stay those of what went
in and the capture time says it. A receiver that maps timestamps through the sender reports is then exact.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from protocol.errors import UsageError
from sender.encode import g711
from sender.encode.framing import SECOND, Conformer, Framer
from sender.encode.opus import OPUS_FRAME, OPUS_RATE, OpusCoder
from sender.media import AccessUnit, AudioEncoder, Sound

_FEC_FROM_THE_START = 0.10
"""share of loss that in-band FEC is made for before any is known."""
L16_RATES = (44_100, 48_000)
L16_PAYLOAD = 1_100
"""bytes that a packet of L16 may have: within 1200 with every header and the repair that may be added."""


def open_audio_encoder(
    codec: str, rate: int, channels: int, bitrate: int = 64_000, *, forward_error_correction: bool = False
) -> AudioEncoder:
    """An encoder of `codec` (opus, l16, pcmu, pcma) for sound of `rate` and `channels` (1 or 2).

    `bitrate` and `forward_error_correction` (in-band, RFC 6716 §2.1.7) are for opus. L16 keeps 44.1 and 48 kHz, and
    takes others to 48; G.711 is 8 kHz mono. Raises UsageError for what does not exist.
    """
    if channels not in (1, 2):
        raise UsageError(f"cannot send {channels} channels of sound: use 1 or 2")
    if codec == "opus":
        return _open_opus(rate, channels, bitrate, forward_error_correction)
    if codec == "l16":
        return _open_l16(rate, channels)
    if codec in ("pcmu", "pcma"):
        table = g711.ulaw_table() if codec == "pcmu" else g711.alaw_table()
        return BlockEncoder(codec.upper(), rate, 8_000, 1, 160, lambda block: g711.encode(_integers(block), table))
    raise UsageError(f"no audio codec {codec!r}: use opus, l16, pcmu or pcma")


class BlockEncoder:
    """An AudioEncoder whose access units all hold the same number of samples."""

    def __init__(
        self,
        encoding: str,
        rate: int,
        clock_rate: int,
        channels: int,
        frames: int,
        code: Callable[[NDArray[np.float32]], bytes],
        *,
        pre_skip: int = 0,
        expect_loss: Callable[[float], None] = lambda _: None,
    ) -> None:
        """`code`: the wire's bytes for a block of shape (frames, channels). `pre_skip`: samples of its delay.
        `expect_loss`: tells the codec the share of packets that are lost."""
        self.encoding = encoding
        self.clock_rate = clock_rate
        self.channels = channels
        self.packet_time = frames * SECOND // clock_rate
        self.format_parameters: dict[str, str] = {}
        self._code = code
        self._pre_skip = pre_skip
        self.expect_loss = expect_loss
        """The share of packets, 0 to 1, that the path loses: Opus answers with in-band FEC. From any thread."""
        self._conformer = Conformer(rate, clock_rate, channels)
        self._framer = Framer(frames, channels, clock_rate)

    def encode(self, sound: Sound) -> list[AccessUnit]:
        """The packets that are full now. Raises ResourceError when the codec fails."""
        return self._units(self._framer.push(self._conformer.push(sound)))

    def flush(self) -> list[AccessUnit]:
        """The last packets, filled up with silence; nothing may follow. Raises ResourceError when the codec fails."""
        rest = self._conformer.flush()
        blocks = [] if rest is None else self._framer.push(rest)
        return self._units(blocks + self._framer.flush(self._pre_skip))

    def _units(self, blocks: list[Sound]) -> list[AccessUnit]:
        early = self._pre_skip * SECOND // self.clock_rate
        return [AccessUnit(self._code(block.samples), block.position, block.capture_time - early) for block in blocks]

    def close(self) -> None:
        """Nothing is held that must be let go."""


def _open_l16(rate: int, channels: int) -> BlockEncoder:
    """RFC 3551 §4.5.11: network byte order, channels interleaved; 10 ms, or 5 when that is too much for a packet."""
    clock_rate = rate if rate in L16_RATES else 48_000
    frames = next(n for n in (clock_rate // 100, clock_rate // 200) if n * channels * 2 <= L16_PAYLOAD)
    return BlockEncoder(
        "L16", rate, clock_rate, channels, frames, lambda block: _integers(block).astype(">i2").tobytes()
    )


def _open_opus(rate: int, channels: int, bitrate: int, forward_error_correction: bool) -> BlockEncoder:
    coder = OpusCoder(channels, bitrate, _FEC_FROM_THE_START if forward_error_correction else 0.0)
    encoder = BlockEncoder(
        "opus", rate, OPUS_RATE, channels, OPUS_FRAME, coder, pre_skip=coder.pre_skip, expect_loss=coder.expect_loss
    )
    encoder.channels = 2  # RFC 7587 §7: always, whatever is inside
    if channels == 2:
        encoder.format_parameters["sprop-stereo"] = "1"
    if forward_error_correction:
        encoder.format_parameters["useinbandfec"] = "1"
    return encoder


def _integers(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
