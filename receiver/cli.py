"""`python -m receiver`: options → configuration → pipeline."""

from __future__ import annotations

import stat
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from protocol.command import address, check, devices, live, options, program, security, units
from protocol.command.options import Group, Option, Positional, Program
from protocol.command.program import Outcome, Request
from protocol.command.repair import repair
from protocol.command.terminal import Terminal
from protocol.control.trust.passwords import VISIBLE
from protocol.errors import NoPeerError, ProtocolError, UsageError
from protocol.rtsp import url
from receiver.config import Latency, Listen, ReceiverConfig
from receiver.control.groups import is_group
from receiver.description import ENCODINGS, PROTECTION, exists, read_description
from receiver.media import Format
from receiver.report.csv_file import csv_text
from receiver.report.document import document
from receiver.report.line import line
from receiver.report.snapshot import Snapshot
from receiver.report.text import final_text

_PORTS = 4
"""SOURCE's port and the three after it: RTP and RTCP of video, then of audio."""


class Run(Protocol):
    """`receiver.pipeline.run`: receives until the end, on the thread that calls it; exit code and JSON report."""

    def __call__(
        self,
        config: ReceiverConfig,
        *,
        log: Callable[[str], None],
        status: Callable[[Snapshot], None],
        stop: threading.Event,
    ) -> tuple[int, dict[str, Any]]: ...


