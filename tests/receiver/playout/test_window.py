"""A real window under Xvfb, photographed by ImageMagick and compared with the picture it should show; xdotool types."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import numpy as np
import pytest

from receiver.libraries import cv2
from receiver.playout.display import missing_display
from receiver.playout.window import write_lines

PROGRAM = """
import sys, time, threading
import numpy as np
from receiver.libraries import av
from receiver.media import Image
from receiver.playout.audio import AudioTimeline
from receiver.playout.scheduler import VideoScheduler
from receiver.playout.window import Window

y, x = np.mgrid[0:360, 0:640]
picture = np.stack([x * 255 // 640, y * 255 // 360, (x // 80 + y // 60) % 2 * 255], -1).astype(np.uint8)
frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
sound, scheduler, stop = AudioTimeline(), VideoScheduler(), threading.Event()
window = Window("Steadycast", sound=sound, statistics=lambda: ["lost 0.48 % (29/6012)"], now=time.monotonic_ns())

def commands():
    for line in sys.stdin:
        if line == "picture\\n":
            scheduler.submit(Image(frame, 0, time.monotonic_ns(), 0))
        elif line == "state\\n":
            rendered = scheduler.statistics().frames_rendered
            print(window.paused, sound.muted, sound.volume, rendered, window._full_screen, flush=True)
    stop.set()

threading.Thread(target=commands, daemon=True).start()
print("ready", flush=True)
window.run(scheduler, stop, threading.Event())
window.close()
print("closed", flush=True)
"""


@pytest.fixture
def display() -> Iterator[str]:
    if not which("Xvfb"):
        pytest.skip("Xvfb is not installed")
    reader, writer = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1024x768x24", "-nolisten", "tcp"],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    try:
        with os.fdopen(reader) as pipe:
            number = pipe.readline().strip()
        if not number:
            pytest.skip("Xvfb does not start")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(5)


class Program:
    def __init__(self, display: str) -> None:
        self.display = display
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "DISPLAY": display},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.read() == "ready"

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def send(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def state(self) -> list[str]:
        self.send("state")
        return self.read().split()

    def key(self, name: str) -> None:
        subprocess.run(
            ["xdotool", "search", "--name", "Steadycast", "windowfocus", "--sync", "key", name],
            env={**os.environ, "DISPLAY": self.display},
            check=True,
            timeout=5,
            capture_output=True,
        )

    def photograph(self, path: Path) -> np.ndarray:
        subprocess.run(["import", "-display", self.display, "-window", "root", path], check=True, timeout=10)
        return cv2.imread(str(path))


@pytest.fixture
def program(display: str) -> Iterator[Program]:
    if not which("xdotool") or not which("import"):
        pytest.skip("xdotool or ImageMagick is not installed")
    started = Program(display)
    yield started
    started.process.kill()
    started.process.communicate()


def until(condition: object, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


def expected_picture() -> np.ndarray:
    y, x = np.mgrid[0:360, 0:640]
    rgb = np.stack([x * 255 // 640, y * 255 // 360, (x // 80 + y // 60) % 2 * 255], -1).astype(np.uint8)
    return rgb[..., ::-1]


def difference(screen: np.ndarray) -> float:
    """Mean error of the picture where it fits best."""
    found = cv2.matchTemplate(screen, expected_picture(), cv2.TM_SQDIFF)
    _, _, (x, y), _ = cv2.minMaxLoc(found)
    return float(np.abs(screen[y : y + 360, x : x + 640].astype(int) - expected_picture()).mean())


def test_the_picture_is_on_the_screen_and_keys_do_what_they_say(program: Program, tmp_path: Path) -> None:
    waiting = program.photograph(tmp_path / "waiting.png")
    assert waiting.max() > 200, "it says that it waits for a signal"
    program.send("picture")
    assert until(lambda: difference(program.photograph(tmp_path / "picture.png")) < 6)
    program.key("s")
    assert until(lambda: corner(program.photograph(tmp_path / "overlay.png")) > 20), "statistics lie over it"
    program.key("s")
    program.key("m")
    assert until(lambda: program.state()[1] == "True")
    program.key("m")
    program.key("9")
    assert until(lambda: program.state()[1:3] == ["False", "0.9"])
    program.key("0")
    program.key("p")
    assert until(lambda: program.state()[:3] == ["True", "True", "1.0"])
    program.send("picture")
    assert not until(lambda: program.state()[3] != "1", 0.3), "paused"
    program.key("p")
    program.key("f")
    assert until(lambda: program.state()[4] == "True"), "there is no window manager that would make it larger"
    program.key("f")
    assert until(lambda: program.state()[4] == "False")
    program.key("q")
    assert program.read() == "closed"
    assert program.process.wait(5) == 0
    assert program.process.stderr is not None
    assert program.process.stderr.read() == ""


def corner(screen: np.ndarray) -> float:
    """Mean error where the first line of text would stand; the window is at the screen's origin."""
    return float(np.abs(screen[4:24, 4:200].astype(int) - expected_picture()[4:24, 4:200]).mean())


class ClientMessage(ctypes.Structure):
    """XClientMessageEvent of Xlib.h"""

    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("padding", ctypes.c_long * 24),
    )


def press_close_button(display: str, window: int) -> None:
    """What a window manager sends (ICCCM §4.2.8.1)."""
    name = ctypes.util.find_library("X11")
    if name is None:
        pytest.skip("libX11 is not installed")
    x11 = ctypes.CDLL(name)
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XInternAtom.restype = ctypes.c_ulong
    connection = ctypes.c_void_p(x11.XOpenDisplay(display.encode()))
    protocols = x11.XInternAtom(connection, b"WM_PROTOCOLS", 0)
    delete = x11.XInternAtom(connection, b"WM_DELETE_WINDOW", 0)
    event = ClientMessage(33, 0, 1, connection, window, protocols, 32, (ctypes.c_long * 5)(delete))
    x11.XSendEvent(connection, ctypes.c_ulong(window), 0, ctypes.c_long(0), ctypes.byref(event))
    x11.XCloseDisplay(connection)


def test_the_close_button_ends_it(program: Program) -> None:
    found = subprocess.run(
        ["xdotool", "search", "--name", "Steadycast"],
        env={**os.environ, "DISPLAY": program.display},
        timeout=5,
        capture_output=True,
        check=True,
    )
    press_close_button(program.display, int(found.stdout.split()[0]))
    assert program.read() == "closed"
    assert program.process.wait(5) == 0


def test_silence_is_said(program: Program, tmp_path: Path) -> None:
    program.send("picture")
    assert until(lambda: difference(program.photograph(tmp_path / "a.png")) < 6)
    assert until(lambda: corner(program.photograph(tmp_path / "b.png")) > 20, 4)


def test_without_a_display_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("only X11 needs a display")
    monkeypatch.delenv("DISPLAY", raising=False)
    assert "DISPLAY is not set" in (missing_display() or "")
    monkeypatch.setenv("DISPLAY", "127.0.0.1:59000")
    assert "does not answer" in (missing_display() or "")


def test_a_display_that_answers_is_found(display: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", display)
    assert missing_display() is None


@pytest.mark.parametrize("size", [(96, 160), (360, 640), (1080, 1920)])
def test_text_fits_into_every_picture(size: tuple[int, int]) -> None:
    canvas = np.zeros((*size, 3), np.uint8)
    write_lines(canvas, ["lost 0.48 % (29/6012), late 0.00 % (0/6012)", "second line"])
    assert canvas.max() > 200
    assert not canvas[:, -2:].any()
