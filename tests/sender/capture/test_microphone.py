"""PortAudio's part is played by a fake that calls back when told to."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from protocol.errors import ResourceError, UsageError
from sender.capture import microphone

DEVICES = [
    {"name": "Speaker", "max_input_channels": 0, "default_samplerate": 48_000.0},
    {"name": "Built-in Audio", "max_input_channels": 2, "default_samplerate": 44_100.0},
    {"name": "USB Headset", "max_input_channels": 1, "default_samplerate": 16_000.0},
]


class FakeStream:
    def __init__(self, library, **settings):
        if library.refuses:
            raise library.PortAudioError("Device unavailable [PaErrorCode -9985]")
        self.settings = settings
        self.latency = 0.012
        library.streams.append(self)

    def start(self):
        pass

    def close(self):
        pass

    def feed(self, value=0.0, age=0.01, overflow=False, frames=480):
        samples = np.full((frames, self.settings["channels"]), value, np.float32)
        times = SimpleNamespace(currentTime=100.0, inputBufferAdcTime=100.0 - age)
        self.settings["callback"](samples, frames, times, SimpleNamespace(input_overflow=overflow))


class FakeLibrary:
    class PortAudioError(Exception):
        pass

    def __init__(self):
        self.devices = [*DEVICES]
        self.default = SimpleNamespace(device=(1, 0))
        self.streams = []
        self.refuses = False
        self.restarts = 0

    def query_devices(self):
        return self.devices

    def check_input_settings(self, device, samplerate, **_):
        if device == 2 and samplerate != 16_000:
            raise self.PortAudioError("Invalid sample rate [PaErrorCode -9997]")

    def InputStream(self, **settings):  # noqa: N802
        return FakeStream(self, **settings)

    def _terminate(self):
        pass

    def _initialize(self):
        self.restarts += 1


@pytest.fixture
def library(monkeypatch):
    fake = FakeLibrary()
    monkeypatch.setattr(microphone, "load_sounddevice", lambda: fake)
    monkeypatch.setattr(microphone, "SILENCE", 0.15)
    monkeypatch.setattr(microphone, "START_TIME", 0.3)
    return fake


@pytest.mark.usefixtures("library")
def test_the_list_holds_inputs_only():
    names = [(m.index, m.name, m.channels, m.rate, m.default) for m in microphone.list_microphones()]
    assert names == [(1, "Built-in Audio", 2, 44_100, True), (2, "USB Headset", 1, 16_000, False)]


@pytest.mark.usefixtures("library")
def test_by_default_number_and_name():
    for which, name in ((None, "Built-in Audio"), ("2", "USB Headset"), ("head", "USB Headset")):
        assert microphone.open_microphone(which).name == name


def test_what_the_device_cannot_do_is_not_asked_of_it(library):
    source = microphone.open_microphone("USB", rate=48_000, channels=2)
    assert (source.rate, source.channels) == (16_000, 1)
    assert library.streams[0].settings["samplerate"] == 16_000
    assert library.streams[0].settings["blocksize"] == 160
    assert library.streams[0].settings["latency"] == "low"


def test_unknown_microphones(library):
    for which in ("7", "0", "Yeti"):
        with pytest.raises(UsageError, match="--list-devices"):
            microphone.open_microphone(which)
    library.devices = DEVICES[:1]
    with pytest.raises(ResourceError, match="no microphone here"):
        microphone.open_microphone()


def test_a_device_that_refuses(library):
    library.refuses = True
    with pytest.raises(ResourceError, match="Built-in Audio refuses: Device unavailable"):
        microphone.open_microphone()


def test_without_portaudio(monkeypatch):
    import builtins

    real = builtins.__import__

    def broken(name, *args, **kwargs):
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(ResourceError, match="libportaudio2"):
        microphone.list_microphones()


def test_blocks_carry_the_time_of_their_first_sample(library):
    source = microphone.open_microphone()
    now = time.monotonic_ns()
    library.streams[0].feed(0.25, age=0.03)
    sound = source.read()
    assert sound.samples.shape == (480, 1)
    assert (sound.samples == 0.25).all()
    assert sound.position == 0
    assert 0 <= sound.capture_time - (now - 30_000_000) < 20_000_000
    assert source.latency == 0.012


def test_drivers_without_times(library):
    source = microphone.open_microphone()
    now = time.monotonic_ns()
    library.streams[0].feed(age=100.0)  # the ADC time is 0
    assert 0 <= source.read().capture_time - (now - 10_000_000) < 20_000_000


def test_the_jitter_of_callbacks_is_evened_out(library):
    source = microphone.open_microphone()
    for number in range(40):
        library.streams[0].feed(age=0.02 + 0.01 * (number % 2))
        time.sleep(0.01)
    times = [source.read().capture_time for _ in range(40)]
    steps = np.diff(times)
    assert np.abs(steps - 10_000_000).max() < 1_000_000


def test_a_full_queue_drops_counts_and_jumps(library):
    source = microphone.open_microphone()
    for _ in range(60):
        library.streams[0].feed()
    assert source.dropped == 10 * 480
    for number in range(50):
        assert source.read().position == number * 480
    library.streams[0].feed()
    assert source.read().position == 60 * 480


def test_an_overflow_jumps_by_the_time_that_is_missing(library):
    source = microphone.open_microphone()
    library.streams[0].feed()
    time.sleep(0.05)
    library.streams[0].feed(overflow=True)
    first, second = source.read(), source.read()
    missing = (second.capture_time - first.capture_time) * 48_000 // 10**9
    assert second.position == pytest.approx(missing, abs=2)
    assert source.overflows == 1


def test_unplugged_it_says_so_once_and_resumes(library):
    lines = []
    source = microphone.open_microphone("head", rate=16_000, log=lines.append)
    library.streams[0].feed(frames=160)
    first = source.read()
    library.devices = DEVICES[:2]

    def plug():
        library.devices = [*DEVICES]
        while len(library.streams) < 2:
            time.sleep(0.01)
        library.streams[1].feed(frames=160)

    timer = threading.Timer(0.5, plug)
    timer.start()
    second = source.read()
    timer.join()
    source.close()
    assert lines == ["microphone USB Headset is gone; trying again every second", "microphone USB Headset is back"]
    assert library.restarts >= 2
    elapsed = (second.capture_time - first.capture_time) * 16_000 // 10**9
    assert second.position == pytest.approx(elapsed, abs=2)
    assert elapsed > 0.4 * 16_000
    assert source.read() is None
