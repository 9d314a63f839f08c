"""Ours and rivals on the same bad network: same clip, same seeds, one after the other, told as Markdown tables.

    python -m tests.bench.resilience [--cases loss5,clean] [--peers steadycast,srt] [--seconds 60] [--json FILE]

640x360 at 30 pictures a second through 20 ms each way, both directions impaired. A picture's delay is from the moment
its writing into the sender's FIFO begins to the moment it is out of the receiver's. All carry pictures alone, but for
steadycast-sound: there pictures wait for the sound beside them. aiortc wants a Python of its own (see
tests/bench/rivals/webrtc.py); what is missing is left out, and said.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.outcome import Outcome, outcome, overview, pooled, table
from tests.bench.rivals import ffmpeg, gstreamer, stage, steadycast, webrtc
from tests.bench.rivals.contract import Peer

DELAY = ("--delay", "20ms")
OURS = "steadycast", "steadycast-sound"


@dataclass(frozen=True, slots=True)
class Case:
    """A network, and what is asked of a stream through it."""

    title: str
    network: tuple[str, ...]
    budget: int = 150
    """ms after which a picture is no good any more."""
    bitrate: int = 1_000_000
    settle: int = 1
    """s at the start that are not judged: what a pipeline takes before it runs comes out late, whatever the network."""
    rate: int | None = None
    """bit/s of the bottleneck."""
    outage: float = 0.0
    """s for which nothing passes."""


CASES = {
    "clean": Case("nothing lost", DELAY),
    "loss2": Case("2 % random loss", (*DELAY, "--loss", "2%")),
    "loss5": Case("5 % random loss", (*DELAY, "--loss", "5%")),
    "loss10": Case("10 % random loss", (*DELAY, "--loss", "10%")),
    "burst5": Case("5 % loss in bursts of 4 on average", (*DELAY, "--loss-burst", "5%", "4")),
    "delay150": Case("5 % random loss, 150 ms each way", ("--delay", "150ms", "--loss", "5%"), budget=200),
    "jitter30": Case("jitter of 30 ms with reordering", (*DELAY, "--jitter", "30ms")),
    "bottleneck": Case(
        "2 Mbit/s through 1 Mbit/s with a queue of 300 ms; from 10 s on",
        (*DELAY, "--rate", "1000000", "--queue", "300ms", "--back", "delay"),
        bitrate=2_000_000, settle=10, rate=1_000_000,
    ),
    "blackout2": Case("2 s of nothing", DELAY, outage=2.0),
}  # fmt: skip
"""Jitter is the standard deviation of a normal distribution. What is said of the path goes for both directions, but for
the bottleneck: its way back only has the delay."""


def blackout(case: Case, seconds: int) -> tuple[float, float] | None:
    """(from, to) in s: it ends half a second after a key frame of those that send one every 2 s."""
    begin = 20.5 if seconds >= 40 else 6.5
    return (begin, begin + case.outage) if case.outage else None


def cell(peer: Peer, case: Case, seconds: int, seed: int, folder: Path) -> Outcome:
    """One run and its figures."""
    interrupted = blackout(case, seconds)
    network = [*case.network, "--seed", seed]
    if interrupted is not None:
        network += ["--blackout", *(round(moment * 1000) for moment in interrupted)]
    record = stage.run(peer, network, seconds, case.bitrate, folder)
    return outcome(record, budget=case.budget, settle=case.settle, rate=case.rate, interrupted=interrupted)


def measure(options: argparse.Namespace, peers: Sequence[Peer], folder: Path) -> Iterator[dict[str, Any]]:
    """The pooled figures of each case and peer, as they come. A run that failed says why instead."""
    for name in options.cases:
        for peer in peers:
            found: list[Outcome] = []
            failures: list[str] = []
            for seed in options.seeds:
                place = folder / f"{name}-{peer.name}-{seed}"
                found += attempted(partial(cell, peer, CASES[name], options.seconds, seed), place, failures)
                if options.keep is None:
                    shutil.rmtree(place, ignore_errors=True)
            yield {"case": name, "peer": peer.name, "failures": failures, **pooled(found)}


def attempted(run: Callable[[Path], Outcome], place: Path, failures: list[str]) -> list[Outcome]:
    """One outcome, or none: a program that does not start gets a second chance, and why stands in `failures`."""
    for attempt in ("first", "second"):
        try:
            return [run(place / attempt)]
        except (AssertionError, OSError) as error:
            failures.append(f"{place.name}, {attempt} attempt: {str(error).strip()}")
    return []


def choose(wanted: Sequence[str], known: Sequence[Peer]) -> list[Peer]:
    """By name, or all whose names begin so."""
    chosen = []
    for word in wanted:
        exact = [peer for peer in known if peer.name == word]
        some = exact or [peer for peer in known if peer.name.startswith(f"{word}-")]
        if not some:
            sys.exit(f"no peer is called {word!r}: {', '.join(peer.name for peer in known)}")
        chosen += some
    return chosen


def words(text: str) -> list[str]:
    """Between commas."""
    return [word for word in text.split(",") if word]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    options = argparse.ArgumentParser(
        prog="python -m tests.bench.resilience", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = options.add_argument
    add("--cases", type=words, default=list(CASES), help=f"of {','.join(CASES)}; traffic is told against clean")
    add("--peers", type=words, default=[*OURS, "gstreamer-rtx", "srt", "rist", "aiortc", "ffmpeg-rtp"])
    add("--seconds", type=int, default=60, help="of each run")
    add("--seeds", type=lambda text: [int(word) for word in words(text)], default=[11], metavar="N,N…")
    add("--aiortc-python", default=sys.executable, metavar="PATH", help="a Python that has aiortc")
    add("--json", type=Path, metavar="FILE", help="all figures")
    add("--keep", type=Path, metavar="DIR", help="leave logs and the network's account of every packet there")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if unknown := [name for name in options.cases if name not in CASES]:
        sys.exit(f"no case is called {unknown[0]!r}: {', '.join(CASES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that what runs is stopped too
    sys.setswitchinterval(0.0005)  # the reader of pictures must not wait for their writer
    known = [*steadycast.PEERS, *gstreamer.PEERS, *ffmpeg.PEERS, webrtc.peer(options.aiortc_python)]
    peers = []
    for peer in choose(options.peers, known):
        if (reason := peer.missing()) is None:
            peers.append(peer)
        else:
            print(f"{peer.name} is left out: {reason}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as temporary:
        rows = []
        for row in measure(options, peers, options.keep or Path(temporary)):
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
            if options.json is not None:
                options.json.write_text(json.dumps(document(options, peers, rows), indent=1) + "\n")
    print(markdown(options, peers, rows))
    return 0


def document(options: argparse.Namespace, peers: Sequence[Peer], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All that is known, for programs."""
    about = {peer.name: {"version": peer.version(), "settings": peer.settings} for peer in peers}
    return {"seconds": options.seconds, "seeds": options.seeds, "peers": about, "rows": rows}


def markdown(options: argparse.Namespace, peers: Sequence[Peer], rows: Sequence[Mapping[str, Any]]) -> str:
    """A table for each case, and what stands behind the names."""
    clean = {row["peer"]: row.get("forward_bps") for row in rows if row["case"] == "clean"}
    what = "pictures in time (and undamaged, however late), p95 of their delay, freezes a minute, traffic added"
    parts = [f"Of each: {what}.", "", *overview(rows, clean), ""]
    for name in options.cases:
        case = CASES[name]
        title = f"**{case.title}** (`{name}`; in time: within {case.budget} ms)"
        parts += [title, "", *table([row for row in rows if row["case"] == name], clean), ""]
    seeds = ", ".join(map(str, options.seeds))
    parts.append(f"{options.seconds} s a run, seed{'s' if len(options.seeds) > 1 else ''} {seeds}.")
    parts += [f"- {peer.name}: {peer.version()}; {peer.settings}" for peer in peers]
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
