"""What a server's refusal means, in one line."""

from __future__ import annotations

from protocol.errors import FatalError, NoPeerError, ResourceError, Untrusted
from protocol.rtsp.message import Response
from protocol.rtsp.url import Url


def refusal(method: str, url: Url, response: Response) -> FatalError:
    """The error that a response to `method` is; its status is not a success."""
    place, status = f"{url.host}:{url.port}", f"{response.status} {response.reason}"
    match response.status:
        case 401 | 403:
            return Untrusted(f"{place} does not let us in: {status}")
        case 404 | 410:
            return NoPeerError(f"there is no stream {url.name or '/'} at {place}")
        case 405 | 455 | 501:
            return ResourceError(f"{place} cannot do {method}: {status}")
        case 453 | 503:
            return ResourceError(f"{place} has no place for us now: {status}")
        case 454:
            return NoPeerError(f"{place} has forgotten the session")
        case 461:
            return ResourceError(f"{place} takes none of the transports offered: {status}")
        case 463:
            return ResourceError(f"{place} does not take the keys offered: {status}")
        case 551:
            unknown = response.headers.get("Unsupported") or "something"
            return ResourceError(f"{place} does not know {unknown[:60]}: {status}")
    return ResourceError(f"{place} refuses {method}: {status}")
