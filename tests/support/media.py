"""Reference clips whose pictures tell their number, and judges of what came out at the other end.

Every picture carries its number as 16 black or white squares along its top; the sound never repeats itself, so a
stretch of it can be found by correlation.
"""

from __future__ import annotations

import wave
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from receiver.libraries import av
from tests.support.peers import ROOT

WIDTH, HEIGHT, FPS, RATE = 320, 240, 25, 48_000
STREET = ROOT.parent / "shared" / "media" / "street.mp4"
"""Camera footage, where there is any."""
SPEECH = ROOT.parent / "shared" / "media" / "speech.wav"
"""Spoken words, where there are any."""
_SQUARE = 16
_BITS = 16
_SPEED = 0.0025
"""by which sound may be played faster or slower."""
_FINE = 8
"""steps of a sample in which its place is sought."""
Luma = NDArray[np.uint8]
Sound = NDArray[np.float32]


def picture(number: int) -> Luma:
    """The luma of picture `number`: shape (HEIGHT, WIDTH), 16 to 235. A drifting texture, a moving disc, the number."""
    luma = _texture()[:, number % WIDTH : number % WIDTH + WIDTH].copy()
    y, x = np.ogrid[:HEIGHT, :WIDTH]
    centre = WIDTH / 2 + 100 * np.cos(number / 9), HEIGHT / 2 + 60 * np.sin(number / 7)
    luma[(x - centre[0]) ** 2 + (y - centre[1]) ** 2 < 30**2] = 200
    write_number(luma, number)
    return luma


def write_number(luma: Luma, number: int) -> None:
    """Draws the low twelve bits of `number`, and four that check them, into a picture."""
    code = number & 0xFFF | (~number & 0xF) << 12
    for bit in range(_BITS):
        luma[:_SQUARE, bit * _SQUARE : (bit + 1) * _SQUARE] = 235 if code >> bit & 1 else 16


@cache
def _texture() -> Luma:
    y, x = np.mgrid[:HEIGHT, : 2 * WIDTH] / 1.0
    turn = 2 * np.pi * x / WIDTH
    wave_ = np.sin(3 * turn + y / 17) + np.sin(y / 11 + 2 * np.cos(turn)) + 0.5 * np.sin(8 * turn) * np.cos(y / 5)
    texture: Luma = np.clip(125 + 35 * wave_, 16, 235).astype(np.uint8)
    return texture


def read_number(luma: Luma) -> int | None:
    """The number a picture carries; None when its check bits say it is damaged."""
    centres = luma[4 : _SQUARE - 4, : _BITS * _SQUARE].reshape(_SQUARE - 8, _BITS, _SQUARE)[:, :, 4:-4]
    bits = centres.mean(axis=(0, 2)) > 125
    code = int(sum(1 << i for i in np.flatnonzero(bits)))
    number = code & 0xFFF
    return number if code >> 12 == ~number & 0xF else None


def sound(seconds: float, rate: int = RATE) -> Sound:
    """shape (frames,): a gliding tone with overtones and a beat, below 3 kHz, that is nowhere the same twice."""
    random = np.random.default_rng(5)
    t = np.arange(round(seconds * rate)) / rate
    knots = np.arange(0, seconds + 0.2, 0.1)
    pitch = np.interp(t, knots, random.uniform(150, 700, len(knots)))
    loudness = np.interp(t, knots, random.uniform(0.15, 1.0, len(knots)))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    voice = np.sin(phase) + 0.5 * np.sin(2 * phase) + 0.3 * np.sin(4 * phase)
    return (0.4 * loudness * voice / 1.8).astype(np.float32)


def make_clip(path: Path, seconds: float = 4.0) -> Path:
    """Writes the reference clip: Matroska with FFV1 (lossless, 320x240, 25 fps) and 16-bit PCM, 48 kHz mono."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=FPS)
        video.width, video.height, video.pix_fmt, video.gop_size = WIDTH, HEIGHT, "yuv420p", 1
        audio = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        samples = np.round(sound(seconds) * 32767).astype(np.int16)
        step = RATE // FPS
        for number in range(round(seconds * FPS)):
            container.mux(video.encode(_frame(number)))
            block = av.AudioFrame.from_ndarray(samples[None, number * step : (number + 1) * step], "s16", "mono")
            block.sample_rate, block.pts, block.time_base = RATE, number * step, Fraction(1, RATE)
            container.mux(audio.encode(block))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path


def footage(folder: Path) -> Path:
    """H.264 and Opus in MP4: camera footage where there is some beside the project, else the reference clip."""
    return STREET if STREET.exists() else _encoded(make_clip(folder / "footage.mkv", 6.0), folder / "footage.mp4")


def speech(folder: Path) -> Path:
    """A WAV file, 48 kHz mono: spoken words where there are some beside the project, else the reference sound."""
    if SPEECH.exists():
        return SPEECH
    path = folder / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(np.round(sound(6.0) * 32767).astype("<i2").tobytes())
    return path


def _encoded(source: Path, path: Path) -> Path:
    with av.open(str(source)) as clip, av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "superfast", "g": "50"})
        video.width, video.height, video.pix_fmt, video.bit_rate = WIDTH, HEIGHT, "yuv420p", 1_000_000
        audio = container.add_stream("libopus", rate=RATE, layout="mono")
        for frame in clip.decode():
            if isinstance(frame, av.VideoFrame):
                frame.pict_type = 0
                container.mux(video.encode(frame))
            else:
                container.mux(audio.encode(frame))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path


def _frame(number: int) -> av.VideoFrame:
    planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    planes[:HEIGHT] = picture(number)
    frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
    frame.pts, frame.time_base = number, Fraction(1, FPS)
    return frame


def lumas(path: Path) -> Iterator[Luma]:
    """Every picture of a file as luma of limited range, shape (height, width)."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.format.name.startswith("yuvj") or frame.color_range == 2:
                frame = frame.reformat(format="yuv420p", src_color_range="JPEG", dst_color_range="MPEG")
            plane = frame.planes[0]
            yield (
                np.frombuffer(memoryview(plane), np.uint8)
                .reshape(-1, plane.line_size)[: frame.height, : frame.width]
                .copy()
            )


