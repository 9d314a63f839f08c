"""An asyncio loop in a thread of its own, for the connections; the network thread knows nothing of it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class ControlThread:
    """Runs until `close`. A callback that raises is a mistake of ours: `on_failure` is told, and the loop goes on."""

    def __init__(self, on_failure: Callable[[Exception], None] | None = None, name: str = "control") -> None:
        """Without `on_failure` a mistake is the thread's, as `threading.excepthook` has it."""
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(self._handle_mistake)
        self._on_failure = on_failure
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, _T]) -> concurrent.futures.Future[_T]:
        """Have it run by the loop; `.result(timeout)` waits, on any thread but the loop's own."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def post(self, function: Callable[..., object], *arguments: object) -> None:
        """Have the loop call it, soon; waits for nothing. After `close` nothing happens."""
        try:
            self.loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            if not self.loop.is_closed():
                raise

    def close(self, timeout: float = 3.0) -> None:
        """Cancel what still runs, and end. Listeners and connections are closed before, by whoever made them."""
        self.post(self.loop.stop)
        self._thread.join(timeout)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
            self._cancel_tasks()
        finally:
            self.loop.close()

    def _cancel_tasks(self) -> None:
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())

    def _handle_mistake(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, Exception):
            error = RuntimeError(str(context.get("message", "a mistake on the control thread")))
        if self._on_failure is not None:
            self._on_failure(error)
        else:
            arguments = (type(error), error, error.__traceback__, self._thread)
            threading.excepthook(threading.ExceptHookArgs(arguments))
