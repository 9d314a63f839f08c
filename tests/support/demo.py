"""`make demo`: receiver, bad network and sender on this machine, as three programs, and what came of it.

    python -m tests.support.demo [--clip FILE] [--seconds 12] [--seed 8]

The network loses 3 % in bursts and delays by 40 ms with 20 ms of jitter, so that packets overtake each other. The
network keeps a log of its own; at the end the receiver's ledger is compared with it, packet by packet.
"""

from __future__ import annotations

import argparse
import ctypes.util
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support import peers

BURSTS = ("3%", "3")
NETWORK = ("--loss-burst", *BURSTS, "--delay", "40ms", "--jitter", "20ms")
_COMPARED = ("sent", "arrived", "lost", "duplicates", "reordered")


def has_display() -> bool:
    """Whether a window could open here."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def has_sound_card() -> bool:
    """Whether PortAudio is here and finds an output."""
    if ctypes.util.find_library("portaudio") is None and sys.platform.startswith("linux"):
        return False
    try:
        import sounddevice

        return any(device["max_output_channels"] for device in sounddevice.query_devices())
    except OSError:
        return False


def follow(path: Path, done: threading.Event) -> None:
    """Shows what a program writes into its log while it writes it."""
    with path.open(errors="replace") as log:
        while not done.is_set():
            sys.stderr.write(log.read())
            sys.stderr.flush()
            done.wait(0.1)
        sys.stderr.write(log.read())


def run(options: argparse.Namespace, out: Path) -> tuple[int, int, Mapping[str, Any]]:
    """Runs the three programs; exit codes of receiver and sender, and the network's summary."""
    listen, target = peers.free_ports(4), peers.free_ports(4)
    maps = [part for i in range(4) for part in ("--map", f"{listen + i}:{target + i}")]
    network = peers.proxy(*maps, *NETWORK, "--seed", options.seed, "--log", out / "network.jsonl")
    with (
        peers.Process(receiver(target, options, out), out, "receiver") as receiving,
        peers.Process(network, out, "network") as proxy,
    ):
        receiving.wait_for_port(target, 30)
        proxy.wait_for_text("ready", 30)
        done = threading.Event()
        shown = threading.Thread(target=follow, args=(receiving.log_path, done))
        shown.start()
        try:
            with peers.Process(sender(listen, options), out, "sender") as sending:
                sent = sending.wait(options.seconds + 30)
            received = _end(receiving)
        finally:
            done.set()
            shown.join()
        proxy.stop()
        if sent:
            print(sending.log, file=sys.stderr)
        return received, sent, proxy.json()


def _end(receiving: peers.Process) -> int:
    """The receiver ends at the sender's goodbye; should the network have lost that, it is told to."""
    end = time.monotonic() + 6
    while receiving.process.poll() is None and time.monotonic() < end:
        time.sleep(0.1)
    return receiving.interrupt()


def receiver(port: int, options: argparse.Namespace, out: Path) -> list[object]:
    """What to play to depends on what is here."""
    video = "window" if options.devices and has_display() else "none"
    audio = "speaker" if options.devices and has_sound_card() else out / "sound.wav"
    if video == "none":
        print("without a display: the picture goes to a file", file=sys.stderr)
    if audio != "speaker":
        print("without a sound card: the sound goes to a file", file=sys.stderr)
    outputs = ("--video", video, "--audio", audio, "--picture", out / "picture.png", "--report", out, "--exit-on-end")
    return peers.receiver(f"127.0.0.1:{port}", *outputs)


def sender(port: int, options: argparse.Namespace) -> list[object]:
    """A pattern and a tone, or a clip."""
    source = ("--video", options.clip, "--loop") if options.clip else ("--video", "pattern", "--audio", "tone")
    size = () if options.clip else ("--size", "640x360")
    return peers.sender(f"127.0.0.1:{port}", *source, *size, "--duration", f"{options.seconds}s")


def disagreements(report: Mapping[str, Any], truth: Mapping[str, Any]) -> Iterator[str]:
    """Where the receiver's ledger and the network's log differ; a line for each."""
    streams = {stream["ssrc"]: stream for stream in report["streams"]}
    for real in truth["streams"]:
        stream = streams.get(real["ssrc"])
        if stream is None:
            yield f"{real['ssrc']:#010x}: {real['arrived']} packets arrived, the receiver knows nothing of them"
            continue
        for name in _COMPARED:
            if stream["ledger"][name] != real[name]:
                yield f"{stream['media']}: {name} is {real[name]}, the receiver says {stream['ledger'][name]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything worked and the figures agree."""
    options = argparse.ArgumentParser(prog="python -m tests.support.demo", description="Steadycast on a bad network.")
    options.add_argument("--clip", type=Path, help="a media file instead of pattern and tone")
    options.add_argument("--seconds", type=int, default=12)
    options.add_argument("--seed", type=int, default=8)
    options.add_argument("--no-devices", action="store_false", dest="devices", help="no window and no speaker")
    options.add_argument("--out", type=Path, default=peers.ROOT / "out" / "demo")
    chosen = options.parse_args(arguments)
    out = chosen.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    for old in ("report.json", "picture.png"):
        (out / old).unlink(missing_ok=True)
    try:
        received, sent, truth = run(chosen, out)
    except AssertionError as error:
        print(f"the demo failed: {error}", file=sys.stderr)
        return 1
    return judge(out, received, sent, truth)


def judge(out: Path, received: int, sent: int, truth: Mapping[str, Any]) -> int:
    """Says how it went; the exit code."""
    missing = [name for name in ("report.json", "picture.png") if not (out / name).exists()]
    if received or sent or missing:
        print(f"the demo failed: receiver {received}, sender {sent}, missing: {missing or 'nothing'}", file=sys.stderr)
        return 1
    report = json.loads((out / "report.json").read_text())
    print(f"\n{report['verdict']}\n")
    wrong = list(disagreements(report, truth))
    packets = sum(stream["sent"] for stream in truth["streams"])
    lost = sum(stream["lost"] for stream in truth["streams"])
    print(f"The network's own log: {packets} packets, {lost} of them lost. ", end="")
    print("The receiver's ledger agrees to the packet." if not wrong else "The receiver's ledger disagrees:")
    for line in wrong:
        print(f"  {line}")
    print(f"Report: {out / 'report.json'}   a picture as it was played: {out / 'picture.png'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
