"""`--repair`: what may be done about lost packets. Both command lines have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from protocol.command import units
from protocol.errors import UsageError


@dataclass(frozen=True, slots=True)
class Repair:
    """What the user leaves to the planner: all of it, unless told otherwise."""

    kind: Literal["auto", "nack", "none"] = "auto"
    """nack: only retransmission, also for a far end that announced nothing."""
    fec: float | None = None
    """octets of repair packets for each of media, never more nor less; None: what the planner finds useful."""


AUTO = Repair()


def repair(text: str) -> Repair:
    """`auto`, `none`, `nack` or `fec:25%`. Raises UsageError."""
    word, colon, share = text.partition(":")
    if word == "fec" and colon:
        return Repair(fec=units.share(share))
    if text == "auto":
        return AUTO
    if text == "none":
        return Repair("none", fec=0.0)
    if text == "nack":
        return Repair("nack", fec=0.0)
    raise UsageError(f"{text!r} is no repair: choose auto, none, nack or fec:25%")
