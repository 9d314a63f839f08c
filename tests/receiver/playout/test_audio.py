"""The timeline in virtual time: a sender with its own clock pushes, a sound card with its own clock pulls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from receiver.media import Samples
from receiver.playout.audio import AudioTimeline
from receiver.playout.follower import ClockFollower
from receiver.playout.resample import Interpolator

MS = 1_000_000
SECOND = 1_000_000_000


def sine(frequency: float, rate: int) -> Callable[[NDArray[np.int64]], NDArray[np.float32]]:
    return lambda n: (0.5 * np.sin(2 * np.pi * frequency * n / rate)).astype(np.float32)


@dataclass
class Rig:
    """`skew` is how fast the sender's clock runs against the card's; `early` how long before its playout time a unit is
    pushed. Both move the truth, never the timeline's knowledge."""

    timeline: AudioTimeline
    signal: Callable[[NDArray[np.int64]], NDArray[np.float32]]
    rate: int = 48000
    unit: int = 960
    block: int = 480
    skew: float = 0.0
    early: int = 20 * MS
    begin: int = 100 * MS
    sent: int = 0
    now: int = 0
    errors: list[float] = field(default_factory=list)

    def due(self, position: int) -> int:
        return self.begin + round(position / self.rate * SECOND * (1 - self.skew))

    def push(self, concealed: bool = False) -> None:
        positions = np.arange(self.sent, self.sent + self.unit)
        samples = self.signal(positions)[:, None]
        self.timeline.push(Samples(samples, self.rate, self.sent, self.due(self.sent), concealed, concealed))
        self.sent += self.unit

    def run(self, duration: int, pushing: bool = True) -> NDArray[np.float32]:
        """What the card plays, mono."""
        return np.concatenate(list(self.blocks(duration, pushing)))

    def blocks(self, duration: int, pushing: bool = True) -> Iterator[NDArray[np.float32]]:
        until = self.now + duration
        while self.now < until:
            while pushing and self.due(self.sent) - self.early <= self.now:
                self.push()
            yield self.timeline.pull(self.block, self.now)[:, 0]
            self.now += self.block * SECOND // self.timeline.rate


def test_sound_is_played_at_its_moment_unchanged() -> None:
    rng = np.random.default_rng(1)
    noise = rng.uniform(-0.5, 0.5, 10 * 48000).astype(np.float32)
    rig = Rig(AudioTimeline(48000, 1), lambda n: noise[n])
    played = rig.run(5 * SECOND)
    begin = 4800
    assert not played[:begin].any()
    fade = 240
    np.testing.assert_array_equal(played[begin + fade :], noise[fade : len(played) - begin])
    assert rig.timeline.delay == 0
    statistics = rig.timeline.statistics()
    assert statistics.concealed_samples == statistics.concealment_events == 0
    assert statistics.inserted_samples_for_deceleration == statistics.removed_samples_for_acceleration == 0


def test_a_first_sample_due_inside_a_block_starts_inside_it() -> None:
    rig = Rig(AudioTimeline(48000, 1), lambda n: np.ones(len(n), np.float32), begin=103 * MS)
    played = rig.run(200 * MS)
    assert np.flatnonzero(played)[0] == pytest.approx(103 * 48, abs=2)


