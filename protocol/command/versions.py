"""What runs here, for reports."""

from __future__ import annotations

import platform
from importlib import metadata

_PACKAGES = ("steadycast", "av", "numpy", "opencv-python", "sounddevice")


def version(package: str = "steadycast") -> str | None:
    """Of an installed package; None when it is not installed (a source tree run in place)."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str | None]:
    """Python, the platform and the packages that matter."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{package: version(package) for package in _PACKAGES},
    }
