"""Where decoded sound waits for the sound card.

Samples stand on the sender's time line (their RTP timestamps); each push says when one of them is to be played; each
pull says what time it is. The difference is the error, and the sound is resampled by up to 0.5 % until it is gone, so
that neither the sender's clock nor the card's can drift away. While there is no error worth correcting, samples pass
through unchanged. An error above 60 ms (in the first seconds, 20 ms) is a jump, cross-faded. Sound pushed too late for
the pull that needed it is played late, and the delay given back slowly once there is room.
"""

from __future__ import annotations

from dataclasses import replace
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from receiver.media import AudioPlayoutStatistics, Samples
from receiver.playout.follower import MAX_RATE, ClockFollower
from receiver.playout.resample import Interpolator
from receiver.playout.ring import SampleRing

_JUMP = 0.060
_EARLY_JUMP = 0.020
_EARLY = 5
"""s of sound in which lip-sync is found: a short pause is better then than seconds of sound creeping to its place."""
_MAX_DELAY = 60_000_000
_MARGIN = 3_000_000
"""ns a late sound is played later than it must."""
_DELAY_WINDOW = 4_000_000_000
_CAPACITY = 4
"""s; what is pushed farther ahead is not kept."""
_LONGEST_PUSH = 3
"""s"""
_LONGEST_GAP = 0.5
_FADE = 0.005
_TAIL = 0.010
_IDLE = 1_000_000_000
"""ns of silence after which nothing is being concealed any more."""


