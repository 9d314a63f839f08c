"""One line about who sends what cannot be decrypted; others find nothing of it in their logs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_PATIENCE = 1_000_000_000
"""ns without anything authentic after which it is said."""
_ENOUGH = 5
"""datagrams that were refused by then."""
_PLACES = 64


@dataclass(slots=True)
class _Place:
    since: int
    refused: int = 0
    settled: bool = False
    """something authentic came, or it has been said."""


class Complaints:
    """`tell` gets the line; `what` is what comes there: packets or reports."""

    def __init__(self, tell: Callable[[str], None], what: str) -> None:
        self._tell, self._what = tell, what
        self._places: dict[str, _Place] = {}

    def look(self, name: str, opened: int, refused: int, now: int) -> None:
        """That many datagrams from there were let in, and not, just now (monotonic ns)."""
        place = self._places.get(name)
        if place is None:
            if len(self._places) >= _PLACES:
                return
            place = self._places[name] = _Place(now)
        if place.settled:
            return
        place.settled = opened > 0
        place.refused += refused
        if not place.settled and place.refused >= _ENOUGH and now - place.since >= _PATIENCE:
            place.settled = True
            self._tell(f"{self._what} from {name} cannot be decrypted: not the same key there and here")
