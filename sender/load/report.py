"""What load and search add to the sender's report: JSON and plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocol.shares import repair_packets, wilson
from sender.load.patterns import Pattern, on_the_wire
from sender.load.search import Found, Step
from sender.load.traffic import Punctuality

_SHARE = 0.8
"""of what the path carries that is recommended: the rest is for key frames, RTCP, and other traffic to come."""
_BLOCK = 20
"""packets that repair is planned for."""
_LEAST_LATENCY = 20
"""ms."""
_NOTICED = 1_000_000
"""ns of queue worth a word."""
_WHY = {
    "loss": "too many packets are lost",
    "delay": "packets queue up",
    "silence": "no report comes through any more",
    "sender": "this machine cannot send faster",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for."""

    pattern: Pattern
    rate: int | None
    """bit/s of UDP payload; None: searched for."""
    packet_size: int
    """octets of UDP payload."""
    calls: int | None = None


def load(plan: Plan, octets: int, packets: int, seconds: float, punctuality: Punctuality) -> dict[str, object]:
    """The report's `load`; `octets` are of UDP payload."""
    return {
        "pattern": plan.pattern,
        "rate_bps": plan.rate,
        "packet_size": plan.packet_size,
        "calls": plan.calls,
        "sent_bps": round(8 * octets / seconds) if seconds > 0 else None,
        "sent_ip_bps": round(8 * (octets + 28 * packets) / seconds) if seconds > 0 else None,
        "pacing_error_ms": {
            "p50": _ms(punctuality.p50), "p99": _ms(punctuality.p99), "max": _ms(punctuality.largest),
        },
        "skipped": punctuality.skipped,
    }  # fmt: skip


def load_verdict(said: Mapping[str, object], plan: Plan) -> str:
    """One or two sentences."""
    sent, wire = said["sent_bps"], said["sent_ip_bps"]
    if not isinstance(sent, int) or not isinstance(wire, int):
        return ""
    calls = f", {plan.calls} call{'s' if plan.calls != 1 else ''}" if plan.calls else ""
    text = f"Load of {rate(sent)} in UDP payload{calls} ({rate(wire)} with IP headers)."
    if said["skipped"]:
        text += f" This machine was too slow for {said['skipped']} packets, which were left out: ask for a lower rate."
    return text


def find(found: Found, packet_size: int, loss_bound: float) -> dict[str, object]:
    """The report's `find`."""
    held, broke = found.held, found.broke
    return {
        "rate_bps": held.rate if held else None,
        "ip_rate_bps": round(on_the_wire(held.rate, packet_size)) if held else None,
        "loss": _loss(held) if held else None,
        "rtt_ms": _ms(held.rtt) if held else None,
        "queue_ms": _ms(held.queue) if held else None,
        "jitter_ms": round(1000 * held.jitter, 3) if held else None,
        "breaks_at_bps": broke.rate if broke else None,
        "breaks_by": broke.breaks if broke else None,
        "loss_bound": loss_bound,
        "packet_size": packet_size,
        "recommendation": recommendation(held, found.steps) if held else None,
        "steps": [_step(step) for step in found.steps],
    }


def find_verdict(found: Found, packet_size: int) -> str:
    """What the search found, and what to do with it."""
    held, broke = found.held, found.broke
    if held is None and not found.finished:
        return "The search was ended before it had found a rate."
    if held is None:
        return _nothing(found)
    waiting = held.queue or 0
    queue = f", and packets queue for {waiting / 1e6:.0f} ms" if waiting >= _NOTICED else ""
    text = (
        f"The path carries {rate(held.rate)} of UDP payload ({rate(on_the_wire(held.rate, packet_size))} with IP"
        f" headers): it loses {share(held)}{queue}."
    )
    text += f" At {rate(broke.rate)} {_WHY[broke.breaks or 'loss']}." if broke else " No higher rate was tried."
    advice = recommendation(held, found.steps)
    text += f" Use up to --video-bitrate {advice['bitrate_bps'] // 1000:.0f}k with --latency {advice['latency_ms']}ms"
    if advice["fec_share"]:
        return text + f", and plan {100 * advice['fec_share']:.0f} % more for repair."
    return text + "; no repair is needed."


def _nothing(found: Found) -> str:
    broke = found.broke
    if broke is None or broke.breaks is None:
        return "The search found no rate."
    if any(step.breaks is None for step in found.steps):
        return f"The path carries no rate steadily: at {rate(broke.rate)} {_WHY[broke.breaks]} (lost {share(broke)})."
    return (
        f"The path does not even carry {rate(broke.rate)}: {_WHY[broke.breaks]} (lost {share(broke)})."
        " Lower rates would hardly help: something else than rate is the reason."
    )


def recommendation(held: Step, steps: Sequence[Step]) -> dict[str, int | float]:
    """`bitrate_bps` of media, `latency_ms` of the receiver, `fec_share` of repair packets to media packets.

    Loss is taken of every rate that held, so that a short search does not make it look larger than it is.
    """
    holding = [step for step in steps if step.breaks is None]
    lost, sent = sum(step.lost for step in holding), sum(step.sent for step in holding)
    fec = repair_packets(wilson(lost, sent)[1], _BLOCK) / _BLOCK if lost else 0.0
    delay = 4 * 1000 * held.jitter + max(0, held.queue or 0) / 1e6
    return {
        "bitrate_bps": _round_down(_SHARE * held.rate / (1 + fec)),
        "latency_ms": max(_LEAST_LATENCY, 10 * math.ceil(delay / 10)),
        "fec_share": fec,
    }


def _round_down(bits: float) -> int:
    """To two digits, and whole kbit/s."""
    unit = max(1000, int(10.0 ** (math.floor(math.log10(bits)) - 1)))
    return int(bits // unit) * unit


def progress(step: Step) -> str:
    """One line for each rate."""
    trip = f", round trip {step.rtt / 1e6:.1f} ms" if step.rtt is not None else ""
    outcome = f"breaks: {_WHY[step.breaks]}" if step.breaks else "holds"
    if step.breaks == "sender":
        outcome = "not known, this machine was too slow"
    return f"{rate(step.rate)}: lost {share(step)}{trip}: {outcome}"


def rate(bits: float) -> str:
    """`9.62 Mbit/s`."""
    for factor, unit in ((1e9, "Gbit/s"), (1e6, "Mbit/s")):
        if bits >= factor:
            return f"{bits / factor:.3g} {unit}"
    return f"{bits / 1e3:.3g} kbit/s"


def share(step: Step) -> str:
    """`0.48 % (29/6012)`."""
    return f"{100 * step.lost / step.sent:.2f} % ({step.lost}/{step.sent})" if step.sent else "unknown"


def _loss(step: Step) -> dict[str, object]:
    return {
        "value": step.lost / step.sent if step.sent else None,
        "numerator": step.lost,
        "denominator": step.sent,
    }


def _step(step: Step) -> dict[str, object]:
    return {
        "rate_bps": step.rate,
        "seconds": round(step.duration / 1e9, 3),
        "loss": _loss(step),
        "rtt_ms": _ms(step.rtt),
        "queue_ms": _ms(step.queue),
        "jitter_ms": round(1000 * step.jitter, 3),
        "breaks": step.breaks,
    }


def _ms(ns: int | None) -> float | None:
    return None if ns is None else round(ns / 1e6, 3)
