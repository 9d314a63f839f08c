"""aiortc at both ends: WebRTC with retransmission, in Python. It wants a Python of its own, since it pins its PyAV.

python3 -m venv aiortc && aiortc/bin/pip install aiortc
python -m tests.bench.resilience --aiortc-python aiortc/bin/python
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from tests.bench.rivals.contract import Peer, Plan, Stage, said
from tests.support import peers

NODE = Path(__file__).with_name("webrtc_node.py")


def plan(stage: Stage, python: str) -> Plan:
    """One port for everything, found by ICE."""
    front, rear, origin = (peers.free_ports(2) for _ in range(3))
    return Plan(
        maps=[(front, rear, origin)],
        receiver=[python, NODE, "show", stage.screen, stage.folder, stage.bitrate, rear, origin],
        sender=[python, NODE, "send", stage.pictures, stage.folder, stage.bitrate, 0, front],
        binds=False,
    )


def version(python: str) -> str:
    text = "import aiortc, av; print('aiortc', aiortc.__version__ + ', PyAV', av.__version__)"
    return said(python, "-c", text).strip()


def missing(python: str) -> str | None:
    if shutil.which(python) is None or not version(python):
        return "aiortc not installed (--aiortc-python names a Python that has it)"
    return None


def peer(python: str) -> Peer:
    """By this Python."""
    settings = "defaults but for the H.264 encoder's highest rate; pictures as they are handed out"
    return Peer(
        "aiortc", settings, partial(plan, python=python), partial(version, python), partial(missing, python)
    )  # fmt: skip
