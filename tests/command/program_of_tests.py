"""A small program with one option of each kind, for the tests of what all programs share."""

from __future__ import annotations

from protocol.command import options, units
from protocol.command.options import Group, Option, Positional, Program

PROGRAM = Program(
    name="steadycast-try",
    table="receiver",
    description="Try.",
    examples="",
    positional=Positional("source", "[SOURCE]", "what", many=False, read=str),
    groups=(
        Group(
            "stream",
            (
                Option("latency", "how long", "TIME", units.duration),
                Option("map", "several", "PT=NAME", str, kind="list"),
                Option("no-gro", "switch", kind="switch"),
            ),
        ),
        options.network_options(),
        options.run_options(Option("report", "where", "DIR")),
        options.help_options(),
    ),
)
