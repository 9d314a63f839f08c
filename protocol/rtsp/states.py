"""What a session allows when: the server's state table (RFC 2326, appendix A.2)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class State(Enum):
    """Of one session at the server."""

    INIT = "init"
    READY = "ready"
    PLAYING = "playing"
    RECORDING = "recording"


_TABLE: Mapping[State, Mapping[str, State]] = {
    State.INIT: {"SETUP": State.READY, "TEARDOWN": State.INIT},
    State.READY: {
        "SETUP": State.READY,
        "PLAY": State.PLAYING,
        "RECORD": State.RECORDING,
        "PAUSE": State.READY,
        "TEARDOWN": State.INIT,
    },
    State.PLAYING: {"PLAY": State.PLAYING, "PAUSE": State.READY, "TEARDOWN": State.INIT},
    State.RECORDING: {"RECORD": State.RECORDING, "PAUSE": State.READY, "TEARDOWN": State.INIT},
}
"""A.2, with two choices it leaves open: SETUP changes nothing while media flow, and PAUSE may come twice."""
STATELESS = frozenset({"OPTIONS", "DESCRIBE", "ANNOUNCE", "GET_PARAMETER", "SET_PARAMETER"})
"""Valid at any time, and they change no state."""
KNOWN = STATELESS | {method for row in _TABLE.values() for method in row} | {"REDIRECT"}


def allowed(state: State) -> frozenset[str]:
    """Methods that are valid in this state, the stateless ones apart."""
    return frozenset(_TABLE[state])


def after(state: State, method: str) -> State:
    """The state that a method which succeeded leads to. KeyError for one that is not allowed."""
    return _TABLE[state][method]
