"""A generated file, and a camera that can be unplugged."""

import threading
import time
from fractions import Fraction

import numpy as np
import pytest

from protocol.errors import ResourceError
from sender.capture import camera
from sender.libraries import av, cv2


class FakeDevice:
    """A camera of 200 pictures a second; `present` is the plug."""

    present = True
    opened = 0

    def __init__(self, which):
        self.which = which
        self.settings = {cv2.CAP_PROP_FRAME_WIDTH: 64, cv2.CAP_PROP_FRAME_HEIGHT: 48, cv2.CAP_PROP_FPS: 29.97}
        type(self).last = self
        type(self).opened += type(self).present
        self.count = 0

    def isOpened(self):  # noqa: N802
        return type(self).present

    def getBackendName(self):  # noqa: N802
        return "V4L2"

    def get(self, key):
        return self.settings.get(key, 0.0)

    def set(self, key, value):
        self.settings[key] = value
        return True

    def read(self):
        time.sleep(0.005)
        self.count += 1
        return (True, np.full((48, 64, 3), self.count % 256, np.uint8)) if type(self).present else (False, None)

    def release(self):
        pass


@pytest.fixture
def device(monkeypatch):
    class Device(FakeDevice):
        pass

    monkeypatch.setattr(camera.cv2, "VideoCapture", Device)
    monkeypatch.setattr(camera, "RETRY_INTERVAL", 0.05)
    return Device


@pytest.mark.usefixtures("device")
def test_the_newest_picture_wins():
    source = camera.open_camera("0", (1280, 720), Fraction(60))
    assert source.read() is not None
    time.sleep(0.1)
    newer, newest = source.read(), source.read()
    source.close()
    assert newest.media_time - newer.media_time < 50_000_000
    assert source.dropped > 5
    assert newer.capture_time - newer.media_time == newest.capture_time - newest.media_time
    assert newer.frame.format.name == "bgr24"


def test_a_device_is_asked_for_compressed_pictures_and_no_queue(device):
    camera.open_camera("0", (1280, 720), Fraction(60)).close()
    assert device.last.which == 0
    assert device.last.settings[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert device.last.settings[cv2.CAP_PROP_BUFFERSIZE] == 1
    assert device.last.settings[cv2.CAP_PROP_FRAME_WIDTH] == 1280
    assert device.last.settings[cv2.CAP_PROP_FPS] == 60


def test_unplugged_it_says_so_once_and_resumes(device):
    lines = []
    source = camera.open_camera("0", log=lines.append)
    before = source.read()
    device.present = False
    threading.Timer(0.4, setattr, (device, "present", True)).start()
    time.sleep(0.1)
    after = source.read()
    if after.media_time - before.media_time < 100_000_000:  # one was left
        after = source.read()
    source.close()
    assert lines == ["camera 0 is gone; trying again every second", "camera 0 is back"]
    assert after.media_time - before.media_time > 200_000_000
    assert device.opened == 2


def test_closing_ends_a_read_while_it_is_away(device):
    source = camera.open_camera("0")
    device.present = False
    reader = threading.Thread(target=lambda: list(iter(source.read, None)))
    reader.start()
    time.sleep(0.1)
    source.close()
    reader.join(2)
    assert not reader.is_alive()


def test_a_missing_camera_is_one_line_and_nothing_from_opencv(capfd):
    for which in ("99", "/nowhere/clip.mp4"):
        with pytest.raises(ResourceError, match="--list-devices") as refusal:
            camera.open_camera(which)
        assert which in str(refusal.value)
    assert capfd.readouterr() == ("", "")


def test_a_file_is_played_at_its_pace(tmp_path):
    path = str(tmp_path / "clip.mp4")
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((72, 64), 20 * number, np.uint8), "yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    source = camera.open_camera(path)
    assert (source.width, source.height, source.frame_rate) == (64, 48, 25)
    pictures = list(iter(source.read, None))
    source.close()
    assert len(pictures) + source.dropped == 10
    assert pictures[-1].media_time > 300_000_000