class AudioTimeline:
    """Sans-IO. `push` and `pull` may come from two threads; neither holds the lock for longer than a copy."""

    def __init__(self, rate: int = 48000, channels: int = 2) -> None:
        self.rate = rate
        self.channels = channels
        self.volume = 1.0
        self.muted = False
        self._lock = Lock()
        self._ring: SampleRing | None = None
        self._source_rate = rate
        self._interpolator = Interpolator(rate, rate)
        self._first = self._read = 0
        self._fraction = 0.0
        """the position that is played next, in samples of the source."""
        self._anchor = (0, 0)
        """a timestamp, and when it is to be played."""
        self._playing = False
        self._resting = False
        self._fresh = False
        """what is played next follows silence."""
        self._waiting = False
        """silent on purpose: sound was ahead of its time."""
        self._stalled = _IDLE
        """ns since sound ran out."""
        self._delay = 0
        self._headroom = _MAX_DELAY
        self._window = 0
        self._follower = ClockFollower()
        self._tail = np.zeros((0, channels), np.float32)
        """of sound that ended, faded out; mixed into what is pulled next."""
        self._recent = np.zeros((round(_TAIL * rate), channels), np.float32)
        self._gain = 1.0
        self._concealing = False
        self._corrected = 0.0
        """frames left out (or, negative, added) by resampling."""
        self._statistics = AudioPlayoutStatistics(rate=rate, channels=channels)

    @property
    def delay(self) -> int:
        """ns by which sound is played after its playout time, because it is pushed too late to be in time."""
        return self._delay

    @property
    def playing(self) -> bool:
        """Whether the last pull took sound that was pushed."""
        return self._playing

    @property
    def lag(self) -> int:
        """ns by which sound is played after its playout time and `delay` (negative: before), smoothed over a second."""
        return round(self._follower.error * 1e9)

    def begin(self) -> None:
        """Another stream begins: silence in it is a hole again."""
        self._resting = False

    def rest(self) -> None:
        """The sender has said goodbye: silence after what was pushed is no hole."""
        self._resting = True

    def statistics(self) -> AudioPlayoutStatistics:
        """Without what only the device (underruns, device_latency_s) and the decoder (fec_recovered_samples) know."""
        with self._lock:
            return self._statistics

    # -- push -------------------------------------------------------------------------------------------------

    def push(self, samples: Samples) -> None:
        """Sound that follows what was pushed before it, or overlaps it (the overlap is dropped), or leaves a gap."""
        sound = _with_channels(samples.samples, self.channels)
        with self._lock:
            gap = 0 if self._ring is None else samples.timestamp - self._ring.end
            if self._ring is None or samples.rate != self._source_rate or abs(gap) > _LONGEST_GAP * samples.rate:
                self._restart(samples)
            elif gap > 0:
                self._bridge(gap)
                sound = _faded_in(sound, round(_FADE * samples.rate))
            elif gap < 0:
                sound = sound[-gap:]
            assert self._ring is not None
            if not len(sound) or self._ring.end - self._read > _CAPACITY * self._source_rate:
                return
            self._anchor = samples.timestamp, samples.playout_time
            self._ring.append(sound)
            self._count_concealed(samples, len(sound))

    def _restart(self, samples: Samples) -> None:
        """Another stream, or the same after a long silence."""
        if self._playing:
            self._end(self._mirrored_tail())
        if samples.rate != self._source_rate:
            self._source_rate = samples.rate
            self._interpolator = Interpolator(samples.rate, self.rate)
        self._ring = SampleRing((_CAPACITY + _LONGEST_PUSH) * samples.rate, self.channels, samples.timestamp)
        self._first = self._read = samples.timestamp
        self._fraction = 0.0

    def _bridge(self, gap: int) -> None:
        """Nothing was pushed for `gap` samples: silence while playing, nothing at all while stalled."""
        assert self._ring is not None
        if not self._playing and self._ring.end - self._read <= 2 * self._interpolator.half:
            self._ring.append(np.zeros((gap, self.channels), np.float32))
            self._read, self._fraction = self._ring.end, 0.0
            return
        fade = min(round(_FADE * self._source_rate), self._ring.end - self._read)
        edge = self._ring.view(self._ring.end - fade, self._ring.end)
        edge *= np.linspace(1, 0, fade, dtype=np.float32)[:, None]
        self._ring.append(np.zeros((gap, self.channels), np.float32))
        frames = round(gap * self.rate / self._source_rate)
        self._count(concealed_samples=frames, silent_concealed_samples=frames, concealment_events=1)

    def _count_concealed(self, samples: Samples, length: int) -> None:
        if samples.concealed:
            frames = round(length * self.rate / self._source_rate)
            silent = 0 if samples.samples.any() else frames
            self._count(
                concealed_samples=frames,
                silent_concealed_samples=silent,
                concealment_events=int(not self._concealing),
            )
        self._concealing = samples.concealed

    # -- pull -------------------------------------------------------------------------------------------------

    def pull(self, frames: int, now: int) -> NDArray[np.float32]:
        """The next `frames` for the device, shape (frames, channels), the first of which it is handed at `now`."""
        output = np.zeros((frames, self.channels), np.float32)
        with self._lock:
            if self._ring is not None:
                waiting, idle = self._waiting, self._resting or self._stalled >= _IDLE
                silent = 0 if self._playing else self._begin(frames, now)
                if silent < frames:
                    self._play(output[silent:], now + silent * 1_000_000_000 // self.rate)
                self._recent = np.concatenate([self._recent, output])[-len(self._recent) :]
                self._account(0 if idle and silent == frames else frames, 0 if idle else silent, waiting)
            self._mix_tail(output)
        return self._amplify(output)

    def _begin(self, frames: int, now: int) -> int:
        """Frames of silence until sound is due, and there is enough of it: `frames` when not in this pull."""
        late = self._error(now)
        silent = max(0, round(-late * self.rate))
        if silent >= frames or self._missing(frames - silent):
            return frames
        if late > 0:
            silent = self._accept(late, frames)
        self._playing, self._fresh, self._waiting = True, True, False
        self._stalled = 0
        self._follower.settle()
        self._headroom, self._window = _MAX_DELAY, 0
        return silent

    def _accept(self, late: float, frames: int) -> int:
        """Sound that was to be played `late` s ago: play it late, or when that is too much, leave out what is too old.
        Returns the frames of silence before it."""
        assert self._ring is not None
        if self._delay + late * 1e9 > _MAX_DELAY:
            room = self._ring.end - self._read - self._needed(frames)
            skipped = max(0, min(round(late * self._source_rate), room))
            self._read += skipped
            late -= skipped / self._source_rate
            self._count(removed_samples_for_acceleration=round(skipped * self.rate / self._source_rate))
        if late <= 0:
            return 0
        self._delay = min(_MAX_DELAY, self._delay + round(late * 1e9))
        margin = min(_MARGIN, _MAX_DELAY - self._delay)
        self._delay += margin
        return min(frames - 1, margin * self.rate // 1_000_000_000)

    def _play(self, output: NDArray[np.float32], now: int) -> None:
        error = self._error(now)
        rate = self._follower.update(error, len(output) / self.rate)
        if abs(self._follower.error) > self._tolerated() and self._jump(error, len(output)):
            if self._waiting:
                self._count(inserted_samples_for_deceleration=len(output))
                return
            rate = 1.0
        step = rate * self._source_rate / self.rate
        ready = self._ready(step, len(output))
        output[:ready] = self._render(step, ready)
        if self._fresh:
            output[:ready] = _faded_in(output[:ready], round(_FADE * self.rate))
            self._fresh = False
        self._advance(step, ready)
        self._correct(rate, ready)
        if ready < len(output):
            self._run_out(output, ready)
        else:
            self._watch_headroom(step, len(output))

    def _run_out(self, output: NDArray[np.float32], ready: int) -> None:
        self._recent = np.concatenate([self._recent, output[:ready]])[-len(self._recent) :]
        tail = self._mirrored_tail()
        mixed = min(len(tail), len(output) - ready)
        output[ready : ready + mixed] = tail[:mixed]
        self._end(tail[mixed:])
        missing = len(output) - ready
        if self._resting:
            return
        self._count(
            concealed_samples=missing,
            silent_concealed_samples=missing - mixed,
            concealment_events=int(not self._concealing),
        )

    def _jump(self, error: float, frames: int) -> bool:
        """Far from where it should be: leave sound out, or stop until it is due. Whether either was done."""
        assert self._ring is not None
        distance = round(error * self._source_rate)
        if distance < 0:
            self._end(self._upcoming_tail())
            self._waiting = True
            return True
        room = self._ring.end - self._read - self._needed(frames)
        if min(distance, room) < self._tolerated() * self._source_rate / 2:
            return False
        self._tail, self._fresh = self._upcoming_tail(), True
        skipped = min(distance, room)
        self._read += skipped
        self._follower.settle()
        self._count(removed_samples_for_acceleration=round(skipped * self.rate / self._source_rate))
        return True

    def _end(self, tail: NDArray[np.float32]) -> None:
        self._tail = tail
        self._playing = False
        self._stalled = 0
        self._follower.settle()

    # -- position ---------------------------------------------------------------------------------------------

    def _error(self, now: int) -> float:
        """s by which the next sample is behind its playout time (and the accepted delay) at `now`."""
        timestamp, playout_time = self._anchor
        ahead = self._read - timestamp + self._fraction
        return (now - self._delay - playout_time) / 1e9 - ahead / self._source_rate

    def _tolerated(self) -> float:
        """s of error that is not removed at one stroke."""
        return _EARLY_JUMP if self._read - self._first < _EARLY * self._source_rate else _JUMP

    def _exact(self, step: float) -> bool:
        """Samples can be copied as they are."""
        return step == 1.0 and self._fraction == 0.0

    def _needed(self, frames: int) -> int:
        """Source samples that `frames` take at the nominal rate."""
        step = self._source_rate / self.rate
        if self._exact(step):
            return frames
        return self._interpolator.reach(self._fraction, step * (1 + MAX_RATE), frames)

    def _missing(self, frames: int) -> bool:
        assert self._ring is not None
        return self._read + self._needed(frames) > self._ring.end

    def _ready(self, step: float, frames: int) -> int:
        """How many of `frames` the pushed samples suffice for."""
        assert self._ring is not None
        available = self._ring.end - self._read
        if self._exact(step):
            return min(frames, max(0, available))
        usable = (available - self._interpolator.half - 1 - self._fraction) / step + 1
        return int(min(frames, max(0, usable)))

    def _render(self, step: float, frames: int) -> NDArray[np.float32]:
        """The next `frames`, without moving on; there must be enough."""
        assert self._ring is not None
        if not frames:
            return np.zeros((0, self.channels), np.float32)
        if self._exact(step):
            return self._ring.view(self._read, self._read + frames)
        before = self._interpolator.half
        reach = self._interpolator.reach(self._fraction, step, frames)
        source = self._ring.view(self._read - before, self._read + reach)
        return self._interpolator.read(source, before + self._fraction, step, frames)

    def _advance(self, step: float, frames: int) -> None:
        position = self._fraction + step * frames
        self._read += int(position)
        self._fraction = position - int(position)

    def _watch_headroom(self, step: float, frames: int) -> None:
        """Every 4 s, gives back half of the delay that was not needed."""
        assert self._ring is not None
        spare = self._ring.end - self._read - (0 if self._exact(step) else self._interpolator.half)
        self._headroom = min(self._headroom, spare * 1_000_000_000 // self._source_rate)
        self._window += frames * 1_000_000_000 // self.rate
        if self._window >= _DELAY_WINDOW:
            self._delay -= min(self._delay, max(0, self._headroom - _MARGIN) // 2)
            self._headroom, self._window = _MAX_DELAY, 0

    # -- edges, loudness, counts ------------------------------------------------------------------------------

    def _mirrored_tail(self) -> NDArray[np.float32]:
        """What was just played, backwards and fading: no click, and nothing that could be taken for speech."""
        return self._recent[::-1] * np.linspace(1, 0, len(self._recent), dtype=np.float32)[:, None]

    def _upcoming_tail(self) -> NDArray[np.float32]:
        """What would have come next, fading."""
        step = self._source_rate / self.rate
        frames = self._ready(step, round(_FADE * self.rate))
        return self._render(step, frames) * np.linspace(1, 0, frames, dtype=np.float32)[:, None]

    def _mix_tail(self, output: NDArray[np.float32]) -> None:
        mixed = min(len(self._tail), len(output))
        if mixed:
            output[:mixed] += self._tail[:mixed]
            self._tail = self._tail[mixed:]

    def _amplify(self, output: NDArray[np.float32]) -> NDArray[np.float32]:
        """Loudness moves over one pull: no click."""
        wanted = 0.0 if self.muted else self.volume
        if wanted == self._gain == 1.0:
            return output
        output *= np.linspace(self._gain, wanted, len(output), dtype=np.float32)[:, None]
        self._gain = wanted
        return output

    def _correct(self, rate: float, frames: int) -> None:
        self._corrected += (rate - 1.0) * frames
        whole = int(self._corrected)
        if whole > 0:
            self._count(removed_samples_for_acceleration=whole)
        elif whole < 0:
            self._count(inserted_samples_for_deceleration=-whole)
        self._corrected -= whole

    def _account(self, frames: int, silent: int, waiting: bool) -> None:
        """Frames handed over, and those of them for which there was no sound."""
        self._count(total_samples_received=frames)
        if not silent:
            return
        if waiting:
            self._count(inserted_samples_for_deceleration=silent)
        else:
            self._stalled += silent * 1_000_000_000 // self.rate
            self._count(concealed_samples=silent, silent_concealed_samples=max(0, silent - len(self._tail)))

    def _count(self, **increments: int) -> None:
        if any(increments.values()):
            self._statistics = replace(
                self._statistics, **{name: getattr(self._statistics, name) + more for name, more in increments.items()}
            )


def _with_channels(samples: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    if samples.shape[1] == channels:
        return samples
    if channels == 1:
        mixed: NDArray[np.float32] = samples.mean(axis=1, keepdims=True, dtype=np.float32)
        return mixed
    return np.repeat(samples[:, :1], channels, axis=1)


def _faded_in(samples: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    count = min(frames, len(samples))
    rise = np.linspace(0, 1, count, endpoint=False, dtype=np.float32)[:, None]
    faded: NDArray[np.float32] = np.concatenate([samples[:count] * rise, samples[count:]])
    return faded
