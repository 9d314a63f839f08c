"""An RTSP server beside connections of every bad kind: who plays plays on, who comes is let in, memory is bounded."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from receiver.sockets import LINUX
from tests.interop import rtsp
from tests.robustness import strangers
from tests.support import media, peers
from tests.support.viewer import LOCAL, Client, Viewer

pytestmark = pytest.mark.skipif(not LINUX, reason="memory and files are read from /proc")

SECONDS = 4.0
GROWTH = 120_000_000
"""bytes that strangers of one kind may take."""
LONGEST_GAP = 0.5
"""s between two packets of sound: many times what a busy machine makes of 20 ms."""
PATIENCE = 3.0
"""s for a whole hello while strangers fill the door."""


class Program:
    """One of ours, and what it takes of the machine."""

    def __init__(self, process: peers.Process) -> None:
        self.process = process
        self._folder = Path(f"/proc/{process.process.pid}")

    def memory(self) -> int:
        """Bytes."""
        status = (self._folder / "status").read_text()
        return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))

    def files(self) -> int:
        return len(list((self._folder / "fd").iterdir()))

    def check_files(self, before: int) -> None:
        """All that strangers had is given back: what was quiet after 10 s, sessions a little later."""
        end = time.monotonic() + 20
        while self.files() > before + 2 and time.monotonic() < end:
            time.sleep(0.1)
        assert self.files() <= before + 2


def beside(program: Program, folder: Path, kind: str, port: int, look: Callable[[], None]) -> int:
    """Strangers come, and `look` is called again and again meanwhile; how many bytes the program grew by."""
    before = most = program.memory()
    command = [sys.executable, "-m", "tests.robustness.strangers", kind, port, SECONDS]
    with peers.Process(command, folder, "strangers") as crowd:
        for _ in range(int(SECONDS)):
            time.sleep(0.7)
            most = max(most, program.memory())
            begin = time.monotonic()
            look()
            assert time.monotonic() - begin < PATIENCE
        assert crowd.wait(SECONDS + 10) == 0, crowd.log
    return most - before


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, int]]:
    """A server, and its port."""
    port, folder = rtsp.free_port(), tmp_path_factory.mktemp("serve")
    command = rtsp.serve(f"rtsp://{LOCAL}:{port}/live", "--video", "none", "--audio", "tone", "--no-announce")
    with peers.Process(command, folder, "server") as server:
        server.wait_for_text("serving")
        with Viewer(f"rtsp://{LOCAL}:{port}/live"):
            time.sleep(0.5)  # it has all it needs
        yield Program(server), port
        assert server.interrupt() == 0, server.log
    check_log(server)


def check_log(process: peers.Process) -> None:
    assert "Traceback" not in process.log
    assert "internal error" not in process.log
    assert len(process.log) < 200_000, "strangers fill the disk"


@pytest.mark.parametrize("kind", strangers.KINDS)
def test_a_server_beside_strangers(serving: tuple[Program, int], tmp_path: Path, kind: str) -> None:
    program, port = serving
    files, url = program.files(), f"rtsp://{LOCAL}:{port}/live"

    def come_and_go() -> None:
        with Viewer(url, PATIENCE):
            pass

    with Viewer(url) as viewer:
        assert beside(program, tmp_path, kind, port, come_and_go) < GROWTH
    assert viewer.missing == 0
    assert viewer.packets > 40 * SECONDS
    assert viewer.longest_gap < LONGEST_GAP
    program.check_files(files)


DESCRIPTION = b"v=0\r\nm=video 0 RTP/AVP 26\r\na=control:track1\r\n"


@pytest.mark.parametrize("kind", ["silent", "coming_and_going", "asking", "packets", "announcing", "pushing"])
def test_a_receiver_beside_strangers(tmp_path: Path, kind: str) -> None:
    """It plays plain RTP, and friends announce themselves."""
    clip, port = media.make_clip(tmp_path / "clip.mkv", 8), peers.free_ports()
    url = f"rtsp://{LOCAL}:{port}/friend"

    def announce() -> None:
        with Client(url, PATIENCE, "127.0.0.2") as friend:
            friend.ask("ANNOUNCE", url, "Content-Type: application/sdp", body=DESCRIPTION)
            friend.ask("SETUP", f"{url}/track1", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1;mode=record")
            friend.ask("TEARDOWN", url)

    command = peers.receiver(f":{port}", "--video", tmp_path / "o.y4m", "--audio", tmp_path / "o.wav", "--json")
    with peers.Process([*command, "--no-announce"], tmp_path, "receiver") as receiver:
        receiver.wait_for_port(port)
        with peers.Process(
            peers.sender(f"{LOCAL}:{port}", "--video", clip, "--audio", clip), tmp_path, "sender"
        ) as good:
            receiver.wait_for_text("video lost")
            program = Program(receiver)
            files = program.files()
            assert beside(program, tmp_path, kind, port, announce) < GROWTH
            assert good.wait(30) == 0, good.log
        program.check_files(files)
        assert receiver.interrupt() == 0, receiver.log
        report = receiver.json()
    check_log(receiver)
    assert [stream["ledger"]["lost"] for stream in report["streams"]] == [0, 0], receiver.log  # type: ignore[attr-defined]