@pytest.mark.parametrize("skew", [100e-6, -100e-6])
def test_half_an_hour_of_clocks_that_differ(skew: float) -> None:
    rig = Rig(AudioTimeline(8000, 1), sine(440, 8000), rate=8000, unit=800, block=800, skew=skew, early=150 * MS)
    errors = []
    for number, _ in enumerate(rig.blocks(30 * 60 * SECOND)):
        if number > 600:
            errors.append(rig.timeline._error(rig.now + 100 * MS))
    tail = errors[len(errors) // 2 :]
    assert max(map(abs, errors)) < 0.003
    assert max(tail) - min(tail) < 0.0002, "latency wanders"
    statistics = rig.timeline.statistics()
    assert statistics.concealed_samples == 0
    corrected = statistics.removed_samples_for_acceleration - statistics.inserted_samples_for_deceleration
    assert corrected == pytest.approx(30 * 60 * 8000 * skew, rel=0.05, abs=40)


def test_resampled_sound_is_clean() -> None:
    rig = Rig(AudioTimeline(48000, 1), sine(1000, 48000), skew=100e-6)
    rig.run(60 * SECOND)
    played = rig.run(200 * MS).astype(np.float64)
    assert rig.timeline._head.fraction != 0.0, "not resampling"
    assert signal_to_noise(played, 1000 * (1 + 100e-6), 48000) > 60


def signal_to_noise(played: NDArray[np.float64], near: float, rate: int) -> float:
    """dB of the best fitting sine against the rest."""
    n = np.arange(len(played)) / rate
    best = -np.inf
    for frequency in near + np.linspace(-0.4, 0.4, 161):
        basis = np.stack([np.sin(2 * np.pi * frequency * n), np.cos(2 * np.pi * frequency * n)], axis=1)
        fit = basis @ np.linalg.lstsq(basis, played, rcond=None)[0]
        best = max(best, 10 * np.log10((fit**2).sum() / ((played - fit) ** 2).sum()))
    return float(best)


@pytest.mark.parametrize("source_rate", [8000, 44100])
def test_another_rate_is_converted(source_rate: int) -> None:
    rig = Rig(AudioTimeline(48000, 1), sine(1000, source_rate), rate=source_rate, unit=source_rate // 50)
    played = rig.run(3 * SECOND)[48000:].astype(np.float64)
    assert signal_to_noise(played, 1000, 48000) > 60


def test_a_small_change_of_delay_is_played_out_without_a_jump() -> None:
    rig = Rig(AudioTimeline(48000, 1), sine(440, 48000))
    rig.run(2 * SECOND)
    rig.begin += 20 * MS
    rig.early += 20 * MS
    played = rig.run(20 * SECOND)
    assert np.abs(np.diff(played)).max() < 1.1 * 0.5 * 2 * np.pi * 440 / 48000
    statistics = rig.timeline.statistics()
    assert statistics.inserted_samples_for_deceleration == pytest.approx(0.020 * 48000, rel=0.15)
    assert statistics.removed_samples_for_acceleration < 20
    assert statistics.concealed_samples == 0


@pytest.mark.parametrize("change", [150 * MS, -150 * MS])
def test_a_large_change_of_delay_is_played_away_within_a_second(change: int) -> None:
    rig = Rig(AudioTimeline(48000, 1), sine(440, 48000), early=200 * MS)
    rig.run(2 * SECOND)
    rig.begin += change
    rig.early += max(0, change)
    played = rig.run(1 * SECOND)
    assert abs(rig.timeline._error(rig.now)) < 0.005
    assert np.abs(np.diff(played)).max() < 1.02 * 0.5 * 2 * np.pi * 440 / 48000
    assert frequency(played[4800:28800], 48000) == pytest.approx(440, abs=2), "another pitch"
    rig.run(2 * SECOND)
    statistics = rig.timeline.statistics()
    moved = statistics.inserted_samples_for_deceleration - statistics.removed_samples_for_acceleration
    assert moved == pytest.approx(change * 48e-6, abs=3 * 48)
    assert statistics.concealed_samples == statistics.concealment_events == 0
    assert abs(rig.timeline._error(rig.now)) < 0.003


def frequency(played: NDArray[np.float32], rate: int) -> float:
    """Hz of the strongest partial."""
    spectrum = np.abs(np.fft.rfft(played * np.hanning(len(played)), 8 * len(played)))
    return float(np.argmax(spectrum)) * rate / (8 * len(played))


@pytest.mark.parametrize("change", [1500 * MS, -1500 * MS])
def test_what_would_take_many_seconds_is_a_jump_without_a_click(change: int) -> None:
    rig = Rig(AudioTimeline(48000, 1), sine(440, 48000), early=1800 * MS, begin=2000 * MS)
    rig.run(4 * SECOND)
    rig.begin += change
    rig.early += change
    played = rig.run(4 * SECOND)
    assert np.abs(np.diff(played)).max() < 0.06
    statistics = rig.timeline.statistics()
    assert statistics.concealed_samples == 0
    assert abs(rig.timeline._error(rig.now)) < 0.01


def test_a_target_that_moves_by_a_quarter_of_a_second_each_second_is_followed() -> None:
    rig = Rig(AudioTimeline(48000, 1), sine(220, 48000), early=300 * MS)
    rig.run(2 * SECOND)
    errors = []
    for move in [5 * MS // 2] * 120 + [-5 * MS // 2] * 120:
        rig.begin += move
        rig.early += move
        rig.run(10 * MS)
        errors.append(rig.timeline._error(rig.now))
    assert max(map(abs, errors)) < 0.06
    rig.run(1 * SECOND)
    assert abs(rig.timeline._error(rig.now)) < 0.004
    assert rig.timeline.statistics().concealed_samples == 0


def test_in_silence_the_delay_changes_faster() -> None:
    rig = Rig(AudioTimeline(48000, 1), lambda n: np.zeros(len(n), np.float32), early=300 * MS)
    rig.run(2 * SECOND)
    rig.begin -= 200 * MS
    rig.early -= 200 * MS
    rig.run(500 * MS)
    assert abs(rig.timeline._error(rig.now)) < 0.004, "at 25 % it would take 800 ms"


@pytest.mark.parametrize("change", [40 * MS, -40 * MS])
def test_lip_sync_found_early_is_reached_soon(change: int) -> None:
    """40 ms would take 8 s at half a percent."""
    rig = Rig(AudioTimeline(48000, 1), sine(440, 48000), early=100 * MS)
    rig.run(1 * SECOND)
    rig.begin += change
    rig.run(500 * MS)
    assert abs(rig.timeline.lag) < 4 * MS


def test_a_hole_fades_out_and_in_and_keeps_its_place() -> None:
    rig = Rig(AudioTimeline(48000, 1), sine(440, 48000))
    rig.run(SECOND)
    rig.sent += 5 * 960
    played = rig.run(SECOND)
    assert np.abs(np.diff(played)).max() < 0.06
    statistics = rig.timeline.statistics()
    assert statistics.concealed_samples == pytest.approx(5 * 960, abs=500)
    assert statistics.concealment_events == 1
    assert rig.timeline.delay <= 15 * MS
    late = rig.timeline.delay * 48 // MS
    expected = rig.signal(np.arange(rig.now * 48 // MS - 4800 - 9600, rig.now * 48 // MS - 4800) - late)
    assert np.corrcoef(played[-9600:], expected)[0, 1] > 0.99


def test_ten_seconds_of_silence() -> None:
    rig = Rig(AudioTimeline(48000, 1), sine(440, 48000))
    rig.run(SECOND)
    rig.sent += 10 * 48000
    silence = rig.run(9 * SECOND)
    assert not silence[48000:].any()
    before = rig.timeline.statistics()
    assert before.concealed_samples <= 1.1 * 48000, "an ended stream is not concealed for ever"
    played = rig.run(3 * SECOND)
    assert np.abs(np.diff(played)).max() < 0.06
    expected = rig.signal(np.arange(rig.now * 48 // MS - 4800 - 9600, rig.now * 48 // MS - 4800))
    assert np.corrcoef(played[-9600:], expected)[0, 1] > 0.99


def test_units_pushed_too_late_are_played_late_once_and_the_delay_given_back() -> None:
    rig = Rig(AudioTimeline(48000, 1), sine(440, 48000), early=-1 * MS)
    rig.run(2 * SECOND)
    events = rig.timeline.statistics().concealment_events
    assert events <= 2
    assert 0 < rig.timeline.delay <= 30 * MS
    rig.run(5 * SECOND)
    assert rig.timeline.statistics().concealment_events == events, "one correction is enough"
    rig.early = 60 * MS
    rig.run(80 * SECOND)
    assert rig.timeline.delay < 1 * MS
    assert rig.timeline.statistics().concealment_events == events


def test_first_units_that_come_late_delay_nothing() -> None:
    """As the first packets of a stream do, which is one only when the second has come."""
    rig = Rig(AudioTimeline(48000, 1), sine(440, 48000), early=-45 * MS)
    rig.run(160 * MS)
    assert rig.sent == 960, "one unit, as late as that"
    rig.early = 20 * MS
    played = rig.run(SECOND)
    assert rig.timeline.delay == 0
    assert rig.timeline.statistics().concealed_samples == 0
    begin = rig.now * 48 // MS - 4800 - 9600
    assert np.corrcoef(played[-9600:], rig.signal(np.arange(begin, begin + 9600)))[0, 1] > 0.99


def test_sound_that_always_comes_late_begins_all_the_same() -> None:
    rig = Rig(AudioTimeline(48000, 1), sine(440, 48000), early=-40 * MS)
    assert np.abs(rig.run(SECOND)[-24000:]).max() > 0.4


def test_what_held_up_the_beginning_is_given_back_within_seconds() -> None:
    rig = Rig(AudioTimeline(48000, 1), sine(440, 48000))
    rig.run(200 * MS)
    rig.run(60 * MS, pushing=False)
    rig.run(100 * MS)
    assert rig.timeline.delay > 20 * MS
    rig.early = 40 * MS
    rig.run(2 * SECOND)
    assert rig.timeline.delay <= 5 * MS
    for _ in range(5):
        rig.run(80 * MS, pushing=False)
        rig.run(2 * SECOND)
    assert rig.timeline.delay > 20 * MS, "what comes again and again is given back slowly"


def test_a_spike_in_the_pushing_thread_is_one_event() -> None:
    rig = Rig(AudioTimeline(48000, 1), sine(440, 48000))
    rig.run(2 * SECOND)
    rig.run(50 * MS, pushing=False)
    played = rig.run(2 * SECOND)
    assert np.abs(np.diff(played)).max() < 0.06
    assert rig.timeline.statistics().concealment_events == 1
    assert rig.timeline.delay <= 60 * MS


def test_a_restarted_sender_continues_with_its_new_numbers() -> None:
    rig = Rig(AudioTimeline(48000, 1), sine(440, 48000))
    rig.run(SECOND)
    offset = 3_000_000_000
    restarted = Rig(rig.timeline, sine(440, 44100), rate=44100, unit=882, now=rig.now)
    restarted.begin = rig.now + 50 * MS - offset * SECOND // 44100
    restarted.sent = offset
    played = restarted.run(2 * SECOND)
    assert np.abs(np.diff(played)).max() < 0.06
    assert signal_to_noise(played[48000:].astype(np.float64), 440, 48000) > 60


def test_volume_and_mute_do_not_click() -> None:
    rig = Rig(AudioTimeline(48000, 1), sine(440, 48000))
    rig.run(SECOND)
    rig.timeline.muted = True
    muted = rig.run(100 * MS)
    assert np.abs(np.diff(muted)).max() < 0.05
    assert not muted[480:].any()
    rig.timeline.muted = False
    rig.timeline.volume = 0.5
    assert np.abs(rig.run(SECOND)[480:]).max() == pytest.approx(0.25, rel=0.01)


def test_concealed_units_are_counted() -> None:
    timeline = AudioTimeline(48000, 2)
    timeline.push(Samples(np.ones((960, 1), np.float32), 48000, 0, 0))
    timeline.push(Samples(np.ones((960, 1), np.float32), 48000, 960, 20 * MS, concealed=True))
    timeline.push(Samples(np.zeros((960, 1), np.float32), 48000, 1920, 40 * MS, concealed=True))
    timeline.push(Samples(np.ones((960, 2), np.float32), 48000, 2880, 60 * MS))
    statistics = timeline.statistics()
    assert (statistics.concealed_samples, statistics.silent_concealed_samples) == (1920, 960)
    assert statistics.concealment_events == 1
    assert timeline.pull(480, 0).shape == (480, 2)


def test_overlapping_units_are_not_played_twice() -> None:
    timeline = AudioTimeline(48000, 1)
    ramp = np.arange(1, 2881, dtype=np.float32)[:, None] / 10000
    timeline.push(Samples(ramp[:960], 48000, 0, 0))
    timeline.push(Samples(ramp[:960], 48000, 0, 0))
    timeline.push(Samples(ramp[480:1920], 48000, 480, 10 * MS))
    played = np.concatenate([timeline.pull(480, 10 * MS * i) for i in range(4)])
    np.testing.assert_array_equal(played[240:1920], ramp[240:1920])


def test_the_follower_leaves_noise_alone_and_bounds_its_rate() -> None:
    rng = np.random.default_rng(2)
    follower = ClockFollower()
    assert all(follower.update(float(e), 0.01) == 1.0 for e in rng.normal(0, 0.005, 5000))
    assert max(follower.update(1.0, 0.01) for _ in range(1000)) == pytest.approx(1.005)


def test_the_interpolator_takes_out_what_would_alias() -> None:
    interpolator = Interpolator(96000, 48000)
    n = np.arange(6000)
    above = np.sin(2 * np.pi * 35000 * n / 96000)[:, None].astype(np.float32)
    assert np.abs(interpolator.read(above, 100.0, 2.0, 2000)).max() < 1e-3


def test_where_sound_runs_out_its_pitch_goes_on_and_falls_to_silence() -> None:
    rig = Rig(AudioTimeline(48000, 1), sine(200, 48000))
    before = rig.run(SECOND)
    gone = np.concatenate([before, rig.run(200 * MS, pushing=False)])
    end = int(np.flatnonzero(gone)[-1])
    ran_out = rig.sent + 4800
    assert 90 * 48 < end - ran_out <= 100 * 48
    assert frequency(gone[ran_out - 2400 : ran_out + 2400], 48000) == pytest.approx(200, abs=4)
    assert np.abs(np.diff(gone)).max() < 1.3 * 0.5 * 2 * np.pi * 200 / 48000
    statistics = rig.timeline.statistics()
    assert statistics.concealed_samples == len(gone) - ran_out
    assert statistics.silent_concealed_samples == pytest.approx(len(gone) - ran_out - 4800, abs=480)
    assert statistics.concealment_events == 1


def test_made_up_sound_that_comes_too_late_is_not_played_later() -> None:
    """A loss is known to be one only when what follows has come. By then the timeline has made up for it itself."""
    rig = Rig(AudioTimeline(48000, 1), sine(440, 48000), early=1 * MS, block=240)
    rig.run(2 * SECOND)
    delay, events = rig.timeline.delay, rig.timeline.statistics().concealment_events
    concealed = rig.timeline.statistics().concealed_samples
    rig.run(25 * MS, pushing=False)
    rig.push(concealed=True)
    rig.run(SECOND)
    assert rig.timeline.delay <= delay + 9 * MS, "the 5 ms that nothing was made up for, and 3 ms of margin"
    statistics = rig.timeline.statistics()
    assert statistics.concealment_events == events + 1
    assert statistics.concealed_samples - concealed == pytest.approx(20 * 48, abs=9 * 48), "counted once"
