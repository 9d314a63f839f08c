"""Asking the network who listens: `--find`."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from protocol.control.discovery.announcer import open_zeroconf
from protocol.control.discovery.service import TYPE, Service, read
from protocol.errors import ResourceError

if TYPE_CHECKING:
    from zeroconf import Zeroconf

PATIENCE = 3.0
"""s of listening."""
MOST = 256
"""services; a network that names more is not believed."""
_DETAILS = 1.0
"""s to ask for what is still missing at the end, mostly nothing."""


def find(
    stop: threading.Event | None = None, seconds: float = PATIENCE, interfaces: Sequence[str] | None = None
) -> list[Service]:
    """Everybody who answers in time, by name. `stop` ends it early. Raises ResourceError without a network."""
    from zeroconf import Error, ServiceBrowser, ServiceStateChange

    names: dict[str, None] = {}
    lock = threading.Lock()

    def changed(*, name: str, state_change: ServiceStateChange, **_: object) -> None:
        with lock:
            if state_change is ServiceStateChange.Removed:
                names.pop(name, None)
            elif len(names) < MOST:
                names[name] = None

    try:
        zeroconf = open_zeroconf(interfaces)
    except OSError as error:
        raise ResourceError(f"--find: cannot ask the network: {error.strerror or error}") from error
    try:
        browser = ServiceBrowser(zeroconf, TYPE, handlers=[changed])
        (stop or threading.Event()).wait(seconds)
        browser.cancel()
        with lock:
            wanted = list(names)
        until = time.monotonic() + _DETAILS
        found = [_details(zeroconf, name, until) for name in wanted]
    except Error as error:
        raise ResourceError(f"--find: {error}") from error
    finally:
        zeroconf.close()
    return sorted(filter(None, found), key=lambda service: (service.name, service.url))


def _details(zeroconf: Zeroconf, name: str, until: float) -> Service | None:
    """None where it does not say enough."""
    from zeroconf import ServiceInfo

    info = ServiceInfo(TYPE, name)
    if not info.load_from_cache(zeroconf):
        left = round(1000 * (until - time.monotonic()))
        if left <= 0 or not info.request(zeroconf, left):
            return None
    if not info.port:
        return None
    return read(name, info.server or "", info.port, info.parsed_scoped_addresses(), info.properties)
