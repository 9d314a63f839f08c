"""Our own two programs, as a user types them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from tests.bench.rivals.contract import Peer, Plan, Stage
from tests.support import peers


def plan(stage: Stage, *options: object) -> Plan:
    """Everything by default; `options` go to both ends."""
    front, rear = peers.free_ports(), peers.free_ports()
    heard = "none" if stage.sound is None else stage.folder / "heard.wav"
    send = ("--video", stage.pictures, "--audio", stage.sound or "none", "--video-bitrate", stage.bitrate)
    receive = ("--video", stage.screen, "--audio", heard, "--report", stage.folder / "report")
    return Plan(
        maps=[(front + i, rear + i) for i in range(4)],
        receiver=peers.receiver(f"127.0.0.1:{rear}", *receive, *options),
        sender=peers.sender(f"127.0.0.1:{front}", *send, *options),
        raw=False,
    )


def our_version() -> str:
    """As installed, or of the working tree."""
    try:
        return version("steadycast")
    except PackageNotFoundError:
        return "this tree"


PEERS = [
    Peer("steadycast", "all defaults", plan, our_version, lambda: None),
    Peer("steadycast-sound", "all defaults, Opus at 64 kbit/s beside", plan, our_version, lambda: None, sound=True),
    Peer(
        "steadycast-bare", "`--repair none`", lambda stage: plan(stage, "--repair", "none"),
        our_version, lambda: None,
    ),
]  # fmt: skip