def main(arguments: Sequence[str] | None = None, run: Run | None = None) -> int:
    """The exit code. `run` is the pipeline's unless a test gives its own."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["replay"]:
        from receiver.replay.command import main as replay

        return replay(words[1:])
    if words[:1] == ["compare"]:
        from receiver.compare.command import main as compare

        return compare(words[1:])
    return program.run(PROGRAM, arguments, lambda request: _work(request, run))


def _work(request: Request, run: Run | None) -> Outcome:
    values = request.values
    if values.get("list_devices"):
        from receiver.devices import speakers

        found = speakers()
        return Outcome(0, data=devices.as_json(found) if values.get("json") else devices.as_text(found, ("speaker",)))
    if values.get("find"):
        return _found(request)
    config = configure(values, request.given)
    if values.get("check"):
        from receiver.check import rows

        tried = rows(config)
        text = check.as_json(tried) if values.get("json") else check.as_text(tried)
        return Outcome(check.exit_code(tried), data=text)
    if config.listen.url is not None and config.listen.url.password is not None:
        request.terminal.log(VISIBLE)
    receive = run or _pipeline()
    with views(config, request.terminal) as view:
        code, report = receive(config, log=request.terminal.log, status=view, stop=request.stop)
        view.end(report)
    return outcome(code, report)


def _found(request: Request) -> Outcome:
    from protocol.control.discovery import finder, listing  # nobody else needs them

    services = finder.find(request.stop)
    if request.values.get("json"):
        return Outcome(0 if services else NoPeerError.exit_code, data=listing.as_json(services))
    if not services:
        raise NoPeerError(listing.NOBODY)
    return Outcome(0, data=listing.as_text(services))


def outcome(code: int, report: Mapping[str, Any]) -> Outcome:
    """What is said and written of a run."""
    files = {"intervals.csv": lambda: csv_text(report), "report.html": lambda: _html(report)}
    return Outcome(code, report, final_text(report), files=files)


def _html(report: Mapping[str, Any]) -> str:
    from receiver.report.html import html_report  # its chart library is for those who want a file

    return html_report(report)


def _pipeline() -> Run:
    from receiver.pipeline import run  # PyAV and OpenCV take a while to load: not for --help

    return run


def views(config: ReceiverConfig, terminal: Terminal) -> AbstractContextManager[live.Views[Snapshot]]:
    """What follows the run."""

    def dashboard() -> live.Dashboard[Snapshot]:
        from receiver.report.terminal import Dashboard

        return Dashboard(config.listen.ports)

    forms = live.Forms(line, lambda snapshot: document(snapshot, {}), dashboard)
    return live.views(forms, terminal, json_stream=config.json_stream, dashboard=config.dashboard == "")


def configure(values: Mapping[str, Any], given: Mapping[str, object]) -> ReceiverConfig:
    """The values that were given, and the defaults for the others. Raises UsageError where they contradict."""
    fields = {key: value for key, value in values.items() if key in ReceiverConfig.__dataclass_fields__}
    listen, formats = values.get("source") or source(f":{address.DEFAULT_PORT}")
    if "map" in values:
        fields["mapped"] = dict(values["map"])
    if values.get("no_gro"):
        fields["gro"] = False
    config = ReceiverConfig(
        listen=listen, formats=formats, family=options.family(values), security=security.security(values),
        given=dict(given), **fields,
    )  # fmt: skip
    _one_user_of_stdout(config)
    if listen.url is not None and config.rtcp_to is not None:
        raise UsageError("--rtcp-to: with rtsp:// the server says where RTCP goes; leave it out")
    return config


def _one_user_of_stdout(config: ReceiverConfig) -> None:
    users = {
        "--audio -": config.audio == "-",
        "--video -": config.video == "-",
        "--json": config.json,
        "--json-stream": config.json_stream,
    }
    wanting = [name for name, wants in users.items() if wants]
    if len(wanting) > 1:
        raise UsageError(f"{' and '.join(wanting)} both want stdout: send one of them to a file")


def source(text: str) -> tuple[Listen, Mapping[int, Format] | None]:
    """SOURCE: where to listen, and the formats when a description names them. Raises UsageError."""
    if text.lower().startswith(("rtsp://", "rtsps://")):
        return Listen(ports=(), url=presentation(text)), None
    if text.lower().endswith(".sdp"):
        return read_description(text)
    scheme, place = address.split_scheme(text)
    host, port = ("", int(place)) if place.isdecimal() and len(place) < 6 else address.host_port(place)
    if not 0 < port <= 65536 - _PORTS:
        raise UsageError(f"port {port} will not do: this and the next {_PORTS - 1} are used, choose one below 65533")
    tcp = None if scheme or is_group(host) else port
    return Listen(host or None, tuple(range(port, port + _PORTS)), tcp=tcp), None


def presentation(text: str) -> url.Url:
    """`rtsp://[USER@]HOST[:PORT]/NAME`. Raises UsageError."""
    try:
        return url.parse(text)
    except ProtocolError:
        raise UsageError(f"{text!r} is no address: write rtsp://HOST:PORT/NAME") from None


def rtsp_transport(text: str) -> str:
    """Raises UsageError."""
    if text not in (ways := ("auto", "udp", "tcp", "multicast")):
        raise UsageError(f"{text!r}: one of {', '.join(ways)}")
    return text


def latency(text: str) -> Latency:
    """`auto`, `auto:0.3` or a time. Raises UsageError."""
    word, colon, caution = text.partition(":")
    if word != "auto":
        return Latency(fixed=units.duration(text))
    if not colon:
        return Latency()
    try:
        share = float(caution)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"{text!r}: write auto:0 (quick) to auto:1 (safe)")
    return Latency(caution=share)


def mapping(text: str) -> tuple[int, Format]:
    """`96=VP8/90000`, `100=L16/48000/2`. Raises UsageError."""
    number, _, description = text.partition("=")
    name, _, rest = description.partition("/")
    rate, _, channels = rest.partition("/")
    if not (number.isdecimal() and rate.isdecimal() and (channels or "1").isdecimal()):
        raise UsageError(f"{text!r} is no mapping: write PT=NAME/RATE or PT=NAME/RATE/CHANNELS, as 96=VP8/90000")
    if int(number) > 127 or 64 <= int(number) <= 95:
        raise UsageError(f"payload type {number} will not do: 0 to 63 and 96 to 127 are for RTP (RFC 5761)")
    if name.lower() in PROTECTION:
        return int(number), Format(name.lower(), int(rate))
    if name.lower() not in ENCODINGS:
        raise UsageError(
            f"cannot play {name!r}{units.suggestion(name, ENCODINGS)}: one of {', '.join(ENCODINGS.values())}"
        )
    encoding = ENCODINGS[name.lower()]
    form = Format(encoding, int(rate), int(channels or (2 if encoding == "opus" else 1)))
    if not exists(form):
        raise UsageError(f"there is no {name}/{rate}" + (f"/{channels}" if channels else "") + ": look at the rate")
    return int(number), form


def audio_output(text: str) -> str:
    """Raises UsageError."""
    if text in ("speaker", "-", "none") or text.startswith("speaker:") or text.lower().endswith(".wav"):
        return text
    raise UsageError(f"cannot play sound to {text!r}: choose speaker, speaker:NAME, FILE.wav, - or none")


def video_output(text: str) -> str:
    """Raises UsageError."""
    if text in ("window", "-", "none") or text.lower().endswith((".y4m", ".mp4")) or _is_fifo(text):
        return text
    raise UsageError(f"cannot show pictures on {text!r}: choose window, FILE.y4m (or a FIFO), FILE.mp4, - or none")


def _is_fifo(path: str) -> bool:
    try:
        return stat.S_ISFIFO(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return False


def file_name(suffix: str) -> Callable[[str], str]:
    """A reader of file names that end in `suffix`."""

    def read(text: str) -> str:
        if not text.lower().endswith(suffix):
            raise UsageError(f"{text!r} must end in {suffix}")
        return text

    return read


PROGRAM = Program(
    name="steadycast-receive",
    table="receiver",
    description="Receive live audio and video over RTP, play it, and say exactly what the network lost.",
    examples="""\
