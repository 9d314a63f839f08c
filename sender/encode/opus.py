"""Opus (RFC 6716) in packets of 20 ms, with as much in-band FEC (§2.1.7) as the expected loss asks for."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from protocol.errors import ResourceError
from sender.libraries import av

if TYPE_CHECKING:
    from av import AudioCodecContext

OPUS_RATE, OPUS_FRAME = 48_000, 960
VOICE_BITRATE = 48_000
"""below this Opus is told that it encodes voice, which it then does better than music."""
_STEPS = (0, 10, 20, 30)
"""% of loss that the encoder is told of. From 6 on it leaves CELT, which cannot carry FEC, for SILK also with music."""
_ENOUGH, _TOO_LITTLE = 0.02, 0.005
"""share of loss from which FEC begins, and below which it ends."""
_WARM = 5
"""packets of sound a new encoder hears before its first packet is sent: so it goes on where the old one ended."""


class OpusCoder:
    """Blocks of shape (960, channels) to packets. Raises ResourceError when libopus cannot do it."""

    def __init__(self, channels: int, bitrate: int, loss: float = 0.0) -> None:
        self._layout = "mono" if channels == 1 else "stereo"
        self._bitrate = bitrate
        self._expected = self._told = _step(loss, 0)
        self._recent: deque[NDArray[np.float32]] = deque(maxlen=_WARM)
        self._context = self._open()

    @property
    def pre_skip(self) -> int:
        """Samples of delay: the 16-bit number at byte 10 of OpusHead (RFC 7845 §5.1)."""
        return int.from_bytes((self._context.extradata or bytes(12))[10:12], "little")

    def expect_loss(self, share: float) -> None:
        """Of packets, 0 to 1; from any thread. It takes effect with the next packet."""
        self._expected = _step(share, self._expected)

    def __call__(self, block: NDArray[np.float32]) -> bytes:
        if self._expected != self._told:
            self._told = self._expected
            self._context = self._open()
            for before in self._recent:
                self._encode(before)
        self._recent.append(block)
        return self._encode(block)

    def _open(self) -> AudioCodecContext:
        context = av.CodecContext.create("libopus", "w")
        context.sample_rate, context.layout, context.format = OPUS_RATE, self._layout, "flt"
        context.bit_rate = self._bitrate
        context.options = {
            "application": "audio" if self._bitrate >= VOICE_BITRATE else "voip",
            "frame_duration": "20",
            "fec": str(int(self._told > 0)),
            "packet_loss": str(self._told),
        }
        try:
            context.open()
        except (av.error.FFmpegError, ValueError) as error:
            raise ResourceError(
                f"Opus cannot be encoded at {self._bitrate} bit/s: use an --audio-bitrate from 6k to 256k"
            ) from error
        if context.options:
            raise ResourceError(f"the encoder libopus does not know {', '.join(context.options)}")
        return context

    def _encode(self, block: NDArray[np.float32]) -> bytes:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block).reshape(1, -1), "flt", self._layout)
        frame.sample_rate = OPUS_RATE
        try:
            return b"".join(bytes(packet) for packet in self._context.encode(frame))
        except av.error.FFmpegError as error:
            raise ResourceError(f"the encoder libopus failed: {error.strerror}") from error


def _step(share: float, now: int) -> int:
    """% of loss to tell the encoder, so that it is seldom another."""
    if share < (_TOO_LITTLE if now else _ENOUGH):
        return 0
    return next((step for step in _STEPS[1:] if 100 * share <= step), _STEPS[-1])
