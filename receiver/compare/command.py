"""The command line of `python -m receiver compare`."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.command import program
from protocol.command.options import Group, Option, Positional, Program
from protocol.command.program import Outcome, Request
from protocol.errors import UsageError
from receiver.compare.comparison import as_json, compared
from receiver.compare.text import text, verdict
from receiver.report.reader import read_report


def main(arguments: Sequence[str]) -> int:
    """The exit code; `arguments` after the word compare."""
    return program.run(PROGRAM, arguments, _work)


def _work(request: Request) -> Outcome:
    files = request.values.get("report_file") or ()
    if not isinstance(files, tuple) or len(files) != 2:
        raise UsageError("name two reports: python -m receiver compare A.json B.json")
    names = str(files[0]), str(files[1])
    a, b = (read_report(name) for name in names)
    comparison = compared(a, b, both_directions=bool(request.values.get("both_directions")))
    said = verdict(comparison)
    if request.values.get("json"):
        return Outcome(0, as_json(comparison, said, names), said)
    return Outcome(0, data=text(comparison, names))


PROGRAM = Program(
    name="steadycast-receive compare",
    table="receiver",
    description="Compare two reports: what got better or worse, by how much, and whether it could be chance.",
    examples="""\
examples:
  python -m receiver compare before.json after.json
  python -m receiver compare there.json back.json --both-directions     which of two directions loses
  python -m receiver compare monday/ tuesday/ --json                    what --report DIR wrote

A and B are reports of receivers, or of senders that have their receiver's inside.
Exit codes: 0 compared, 2 wrong usage or no reports.""",
    positional=Positional("report_file", "A B", "two reports, as --json or --report wrote them", many=True, read=str),
    groups=(
        Group(
            "comparing",
            (
                Option("both-directions", "they measure the two directions of one path; without it that is seen where"
                       " one is a sender's and the other a receiver's", kind="switch"),
                Option("json", "print the comparison, one JSON object, on stdout", kind="switch"),
            ),
        ),
    ),
)  # fmt: skip
