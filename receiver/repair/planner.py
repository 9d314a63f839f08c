"""What repair suits a stream now: pure arithmetic on what was measured, and the reason in words.

A retransmission costs only what was lost, so it is chosen wherever it can come in time twice. Where one round fits, it
leaves the square of the loss, and a little forward correction covers that; where none fits, forward correction does
it all (finite blocks: Reed–Solomon over the packets of a few frames, for losses that come singly or in short runs).
Delay that rises together with loss means that the path is full: then nothing is added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from protocol.shares import repair_packets

MILLISECOND = 1_000_000
RESIDUE = 1e-3
"""share of windows that may stay beyond repair."""
MOST = 0.5
"""octets of repair for each of media: a path that needs more is better served by a lower bit-rate."""
_NOTICE = 10 * MILLISECOND
"""until a loss is noticed: about one packet's spacing, and the timer for the last one of a frame."""
_WINDOW = 3
"""frames that repair packets cover: 2 repair a little sooner, 3 far more (measured, tests/bench)."""
_LONGEST_WINDOW = 10
_LARGEST_BLOCK = 64
"""packets that are reckoned with: more need a smaller share of repair, and reckoning takes their square in time."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of one stream and its path. Times in ns."""

    round_trip: int | None
    """None: not measured yet."""
    wait: int
    """after a packet of least transit, until when repair is of use."""
    loss: float
    """share of packets, as likely as not; 0: none lately."""
    most: float
    """its upper confidence bound."""
    run: float
    """mean length of loss runs, packets; at least 1."""
    packets_per_frame: float
    frame_interval: int
    answer: int | None = None
    """after a lost packet should have come, until it comes again; None: nobody knows."""
    congested: bool = False
    begins: bool = False
    """it has only just begun: nobody knows the path."""
    fec: bool = True
    """it may be sent ahead."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`fec_share`: octets of repair for each of media, over `fec_frames` frames; `red_depth`: earlier payloads repeated
    in each packet of sound, which are waited for."""

    nack: bool
    fec_share: float = 0.0
    fec_frames: int = _WINDOW
    red_depth: int = 0
    why: str = ""


def plan(now: Situation) -> Plan:
    """What is to be done against loss by retransmission and forward correction."""
    rounds = rounds_in_time(now)
    nack = rounds > 0
    if now.loss <= 0:
        return Plan(nack, why="nothing is lost")
    lost = said(now)
    if now.congested:
        return Plan(nack, why=f"{lost} while delay rises: the path is full, nothing is added")
    if rounds >= 2:
        return Plan(nack, why=f"{lost}; a retransmission comes in time {'twice' if rounds == 2 else f'{rounds} times'}")
    if not now.fec:
        return Plan(nack, why=f"{lost}; nothing else than retransmission is allowed")
    left = now.most**2 if rounds else now.most
    how = "one retransmission fits" if rounds else "no retransmission comes in time"
    frames = min(_LONGEST_WINDOW, max(_WINDOW, math.ceil(2 * now.run / max(1.0, now.packets_per_frame))))
    share = _share(left, now, frames)
    return Plan(nack, share, frames, why=f"{lost}; {how}: {100 * share:.0f} % forward correction")


def said(now: Situation) -> str:
    """The loss."""
    return f"{100 * now.loss:.1f} % lost"


def rounds_in_time(now: Situation) -> int:
    """Retransmissions, one after the other, that come before it is too late."""
    if now.round_trip is None:
        return 1
    return max(0, (now.wait - _NOTICE) // max(MILLISECOND, now.round_trip))


def _share(loss: float, now: Situation, frames: int) -> float:
    """Of media. A run of n losses takes n times as much from one window, so it counts as n singles would."""
    block = max(2, min(_LARGEST_BLOCK, round(frames * now.packets_per_frame)))
    runs = max(1.0, min(now.run, block / 2))
    return min(MOST, repair_packets(min(0.9, loss * runs**0.5), block, RESIDUE) / block)
