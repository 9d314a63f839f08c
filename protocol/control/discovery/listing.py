"""What was found, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from protocol.control.discovery.service import SENDS, Service

_SHOWN = 23
"""letters of a fingerprint in the table: eight bytes; JSON has all."""
NOBODY = "nobody here announces senders or receivers; where the network keeps multicast to itself, addresses still work"


def as_json(services: Sequence[Service]) -> str:
    return json.dumps([{**asdict(service), "url": service.url} for service in services], indent=2)


def as_text(services: Sequence[Service]) -> str:
    """A line each: name, what it does, where, by which certificate."""
    rows = [("NAME", "", "ADDRESS", "CERTIFICATE"), *map(_row, services)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: tuple[str, str, str, str], widths: Sequence[int]) -> str:
    padded = [f"{text:<{width}}" for text, width in zip(row, widths, strict=False)]
    return "  ".join((*padded, row[3])).rstrip()


def _row(service: Service) -> tuple[str, str, str, str]:
    certificate = f"{service.fingerprint[:_SHOWN]}…" if service.fingerprint else ""
    return service.name, service.role or SENDS, service.url, certificate
