"""Inputs worth trying again: a file for each target, a line for each input, octets outside ASCII as \\x escapes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent / "corpora"


def load(target: str) -> list[bytes]:
    """The inputs of a target; b"" is always one."""
    text = (FOLDER / f"{target}.txt").read_text(encoding="ascii")
    return [b"", *(line.encode().decode("unicode_escape").encode("latin-1") for line in text.splitlines())]


def save(target: str, inputs: Iterable[bytes]) -> None:
    """Replaces the inputs of a target; shortest first."""
    lines = sorted({data.decode("latin-1").encode("unicode_escape").decode() for data in inputs if data})
    text = "".join(f"{line}\n" for line in sorted(lines, key=len))
    (FOLDER / f"{target}.txt").write_text(text, encoding="ascii")
