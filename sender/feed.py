"""One thread for each source: what it gives is encoded on the spot and handed to the network thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, Literal, TypeVar

from protocol.errors import SteadycastError
from sender.media import AccessUnit
from sender.snapshot import SourceSnapshot

T = TypeVar("T")
_QUEUE = 32  # access units of one stream that may wait for the network thread


class Outbox:
    """From the encoders to the network thread; bounded for each stream, so that a stall costs units and not memory."""

    def __init__(self, streams: int, wake: Callable[[], None]) -> None:
        """`wake` rouses the thread that takes."""
        self._queues: list[deque[AccessUnit]] = [deque() for _ in range(streams)]
        self._open = set(range(streams))
        self._wake = wake

    def put(self, stream: int, unit: AccessUnit) -> bool:
        """False when the queue is full: the unit is not taken."""
        if len(self._queues[stream]) >= _QUEUE:
            return False
        self._queues[stream].append(unit)
        self._wake()
        return True

    def end(self, stream: int) -> None:
        """Nothing more will come from this stream."""
        self._open.discard(stream)
        self._wake()

    def take(self) -> list[tuple[int, AccessUnit]]:
        """Everything that waits, stream by stream."""
        return [(index, queue.popleft()) for index, queue in enumerate(self._queues) for _ in range(len(queue))]

    @property
    def ended(self) -> bool:
        """Every stream has ended and nothing waits."""
        return not self._open and not any(self._queues)


class Feed(Generic[T]):
    """A source, its encoder and the thread that runs both."""

    def __init__(
        self,
        media: Literal["audio", "video"],
        read: Callable[[], T | None],
        encode: Callable[[T], list[AccessUnit]],
        close: Callable[[], None],
        *,
        request_key_frame: Callable[[], None] = lambda: None,
        rate: tuple[int, Callable[[int], None]] | None = None,
        expect_loss: Callable[[float], None] = lambda _: None,
        skipped: Callable[[], int] = lambda: 0,
        flush: Callable[[], list[AccessUnit]] = list,
        finish: Callable[[], None] = lambda: None,
        log: Callable[[str], None],
    ) -> None:
        """`rate`: the bit/s that were asked for, and what sets others; None: they cannot be set. `close` ends a `read`
        in progress; `skipped` counts what the source itself left out; `flush` gives what the encoder holds when the
        source has ended; `finish` comes last."""
        self.media = media
        self.request_key_frame = request_key_frame
        self.rate = rate
        self.expect_loss = expect_loss
        """told of the share of packets that the worst of the targets loses."""
        self._read, self._encode, self._flush = read, encode, flush
        self._close, self._finish = close, finish
        self._skipped, self._log = skipped, log
        self._units = self._dropped = 0
        self._error: str | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, outbox: Outbox, stream: int) -> None:
        """Begin to read; `stream` is this feed's index in the outbox."""
        # A daemon: a device that never answers must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, args=(outbox, stream), name=self.media, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the read in progress, and the thread with it."""
        self._stopping.set()
        self._close()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread to end."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def snapshot(self) -> SourceSnapshot:
        """What came from this source."""
        return SourceSnapshot(self.media, self._units, self._dropped, self._skipped(), self._error)

    def _run(self, outbox: Outbox, stream: int) -> None:
        try:
            while not self._stopping.is_set():
                captured = self._read()
                if captured is None:
                    self._forward(self._flush(), outbox, stream)
                    break
                self._forward(self._encode(captured), outbox, stream)
        except SteadycastError as error:
            self._fail(str(error))
        except Exception as error:  # a mistake in the program must not take the other stream with it
            self._fail(f"internal error: {type(error).__name__}: {error}")
        finally:
            outbox.end(stream)
            self._close()
            self._finish()

    def _fail(self, why: str) -> None:
        if not self._stopping.is_set():
            self._error = why
            self._log(f"{self.media} ends: {why}")

    def _forward(self, units: list[AccessUnit], outbox: Outbox, stream: int) -> None:
        for unit in units:
            self._units += 1
            if not outbox.put(stream, unit):
                self._dropped += 1
                self.request_key_frame()  # what follows refers to the unit that was dropped
