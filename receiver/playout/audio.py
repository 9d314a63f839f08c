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
from receiver.playout.follower import ClockFollower
from receiver.playout.playhead import Playhead

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
        self._head = Playhead(rate, channels)
        self._started = False
        """something was pushed."""
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
            gap = samples.timestamp - self._head.end
            same = self._started and samples.rate == self._head.source_rate
            if not same or abs(gap) > _LONGEST_GAP * samples.rate:
                self._restart(samples)
            elif gap > 0:
                self._bridge(gap)
                sound = _faded_in(sound, round(_FADE * samples.rate))
            elif gap < 0:
                sound = sound[-gap:]
            if not len(sound) or self._head.ahead > _CAPACITY * samples.rate:
                return
            self._anchor = samples.timestamp, samples.playout_time
            self._head.ring.append(sound)
            self._count_concealed(samples, len(sound))

    def _restart(self, samples: Samples) -> None:
        """Another stream, or the same after a long silence."""
        if self._playing:
            self._end(self._mirrored_tail())
        self._head.start(samples.rate, samples.timestamp)
        self._started = True

    def _bridge(self, gap: int) -> None:
        """Nothing was pushed for `gap` samples: silence while playing, nothing at all while stalled."""
        head, silence = self._head, np.zeros((gap, self.channels), np.float32)
        if not self._playing and head.ahead <= 2 * head.margin:
            head.ring.append(silence)
            head.move_to(head.end)
            return
        fade = min(round(_FADE * head.source_rate), head.ahead)
        edge = head.ring.view(head.end - fade, head.end)
        edge *= np.linspace(1, 0, fade, dtype=np.float32)[:, None]
        head.ring.append(silence)
        frames = round(gap * self.rate / head.source_rate)
        self._count(concealed_samples=frames, silent_concealed_samples=frames, concealment_events=1)

    def _count_concealed(self, samples: Samples, length: int) -> None:
        if samples.concealed:
            frames = round(length * self.rate / samples.rate)
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
            if self._started:
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
        if silent >= frames or self._head.needed(frames - silent) > self._head.ahead:
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
        if self._delay + late * 1e9 > _MAX_DELAY:
            room = self._head.ahead - self._head.needed(frames)
            skipped = max(0, min(round(late * self._head.source_rate), room))
            self._leave_out(skipped)
            late -= skipped / self._head.source_rate
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
        step = rate * self._head.source_rate / self.rate
        ready = self._head.ready(step, len(output))
        output[:ready] = self._head.render(step, ready)
        if self._fresh:
            output[:ready] = _faded_in(output[:ready], round(_FADE * self.rate))
            self._fresh = False
        self._head.advance(step, ready)
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
        distance = round(error * self._head.source_rate)
        if distance < 0:
            self._end(self._upcoming_tail())
            self._waiting = True
            return True
        skipped = min(distance, self._head.ahead - self._head.needed(frames))
        if skipped < self._tolerated() * self._head.source_rate / 2:
            return False
        self._tail, self._fresh = self._upcoming_tail(), True
        self._leave_out(skipped)
        self._follower.settle()
        return True

    def _leave_out(self, samples: int) -> None:
        self._head.skip(samples)
        self._count(removed_samples_for_acceleration=round(samples * self.rate / self._head.source_rate))

    def _end(self, tail: NDArray[np.float32]) -> None:
        self._tail = tail
        self._playing = False
        self._stalled = 0
        self._follower.settle()

    # -- time -------------------------------------------------------------------------------------------------

    def _error(self, now: int) -> float:
        """s by which the next sample is behind its playout time (and the accepted delay) at `now`."""
        timestamp, playout_time = self._anchor
        ahead = self._head.position - timestamp + self._head.fraction
        return (now - self._delay - playout_time) / 1e9 - ahead / self._head.source_rate

    def _tolerated(self) -> float:
        """s of error that is not removed at one stroke."""
        played = self._head.position - self._head.first
        return _EARLY_JUMP if played < _EARLY * self._head.source_rate else _JUMP

    def _watch_headroom(self, step: float, frames: int) -> None:
        """Every 4 s, gives back half of the delay that was not needed."""
        self._headroom = min(self._headroom, self._head.spare(step) * 1_000_000_000 // self._head.source_rate)
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
        step = self._head.source_rate / self.rate
        frames = self._head.ready(step, round(_FADE * self.rate))
        return self._head.render(step, frames) * np.linspace(1, 0, frames, dtype=np.float32)[:, None]

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