examples:
  python -m receiver                           listen on UDP 5004 to 5007, play in a window and on the speaker
  python -m receiver :6004 --latency 80ms      other ports, and a fixed delay
  python -m receiver stream.sdp                what an SDP file of FFmpeg or GStreamer describes
  python -m receiver 239.1.2.3:5004            join a multicast group
  python -m receiver rtsp://admin@192.0.2.9:554/stream1 --password-file camera.txt
  python -m receiver rtsps://192.0.2.7:8555/live
  python -m receiver --find                    who is there to receive from?
  python -m receiver --video out.mp4 --audio none --duration 30s --json
  python -m receiver --audio none --video - | ffplay -
  python -m receiver --capture run.pcapng      then: python -m receiver replay run.pcapng --help
  python -m receiver --report before           later: python -m receiver compare before after
  python -m receiver --duration 1m --fail-if "effective_loss > 1% or freezes.count > 0"

Any option may also stand in the environment (STEADYCAST_LATENCY=60ms) or in a file (--config; its tables are
[receiver] and [sender]); the command line wins, then the environment.
Exit codes: 0 done, 1 error, 2 wrong usage, 3 no packet came, 4 a --fail-if holds, 130 second Ctrl-C.""",
    positional=Positional(
        "source",
        "[SOURCE]",
        "[HOST]:PORT (default :5004), rtp://HOST:PORT, FILE.sdp, rtsp://[USER@]HOST[:PORT]/NAME, or rtsps://… with TLS",
        many=False,
        read=source,
    ),
    groups=(
        Group(
            "outputs",
            (
                Option("audio", "speaker (default), speaker:NAME, FILE.wav, - (raw samples on stdout) or none", "WHERE",
                       audio_output),
                Option("video", "window (default), FILE.y4m or a FIFO, FILE.mp4, - (YUV4MPEG2 on stdout) or none",
                       "WHERE", video_output),
                Option("record", "keep sound and picture as received, without encoding again", "FILE.mkv",
                       file_name(".mkv")),
                Option("capture", "keep every packet as it came, for Wireshark and for: python -m receiver replay FILE",
                       "FILE.pcapng", file_name(".pcapng")),
                Option("picture", "keep the last picture that was played, also with --video none", "FILE.png",
                       file_name(".png")),
            ),
        ),
        Group(
            "stream",
            (
                Option("latency", "how long packets are waited for: auto (default), auto:0 (quick) to auto:1 (safe),"
                       " or a fixed time", "TIME", latency),
                Option("repair", "against loss: auto (default): what suits the path; none; nack: ask for what is"
                       " missing; or fec:25%: ask for so many repair packets, too", "HOW", repair),
                Option("map", "what a payload type means, as 96=VP8/90000, or 121=red/90000 and 122=ulpfec/90000 around"
                       " and among pictures; may be given several times",
                       "PT=NAME/RATE[/CH]", mapping, kind="list"),
                Option("ssrc", "play only this source", "N", units.integer(0, 2**32 - 1)),
            ),
        ),
        options.network_options(
            Option("no-gro", "take datagrams one by one: slower, but counts the kernel's drops exactly", kind="switch"),
            Option("rtsp-transport", "how packets of rtsp:// come: auto (default: UDP, or in the TCP connection after"
                   " 2 s without any), udp, tcp or multicast", "HOW", rtsp_transport),
            Option("no-announce", "do not tell the network that we listen, so that --find does not show it",
                   kind="switch"),
        ),
        Group("trust", (*security.listening_options(), *security.connecting_options())),
        options.run_options(
            Option("report", "write the report to DIR: report.json, and its intervals to intervals.csv", "DIR"),
            Option("exit-on-end", "end when the last sender has said goodbye, or was silent for 25 s", kind="switch"),
        ),
        options.help_options(
            Option("find", "list the senders and receivers that announce themselves on the network (with --json: as"
                   " JSON)", kind="switch", command_line_only=True),
        ),
    ),
)  # fmt: skip
