"""Reads reports that were written earlier, by this version of the program or an older one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from protocol.errors import UsageError
from receiver.report.document import SCHEMA

Report = dict[str, Any]

UPGRADES: Mapping[int, Callable[[Report], Report]] = {}
"""A version → what makes the next one of its reports. Version 1 is the first."""

_VERSION = int(SCHEMA.rpartition("/")[2])
_LARGEST = 256 << 20
REPORT = (
    "schema", "error", "verdict", "versions", "configuration", "duration_s", "streams", "socket", "intervals",
    "events", "peer", "peers", "capture", "not_measured", "sources", "targets", "load", "find",
)  # fmt: skip
STREAM = (
    "ssrc", "media", "encoding", "payload_type", "epoch", "ledger", "ratios", "jitter_ms", "rtt_ms", "frames", "cname",
    "packets_received", "unusable", "loss_runs", "late_runs", "bursts", "gilbert_elliott", "reordering", "bitrate_bps",
    "delay_variation_ms", "delay_distribution", "needed_buffer", "one_way_delay_ms",
    "one_way_delay_error_ms", "intervals",
    "clock_skew_ppm", "buffer", "playout_delay_ms", "av_skew_ms", "freezes", "concealment", "e_model", "traffic",
    "repair",
    "target", "first_sequence", "last_sequence", "octets", "reception", "extended",
)  # fmt: skip
_LISTS = ("streams", "intervals", "events")


def read_report(path: str | Path) -> Report:
    """The report in a file, in the last line of a --json-stream, or in the directory of --report, as of this version.

    What its writer did not know of is None, in the report and in each stream; members of those may be missing.
    Raises UsageError, one line, for what cannot be read, is no report, or is of a newer version.
    """
    file = Path(path) / "report.json" if Path(path).is_dir() else Path(path)
    found = _parsed(_text(file), file)
    if isinstance(found, dict) and found.get("kind") == "report":
        found = found.get("report")
    report = _upgraded(found, file)
    _check(report, file)
    report["streams"] = [dict.fromkeys(STREAM) | stream for stream in report["streams"]]
    return dict.fromkeys(REPORT) | report


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > _LARGEST:
            raise UsageError(f"{file} is larger than any report: is it one?")
        return file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"cannot read {file}: {why}") from None


def _parsed(text: str, file: Path) -> object:
    """The whole text, or its last line."""
    last = text.rstrip().rpartition("\n")[2]
    for part in (text, last):
        try:
            return json.loads(part, parse_constant=_refuse)
        except (ValueError, RecursionError):
            continue
    raise UsageError(f"{file} is no Steadycast report: it is no JSON")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _upgraded(found: object, file: Path) -> Report:
    schema = found.get("schema") if isinstance(found, dict) else None
    match = re.fullmatch(r"steadycast/([1-9]\d{0,5})", schema, re.ASCII) if isinstance(schema, str) else None
    if match is None or not isinstance(found, dict):
        raise UsageError(f"{file} is no Steadycast report: write one with --json or --report")
    if int(match[1]) > _VERSION:
        raise UsageError(f"{file} was written by a newer Steadycast (schema {schema}, this one reads {SCHEMA}): update")
    report: Report = dict(found)
    for version in range(int(match[1]), _VERSION):
        report = UPGRADES[version](report)
    return report | {"schema": SCHEMA}


def _check(report: Report, file: Path) -> None:
    """That what readers go through is there."""
    for name in _LISTS:
        if not isinstance(report.get(name), list) or not all(isinstance(item, dict) for item in report[name]):
            raise UsageError(f"{file} is damaged: its {name} are no list of objects")
    for stream in report["streams"]:
        for name in ("ledger", "ratios"):
            if not isinstance(stream.get(name), dict):
                raise UsageError(f"{file} is damaged: a stream has no {name}")
