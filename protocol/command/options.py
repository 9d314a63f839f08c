"""Options declared once, as a table: the command line, the environment, the file and the help all read it."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

from protocol.command import address, conditions, keys, units
from protocol.command.versions import version
from protocol.errors import UsageError


@dataclass(frozen=True, slots=True)
class Option:
    """`--name`. Values stay text until `read` makes something of them."""

    name: str
    help: str
    metavar: str | None = None
    read: Callable[[str], object] = str
    kind: Literal["value", "list", "switch", "count", "optional"] = "value"
    """optional: a value or none, `--name[=VALUE]`; without one it is the empty text."""
    short: str | None = None
    command_line_only: bool = False
    spaced: bool = False
    """a list whose values hold spaces: the environment gives one of them."""

    @property
    def key(self) -> str:
        return self.name.replace("-", "_")


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Positional:
    """What the program works on."""

    name: str
    metavar: str
    help: str
    many: bool
    read: Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Program:
    """One command line."""

    name: str
    table: str
    """its table in the configuration file."""
    description: str
    examples: str
    positional: Positional
    groups: tuple[Group, ...]

    def options(self) -> Iterator[Option]:
        for group in self.groups:
            yield from group.options


@dataclass(frozen=True, slots=True)
class Given:
    """One value as somebody wrote it, and where."""

    value: str | list[str] | bool | int
    origin: str


def network_options(*more: Option) -> Group:
    return Group(
        "network",
        (
            Option("bind", "use this address of this machine", "ADDR"),
            Option("interface", "use this network interface (for multicast: join or send there)", "NAME"),
            *more,
            Option("key-file", "encrypt plain RTP with what FILE holds: a secret that both ends have, as made by"
                   " `openssl rand -base64 32`, or a suite and key as other programs take them", "FILE",
                   keys.key_file),
            Option("rtcp-to", "send RTCP there, not to where the other side's packets come from", "HOST:PORT",
                   address.peer),
            Option("ipv4", "only IPv4", kind="switch", short="-4"),
            Option("ipv6", "only IPv6", kind="switch", short="-6"),
        ),
    )  # fmt: skip


def run_options(*more: Option) -> Group:
    return Group(
        "running and reporting",
        (
            Option("duration", "stop after this time (30s, 10m)", "TIME", units.positive_duration),
            Option("json", "print the report, one JSON object, on stdout when done", kind="switch"),
            Option("json-stream", "print a line of JSON on stdout each second, the last of them the report",
                   kind="switch"),
            *more,
            Option("fail-if", 'end with exit code 4 if this holds of the report, as "effective_loss > 1%";'
                   " may be given several times", "CONDITION", conditions.parse, kind="list", spaced=True),
            Option("dashboard", "draw what happens in the terminal; with an address, serve it there as a web page",
                   "=ADDR", kind="optional"),
            Option("log-file", "append every message, with its time, to this file", "FILE"),
            Option("config", "read options from this TOML file", "FILE"),
            Option(
                "verbose",
                "say more: each event as it happens, and where an internal error came from",
                kind="count",
                short="-v",
            ),
            Option("quiet", "say nothing but errors", kind="switch", short="-q"),
        ),
    )  # fmt: skip


def help_options(*more: Option) -> Group:
    return Group(
        "instead of streaming",
        (
            *more,
            Option("list-devices", "list the devices that can be used here, and end (with --json: as JSON)",
                   kind="switch", command_line_only=True),
            Option("check", "try devices, codecs, ports and socket options; say what to install; end",
                   kind="switch", command_line_only=True),
        ),
    )  # fmt: skip


def family(values: Mapping[str, object]) -> int:
    """4, 6, or 0 for either. Raises UsageError when both are asked for."""
    if values.get("ipv4") and values.get("ipv6"):
        raise UsageError("-4 and -6 exclude each other: give one, or neither for both")
    return 4 if values.get("ipv4") else 6 if values.get("ipv6") else 0


def from_command_line(program: Program, arguments: Sequence[str]) -> dict[str, Given]:
    """What `arguments` say. Raises UsageError; --help and --version raise SystemExit(0)."""
    namespace, unknown = _parser(program).parse_known_args(_explicit(program, arguments))
    if unknown:
        known = [f"--{option.name}" for option in program.options()]
        word = unknown[0].partition("=")[0]
        raise UsageError(f"there is no {word}{units.suggestion(word, known)}; --help lists what there is")
    names = {option.key: f"--{option.name}" for option in program.options()}
    names[program.positional.name] = program.positional.metavar.strip("[] .")
    return {key: Given(value, names[key]) for key, value in vars(namespace).items() if value != []}


def _explicit(program: Program, arguments: Sequence[str]) -> list[str]:
    """`--name` of an optional value as `--name=`, so that it does not take the word after it."""
    alone = {f"--{option.name}" for option in program.options() if option.kind == "optional"}
    return [f"{word}=" if word in alone else word for word in arguments]


def read_values(program: Program, given: Mapping[str, Given]) -> dict[str, object]:
    """Every given value through its reader. Raises UsageError naming where the value was written."""
    readers = {option.key: option.read for option in program.options()}
    readers[program.positional.name] = program.positional.read
    refused = {option.key for option in program.options() if option.kind == "optional" and _is_off(given, option)}
    return {key: _read(readers[key], item) for key, item in given.items() if key not in refused}


def _is_off(given: Mapping[str, Given], option: Option) -> bool:
    return option.key in given and given[option.key].value is False


def _read(reader: Callable[[str], object], given: Given) -> object:
    try:
        if isinstance(given.value, list):
            return tuple(reader(text) for text in given.value)
        return reader(given.value) if isinstance(given.value, str) else given.value
    except UsageError as error:
        raise UsageError(f"{given.origin}: {error}") from None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; --help lists what there is")


def _help_formatter(prog: str) -> argparse.HelpFormatter:
    width = min(shutil.get_terminal_size().columns, 100)
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=32, width=width)


def _parser(program: Program) -> argparse.ArgumentParser:
    parser = _Parser(
        program.name,
        usage=f"{program.name} [option ...] {program.positional.metavar}",
        description=program.description,
        epilog=program.examples,
        formatter_class=_help_formatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        add_help=False,
    )
    positional = program.positional
    parser.add_argument(
        positional.name, metavar=positional.metavar, help=positional.help, nargs="*" if positional.many else "?"
    )
    for group in program.groups:
        section = parser.add_argument_group(group.title)
        for option in group.options:
            _add(section, option)
    about = parser.add_argument_group("about")
    text = f"steadycast {version() or 'from its source tree'}"
    about.add_argument("--version", action="version", version=text, help="the version, and end")
    about.add_argument("-h", "--help", action="help", help="this text")
    return parser


def _add(section: argparse._ArgumentGroup, option: Option) -> None:
    text = option.help.replace("%", "%%")
    flags = [option.short] if option.short else []
    flags.append(f"--{option.name}")
    if option.kind == "switch":
        section.add_argument(*flags, help=text, dest=option.key, action="store_true")
    elif option.kind == "count":
        section.add_argument(*flags, help=text, dest=option.key, action="count")
    else:
        action = "append" if option.kind == "list" else "store"
        arity = "?" if option.kind == "optional" else None
        section.add_argument(*flags, help=text, dest=option.key, action=action, metavar=option.metavar, nargs=arity)
