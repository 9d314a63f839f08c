"""Machines: network namespaces with an address each on one wire, and a configuration folder of their own."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import peers

_serial = itertools.count()


@dataclass(frozen=True, slots=True)
class Machine:
    """One of two."""

    name: str
    """of its namespace."""
    address: str
    interface: str
    folder: Path
    """where its user's configuration is."""

    @property
    def configuration(self) -> Path:
        return self.folder / "steadycast"

    def run(self, command: Sequence[object], name: str, environment: Mapping[str, str] | None = None) -> peers.Process:
        """A program on this machine."""
        environ = {"XDG_CONFIG_HOME": str(self.folder), **(environment or {})}
        return peers.Process(["ip", "netns", "exec", self.name, *command], self.folder, name, environment=environ)

    def cut(self) -> None:
        """The cable is out."""
        _ip("-n", self.name, "link", "set", self.interface, "down")

    def mend(self) -> None:
        """It is in again."""
        _ip("-n", self.name, "link", "set", self.interface, "up")

    def block_udp(self) -> None:
        """A firewall lets no datagram in; nobody is told."""
        for words in (
            "add pref 100 table local", "del pref 0", f"add pref 10 iif {self.interface} ipproto udp blackhole"
        ):  # fmt: skip
            _ip("-n", self.name, "rule", *words.split())


@contextmanager
def two_machines(folder: Path) -> Iterator[tuple[Machine, Machine]]:
    """198.51.100.1 and 198.51.100.2, with a wire between them."""
    peers.need("ip")
    if os.geteuid() != 0:
        pytest.skip("only root can make a network namespace")
    number = f"{os.getpid()}x{next(_serial)}"
    pair = tuple(
        Machine(f"machine{each}-{number}", f"198.51.100.{each}", f"wire{each}", folder / f"machine{each}")
        for each in (1, 2)
    )
    first, second = pair
    try:
        for machine in pair:
            machine.folder.mkdir()
            _ip("netns", "add", machine.name)
        ends = ("type", "veth", "peer", "name", second.interface, "netns", second.name)
        _ip("-n", first.name, "link", "add", first.interface, *ends)
        for machine in pair:
            _ip("-n", machine.name, "addr", "add", f"{machine.address}/24", "dev", machine.interface)
            for interface in ("lo", machine.interface):
                _ip("-n", machine.name, "link", "set", interface, "up")
            _ip("-n", machine.name, "route", "add", "224.0.0.0/4", "dev", machine.interface)
        yield first, second
    finally:
        for machine in pair:
            subprocess.run(["ip", "netns", "del", machine.name], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)
