"""OpenCV and PyAV, loaded when something of them is first used: what only measures needs neither. OpenCV before PyAV,
here and nowhere else: the other way round OpenCV's window hangs (both wheels bundle libxcb)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any


def load() -> None:
    """Both, for those who must not wait for them later."""
    for name in ("cv2", "av"):
        importlib.import_module(name)


class _Later:
    """Stands for a module."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        load()
        return getattr(importlib.import_module(self._name), attribute)


if TYPE_CHECKING:
    import av as av
    import cv2 as cv2
else:
    cv2, av = _Later("cv2"), _Later("av")
