"""The command line of `python -m receiver replay`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from protocol.command import program
from protocol.command.options import Group, Option, Positional, Program
from protocol.command.program import Outcome, Request
from protocol.errors import UsageError
from receiver import cli
from receiver.config import Listen
from receiver.description import read_description
from receiver.media import Format


def main(arguments: Sequence[str]) -> int:
    """The exit code; `arguments` after the word replay."""
    return program.run(PROGRAM, arguments, _work)


def _work(request: Request) -> Outcome:
    values = dict(request.values)
    path = values.pop("file", None)
    if path is None:
        raise UsageError("name the capture: python -m receiver replay FILE.pcapng")
    config = cli.configure({**values, "source": values.get("sdp", (Listen(), None))}, request.given)
    from receiver.replay.run import run  # PyAV and OpenCV take a while to load: not for --help

    with cli.views(config, request.terminal) as view:
        code, report = run(config, str(path), log=request.terminal.log, status=view, stop=request.stop)
        view.end(report)
    return cli.outcome(code, report)


def _description(text: str) -> tuple[Listen, Mapping[int, Format] | None]:
    return read_description(text)


def _not(live: str, read: Callable[[str], str]) -> Callable[[str], str]:
    """A reader of outputs without the one that plays in real time."""

    def check(text: str) -> str:
        if text.partition(":")[0] == live:
            raise UsageError(f"a replay is faster than a {live}: write a file, or none")
        return read(text)

    return check


def _group(title: str) -> tuple[Option, ...]:
    """The receiver's own options of that kind."""
    return next(group.options for group in cli.PROGRAM.groups if group.title == title)


def _without(names: set[str], found: Sequence[Option]) -> tuple[Option, ...]:
    return tuple(option for option in found if option.name not in names)


PROGRAM = Program(
    name="steadycast-receive replay",
    table="receiver",
    description="Run the receiver over a recorded capture, in virtual time: the same figures, as fast as it goes.",
    examples="""\
examples:
  python -m receiver replay run.pcapng                         what --capture wrote: the live run's report again
  python -m receiver replay run.pcapng --latency 40ms          what another delay would have given the listener
  python -m receiver replay camera.pcap --sdp camera.sdp --json
  python -m receiver replay run.pcapng --video out.mp4         what was seen and heard

FILE is pcap or pcapng, from --capture, tcpdump -w, dumpcap or Wireshark; Ethernet, Linux cooked, raw IP or loopback.
Exit codes: 0 done, 1 error, 2 wrong usage or no capture, 3 no RTP in it, 130 second Ctrl-C.""",
    positional=Positional("file", "FILE", "the capture", many=False, read=str),
    groups=(
        Group(
            "outputs",
            (
                Option("audio", "FILE.wav, - (raw samples on stdout) or none (default)", "WHERE",
                       _not("speaker", cli.audio_output)),
                Option("video", "FILE.y4m or a FIFO, FILE.mp4, - (YUV4MPEG2 on stdout) or none (default)", "WHERE",
                       _not("window", cli.video_output)),
                *_without({"audio", "video", "capture"}, _group("outputs")),
            ),
        ),
        Group(
            "stream",
            (
                Option("sdp", "what the payload types mean: a description as the sender wrote it", "FILE.sdp",
                       _description),
                *_group("stream"),
            ),
        ),
        Group(
            "running and reporting",
            _without({"exit-on-end", "dashboard"}, _group("running and reporting")),
        ),
    ),
)  # fmt: skip
