"""Rows of `--check`: what works on this machine, and what to install where it does not."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass

# asm-generic/socket.h and linux/udp.h; Python 3.11's socket module has no names for these.
UDP_SEGMENT = 103
UDP_GRO = 104
SO_RXQ_OVFL = 40
SO_TIMESTAMPNS = 35
WANTED_RECEIVE_BUFFER = 4 << 20
SOL_UDP = 17


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was tried."""

    name: str
    ok: bool
    detail: str
    advice: str = ""
    """what to do where it is missing."""
    needed: bool = False
    """nothing can be streamed without it."""


def as_json(rows: Iterable[Row]) -> str:
    return json.dumps([asdict(row) for row in rows], indent=2)


def as_text(rows: Iterable[Row]) -> str:
    """A table: mark, name, detail; the advice under what is missing."""
    rows = tuple(rows)
    width = max((len(row.name) for row in rows), default=0)
    lines = []
    for row in rows:
        lines.append(f"{'ok     ' if row.ok else 'missing'}  {row.name:<{width}}  {row.detail}".rstrip())
        if not row.ok and row.advice:
            lines.append(f"{'':<{9 + width}}  → {row.advice}")
    return "\n".join(lines)


def exit_code(rows: Iterable[Row]) -> int:
    """0 unless something is missing that nothing works without."""
    return int(any(row.needed and not row.ok for row in rows))


def option_row(name: str, level: int, option: int, gain: str) -> Row:
    """Whether a UDP socket takes an option (Linux numbers); it is an optimisation or a finer measurement."""
    if not sys.platform.startswith("linux"):
        return Row(name, False, f"Linux only; without it {gain}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.setsockopt(level, option, 1)
        except OSError as error:
            return Row(name, False, error.strerror or str(error), f"needs a newer kernel; without it {gain}")
    return Row(name, True, "")


def receive_buffer_row() -> Row:
    """How large a receive buffer the kernel gives."""
    name = "UDP receive buffer"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        with contextlib.suppress(OSError):  # macOS refuses what is above its limit; what it gave is read below
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WANTED_RECEIVE_BUFFER)
        got = trial.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    got = got // 2 if sys.platform.startswith("linux") else got  # Linux doubles it for its own bookkeeping
    detail = f"{got // 1024} KiB of {WANTED_RECEIVE_BUFFER // 1024} KiB"
    return Row(name, got >= WANTED_RECEIVE_BUFFER, detail, buffer_advice())


def buffer_advice() -> str:
    """How to allow a larger receive buffer."""
    if sys.platform == "darwin":
        return "sudo sysctl -w kern.ipc.maxsockbuf=8388608"
    return f"sudo sysctl -w net.core.rmem_max={WANTED_RECEIVE_BUFFER}"


def port_row(port: int) -> Row:
    """Whether a UDP port can be bound."""
    name = f"UDP port {port}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind(("", port))
        except OSError as error:
            detail = error.strerror or str(error)
            return Row(name, False, detail, "another program has it: end that, or choose another port (`:6004`)")
    return Row(name, True, "free")


def ipv6_row() -> Row:
    name = "IPv6"
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as trial:
            trial.bind(("::", 0))
    except OSError as error:
        return Row(name, False, error.strerror or str(error), "IPv4 works without it")
    return Row(name, True, "")


def sound_library_row() -> Row:
    """Whether PortAudio is there: sounddevice looks for it when it is imported."""
    try:
        import sounddevice
    except OSError:
        return Row("PortAudio", False, "not installed", "sudo apt install libportaudio2 (or your system's PortAudio)")
    return Row("PortAudio", True, sounddevice.get_portaudio_version()[1])
