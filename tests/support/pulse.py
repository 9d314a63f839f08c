"""A sound server of one's own, with null sinks: what is played into one can be recorded from its monitor."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support import peers

FORMAT = ("--format=s16le", "--rate=48000", "--channels=1", "--latency-msec=20")
"""what parec is told of mono sound."""


class SoundServer:
    """PulseAudio in a private directory; ended by `close`."""

    def __init__(self, folder: Path, sinks: Sequence[str]) -> None:
        """The first sink and its monitor are the defaults. Skips the test when PulseAudio is not installed."""
        peers.need("pulseaudio", "parec", "paplay")
        self._socket = folder / "socket"
        script = folder / "server.pa"
        lines = [f"load-module module-native-protocol-unix auth-anonymous=1 socket={self._socket}"]
        lines += [f"load-module module-null-sink sink_name={sink} rate=48000" for sink in sinks]
        script.write_text("\n".join([*lines, f"set-default-sink {sinks[0]}", ""]))
        self.environment = {
            "XDG_RUNTIME_DIR": str(folder),
            "HOME": str(folder),
            "PULSE_SERVER": f"unix:{self._socket}",
        }
        self._process = subprocess.Popen(
            ["pulseaudio", "-n", "-F", str(script), "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"],
            env=os.environ | self.environment,
            stderr=subprocess.DEVNULL,
        )
        self._wait()

    def pause(self) -> None:
        """It hangs from now on: connected, and without an answer."""
        self._process.send_signal(signal.SIGSTOP)

    def control(self, *words: str) -> str:
        """What `pactl` says to that."""
        command = ["pactl", *words]
        run = subprocess.run(command, env=os.environ | self.environment, capture_output=True, text=True, check=True)
        return run.stdout.strip()

    def unplug(self, sink: str) -> None:
        """Takes a sink and its monitor away; a stream on it goes on where there is another, else it is ended."""
        modules = self.control("list", "short", "modules").splitlines()
        (number,) = [line.split()[0] for line in modules if f"sink_name={sink}" in line.split()]
        self.control("unload-module", number)

    def plug(self, sink: str) -> None:
        """A null sink; it and its monitor become the defaults."""
        self.control("load-module", "module-null-sink", f"sink_name={sink}", "rate=48000")
        self.control("set-default-sink", sink)
        self.control("set-default-source", f"{sink}.monitor")

    def close(self) -> None:
        """Stops the server."""
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        self._process.wait(5)

    def _wait(self) -> None:
        end = time.monotonic() + 5
        while not self._socket.exists():
            if time.monotonic() > end or self._process.poll() is not None:
                import pytest

                self.close()
                pytest.skip("PulseAudio does not start")
            time.sleep(0.05)
