"""`python -m sender HOST`: whether the receiver there can be spoken with in secret, found out before anything is sent.

Whoever blocks TCP on the way must not be able to talk us out of it: a host that was trusted before is never sent to in
the open.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from protocol.control.trust import known_hosts
from protocol.control.trust.known_hosts import KnownHosts
from protocol.errors import FatalError, NoPeerError, Untrusted, UsageError
from protocol.rtsp.url import Url
from sender.config import SenderConfig, Target
from sender.resolve import SocketAddress, is_multicast, resolve

_CONNECT_S = 1.0
"""for which an address that does not answer delays plain RTP."""
_ANSWER_S = 3.0
"""for the handshake, and for the first answer."""
_NEEDED = frozenset({"ANNOUNCE", "RECORD"})
Log = Callable[[str], None]


def ask(config: SenderConfig, log: Log) -> SenderConfig:
    """With a URL for each target where that was wanted and works. Raises FatalError where it has to, and does not."""
    if all(target.encryption == "no" for target in config.targets):
        return config
    with ThreadPoolExecutor(len(config.targets)) as pool:
        targets = list(pool.map(lambda target: _decide(config, target, log), config.targets))
    return replace(config, targets=tuple(targets))


def _decide(config: SenderConfig, target: Target, log: Log) -> Target:
    if target.encryption == "no":
        return target
    place = known_hosts.name(target.host, target.port)
    known = KnownHosts()
    trusted, there = known.trusted_before(target.host, target.port), False
    try:
        _, address = resolve(target.host, target.port, config.family)
        if is_multicast(address):
            raise NoPeerError("a group cannot be asked")
        _knock(address, config.bind)
        there = True
        url = Url("rtsps", target.host, target.port, f"/{_name()}")
        asyncio.run(_speak(url, config))
        return replace(target, url=url)
    except (Untrusted, UsageError):
        raise
    except FatalError as error:
        why = str(error)
    if trusted and not there:
        raise NoPeerError(
            f"{place}: {why}; start `python -m receiver` there first. It was trusted before, so nothing is sent there"
            " in the open; --plain does"
        )
    if trusted:
        raise Untrusted(
            f"{place} was trusted before, and takes no encryption now: {why}; somebody may be in between; if you know"
            f" that it is right, delete its line in {known.path}, or say --plain"
        )
    if target.encryption == "must":
        raise NoPeerError(f"{place} takes no encryption: {why}")
    log(f"{place} takes no encryption ({why}): sending in the open; with --plain it is not asked")
    return target


def _knock(address: SocketAddress, bind: str | None) -> None:
    """Whether somebody listens on the TCP port, quickly. Raises NoPeerError."""
    with contextlib.closing(socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)) as tried:
        tried.settimeout(_CONNECT_S)
        try:
            if bind is not None:
                tried.bind((bind, 0))
            tried.connect(address)
        except ConnectionRefusedError:
            raise NoPeerError(f"nobody listens on TCP port {address[1]}") from None
        except OSError as error:
            raise NoPeerError(f"no answer on TCP port {address[1]}: {error.strerror or 'it took too long'}") from error


class _Unwritten(KnownHosts):
    """Who is only asked is not trusted for that: who speaks TLS there may be no receiver."""

    def remember(self, host: str, port: int, fingerprint: str | None) -> None:
        pass


async def _speak(url: Url, config: SenderConfig) -> None:
    """Raises Untrusted for the wrong certificate, and other FatalErrors where nothing can be sent there."""
    from protocol.control.client import Callbacks, Options, RtspClient  # reads certificates: not for nobody

    how = {"family": config.family, "bind": config.bind}
    trust = replace(config.security.trust(), known_hosts=_Unwritten())
    client = RtspClient(url, Callbacks(), Options(trust, timeout=_ANSWER_S, how=how))
    try:
        await client.open()
        await client.request("OPTIONS")
        if not client.public >= _NEEDED:
            raise NoPeerError("it is a server, and takes nothing")
    finally:
        if (connection := client.close()) is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CONNECT_S):
                    await connection.ended.wait()


def _name() -> str:
    """What the receiver calls what we send: another name each time, since two of us may send to one receiver."""
    host = re.sub(r"[^\w-]", "", socket.gethostname().partition(".")[0]) or "sender"
    return f"{host}-{secrets.token_hex(3)}"
