"""--fail-if: conditions on the figures of the report, as `effective_loss > 1% and not freezes.count == 0`.

    condition  = all *("or" all)
    all        = one *("and" one)
    one        = "not" one / "(" condition ")" / comparison
    comparison = figure operator number [unit] / figure ("==" / "!=") "null"

A figure of several streams makes a comparison hold if any of them does. What is not known is neither true nor false
(Kleene's logic), and a condition that cannot be decided counts as held: no run passes because nothing was measured.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from protocol.command.figures import FIGURES, SHARES, TABLES, Figure, Report, Unit, Value, find, values
from protocol.command.units import suggestion
from protocol.errors import UsageError

EXIT_CODE = 4
_DEEPEST = 50
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}
_UNITS: Mapping[str, tuple[Unit, float]] = {
    "%": ("share", 1e-2),
    "ns": ("s", 1e-9),
    "us": ("s", 1e-6),
    "ms": ("s", 1e-3),
    "s": ("s", 1.0),
    "min": ("s", 60.0),
    "bit/s": ("bit/s", 1.0),
    "kbit/s": ("bit/s", 1e3),
    "Mbit/s": ("bit/s", 1e6),
    "Gbit/s": ("bit/s", 1e9),
    "ppm": ("ppm", 1.0),
}
_EXAMPLES: Mapping[Unit, str] = {
    "share": "1%",
    "ms": "30ms",
    "s": "2s",
    "bit/s": "500 kbit/s",
    "ppm": "50 ppm",
    "": "3",
}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?)\s*(?P<unit>%|[kMG]?bit/s\b|(?:ns|us|ms|s|min|ppm)\b)?"
    r"|(?P<word>[A-Za-z_]\w*(?:\.\w+)*)|(?P<sign>[<>=!]=|[<>=()])|(?P<end>$))"
)
_KEYWORDS = ("and", "or", "not", "null")


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether something holds (None: cannot be told), and the figures that say so."""

    holds: bool | None
    because: tuple[str, ...]


class Expression(Protocol):
    def judge(self, report: Report) -> Judgement: ...


@dataclass(frozen=True, slots=True)
class Condition:
    """One --fail-if."""

    text: str
    expression: Expression

    def held(self, report: Report) -> str | None:
        """The line that says why the report fails; None: it does not."""
        judgement = self.expression.judge(report)
        because = ", ".join(dict.fromkeys(judgement.because))
        if judgement.holds is None:
            return f"--fail-if {self.text!r} cannot be decided and counts as held: {because}"
        return f"--fail-if {self.text!r} holds: {because}" if judgement.holds else None


def parse(text: str) -> Condition:
    """Raises UsageError with one line that says what is wrong."""
    return Condition(" ".join(text.split()), _Parser(text).whole())


def failures(conditions: Iterable[Condition], report: Report) -> list[str]:
    """A line for each condition that holds."""
    return [line for condition in conditions if (line := condition.held(report)) is not None]


# What is parsed


@dataclass(frozen=True, slots=True)
class _Comparison:
    media: str | None
    figure: Figure
    sign: str
    bound: float | None
    """in the figure's own unit; None: null."""

    def judge(self, report: Report) -> Judgement:
        found = values(report, self.media, self.figure)
        if not found:
            kind = self.media or self.figure.media
            what = f"no {kind} stream" if kind else f"no {self.figure.place}"
            return Judgement(None if self.bound is not None else self.sign != "!=", (f"{what} in the report",))
        judged = [(self._of(value.number), value) for value in found]
        holds = _any(outcome for outcome, _ in judged)
        return Judgement(holds, tuple(self._said(value) for outcome, value in judged if outcome is holds))

    def _of(self, number: float | None) -> bool | None:
        if self.bound is None:
            return (number is None) == (self.sign != "!=")
        return None if number is None else _OPERATORS[self.sign](number, self.bound)

    def _said(self, value: Value) -> str:
        return f"{value.of} {self.figure.name} is {value.text}".strip()


@dataclass(frozen=True, slots=True)
class _Not:
    part: Expression

    def judge(self, report: Report) -> Judgement:
        judgement = self.part.judge(report)
        return Judgement(None if judgement.holds is None else not judgement.holds, judgement.because)


