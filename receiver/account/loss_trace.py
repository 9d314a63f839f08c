"""Which of the numbers that closed last had arrived: what a loss RLE block (RFC 3611 §4.1) is made of."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

MOST = 8192
"""numbers kept; of more, those that closed last."""
_NEVER = np.zeros(MOST, bool)
_ALWAYS = np.ones(MOST, bool)


class LossTrace:
    """A FateObserver of losses, until they are taken."""

    def __init__(self) -> None:
        self._pieces: deque[NDArray[np.bool_]] = deque()
        """received or not."""
        self._length = 0

    def good(self, n: int) -> None:
        """Received."""
        self._add(_ALWAYS[:n])

    def bad(self, n: int) -> None:
        """Lost."""
        self._add(_NEVER[:n])

    def observe(self, flags: NDArray[np.bool_]) -> None:
        """shape (n,): True where lost."""
        self._add(~flags[-MOST:])

    def take(self) -> NDArray[np.bool_]:
        """Received or not, up to the newest closed number; once. shape (n,)."""
        pieces, self._pieces, self._length = self._pieces, deque(), 0
        return np.concatenate(pieces)[-MOST:] if pieces else np.zeros(0, bool)

    def _add(self, piece: NDArray[np.bool_]) -> None:
        self._pieces.append(piece)
        self._length += len(piece)
        while self._length - len(self._pieces[0]) >= MOST:
            self._length -= len(self._pieces.popleft())
