"""The figures of the resilience benchmark: of one run, of several seeds together, and as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.bench.rivals.stage import Record
from tests.bench.viewing import Return, Viewing, back_after, judge
from tests.support.clock import MILLISECOND, SECOND
from tests.support.live import FPS

DISTURBED = 15.0
"""ms behind its own clock, at the 99th percentile: such a source says that the machine was busy."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run in figures."""

    seconds: float
    """that were judged."""
    good: float
    """share of pictures seen sound and in time."""
    undamaged: float
    """share seen sound, however late."""
    delays: NDArray[np.float64]
    freezes: tuple[int, ...]
    start: float | None
    """ms from the first picture's writing to the first sound one's showing; None: none was seen."""
    forward: float
    """bit/s, with IP and UDP headers, from the first judged picture to the last."""
    back: float
    cpu: float
    lateness: float
    concealed: float | None
    """share of sound that was made up; None: not known."""
    used: float | None
    """share of the bottleneck."""
    returned: Return | None


def outcome(
    record: Record, *, budget: float, settle: int, rate: int | None, interrupted: tuple[float, float] | None
) -> Outcome:
    """`settle`: s at the start that are not judged; `interrupted`: (from, to) in s on the network's clock."""
    viewing = judge(record.written, record.sightings, range(settle * FPS, record.count))
    begin, end = record.span()
    begin += settle * SECOND
    seconds = (end - begin) / SECOND
    first = min(judge(record.written, record.sightings, range(record.count)).moments.values(), default=None)
    return Outcome(
        seconds, viewing.good(budget), viewing.undamaged, viewing.delays, viewing.freezes,
        None if first is None else (first - record.written[0]) / MILLISECOND,
        record.octets("forward", begin, end) * 8 / seconds, record.octets("back", begin, end) * 8 / seconds,
        record.cpu, record.lateness(), concealed(record.report),
        None if rate is None else record.arrived(begin, end) * 8 / seconds / rate,
        None if interrupted is None else came_back(record, viewing, interrupted),
    )  # fmt: skip


def came_back(record: Record, viewing: Viewing, interrupted: tuple[float, float]) -> Return:
    """The way back from an interruption."""
    begin, end = (record.began() + round(moment * SECOND) for moment in interrupted)
    return back_after(record.written, viewing, begin, end)


def concealed(report: Mapping[str, Any] | None) -> float | None:
    """The share of the sound that our receiver says it made up."""
    for stream in (report or {}).get("streams", ()):
        found = stream.get("concealment")
        if found and found["total_samples_received"]:
            return float(found["concealed_samples"] / found["total_samples_received"])
    return None


def pooled(runs: Sequence[Outcome]) -> dict[str, Any]:
    """Several seeds of one case as one, for JSON; {} of none."""
    if not runs:
        return {}
    delays = np.concatenate([run.delays for run in runs])
    middle, high, most = np.percentile(delays, (50, 95, 100)).tolist() if len(delays) else (None, None, None)
    seconds = sum(run.seconds for run in runs)
    freezes = [freeze for run in runs for freeze in run.freezes]
    figures = {
        "good": _mean(run.good for run in runs),
        "undamaged": _mean(run.undamaged for run in runs),
        "delay_ms": {"median": middle, "p95": high, "max": most},
        "freezes_per_minute": len(freezes) * 60 / seconds,
        "frozen": sum(freezes) / SECOND / seconds,
        "start_ms": _mean(run.start for run in runs),
        "forward_bps": _mean(run.forward for run in runs),
        "back_bps": _mean(run.back for run in runs),
        "cpu_s": _mean(run.cpu for run in runs),
        "source_late_ms": max(run.lateness for run in runs),
        "concealed": _mean(run.concealed for run in runs),
    }
    if any(run.used is not None for run in runs):
        figures["link_used"] = _mean(run.used for run in runs)
    if any(run.returned is not None for run in runs):
        returns = [run.returned or Return(None, None) for run in runs]
        figures["returned_ms"] = {
            "first": _mean(each.first for each in returns),
            "settled": _mean(each.settled for each in returns),
        }
    return figures


def _mean(values: Any) -> float | None:
    """None when one of them is missing."""
    known = list(values)
    return None if not known or None in known else float(np.mean(known))


_COLUMNS = (
    "peer",
    "in time",
    "undamaged",
    "median",
    "p95",
    "freezes/min",
    "frozen",
    "traffic added",
    "back",
    "concealed",
    "CPU",
)


def table(rows: Sequence[Mapping[str, Any]], clean: Mapping[str, float | None]) -> list[str]:
    """Lines of Markdown for one case; `clean`: bit/s of each peer where nothing is lost."""
    extra = tuple(
        title
        for title, key in (("link used", "link_used"), ("back after", "returned_ms"))
        if any(key in row for row in rows)
    )
    head = (*_COLUMNS, *extra)
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows:
        cells = (
            _cells(row, clean.get(row["peer"]))
            if "good" in row
            else (row["peer"], "failed", *[""] * (len(_COLUMNS) - 2))
        )
        lines.append(f"| {' | '.join((*cells, *_more(row, extra)))} |")
    return lines


def overview(rows: Sequence[Mapping[str, Any]], clean: Mapping[str, float | None]) -> list[str]:
    """Lines of Markdown for all cases: a row for each peer."""
    found = {(row["peer"], row["case"]): row for row in rows}
    cases = list(dict.fromkeys(case for _, case in found))
    lines = [f"| | {' | '.join(cases)} |", f"|{'---|' * (len(cases) + 1)}"]
    for peer in dict.fromkeys(peer for peer, _ in found):
        cells = [_brief(found.get((peer, case), {}), clean.get(peer)) for case in cases]
        lines.append(f"| {peer} | {' | '.join(cells)} |")
    return lines


def _brief(row: Mapping[str, Any], clean: float | None) -> str:
    """In time (undamaged), 95th percentile, freezes a minute, traffic."""
    if "good" not in row:
        return "–"
    added = _added(row["case"], row["forward_bps"], clean) or "?"
    shares = f"{100 * row['good']:.1f} ({100 * row['undamaged']:.1f}) %"
    return f"{shares}, {_ms(row['delay_ms']['p95']) or '–'}, {row['freezes_per_minute']:.0f}, {added}"


def _cells(row: Mapping[str, Any], clean: float | None) -> tuple[str, ...]:
    delay, traffic = row["delay_ms"], row["forward_bps"]
    busy = " (busy)" if row["source_late_ms"] > DISTURBED else ""
    return (
        f"{row['peer']}{busy}", _share(row["good"]), _share(row["undamaged"]), _ms(delay["median"]), _ms(delay["p95"]),
        f"{row['freezes_per_minute']:.1f}", _share(row["frozen"]), _added(row["case"], traffic, clean),
        f"{row['back_bps'] / 1000:.0f} kbit/s", _share(row["concealed"]), f"{row['cpu_s']:.1f} s",
    )  # fmt: skip


def _added(case: str, traffic: float | None, clean: float | None) -> str:
    """Where nothing is lost: all there is."""
    if not traffic or not clean:
        return ""
    return f"{traffic / 1000:.0f} kbit/s" if case == "clean" else f"{100 * (traffic / clean - 1):+.1f} %"


def _more(row: Mapping[str, Any], titles: Sequence[str]) -> list[str]:
    back = row.get("returned_ms") or {"first": None, "settled": None}
    found = {
        "link used": _share(row.get("link_used")),
        "back after": f"{_ms(back['first'])}, settled {_ms(back['settled'])}" if back["first"] is not None else "",
    }
    return [found[title] for title in titles]


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f} %"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} ms"
