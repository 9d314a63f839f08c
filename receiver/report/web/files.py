"""The page's own files, and the chart library out of its installed package."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from protocol.errors import ResourceError

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
LIBRARY = "/library/chart.js"
_LIBRARY_FILE = "django/static/chartkick/Chart.bundle.js"
"""Chart.js, MIT licence, in the package chartkick."""


@dataclass(frozen=True, slots=True)
class File:
    content_type: str
    data: bytes
    compressed: bytes


@cache
def files() -> dict[str, Callable[[], File]]:
    """Path → its file, read when it is first asked for. Raises ResourceError when the chart library is missing."""
    own = resources.files("receiver.report.web") / "static"
    found = {f"/static/{entry.name}": entry for entry in own.iterdir() if entry.name.rpartition(".")[2] in _TYPES}
    return {
        path: cache(lambda entry=entry: _read(entry))
        for path, entry in {**found, "/": own / "index.html", LIBRARY: _library()}.items()
    }


def _read(entry: Traversable) -> File:
    data = entry.read_bytes()
    return File(_TYPES[entry.name.rpartition(".")[2]], data, gzip.compress(data, 6))


def _library() -> Traversable:
    try:
        library = resources.files("chartkick") / _LIBRARY_FILE
    except ModuleNotFoundError:
        raise _missing() from None
    if not library.is_file():
        raise _missing()
    return library


def _missing() -> ResourceError:
    return ResourceError("the dashboard's charts need a package that is missing: pip install 'chartkick>=1.2,<2'")
