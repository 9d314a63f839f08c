"""Telling the network that somebody listens here, for as long as it does."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from protocol.control import machine
from protocol.control.discovery.service import TYPE, Service, instance, record

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, Zeroconf

_TTL = 120
"""s after which others forget it unless it is said again (RFC 6762 §10)."""
_PATIENCE = 2.0
_SILENT = "this machine cannot be announced on the network ({}): others need its address"


class Announcer:
    """From `start` to `close`. Its threads are its own; where it cannot speak, the program goes on without."""

    def __init__(
        self,
        service: Service,
        log: Callable[[str], None],
        host: str = "::",
        interfaces: Sequence[str] | None = None,
    ) -> None:
        """`host`: the address that the port is bound to. `interfaces`: addresses of this machine to speak from, all
        unless given."""
        place = ipaddress.ip_address(host.partition("%")[0])
        self._service = service if place.is_unspecified else replace(service, addresses=(host,))
        self._only_here = place.is_loopback and interfaces is None
        self._log = log
        self._interfaces = None if interfaces is None else list(interfaces)
        self._after = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="announcer", daemon=True)

    def start(self, after: float = 0.0) -> None:
        """Returns at once, and begins after so many seconds; does nothing where nobody else could come. A name that
        is taken gets a number."""
        self._after = after
        if not self._only_here:
            self._thread.start()

    def close(self) -> None:
        """Says goodbye, and takes two seconds for it at most."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        if self._closing.wait(self._after):
            return
        from zeroconf import BadTypeInNameException, Error  # takes a moment to load, which nobody needs to wait for

        try:
            zeroconf = open_zeroconf(self._interfaces)
        except OSError as error:
            self._log(_SILENT.format(error.strerror or error))
            return
        try:
            zeroconf.register_service(self._info(), allow_name_change=True, cooperating_responders=False)
            self._closing.wait()
        except (Error, BadTypeInNameException, OSError) as error:
            self._log(_SILENT.format(error))
        finally:
            zeroconf.close()  # with a goodbye

    def _info(self) -> ServiceInfo:
        from zeroconf import ServiceInfo

        service = self._service
        return ServiceInfo(
            TYPE,
            instance(service.name),
            port=service.port,
            properties=record(service),
            server=f"{_label(machine.host_names())}-{secrets.token_hex(4)}.local.",  # machines may have one name
            parsed_addresses=list(service.addresses or _reachable()),
            host_ttl=_TTL,
            other_ttl=_TTL,
        )


def open_zeroconf(interfaces: Sequence[str] | None) -> Zeroconf:
    """Speaks IPv4 and, where there is such a thing, IPv6. Raises OSError."""
    from zeroconf import InterfaceChoice, IPVersion, Zeroconf

    if interfaces is not None:
        return Zeroconf(interfaces=list(interfaces))
    try:
        return Zeroconf(interfaces=InterfaceChoice.All, ip_version=IPVersion.All)
    except OSError:
        return Zeroconf(interfaces=InterfaceChoice.All, ip_version=IPVersion.V4Only)


def _reachable() -> tuple[str, ...]:
    """From elsewhere; this machine's address for itself where there is nothing else."""
    found = machine.addresses()
    others = [address for address in found if address not in ("127.0.0.1", "::1")]
    return tuple(others or found)


def _label(names: Sequence[str]) -> str:
    return (names or [socket.gethostname()])[0].partition(".")[0] or "machine"
