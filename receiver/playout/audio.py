"""Where decoded sound waits for the sound card.

Samples stand on the sender's time line (their RTP timestamps); each push says when one of them is to be played; each
pull says what time it is. The difference is the error. A small one is resampled away by up to 0.5 %, so that neither
the sender's clock nor the card's can drift away; one of 8 ms or more is played away at up to 25 % more or less speed
(`stretch`); beyond a second sound is left out, or waited for. While there is no error worth correcting, samples pass
through unchanged. Sound pushed too late for the pull that needed it is played late (`lateness`); what is missing until
then is made up of what was heard last.
"""

from __future__ import annotations

from threading import Lock

import numpy as np
from numpy.typing import NDArray

from receiver.decode.concealment import HISTORY, continuation
from receiver.decode.waveform import Sound, cross_fade
from receiver.media import AudioPlayoutStatistics, Samples
from receiver.playout.follower import ClockFollower
from receiver.playout.lateness import AcceptedDelay
from receiver.playout.playhead import Playhead
from receiver.playout.stretch import Seam, Stretcher, sew
from receiver.playout.tally import Tally

_JUMP = 1.0
"""s of error that is removed at one stroke."""
_CAPACITY = 4
"""s; what is pushed farther ahead is not kept."""
_FIRST = 0.2
"""s of the beginning of a stream that are left out rather than played late: nobody waits for them."""
_LONGEST_GAP = 0.5
_PIECE = 0.010
"""s that are played at one speed."""
_FADE = 0.005
_ENDING = 0.010
"""s in which sound fades that is not to go on."""
_IDLE = 1_000_000_000
"""ns of silence after which nothing is being concealed any more."""


