"""An RTSP server beside connections of every bad kind: who plays plays on, who comes is let in, memory is bounded."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from receiver.sockets import LINUX
from tests.interop import rtsp
from tests.robustness import strangers
from tests.support import peers
from tests.support.viewer import Viewer

SECONDS = 4.0
GROWTH = 120_000_000
"""bytes that strangers of one kind may take."""
LONGEST_GAP = 0.5
"""s between two packets of sound: many times what a busy machine makes of 20 ms."""
PATIENCE = 3.0
"""s for a whole hello while strangers fill the door."""


@dataclass
class Serving:
    url: str
    port: int
    process: peers.Process

    def memory(self) -> int:
        """Bytes."""
        return 1024 * int(self._status("VmRSS"))

    def files(self) -> int:
        return len(list(Path(f"/proc/{self.process.process.pid}/fd").iterdir()))

    def _status(self, name: str) -> str:
        status = Path(f"/proc/{self.process.process.pid}/status").read_text()
        return next(line.split()[1] for line in status.splitlines() if line.startswith(name))


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    port = rtsp.free_port()
    url = f"rtsp://127.0.0.1:{port}/live"
    folder = tmp_path_factory.mktemp("serve")
    with peers.Process(rtsp.serve(url, "--video", "none", "--audio", "tone"), folder, "server") as server:
        server.wait_for_text("serving")
        with Viewer(url):
            time.sleep(0.5)  # it has all it needs
        yield Serving(url, port, server)
        assert server.interrupt() == 0, server.log
    assert "Traceback" not in server.log
    assert "internal error" not in server.log


@pytest.mark.skipif(not LINUX, reason="memory and files are read from /proc")
@pytest.mark.parametrize("kind", strangers.KINDS)
def test_strangers(serving: Serving, tmp_path: Path, kind: str) -> None:
    memory, files, most = serving.memory(), serving.files(), 0
    with Viewer(serving.url) as viewer:
        command = [sys.executable, "-m", "tests.robustness.strangers", kind, serving.port, SECONDS]
        with peers.Process(command, tmp_path, "strangers") as crowd:
            for _ in range(int(SECONDS)):
                time.sleep(0.7)
                most = max(most, serving.memory())
                begin = time.monotonic()
                with Viewer(serving.url, patience=PATIENCE):
                    assert time.monotonic() - begin < PATIENCE
            assert crowd.wait(SECONDS + 10) == 0, crowd.log
    assert viewer.missing == 0
    assert viewer.packets > 40 * SECONDS
    assert viewer.longest_gap < LONGEST_GAP
    assert most - memory < GROWTH, crowd.output
    end = time.monotonic() + 15
    while serving.files() > files + 2 and time.monotonic() < end:
        time.sleep(0.1)
    assert serving.files() <= files + 2
