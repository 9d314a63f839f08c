"""Users and passwords: Digest (RFC 7616; RFC 2069's form for old programs) and, inside TLS alone, Basic (RFC 7617).

Both sides. SHA-256 before MD5; quality of protection "auth" or none; user names are not hashed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import itertools
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from protocol.errors import Malformed, ProtocolError, Unsupported
from protocol.rtsp import quoted

NONCE_LIFE = 300_000_000_000
"""ns for which an answer to a challenge is taken."""
ALGORITHMS: Mapping[str, Callable[[bytes], hashlib._Hash]] = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}
"""strongest first."""
_MAX_COUNTED = 4096
_TAG = 32
_STAMP = 24
_NONCE = re.compile(f"[0-9a-f]{{{_STAMP + _TAG}}}")
_COUNT = re.compile("[0-9A-Fa-f]{8}")
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_SCHEME = re.compile(rf"({_WORD})(?:[ \t]+(.*))?", re.DOTALL)
_PARAMETER = re.compile(rf"({_WORD})[ \t]*=(.*)", re.DOTALL)


class Refused(ProtocolError):
    """Not let in. Reason `stale_nonce`: with a new challenge the same password will do; say stale to `challenges`."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What one side asks or answers with: a scheme and its parameters, names in lower case."""

    scheme: str
    """in lower case."""
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)

    def get(self, name: str) -> str:
        """ "" where it is not there."""
        return self.parameters.get(name, "")

    @property
    def algorithm(self) -> str:
        """As in RFC 7616 §3.3, in capitals."""
        return (self.get("algorithm") or "MD5").upper()

    @property
    def qop(self) -> tuple[str, ...]:
        """Qualities of protection; none in RFC 2069's form."""
        return tuple(word.strip().lower() for word in self.get("qop").split(",") if word.strip())

    @property
    def stale(self) -> bool:
        """The password was right, the nonce too old."""
        return self.get("stale").lower() == "true"

    @property
    def strength(self) -> int:
        """0: cannot be answered here."""
        if self.scheme == "basic":
            return 1
        known = self.algorithm.removesuffix("-SESS") in ALGORITHMS
        if self.scheme != "digest" or not known or (self.qop and "auth" not in self.qop):
            return 0
        return 3 if self.algorithm.startswith("SHA") else 2


def parse(values: Iterable[str]) -> list[Challenge]:
    """The challenges of WWW-Authenticate, several in a header or in several, or the one of Authorization."""
    found: list[Challenge] = []
    for value in values:
        begun: dict[str, str] = {}
        for piece in quoted.split(value, ","):
            rest = piece
            if not _PARAMETER.match(piece) and (scheme := _SCHEME.fullmatch(piece)):
                begun, rest = {}, scheme[2] or ""
                found.append(Challenge(scheme[1].lower(), begun))
            if parameter := _PARAMETER.fullmatch(rest.strip()):
                begun.setdefault(parameter[1].lower(), quoted.unquote(parameter[2]))
    return found


# The client


def strongest(challenges: Iterable[str], *, allow_basic: bool = False) -> Challenge:
    """The one to answer. Raises Unsupported where there is none: Basic counts only inside TLS."""
    offered = parse(challenges)
    usable = [offer for offer in offered if offer.strength and (allow_basic or offer.scheme != "basic")]
    if usable:
        return max(usable, key=lambda offer: offer.strength)
    if any(offer.scheme == "basic" for offer in offered):
        raise Unsupported("basic_without_tls", "the server wants the password in the open; only rtsps:// hides it")
    names = ", ".join(sorted({offer.scheme[:20] for offer in offered})) or "nothing"
    raise Unsupported("authentication", f"the server takes {names}, which is not known here")


def answer(
    challenges: Sequence[str],
    user: str,
    password: str,
    method: str,
    uri: str,
    cnonce: str,
    nc: int,
    *,
    allow_basic: bool = False,
) -> str:
    """The Authorization header for a request. `cnonce`: not to be guessed; `nc`: 1 for the first answer with a nonce,
    then one more each time. `allow_basic`: inside TLS. Raises Unsupported where nothing asked can be answered."""
    challenge = strongest(challenges, allow_basic=allow_basic)
    if challenge.scheme == "basic":
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    given = {"username": user, "realm": challenge.get("realm"), "nonce": challenge.get("nonce"), "uri": uri}
    plain = {"algorithm": challenge.get("algorithm")}
    if challenge.qop:
        given["cnonce"] = cnonce
        plain |= {"qop": "auth", "nc": f"{nc:08x}"}
    elif challenge.algorithm.endswith("-SESS"):
        given["cnonce"] = cnonce
    secret = _secret(challenge.algorithm, user, challenge.get("realm"), password)
    given["response"] = _response(Challenge("digest", given | plain), secret, method)
    given["opaque"] = challenge.get("opaque")
    words = [f"{name}={quoted.quote(value)}" for name, value in given.items() if value or name != "opaque"]
    return "Digest " + ", ".join(words + [f"{name}={value}" for name, value in plain.items() if value])


# The server