class AudioTimeline:
    """Sans-IO. `push` and `pull` may come from two threads; neither holds the lock for longer than a copy, or, while
    sound is stretched, a search of a fraction of a millisecond."""

    def __init__(self, rate: int = 48000, channels: int = 2) -> None:
        self.rate = rate
        self.channels = channels
        self.volume = 1.0
        self.muted = False
        self._gain = 1.0
        self._lock = Lock()
        self._head = Playhead(rate, channels)
        self._started = False
        """something was pushed."""
        self._anchor = (0, 0)
        """a timestamp, and when it is to be played."""
        self._repeated = 0
        """the position before which all that was pushed in a row repeats what was before it."""
        self._playing = False
        self._fresh = True
        """nothing of this stream was played yet."""
        self._resting = False
        self._waiting = False
        """silent on purpose: sound was ahead of its time."""
        self._stalled = _IDLE
        """ns since sound ran out."""
        self._accepted = AcceptedDelay()
        self._follower = ClockFollower()
        self._stretcher = Stretcher()
        self._tail = np.zeros((0, channels), np.float32)
        """of sound that ended, or is made up; mixed into what is pulled next."""
        self._recent = np.zeros((round(HISTORY * rate), channels), np.float32)
        self._tally = Tally(rate, channels)

    @property
    def delay(self) -> int:
        """ns by which sound is played after its playout time, because it is pushed too late to be in time."""
        return self._accepted.delay

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
            return self._tally.statistics

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
                sound = self._bridge(gap, sound)
            elif gap < 0:
                sound = sound[-gap:]
            if not len(sound) or self._head.ahead > _CAPACITY * samples.rate:
                return
            self._anchor = samples.timestamp, samples.playout_time
            self._note_repeated(samples)
            self._head.ring.append(sound)
            self._tally.pushed(samples, len(sound))

    def _note_repeated(self, samples: Samples) -> None:
        """Before it is appended."""
        head = self._head
        stalled = not self._playing and head.ahead <= 2 * head.margin
        if samples.repeated and (stalled or self._repeated == head.end):
            self._repeated = samples.timestamp + len(samples.samples)

    def _restart(self, samples: Samples) -> None:
        """Another stream, or the same after a long silence."""
        if self._playing:
            self._end(self._last_words())
        self._head.start(samples.rate, samples.timestamp)
        self._started = self._fresh = True

    def _bridge(self, gap: int, sound: Sound) -> Sound:
        """Nothing was pushed for `gap` samples: made-up sound while playing, nothing at all while stalled. Returns what
        follows, joined to it."""
        head = self._head
        if not self._playing and head.ahead <= 2 * head.margin:
            head.ring.append(np.zeros((gap, self.channels), np.float32))
            head.move_to(head.end)
            return sound
        rate = head.source_rate
        made_up = continuation(head.ring.view(head.end - round(HISTORY * rate), head.end), rate)
        fade = min(round(_FADE * rate), len(sound))
        silent = max(0, gap - len(made_up))
        filled = np.concatenate([made_up, np.zeros((silent + fade, self.channels), np.float32)])
        head.ring.append(filled[:gap])
        self._tally.conceal(*(round(n * self.rate / rate) for n in (gap, silent)), begins=True)
        return np.concatenate([cross_fade(filled[gap : gap + fade], sound[:fade]), sound[fade:]])

    # -- pull -------------------------------------------------------------------------------------------------

    def pull(self, frames: int, now: int) -> NDArray[np.float32]:
        """The next `frames` for the device, shape (frames, channels), the first of which it is handed at `now`."""
        output = np.zeros((frames, self.channels), np.float32)
        with self._lock:
            if self._started:
                self._render(output, now)
        return self._amplify(output)

    def _render(self, output: Sound, now: int) -> None:
        frames, waiting, idle = len(output), self._waiting, self._resting or self._stalled >= _IDLE
        tail, self._tail = self._tail, self._tail[:0]
        silent = 0 if self._playing else self._begin(frames, now)
        if silent < frames:
            fade = round(_FADE * self.rate)
            tail = _ending(tail, silent + fade, fade)
            self._play(output[silent:], now + silent * 1_000_000_000 // self.rate)
        self._account(0 if idle and silent == frames else frames, 0 if idle else silent, waiting, len(tail))
        _mix(output, tail)
        if not len(self._tail):
            self._tail = tail[frames:]
        self._remember(output)

    def _begin(self, frames: int, now: int) -> int:
        """Frames of silence until sound is due, and there is enough of it: `frames` when not in this pull."""
        late = self._error(now)
        if late > 0:
            late -= self._leave_out_first(late)
            late -= self._leave_out_repeated(late)
        silent = max(0, round(-late * self.rate))
        if silent >= frames or self._head.needed(frames - silent) > self._head.ahead:
            return frames
        if late > 0:
            silent = self._accept(late, frames)
        self._playing, self._waiting, self._fresh = True, False, False
        self._stalled = 0
        self._settle()
        self._accepted.restart()
        self._fade_in()
        return silent

    def _leave_out_first(self, late: float) -> float:
        """The first packets come out late whatever the network: a stream is one only when the second has come, and
        decoders take their time to begin. What follows is not late for that. Returns the s left out."""
        head = self._head
        beginning = head.first + round(_FIRST * head.source_rate) - head.position if self._fresh else 0
        skipped = max(0, min(round(late * head.source_rate), beginning, head.ahead))
        head.skip(skipped)
        return skipped / head.source_rate

    def _leave_out_repeated(self, late: float) -> float:
        """Repetition that is late is worth no delay: other repetition was played, and counted, in its place. Returns
        the s left out."""
        head = self._head
        skipped = max(0, min(round(late * head.source_rate), self._repeated - head.position))
        if skipped:
            frames = round(skipped * self.rate / head.source_rate)
            silent = not head.ring.view(head.position, head.position + skipped).any()
            self._tally.conceal(-frames, -frames if silent else 0, begins=False)
            head.skip(skipped)
        return skipped / head.source_rate

    def _accept(self, late: float, frames: int) -> int:
        """Sound that was to be played `late` s ago: play it late, or when that is too much, leave out what is too old.
        Returns the frames of silence before it."""
        if not self._accepted.allows(late):
            room = self._head.ahead - self._head.needed(frames)
            skipped = max(0, min(round(late * self._head.source_rate), room))
            self._head.skip(skipped)
            self._moved(skipped)
            late -= skipped / self._head.source_rate
        if late <= 0:
            return 0
        return min(frames - 1, self._accepted.accept(late) * self.rate // 1_000_000_000)

    def _fade_in(self) -> None:
        """Here, in what was pushed: a device may pull less than that at a time. Nothing was before it."""
        head = self._head
        fade = min(round(_FADE * head.source_rate), head.ahead)
        head.ring.view(head.position - head.margin, head.position)[:] = 0
        rise = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
        head.ring.view(head.position, head.position + fade)[:] *= rise[:, None]

    def _play(self, output: Sound, now: int) -> None:
        error = self._error(now)
        rate = self._follower.update(error, len(output) / self.rate)
        if abs(self._follower.error) > _JUMP and self._jump(error, output):
            return
        head, piece = self._head, len(output)
        if self._stretcher.active:
            piece, rate = round(_PIECE * self.rate), 1.0
        step = rate * head.source_rate / self.rate
        for first in range(0, len(output), piece):
            part = output[first : first + piece]
            error = self._error(now + first * 1_000_000_000 // self.rate)
            self._stretch(error, len(part), head.needed(len(output) - first))
            ready = head.ready(step, len(part))
            part[:ready] = head.render(step, ready)
            head.advance(step, ready)
            self._tally.resampled(rate, ready)
            if ready < len(part):
                self._run_out(output, first + ready)
                return
        elapsed = len(output) * 1_000_000_000 // self.rate
        self._accepted.watch(head.spare(step) * 1_000_000_000 // head.source_rate, elapsed)

    def _stretch(self, error: float, frames: int, reserve: int) -> None:
        self._moved(self._stretcher.adjust(self._head, error, frames / self.rate, reserve))
        if self._stretcher.active:
            self._follower.error = self._stretcher.error

    def _run_out(self, output: Sound, ready: int) -> None:
        """Nothing is there after the first `ready` frames: what was heard last goes on."""
        self._remember(output[:ready])
        if self._resting:
            self._end(self._last_words(), output[ready:])
            return
        made_up = continuation(self._recent, self.rate)
        self._end(made_up, output[ready:])
        missing = len(output) - ready
        self._tally.ran_out(missing, max(0, missing - len(made_up)))

    def _last_words(self) -> Sound:
        """A short end for sound that is not to go on."""
        fade = round(_ENDING * self.rate)
        return _ending(continuation(self._recent, self.rate), fade, fade)

    def _jump(self, error: float, output: Sound) -> bool:
        """Far from where it should be: leave sound out, or stop until it is due. Whether nothing more is to be played
        in this pull."""
        head = self._head
        overlap = min(round(_FADE * head.source_rate), head.ahead)
        if error < 0:
            step = head.source_rate / self.rate
            upcoming = head.render(step, head.ready(step, round(_FADE * self.rate)))
            self._end(_ending(upcoming, len(upcoming), len(upcoming)), output)
            self._waiting = True
            self._tally.moved(-len(output))
            return True
        skipped = min(round(error * head.source_rate), head.ahead - max(overlap, head.needed(len(output))))
        if skipped > _JUMP * head.source_rate / 2:
            sew(head, Seam(skipped, overlap, 0.0, silent=False))
            self._moved(skipped)
            self._settle()
        return False

    def _end(self, tail: Sound, output: Sound | None = None) -> None:
        """Nothing more is played; the tail rings on, in `output` at once."""
        mixed = 0 if output is None else _mix(output, tail)
        self._tail = tail[mixed:]
        self._playing = False
        self._stalled = 0
        self._settle()

    # -- time and counts --------------------------------------------------------------------------------------

    def _error(self, now: int) -> float:
        """s by which the next sample is behind its playout time (and the accepted delay) at `now`."""
        timestamp, playout_time = self._anchor
        ahead = self._head.position - timestamp + self._head.fraction
        return (now - self._accepted.delay - playout_time) / 1e9 - ahead / self._head.source_rate

    def _moved(self, samples: int) -> None:
        """The head skipped so many samples, or, negative, went back."""
        if samples:
            self._tally.moved(round(samples * self.rate / self._head.source_rate))

    def _settle(self) -> None:
        self._follower.settle()
        self._stretcher.settle()

    def _remember(self, output: Sound) -> None:
        self._recent = np.concatenate([self._recent, output])[-len(self._recent) :]

    def _account(self, frames: int, silent: int, waiting: bool, ringing: int) -> None:
        """Frames handed over, and those of them for which there was no sound; `ringing`: frames of tail in them."""
        self._tally.count(total_samples_received=frames)
        if not silent:
            return
        if waiting:
            self._tally.moved(-silent)
        else:
            self._stalled += silent * 1_000_000_000 // self.rate
            self._tally.count(concealed_samples=silent, silent_concealed_samples=max(0, silent - ringing))

    def _amplify(self, output: Sound) -> Sound:
        """Loudness moves over one pull: no click."""
        wanted = 0.0 if self.muted else self.volume
        if wanted == self._gain == 1.0:
            return output
        output *= np.linspace(self._gain, wanted, len(output), dtype=np.float32)[:, None]
        self._gain = wanted
        return output


def _mix(output: Sound, tail: Sound) -> int:
    """Adds a tail to the beginning of `output`; returns how much of it."""
    mixed = min(len(tail), len(output))
    output[:mixed] += tail[:mixed]
    return mixed


def _ending(sound: Sound, end: int, fade: int) -> Sound:
    """The first `end` frames, falling to silence over the last `fade` of these."""
    left = (end - np.arange(min(end, len(sound)), dtype=np.float32)) / max(1, fade)
    return sound[:end] * np.minimum(left, 1)[:, None]


def _with_channels(samples: NDArray[np.float32], channels: int) -> Sound:
    if samples.shape[1] == channels:
        return samples
    if channels == 1:
        mixed: Sound = samples.mean(axis=1, keepdims=True, dtype=np.float32)
        return mixed
    return np.repeat(samples[:, :1], channels, axis=1)
