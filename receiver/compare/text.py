"""A comparison for a person: what it comes to in plain words, then a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from receiver.compare.comparison import Comparison, Figure, Pair

_LABELS = {
    "network_loss": "network loss",
    "local_drop": "drops of the receiving machine",
    "late": "late packets",
    "recovered": "recovered packets",
    "effective_loss": "effective loss",
    "jitter_ms": "jitter",
    "rtt_ms": "round trip",
    "bitrate_bps": "bit-rate",
    "buffer_delay_ms": "buffer delay",
    "longest_loss_run": "longest run of losses",
    "delay_variation_p95_ms": "delay variation p95",
    "delay_variation_p99_ms": "delay variation p99",
    "one_way_delay_ms": "one-way delay",
    "playout_delay_ms": "playout delay",
    "freezes": "freezes",
    "frozen_s": "frozen",
    "concealed": "concealed sound",
    "mos": "estimated MOS",
}
_OUTCOMES = {"better": "B better", "worse": "B worse", "changed": "B differs", "untested": "not tested"}


def verdict(comparison: Comparison) -> str:
    """Sentences, what differs first."""
    several = len(comparison.pairs) > 1
    sentences = []
    for pair in comparison.pairs:
        name = f"{_media(pair)}: " if several else ""
        differing = [figure for figure in pair.figures if figure.outcome in ("better", "worse", "changed")]
        sentences += [name + sentence for sentence in _losing(pair, comparison)]
        sentences += [name + _sentence(figure) for figure in differing if not _told(figure, pair, comparison)]
    if not sentences:
        sentences.append(_nothing(comparison))
    if comparison.kind == "same_packets":
        sentences.insert(0, "Both are of the same packets, so every difference is one of what was done with them.")
    return " ".join(sentences)


def text(comparison: Comparison, names: tuple[str, str]) -> str:
    """The verdict, then a table for each stream."""
    lines = [verdict(comparison), f"A: {names[0]}", f"B: {names[1]}"]
    for pair in comparison.pairs:
        lines += ["", _media(pair, full=True), *_table(pair.figures)]
    for letter, only in (("A", comparison.only_a), ("B", comparison.only_b)):
        lines += [f"only in {letter}: {', '.join(only)}"] if only else []
    return "\n".join(lines)


def _media(pair: Pair, *, full: bool = False) -> str:
    return f"{pair.media} {pair.encoding}" if full else pair.media.capitalize()


def _told(figure: Figure, pair: Pair, comparison: Comparison) -> bool:
    """Whether another sentence says the same."""
    loss = next(figure for figure in pair.figures if figure.name == "network_loss")
    if figure.name == "effective_loss":
        return (figure.counts_a, figure.counts_b) == (loss.counts_a, loss.counts_b)
    return figure is loss and comparison.kind == "directions"


def _losing(pair: Pair, comparison: Comparison) -> Iterator[str]:
    """Of two directions: which one loses."""
    loss = next(figure for figure in pair.figures if figure.name == "network_loss")
    if comparison.kind != "directions" or loss.a is None or loss.b is None:
        return
    shares = f"{value(loss, loss.a, loss.counts_a)} on the way of A, {value(loss, loss.b, loss.counts_b)} on that of B"
    if loss.outcome in ("better", "worse"):
        more = "B" if loss.outcome == "worse" else "A"
        yield f"The way of {more} loses more: {shares}{_sureness(loss)}."
    elif not loss.a and not loss.b:
        yield f"Neither way loses anything: {shares}."
    else:
        yield f"Neither way loses surely more than the other: {shares}{_chance(loss)}."


def _sentence(figure: Figure) -> str:
    word = {"better": "is better", "worse": "is worse", "changed": "differs"}[figure.outcome]
    assert figure.a is not None
    assert figure.b is not None
    sides = f"{value(figure, figure.b, figure.counts_b)} against {value(figure, figure.a, figure.counts_a)}"
    return f"In B {_LABELS[figure.name]} {word}: {sides}{_times(figure.a, figure.b)}{_sureness(figure)}."


def _times(a: float, b: float) -> str:
    """`, 2.1 times as much`."""
    if not a or not b:
        return ""
    return f", {b / a:.2g} times as much" if b > a else f", {a / b:.2g} times less"


def _sureness(figure: Figure) -> str:
    """`(confidence 99.2 %)`."""
    if figure.adjusted is None:
        return ""
    sure = 100 * (1 - figure.adjusted)
    return " (confidence > 99.9 %)" if sure > 99.9 else f" (confidence {sure:.3g} %)"


def _chance(figure: Figure) -> str:
    """How often chance alone differs as much."""
    if figure.difference is None or figure.a == figure.b:
        return ""
    return f" (chance alone differs as much in {100 * figure.difference.p_value:.0f} of 100 such pairs)"


def _nothing(comparison: Comparison) -> str:
    """No figure differs surely: the one that matters most is named all the same."""
    known = [(pair, figure) for pair in comparison.pairs for figure in pair.figures if figure.difference is not None]
    if comparison.kind == "same_packets":
        return "They are alike in every figure."
    losses = [figure for pair in comparison.pairs for figure in pair.figures if figure.name == "network_loss"]
    if not known and any(loss.a == 0 == loss.b for loss in losses):
        return "No difference: neither lost anything."
    if not known:
        return "The runs are too short, or too little was measured, to tell a difference from chance."
    pair, loss = next(((pair, figure) for pair, figure in known if figure.name == "network_loss"), known[0])
    assert loss.a is not None
    assert loss.b is not None
    sides = f"{value(loss, loss.b, loss.counts_b)} against {value(loss, loss.a, loss.counts_a)}"
    return (
        f"No difference that chance could not have made. {_LABELS[loss.name].capitalize()} of the {pair.media} is"
        f" {sides} in A{_chance(loss)}."
    )


def value(figure: Figure, number: float | None, counts: tuple[int, int] | None) -> str:
    """`0.48 % (29/6012)`, `12.3 ms`, or `–`."""
    if number is None:
        return "–"
    if figure.unit == "ratio":
        return f"{100 * number:.2f} %" + (f" ({counts[0]}/{counts[1]})" if counts else "")
    if figure.unit == "bit/s":
        return f"{number / 1000:.0f} kbit/s"
    return f"{number:.3g} {figure.unit}".rstrip()


def _table(figures: Sequence[Figure]) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [("", "A", "B", "B − A (95 %)", "chance", "")]
    rows += [_row(figure) for figure in figures if figure.a is not None or figure.b is not None]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield ("  " + "  ".join(cells)).rstrip()


def _row(figure: Figure) -> tuple[str, ...]:
    difference = figure.difference
    sides = value(figure, figure.a, figure.counts_a), value(figure, figure.b, figure.counts_b)
    if difference is None:
        return (_LABELS[figure.name], *sides, "", "", _OUTCOMES.get(figure.outcome, ""))
    scale, unit = {"ratio": (100, "%"), "bit/s": (1e-3, "kbit/s")}.get(figure.unit, (1, figure.unit))
    span = f"{scale * difference.low:+.2f} to {scale * difference.high:+.2f} {unit}"
    return (_LABELS[figure.name], *sides, span, f"{difference.p_value:.2g}", _OUTCOMES.get(figure.outcome, ""))