def read_sound(path: Path) -> tuple[Sound, int]:
    """A 16-bit WAV file's first channel, shape (frames,), and its rate. A header without length is no obstacle."""
    with wave.open(str(path)) as file:
        rate, channels = file.getframerate(), file.getnchannels()
        assert file.getsampwidth() == 2, "a 16-bit file was expected"
    data = path.read_bytes()
    at = data.index(b"data") + 8
    samples = np.frombuffer(data[at : at + (len(data) - at) // (2 * channels) * 2 * channels], "<i2")
    return samples.reshape(-1, channels)[:, 0].astype(np.float32) / np.float32(32768), rate


def psnr(a: NDArray[Any], b: NDArray[Any]) -> float:
    """dB between two pictures of 8 bits; 99 for identical ones."""
    error = float(np.mean((a.astype(np.float32) - b.astype(np.float32)) ** 2))
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


@dataclass(frozen=True, slots=True)
class Seen:
    """Pictures that came out, against the clip."""

    numbers: list[int]
    """of those that could be read, in the order they came."""
    unreadable: int
    psnr: list[float]
    """dB, of each in `numbers`."""

    @property
    def median_psnr(self) -> float:
        return float(np.median(self.psnr)) if self.psnr else 0.0

    @property
    def in_order(self) -> bool:
        """Never back; a picture may be repeated."""
        return all(a <= b for a, b in zip(self.numbers, self.numbers[1:], strict=False))


def look(path: Path, levels: str = "same") -> Seen:
    """Judges a file of decoded pictures by the reference clip's own ones.

    `levels` names what a peer is known to do to the luma on its way without saying so: "expanded" (16..235 became
    0..255) or "compressed" (0..255 taken for what was 16..235).
    """
    slope, base = {"same": (1.0, 0.0), "expanded": (255 / 219, -16 * 255 / 219), "compressed": (219 / 255, 16.0)}[
        levels
    ]
    numbers, values, unreadable = [], [], 0
    for luma in lumas(path):
        number = read_number(luma) if luma.shape == (HEIGHT, WIDTH) else None
        if number is None:
            unreadable += 1
        else:
            numbers.append(number)
            values.append(psnr(luma, slope * picture(number) + base))
    return Seen(numbers, unreadable, values)


@dataclass(frozen=True, slots=True)
class Heard:
    """Sound that came out, against the source, in stretches of half a second."""

    correlations: list[float]
    """of each stretch that is not silent, at its best place in the source: 1 is identical but for loudness."""
    places: list[float]
    """seconds into the source at which each was found."""
    seconds: float
    """length of what came out."""

    @property
    def median(self) -> float:
        return float(np.median(self.correlations)) if self.correlations else 0.0


def listen(path: Path, source: Sound, rate: int = RATE, stretch: float = 0.5) -> Heard:
    """Judges a WAV file by `source` (shape (frames,), at `rate`), resampled to the file's rate. A player that follows
    its sender's clock may be up to 0.25 % too fast or too slow; nothing else is forgiven."""
    heard, heard_rate = read_sound(path)
    if heard_rate != rate:
        source = _resampled(source, rate, heard_rate)
    size = round(stretch * heard_rate)
    silence = np.zeros(size, np.float32)  # the first stretch may begin before the source, the last end after it
    source = np.concatenate((silence, source, silence))
    found = [
        _followed(heard[at : at + size], source)
        for at in range(0, len(heard) - size + 1, size)
        if np.sqrt(np.mean(heard[at : at + size] ** 2)) > 0.01
    ]
    return Heard([r for r, _ in found], [(at - size) / heard_rate for _, at in found], len(heard) / heard_rate)


def _followed(part: Sound, whole: Sound) -> tuple[float, int]:
    """As `best_match`, with a steady change of speed within the part undone."""
    correlation, at = best_match(part, whole)
    if correlation > 0.999:
        return correlation, at
    fifth = len(part) // 5
    _, middle = best_match(part[2 * fifth : 3 * fifth], whole)  # a change of speed does not blur what is short
    again = [(_at_its_speed(part, whole, start), start) for start in (at, middle - 2 * fifth)]
    return max([(correlation, at), *again])


def _at_its_speed(part: Sound, whole: Sound, at: int) -> float:
    """The correlation of a part with the source around `at`, when the source is played as fast as the part is: where
    its tenths fit best lies on a line. They are sought from the middle outwards, each near the one before it."""
    middle, tenth = len(part) // 2, len(part) // 10
    reach = round(_SPEED * tenth) + 3
    margin = 10 * reach
    at += len(part)
    fine = _finely(np.pad(whole, len(part))[at - margin : at + len(part) + margin])

    def lag(index: int, near: float) -> float:
        begin = margin + index * tenth + round(near) - reach
        there = fine[begin * _FINE : (begin + tenth + 2 * reach) * _FINE]
        return round(near) - reach + _best_lag(part[index * tenth : (index + 1) * tenth], there) / _FINE

    later = list(accumulate(range(5, 10), lambda near, index: lag(index, near), initial=0.0))[1:]
    earlier = list(accumulate(range(4, -1, -1), lambda near, index: lag(index, near), initial=later[0]))[1:]
    pieces = part[: 10 * tenth].reshape(10, tenth)
    centres = (np.arange(10) + 0.5) * tenth - middle
    slope, offset = _line(centres, np.array(earlier[::-1] + later), np.sum(pieces**2, axis=1))
    frames = np.arange(len(part))
    places = margin + frames + offset + min(max(slope, -_SPEED), _SPEED) * (frames - middle)
    return _correlation(part, np.interp(places * _FINE, np.arange(len(fine)), fine))


def _line(x: NDArray[Any], y: NDArray[Any], weights: NDArray[Any]) -> tuple[float, float]:
    """Slope and value at 0 of the line nearest to the points; flat where one of them has all the weight."""
    weights = weights / np.sum(weights)
    x_mean, y_mean = float(weights @ x), float(weights @ y)
    spread = float(weights @ (x - x_mean) ** 2)
    slope = float(weights @ ((x - x_mean) * (y - y_mean))) / spread if spread > 1 else 0.0
    return slope, y_mean - slope * x_mean


def _finely(sound: Sound) -> Sound:
    """_FINE values for each sample, by its spectrum."""
    values: Sound = np.fft.irfft(np.fft.rfft(sound), _FINE * len(sound)).astype(np.float32) * np.float32(_FINE)
    return values


def _best_lag(piece: Sound, fine: Sound) -> int:
    """In steps of `fine`, which begins where lag 0 is."""
    count = len(fine) - (len(piece) - 1) * _FINE
    windows = np.lib.stride_tricks.sliding_window_view(fine, (len(piece) - 1) * _FINE + 1)[:count, ::_FINE]
    norms = np.sqrt(np.maximum(np.einsum("ij,ij->i", windows, windows), 1e-9))
    return int(np.argmax(windows @ piece / norms))


def _correlation(a: Sound, b: Sound) -> float:
    product = float(np.sum(a.astype(np.float64) * b))
    energies = float(np.sum(a.astype(np.float64) ** 2)) * float(np.sum(b.astype(np.float64) ** 2))
    return product / float(np.sqrt(max(energies, 1e-18)))


def _resampled(sound: Sound, rate: int, wanted: int) -> Sound:
    resampler = av.AudioResampler("fltp", "mono", wanted)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None], np.float32), "fltp", "mono")
    frame.sample_rate = rate
    return np.concatenate([part.to_ndarray()[0] for part in (*resampler.resample(frame), *resampler.resample(None))])


