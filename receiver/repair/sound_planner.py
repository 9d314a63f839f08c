"""What repair suits sound now. The next packet is here sooner than an answer, so sound repeats itself wherever that
comes earlier, and costs little beside pictures; a retransmission is for paths so short that it comes as soon, and for
what was lost with all its copies.

Losses follow each other as in Gilbert's model (Bell System Technical Journal 39, 1960): after a loss the next packet is
lost with a probability of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from receiver.repair.planner import MILLISECOND, Plan, Situation, rounds_in_time, said

DEEPEST = 3
"""payloads repeated in a packet."""
_LOST = 15_000 * MILLISECOND
"""of delay that sound lost for good is worth: 150 ms for each percent."""
_WORTH = 10 * MILLISECOND
"""what a change has to save: near the border between two plans, they would flap."""
_UNEVEN = 6 * MILLISECOND
"""by which a packet of sound may be later than evenly spaced."""

UNKNOWN = Plan(nack=False, red_depth=1, why="the path is not known yet: each packet repeats the one before it")


class _Choice(NamedTuple):
    depth: int
    nack: bool


def plan_sound(now: Situation, before: Plan) -> Plan:
    """What is to be done against loss by copies, and by asking; `before`: what is done now."""
    near = now.round_trip is not None and now.round_trip <= now.frame_interval // 2
    if now.loss <= 0 and now.begins and not near:
        return UNKNOWN
    if now.loss <= 0:
        return Plan(nack=True, why="nothing is lost")
    lost = said(now)
    if near:
        return Plan(nack=True, why=f"{lost}; a retransmission comes before the next packet would")
    if now.congested:
        return Plan(rounds_in_time(now) > 0, why=f"{lost} while delay rises: the path is full, nothing is added")
    kept = _Choice(before.red_depth, before.nack)
    depth, nack = min(_choices(now), key=lambda choice: _cost(choice, now) - _WORTH * (choice == kept))
    also = ", what is lost with it is asked for" if nack else ""
    return Plan(nack, red_depth=depth, why=f"{lost}: each packet repeats {depth} before it{also}")


def awaited(depth: int, nack: bool, frame_interval: int, answer: int | None) -> int:
    """ns after its least transit until sound with so many copies is complete, and with a retransmission if `nack`."""
    copies = depth * frame_interval + _UNEVEN
    return max(copies, answer) if nack and answer is not None else copies


def _choices(now: Situation) -> Iterator[_Choice]:
    for depth in range(1, DEEPEST + 1):
        yield _Choice(depth, nack=False)
        if now.answer is not None and now.answer <= now.wait:
            yield _Choice(depth, nack=True)


def _cost(choice: _Choice, now: Situation) -> float:
    """ns: of the wait, and of what stays lost."""
    depth, nack = choice
    again = max(now.loss, 1 - 1 / now.run)
    unanswered = min(1.0, 2 * now.loss) if nack else 1.0
    left = now.loss * again**depth * unanswered
    return awaited(depth, nack, now.frame_interval, now.answer) + _LOST * left
