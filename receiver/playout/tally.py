"""What became of the frames handed to the sound card, counted in its frames."""

from __future__ import annotations

from dataclasses import replace

from receiver.media import AudioPlayoutStatistics, Samples


class Tally:
    """Counts up to one frozen AudioPlayoutStatistics, without what only the device and the decoder know."""

    def __init__(self, rate: int, channels: int) -> None:
        self.statistics = AudioPlayoutStatistics(rate=rate, channels=channels)
        self._rate = rate
        self._concealing = False
        """what was pushed last was concealed."""
        self._corrected = 0.0
        """frames left out (or, negative, added) by resampling, and not yet counted."""

    def count(self, **increments: int) -> None:
        """Fields by name."""
        if any(increments.values()):
            self.statistics = replace(
                self.statistics, **{name: getattr(self.statistics, name) + more for name, more in increments.items()}
            )

    def pushed(self, samples: Samples, length: int) -> None:
        """`length` samples of these were kept."""
        if samples.concealed:
            frames = round(length * self._rate / samples.rate)
            silent = 0 if samples.samples.any() else frames
            self.conceal(frames, silent, begins=not self._concealing)
        self._concealing = samples.concealed

    def ran_out(self, frames: int, silent: int) -> None:
        """Nothing was there to be played."""
        self.conceal(frames, silent, begins=not self._concealing)
        self._concealing = True

    def conceal(self, frames: int, silent: int, *, begins: bool) -> None:
        """Frames that did not come, so many of which are silence; whether something was there before them."""
        self.count(concealed_samples=frames, silent_concealed_samples=silent, concealment_events=int(begins))

    def moved(self, frames: int) -> None:
        """Frames left out to catch up, or, negative, added to wait."""
        if frames > 0:
            self.count(removed_samples_for_acceleration=frames)
        else:
            self.count(inserted_samples_for_deceleration=-frames)

    def resampled(self, rate: float, frames: int) -> None:
        """`frames` were played at this rate."""
        self._corrected += (rate - 1.0) * frames
        whole = int(self._corrected)
        self.moved(whole)
        self._corrected -= whole