def best_match(part: NDArray[Any], whole: NDArray[Any]) -> tuple[float, int]:
    """Where in `whole` a `part` fits best: (normalised correlation, offset in samples)."""
    part, whole = part.astype(np.float64), whole.astype(np.float64)
    n = 1 << (len(part) + len(whole) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(whole, n) * np.conj(np.fft.rfft(part, n)), n)[: len(whole) - len(part) + 1]
    energy = np.concatenate(([0.0], np.cumsum(whole**2)))
    windows = energy[len(part) :] - energy[: -len(part)]
    audible = np.maximum(windows, max(1e-9, 1e-6 * float(np.max(windows))))  # what is left of rounding is no match
    score = product / np.maximum(np.sqrt(audible * float(np.sum(part**2))), 1e-9)
    at = int(np.argmax(score))
    return float(score[at]), at


def align(pictures: Iterable[Luma], reference: Sequence[Luma], ahead: int = 30) -> list[tuple[int, float]]:
    """Which picture of the reference each one is, by the best match among the next `ahead` ones, and its PSNR in dB:
    for real footage, whose pictures carry no number."""
    small = [picture[::8, ::8] for picture in reference]
    found, at = [], 0
    for luma in pictures:
        window = range(at, min(at + ahead, len(reference)))
        at = max(window, key=lambda index: psnr(luma[::8, ::8], small[index]), default=at)
        found.append((at, psnr(luma, reference[at])))
    return found
