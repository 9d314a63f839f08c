"""`--list-devices`: what was found, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Device:
    kind: str
    """camera, microphone or speaker."""
    index: int
    name: str
    option: str
    """what to write on the command line to use it."""
    detail: str = ""
    default: bool = False


def as_json(devices: Iterable[Device]) -> str:
    return json.dumps([asdict(device) for device in devices], indent=2)


def as_text(devices: Iterable[Device], kinds: Sequence[str]) -> str:
    """A block for each kind, also for one of which there is none."""
    devices = tuple(devices)
    lines = []
    for kind in kinds:
        found = [device for device in devices if device.kind == kind]
        lines.append(f"{kind}s:" if found else f"{kind}s: none found")
        for device in found:
            default = " (default)" if device.default else ""
            detail = f"  {device.detail}" if device.detail else ""
            lines.append(f"  {device.option:<24} {device.name}{default}{detail}")
    return "\n".join(lines)
