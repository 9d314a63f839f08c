"""Who may see the page: those who have the token, and ask for it by a name that is this machine's."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit


class Access:
    """The token, and the names by which the page may be asked for.

    A page elsewhere can have its own name resolve to this machine (DNS rebinding), and the browser would then let it
    read ours; it cannot do so with an address. So a `Host` that is a name must be one we know.
    """

    def __init__(self, names: Iterable[str], port: int, token: str | None = None) -> None:
        self.token = token or secrets.token_urlsafe(24)
        self._names = {"localhost", *(name.lower() for name in names)}
        self._cookie = f"steadycast_{port}"  # cookies know no ports: two receivers on one machine need two names

    def knows_host(self, header: str | None) -> bool:
        """Whether a request's `Host` is an address, or a name of ours."""
        try:
            host = urlsplit(f"//{header or ''}").hostname or ""
        except ValueError:
            return False
        return host in self._names or _is_address(host)

    def admits(self, query: str, authorization: str | None, cookies: str | None) -> bool:
        """Whether the token came in the query, as a bearer token, or as our cookie."""
        scheme, _, bearer = (authorization or "").partition(" ")
        offered = [*parse_qs(query).get("token", ()), bearer.strip() if scheme.lower() == "bearer" else ""]
        return any(self._is_token(text) for text in (*offered, _cookie(cookies, self._cookie)))

    def set_cookie(self) -> str:
        """The header that keeps the token in the browser, out of the address and out of reach of scripts."""
        return f"{self._cookie}={self.token}; Path=/; HttpOnly; SameSite=Lax"

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode("utf-8", "replace"), self.token.encode())


def _cookie(header: str | None, name: str) -> str:
    try:
        morsel = SimpleCookie(header or "").get(name)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