@dataclass(frozen=True, slots=True)
class _Joined:
    parts: tuple[Expression, ...]
    join: Callable[[Iterable[bool | None]], bool | None]

    def judge(self, report: Report) -> Judgement:
        judged = [part.judge(report) for part in self.parts]
        holds = self.join(each.holds for each in judged)
        return Judgement(holds, tuple(line for each in judged if each.holds is holds for line in each.because))


def _any(parts: Iterable[bool | None]) -> bool | None:
    known = set(parts)
    return True if True in known else None if None in known else False


def _all(parts: Iterable[bool | None]) -> bool | None:
    known = set(parts)
    return False if False in known else None if None in known else True


# The parser


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    unit: str = ""


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at <= len(text):
        match = _TOKEN.match(text, at)
        if match is None or (match.lastgroup == "end" and text[at:].strip()):
            raise UsageError(f"{text!r}: what is {text[at:].strip()[:20]!r}? write for example 'effective_loss > 1%'")
        kind = "number" if match["number"] else str(match.lastgroup)
        yield _Token(kind, match[kind], match["unit"] or "")
        if kind == "end":
            return
        at = match.end()


class _Parser:
    """Recursive descent, one token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0
        self._depth = 0

    def whole(self) -> Expression:
        expression = self._condition()
        if self._next.kind != "end":
            raise self._error(f"'and' or 'or' is missing before {self._next.text!r}")
        return expression

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._next
        self._at += token.kind != "end"
        return token

    def _takes(self, text: str) -> bool:
        found = self._next.kind != "number" and self._next.text == text
        self._at += found
        return found

    def _condition(self) -> Expression:
        return self._joined(self._all, "or", _any)

    def _all(self) -> Expression:
        return self._joined(self._one, "and", _all)

    def _joined(
        self, part: Callable[[], Expression], word: str, join: Callable[[Iterable[bool | None]], bool | None]
    ) -> Expression:
        parts = [part()]
        while self._takes(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else _Joined(tuple(parts), join)

    def _one(self) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error(f"more than {_DEEPEST} levels deep")
        expression = self._nested()
        self._depth -= 1
        return expression

    def _nested(self) -> Expression:
        if self._takes("not"):
            return _Not(self._one())
        if not self._takes("("):
            return self._comparison()
        expression = self._condition()
        if not self._takes(")"):
            raise self._error("a ) is missing")
        return expression

    def _comparison(self) -> Expression:
        name = self._take()
        if name.kind != "word" or name.text in _KEYWORDS:
            raise self._error(f"the name of a figure is wanted {_where(name)}")
        found = find(name.text)
        if found is None:
            raise self._error(f"there is no figure {name.text!r}{suggestion(name.text, _known())}")
        sign = self._take()
        if sign.text not in _OPERATORS:
            raise self._error(f"one of < <= > >= == != is wanted after {name.text}")
        media, figure = found
        if sign.text in ("=", "==", "!=") and self._takes("null"):
            return _Comparison(media, figure, sign.text, None)
        number = self._take()
        if number.kind != "number":
            raise self._error(f"a number is wanted after {sign.text}, as {_EXAMPLES[figure.unit]}")
        return _Comparison(media, figure, sign.text, self._bound(figure, number))

    def _bound(self, figure: Figure, number: _Token) -> float:
        """The number in the unit of the figure."""
        value = float(number.text)
        if number.unit:
            unit, factor = _UNITS[number.unit]
            scale = 1e3 if figure.unit == "ms" else 1.0
            if unit != ("s" if figure.unit == "ms" else figure.unit):
                raise self._error(f"{figure.name} is not measured in {number.unit}: write {_EXAMPLES[figure.unit]}")
            value = round(value * factor * scale, 12)
        elif figure.unit == "share" and value >= 1:
            raise self._error(f"{figure.name} is a share: write {number.text}%, or a number below 1")
        return value

    def _error(self, what: str) -> UsageError:
        return UsageError(f"{' '.join(self._text.split())!r}: {what}")


def _where(token: _Token) -> str:
    return "at the end" if token.kind == "end" else f"before {token.text!r}"


def _known() -> Sequence[str]:
    """Ratios first: of names that are equally close, the first is suggested."""
    return (*SHARES, *FIGURES, *(f"{table}.1" for table in TABLES))
