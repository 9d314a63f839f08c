"""Runs one of our programs and keeps every block that passes its sound card, with the time of the callback.

    python -m tests.support.tap BLOCKS.npz sender 127.0.0.1:5004 --audio mic:pulse ...

BLOCKS.npz: `samples`, shape (frames,), the first channel, and `times`, shape (frames,): monotonic ns at which the
callback that carried each sample was called.
"""

from __future__ import annotations

import atexit
import runpy
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sounddevice
from numpy.typing import NDArray

Blocks = list[tuple[int, NDArray[np.float32]]]


def tapped(opened: type[Any], blocks: Blocks) -> type[Any]:
    """A stream class that keeps what its callback was given or has made."""

    class Tapped(opened):  # type: ignore[misc]
        def __init__(self, *, callback: Callable[..., None], **options: Any) -> None:
            def call(data: NDArray[np.float32], *more: Any) -> None:
                now = time.monotonic_ns()
                callback(data, *more)
                blocks.append((now, data[:, 0].copy()))

            super().__init__(callback=call, **options)

    return Tapped


def save(blocks: Blocks, path: Path) -> None:
    """Writes what was kept."""
    times = [np.full(len(block), moment) for moment, block in blocks]
    empty = (np.zeros(0, np.int64), np.zeros(0, np.float32))
    np.savez(
        path, times=np.concatenate([empty[0], *times]), samples=np.concatenate([empty[1], *(b for _, b in blocks)])
    )


@dataclass(frozen=True, slots=True)
class Recording:
    """What passed a sound card."""

    samples: NDArray[np.float32]
    times: NDArray[np.int64]

    @classmethod
    def read(cls, path: Path) -> Recording:
        with np.load(path) as kept:
            return cls(kept["samples"], kept["times"])


def main() -> None:
    """Runs the named module with the rest of the command line."""
    path, module, *arguments = sys.argv[1:]
    blocks: Blocks = []
    for name in ("InputStream", "OutputStream"):
        setattr(sounddevice, name, tapped(getattr(sounddevice, name), blocks))
    atexit.register(save, blocks, Path(path))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=False)


if __name__ == "__main__":
    main()