class Challenger:
    """Who may come in. Nonces carry their time and a proof that they are ours, so nothing is kept for those who only
    ask; for those who answered rightly the count of the nonce is, which may only rise."""

    def __init__(self, realm: str, users: Mapping[str, str], *, key: bytes | None = None) -> None:
        """`users`: passwords by name. `key`: of the nonces; a new one unless given."""
        self._realm = realm
        self._users = users
        self._key = key or secrets.token_bytes(32)
        self._serial = itertools.count()
        self._counts: dict[str, int] = {}
        self._forgotten = -1
        """nonces made until then (ns) are stale, since their counts are not known any more."""

    def challenges(self, now: int, *, stale: bool = False, peer: str = "", tls: bool = False) -> list[str]:
        """Values for WWW-Authenticate, strongest first; many programs take the last they know. `now`: monotonic ns;
        `peer`: who may answer, an address; `tls`: Basic will do too."""
        stamp = f"{now & (1 << 64) - 1:016x}{next(self._serial) & 0xFFFF_FFFF:08x}"
        nonce = stamp + self._proof(stamp, peer)
        words = f'realm={quoted.quote(self._realm)}, nonce="{nonce}", qop="auth"' + ", stale=true" * stale
        found = [f"Digest {words}, algorithm={algorithm}" for algorithm in ALGORITHMS]
        return [f"Basic realm={quoted.quote(self._realm)}"] * tls + found

    def check(
        self, authorization: str, method: str, now: int, *, uri: str | None = None, peer: str = "", tls: bool = False
    ) -> str:
        """The user. `uri`: what the request names, where the answer must be to that or what it begins with (some
        programs leave a track's name out). Raises Refused or Malformed."""
        given = parse([authorization])
        if len(given) != 1 or given[0].scheme not in ("digest", "basic"):
            raise Malformed("authorization", "neither Digest nor Basic")
        if given[0].scheme == "basic":
            return self._check_basic(authorization, tls)
        return self._check_digest(given[0], method, now, uri, peer)

    def _check_basic(self, authorization: str, tls: bool) -> str:
        if not tls:
            raise Refused("basic_without_tls", "a password in the open is not taken")
        try:
            text = base64.b64decode(authorization.split()[1], validate=True).decode()
        except (IndexError, ValueError, binascii.Error):
            raise Malformed("authorization", "Basic without a name and a password") from None
        user, _, password = text.partition(":")
        if not _same(password, self._password(user)):
            raise Refused("wrong_password", _shown(user))
        return user

    def _check_digest(self, given: Challenge, method: str, now: int, uri: str | None, peer: str) -> str:
        user = given.get("username")
        if given.algorithm not in ALGORITHMS or given.qop not in ((), ("auth",)) or given.get("realm") != self._realm:
            raise Refused("authorization", "it answers another challenge")
        if given.qop and not (_COUNT.fullmatch(given.get("nc")) and given.get("cnonce")):
            raise Malformed("authorization", "qop without nc or cnonce")
        if uri is not None and not (given.get("uri") and uri.startswith(given.get("uri").rstrip("/"))):
            raise Refused("authorization", "it is for another URL")
        secret = _secret(given.algorithm, user, self._realm, self._password(user))
        if not _same(given.get("response").lower(), _response(given, secret, method)):
            raise Refused("wrong_password", _shown(user))
        if not self._fresh(given, now, peer):
            raise Refused("stale_nonce", _shown(user))
        return user

    def _password(self, user: str) -> str:
        """One that nobody knows for users there are not, so that the answer takes as long."""
        return self._users.get(user, self._key.hex())

    def _fresh(self, given: Challenge, now: int, peer: str) -> bool:
        """A nonce of ours, not too old, not used with that count before; it is counted."""
        nonce = given.get("nonce")
        stamp, proof = nonce[:_STAMP], nonce[_STAMP:]
        if not _NONCE.fullmatch(nonce) or not _same(proof, self._proof(stamp, peer)):
            return False
        made = int(stamp[:16], 16)
        if not 0 <= now - made <= NONCE_LIFE or made <= self._forgotten:
            return False
        count = int(given.get("nc"), 16) if given.qop else 0
        if given.qop and count <= self._counts.get(nonce, 0):
            return False
        if given.qop:
            self._remember(nonce, count)
        return True

    def _remember(self, nonce: str, count: int) -> None:
        self._counts.pop(nonce, None)
        self._counts[nonce] = count
        if len(self._counts) > _MAX_COUNTED:
            oldest = next(iter(self._counts))
            self._forgotten = max(self._forgotten, int(oldest[:16], 16))
            del self._counts[oldest]

    def _proof(self, stamp: str, peer: str) -> str:
        return hmac.new(self._key, f"{stamp} {peer}".encode(), "sha256").hexdigest()[:_TAG]


# The arithmetic of both


def _hash(algorithm: str, *words: str) -> str:
    return ALGORITHMS[algorithm.removesuffix("-SESS")](":".join(words).encode()).hexdigest()


def _secret(algorithm: str, user: str, realm: str, password: str) -> str:
    """H(A1) without a session (RFC 7616 §3.4.2)."""
    return _hash(algorithm, user, realm, password)


def _response(given: Challenge, secret: str, method: str) -> str:
    """§3.4.1, or RFC 2069 §2.1.2 without qop."""
    if given.algorithm.endswith("-SESS"):
        secret = _hash(given.algorithm, secret, given.get("nonce"), given.get("cnonce"))
    request = _hash(given.algorithm, method, given.get("uri"))
    if not given.qop:
        return _hash(given.algorithm, secret, given.get("nonce"), request)
    words = [given.get(name) for name in ("nonce", "nc", "cnonce")]
    return _hash(given.algorithm, secret, *words, "auth", request)


def _same(a: str, b: str) -> bool:
    return hmac.compare_digest(a.encode(), b.encode())


def _shown(user: str) -> str:
    return f"user {user[:40]!r}"
