"""Other programs, and our own as programs: started, waited for, stopped one by one, with their output kept."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]


def need(*programs: str) -> None:
    """Skips the test when one of these programs is missing."""
    import pytest  # the demo does without

    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


@contextmanager
def reserved_port() -> Iterator[int]:
    """One free UDP port, held while inside."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def free_ports(count: int = 4) -> int:
    """The first of `count` UDP ports in a row that are free on every address; even, as RTP likes it. Its number is free
    for TCP, too."""
    for _ in range(100):
        first = random.randrange(12_000, 32_000, 2)  # below those that the system gives to others meanwhile
        if all(is_free(first + i) for i in range(count)) and _is_free_for_tcp(first):
            return first
    raise AssertionError("no free ports in a row")


def is_free(port: int, host: str = "") -> bool:
    """Whether a UDP port can be bound."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((host, port))
        except OSError:
            return False
    return True


def _is_free_for_tcp(port: int) -> bool:
    try:
        socket.create_server(("", port)).close()
    except OSError:
        return False
    return True


class Process:
    """A program that runs beside the test. Its standard error (and output, unless piped) goes to a log file."""

    def __init__(
        self,
        command: Sequence[object],
        folder: Path,
        name: str,
        *,
        pipe: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log_path = folder / f"{name}.log"
        self.output_path = folder / f"{name}.out"
        ours = {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
        ours["XDG_CONFIG_HOME"] = str(folder / "config")  # certificates and known hosts of this test alone
        with self.log_path.open("wb") as log, self.output_path.open("wb") as output:
            self.process = subprocess.Popen(
                [str(part) for part in command], cwd=ROOT, env={**os.environ, **ours, **(environment or {})},
                stderr=log, stdout=output, stdin=subprocess.PIPE if pipe else subprocess.DEVNULL,
            )  # fmt: skip

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """What it has said on standard error so far."""
        return self.log_path.read_text(errors="replace")

    @property
    def output(self) -> str:
        """What it has written to standard output so far."""
        return self.output_path.read_text(errors="replace")

    def json(self) -> dict[str, object]:
        """Its standard output as one JSON object, or as the last of several lines."""
        text = self.output.strip()
        try:
            report = json.loads(text)
        except json.JSONDecodeError:
            report = json.loads(text.splitlines()[-1])
        assert isinstance(report, dict)
        return report

    def wait(self, timeout: float = 15.0) -> int:
        """Waits for its end; an AssertionError with its log when it takes too long."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.stop()
            raise AssertionError(f"{self.name} did not end within {timeout} s:\n{self.log[-2000:]}") from None

    def interrupt(self, timeout: float = 10.0) -> int:
        """Ctrl-C, and waits."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.wait(timeout)

    def stop(self) -> int:
        """SIGTERM, and after 3 s SIGKILL; harmless when it has ended."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    def wait_for_port(self, port: int, timeout: float = 15.0) -> None:
        """Until somebody has bound the UDP port; fails when the program ends before that."""
        self._wait(lambda: is_bound(port), f"bind UDP port {port}", timeout)

    def wait_for_tcp(self, port: int, timeout: float = 15.0) -> None:
        """Until somebody takes connections there, which is tried."""

        def listens() -> bool:
            with socket.socket() as sock:
                return sock.connect_ex(("127.0.0.1", port)) == 0

        self._wait(listens, f"listen on TCP port {port}", timeout)

    def wait_for_text(self, text: str, timeout: float = 15.0) -> None:
        """Until it has said this, on either output."""
        self._wait(lambda: text in self.log or text in self.output, f"say {text!r}", timeout)

    def _wait(self, done: Callable[[], bool], what: str, timeout: float) -> None:
        end = time.monotonic() + timeout
        while not done():
            assert self.process.poll() is None, f"{self.name} ended before it could {what}:\n{self.log[-2000:]}"
            assert time.monotonic() < end, f"{self.name} did not {what}:\n{self.log[-2000:]}"
            time.sleep(0.02)


def is_bound(port: int) -> bool:
    """Whether somebody listens on a UDP port; asks without taking it where the system has a table (Linux)."""
    tables = [path for name in ("udp", "udp6") if (path := Path("/proc/net") / name).exists()]
    if not tables:
        return not is_free(port)
    lines = [line for table in tables for line in table.read_text().splitlines()[1:]]
    return any(int(line.split()[1].rpartition(":")[2], 16) == port for line in lines)


def receiver(source: object, *options: object) -> list[object]:
    """The command line of our receiver."""
    return [sys.executable, "-m", "receiver", source, *options]


def sender(target: object, *options: object) -> list[object]:
    """The command line of our sender."""
    return [sys.executable, "-m", "sender", target, *options]


def proxy(*options: object) -> list[object]:
    """The command line of the bad network."""
    return [sys.executable, "-m", "tests.support.proxy", *options]
