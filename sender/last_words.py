"""What a session says of itself in a control connection when it ends (docs/wire.md)."""

from __future__ import annotations

from protocol.rtsp import final_range
from protocol.rtsp.final_range import FinalRange
from sender.session import SenderSession


def last_words(session: SenderSession) -> str:
    """Everything that it will have numbered, as the parameter has it; empty where that is nothing."""
    ranges = (FinalRange(one.ssrc, one.first, one.last, one.count) for one in session.final_ranges())
    return final_range.serialize(ranges)
