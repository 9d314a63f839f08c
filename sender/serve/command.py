"""The command line of `python -m sender serve`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from protocol.command import address, program, units
from protocol.command.options import Group, Option, Positional, Program
from protocol.command.program import Outcome, Request
from protocol.command.security import listening_options, security
from protocol.errors import UsageError
from protocol.rtsp import url
from sender import cli
from sender.config import Target
from sender.serve.config import DEFAULT_NAME, DEFAULT_PORT, ServeConfig
from sender.serve.status import line

_EVERYWHERE = ("", "0.0.0.0", "::", "*")
_NAME = re.compile(r"[\w\-.~]+(?:/[\w\-.~]+)*")
_OWN = ("media_port", "no_announce", "exit_on_end")
_UNUSED = {"sdp", "bind", "rtcp-to", "key-file"}


def main(arguments: Sequence[str]) -> int:
    """The exit code; `arguments` after the word serve."""
    return program.run(PROGRAM, arguments, _work)


def _work(request: Request) -> Outcome:
    config = configure(request.values, request.given)
    from sender.serve.run import run  # PyAV and OpenCV take a while to load: not for --help

    with cli.views(config.media, request.terminal, line) as view:
        code, report = run(config, log=request.terminal.log, status=view, stop=request.stop)
        view.end(report)
    return Outcome(code, report, str(report.get("verdict") or ""))


def configure(values: Mapping[str, object], given: Mapping[str, object]) -> ServeConfig:
    """The values that were given, and the defaults for the others. Raises UsageError where they contradict."""
    where = values.get("url") or place("rtsp://:8554")
    assert isinstance(where, url.Url)
    group = values.get("multicast")
    own = {"target": (group,) if group else (), "bind": where.host or None}
    media = cli.configure({**values, **own}, given, serves=True)
    return ServeConfig(
        media,
        host=where.host or None,
        port=where.port,
        name=where.name or DEFAULT_NAME,
        security=security(values),
        tls_only=where.secure or bool(values.get("tls_only")),
        **{name: values[name] for name in _OWN if name in values},  # type: ignore[arg-type]
    )


def place(text: str) -> url.Url:
    """`rtsp://[HOST][:PORT][/NAME]` → where to listen; HOST "": everywhere. Raises UsageError."""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() not in ("rtsp", "rtsps"):
        raise UsageError(f"{text!r} is nothing to serve: write rtsp://0.0.0.0:{DEFAULT_PORT}/NAME")
    authority, _, name = rest.partition("/")
    host, port = address.host_port(authority or f":{DEFAULT_PORT}", DEFAULT_PORT)
    if name and not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a stream: letters, digits, - and _ will do")
    return url.Url(scheme.lower(), "" if host in _EVERYWHERE else host, port, f"/{name}" if name else "")


def group(text: str) -> Target:
    """A multicast group and the first of four ports. Raises UsageError."""
    host, port = address.host_port(text)
    return Target(host, port, classical=True)


def _group(title: str) -> tuple[Option, ...]:
    """The sender's own options of that kind."""
    found = next(each.options for each in cli.PROGRAM.groups if each.title == title)
    return tuple(option for option in found if option.name not in _UNUSED)


PROGRAM = Program(
    name="steadycast-send serve",
    table="sender",
    description="Wait for receivers, over RTSP: each gets the live audio and video.",
    examples="""\
examples:
  python -m sender serve                                 camera and microphone, at rtsp://THIS-MACHINE:8554/live
  python -m sender serve rtsp://0.0.0.0:8554/door --video camera:1 --audio none
  python -m sender serve --video clip.mp4 --loop
then, elsewhere:
  python -m receiver rtsp://192.0.2.7:8554/live
  ffplay rtsp://192.0.2.7:8554/live
Exit codes: 0 done, 1 error, 2 wrong usage, 4 a --fail-if holds, 130 second Ctrl-C.""",
    positional=Positional(
        "url",
        "[URL]",
        f"rtsp://HOST:PORT/NAME: the address of this machine to listen on (0.0.0.0: all), the TCP port (default"
        f" {DEFAULT_PORT}) and what the stream is called (default {DEFAULT_NAME})",
        many=False,
        read=place,
    ),
    groups=(
        Group("picture", _group("picture")),
        Group("sound", _group("sound")),
        Group("stream", _group("stream")),
        Group(
            "network",
            (
                Option("media-port", "the first of the two UDP ports that media come from and reports go to; default:"
                       " any two that are free", "PORT", units.integer(1024, 65_534)),
                Option("multicast", "offer this group to those who ask for multicast: ADDR[:PORT]; video goes to PORT,"
                       " audio to PORT+2, RTCP one above each", "GROUP", group),
                *_group("network"),
                Option("no-announce", "do not tell the network, so that receiver --find does not show it",
                       kind="switch"),
            ),
        ),
        Group(
            "who may come",
            (
                *listening_options(),
                Option("tls-only", "turn away who does not encrypt, as with an rtsps:// URL", kind="switch"),
            ),
        ),
        Group(
            "running and reporting",
            (
                Option("exit-on-end", "end with the media, instead of waiting for who wants to see them again",
                       kind="switch"),
                *_group("running and reporting"),
            ),
        ),
    ),
)  # fmt: skip
