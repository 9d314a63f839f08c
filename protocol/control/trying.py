"""Trying again: what both programs do when the other end of a control connection breaks off."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable

from protocol.errors import FatalError, NoPeerError, Untrusted, UsageError

FIRST_DELAY, LONGEST_DELAY = 0.5, 5.0
"""s until the next try, twice as long each time; up to half of it is taken off by chance, or all would come at once."""
_LASTED = 10_000_000_000
"""ns that a try must last for the next delay to be the first again."""


async def again_and_again(
    attempt: Callable[[], Awaitable[str | None]], may_go_on: Callable[[], bool], log: Callable[[str], None]
) -> None:
    """`attempt` goes on until it is worth another and returns why, None when it is not; it leaves nothing behind.
    `may_go_on` is asked when it raised. Raises FatalError for what another try would not change."""
    delay = FIRST_DELAY
    while True:
        began = time.monotonic_ns()
        try:
            why = await attempt()
        except FatalError as error:
            if isinstance(error, Untrusted | UsageError) or not may_go_on():
                raise
            why = str(error)
        if why is None:
            return
        if time.monotonic_ns() - began > _LASTED:
            delay = FIRST_DELAY
        pause = delay * random.uniform(0.5, 1.0)
        log(f"{why}; next try in {pause:.1f} s")
        await asyncio.sleep(pause)
        delay = min(2 * delay, LONGEST_DELAY)


class Loss:
    """Whether a connection is lost, for whoever waits beside it."""

    def __init__(self) -> None:
        self._lost = asyncio.Event()
        self._why = ""

    def __bool__(self) -> bool:
        return self._lost.is_set()

    def tell(self, why: str) -> None:
        """It is."""
        self._why = why
        self._lost.set()

    async def wait(self, seconds: float, place: str) -> None:
        """Raises NoPeerError as soon as the connection to `place` is lost."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._lost.wait()
        if self._lost.is_set():
            raise NoPeerError(f"the connection to {place} is lost: {self._why}")
