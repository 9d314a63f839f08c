"""`python -m sender TARGET`: options → configuration → pipeline."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Literal, Protocol

from protocol.command import address, check, devices, live, options, program, units
from protocol.command.options import Group, Option, Positional, Program
from protocol.command.program import Outcome, Request
from protocol.command.repair import repair
from protocol.command.security import connecting_options, security
from protocol.command.terminal import Terminal
from protocol.errors import ProtocolError, Unsupported, UsageError
from protocol.rtsp import url
from sender import companion
from sender.config import Load, SenderConfig, Target
from sender.load.search import HIGHEST
from sender.report import report as json_report
from sender.snapshot import Snapshot
from sender.status import line

_AUDIO_CODECS = ("opus", "l16", "pcmu", "pcma")
_VIDEO_CODECS = ("h264", "vp8", "jpeg", "copy")
_PATTERNS = ("cbr", "video", "voip")
_SMALLEST_DATAGRAM = 256
_MEDIA = ("video", "video_codec", "video_bitrate", "size", "audio", "audio_codec", "audio_bitrate", "loop", "sdp")


class Run(Protocol):
    """`sender.pipeline.run`: sends until the end; exit code and JSON report."""

    def __call__(
        self,
        config: SenderConfig,
        *,
        log: Callable[[str], None],
        status: Callable[[Snapshot], None],
        stop: threading.Event,
    ) -> tuple[int, dict[str, Any]]: ...


def main(arguments: Sequence[str] | None = None, run: Run | None = None) -> int:
    """The exit code. `run` is the pipeline's unless a test gives its own."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["serve"]:
        from sender.serve.command import main as serve

        return serve(words[1:])
    return program.run(PROGRAM, arguments, lambda request: _work(request, run))


def _work(request: Request, run: Run | None) -> Outcome:
    values = request.values
    if values.get("list_devices"):
        from sender.devices import cameras, microphones

        found = [*cameras(), *microphones()]
        kinds = ("camera", "microphone")
        return Outcome(0, data=devices.as_json(found) if values.get("json") else devices.as_text(found, kinds))
    if values.get("check"):
        from sender.check import rows

        return _tried(rows(), values)
    config = configure(values, request.given)
    send = run or _pipeline()
    with views(config, request.terminal) as view:
        code, report = send(config, log=request.terminal.log, status=view, stop=request.stop)
        view.end(report)
    return Outcome(code, report, str(report.get("verdict") or ""))


def _tried(rows: Sequence[check.Row], values: Mapping[str, Any]) -> Outcome:
    return Outcome(check.exit_code(rows), data=check.as_json(rows) if values.get("json") else check.as_text(rows))


def _pipeline() -> Run:
    from sender.pipeline import run  # PyAV and OpenCV take a while to load: not for --help

    return run


def views(
    config: SenderConfig, terminal: Terminal, line: Callable[[Snapshot, Snapshot | None], str] = line
) -> AbstractContextManager[live.Views[Snapshot]]:
    """What follows the run. `line`: of the status."""

    def dashboard() -> live.Dashboard[Snapshot]:
        from sender.dashboard import Dashboard

        return Dashboard()

    forms = live.Forms(line, lambda snapshot: json_report(snapshot, {}, None), dashboard)
    return live.views(forms, terminal, json_stream=config.json_stream, dashboard=config.dashboard == "")


def configure(values: Mapping[str, Any], given: Mapping[str, object], *, serves: bool = False) -> SenderConfig:
    """The values that were given, and the defaults for the others. `serves`: receivers come by themselves. Raises
    UsageError where they contradict."""
    if not values.get("target") and not serves:
        raise UsageError("say where to send: python -m sender HOST (the machine on which the receiver runs)")
    load = _load(values)
    audio, video = companion.choose(values.get("audio"), values.get("video")) if load is None else ("none", "none")
    fields = {key: value for key, value in values.items() if key in SenderConfig.__dataclass_fields__}
    fields |= {
        "audio": audio,
        "video": video,
        "targets": _with_encryption(values),
        "family": options.family(values),
        "load": load,
        "security": security(values),
    }
    if "packet_size" in values:
        fields["max_datagram"] = values["packet_size"]
    config = SenderConfig(given=dict(given), **fields)
    _check(config)
    return config


def _with_encryption(values: Mapping[str, Any]) -> tuple[Target, ...]:
    """Hosts are asked for it, unless something says that others are to understand what is sent, or the word."""
    plain, must = bool(values.get("plain")), bool(values.get("require_encryption"))
    if plain and must:
        raise UsageError("--plain and --require-encryption exclude each other: give one, or neither")
    other = next((name for name in ("load", "sdp", "rtcp_to") if name in values), None)
    asked = [target for target in values["target"] if target.url is None and not target.classical]
    if must and "key_file" not in values:
        open_ones = [target for target in values["target"] if target not in asked]
        if other is not None:
            raise UsageError(f"--{other.replace('_', '-')} is for packets in the open: leave out --require-encryption")
        if any(target.url is None or not target.url.secure for target in open_ones):
            raise UsageError("--require-encryption: rtp:// and rtsp:// have none; write HOST:PORT or rtsps://")
    if plain or other is not None or "key_file" in values:
        return tuple(values["target"])
    how: Literal["must", "try"] = "must" if must else "try"
    return tuple(replace(target, encryption=how) if target in asked else target for target in values["target"])


def _load(values: Mapping[str, Any]) -> Load | None:
    """What --load and its companions ask for; None for media."""
    if "load" not in values:
        alone = next((name for name in ("pattern", "loss_bound") if name in values), None)
        if alone is not None:
            raise UsageError(f"--{alone.replace('_', '-')} belongs to --load: give that too")
        return None
    media = next((name for name in _MEDIA if name in values), None)
    if media is not None:
        raise UsageError(f"--load sends packets instead of media: leave out --{media.replace('_', '-')}")
    rate, maximum = values["load"]
    pattern = values.get("pattern", "cbr")
    if rate is None and pattern != "cbr":
        raise UsageError("--load find sends evenly spaced packets: leave out --pattern")
    if rate is None and len(values["target"]) > 1:
        raise UsageError("--load find searches one path: give one target")
    if rate is not None and "loss_bound" in values:
        raise UsageError("--loss-bound belongs to --load find: leave it out")
    if pattern != "video" and "fps" in values:
        raise UsageError("--fps belongs to --pattern video: leave it out")
    size = values.get("packet_size")
    return Load(rate, maximum, pattern, size, values.get("fps"), values.get("loss_bound", 0.01))


def load(text: str) -> tuple[int | None, int]:
    """`20M`, `find` or `find:100M` → (bit/s; None: find it, bit/s at most). Raises UsageError."""
    word, colon, most = text.partition(":")
    if word != "find":
        return units.bit_rate(text), HIGHEST
    return None, units.bit_rate(most) if colon else HIGHEST


def _check(config: SenderConfig) -> None:
    if config.json and config.json_stream:
        raise UsageError("--json and --json-stream both want stdout: the last line of --json-stream is the report")
    if config.dashboard:
        raise UsageError("--dashboard: the sender draws in the terminal only; the receiver has a web page")
    if any(target.url is not None for target in config.targets):
        _check_servers(config)
    if config.load is None and config.max_datagram < _SMALLEST_DATAGRAM:
        raise UsageError(f"--packet-size: media need at least {_SMALLEST_DATAGRAM} bytes")
    if config.load is None and config.audio == config.video == "none":
        raise UsageError("nothing to send: --audio and --video are both none")
    if config.sdp is not None and config.key_file is not None and config.key_file.media is None:
        raise UsageError("--sdp is for other programs, which need a key: give a --key-file with a suite and a key")
    if config.loop and not (companion.is_file(config.audio) or companion.is_file(config.video)):
        raise UsageError("--loop needs a file: give one with --video FILE or --audio FILE")
    if config.video_codec == "copy" and config.video.partition(":")[0] in ("pattern", "-"):
        raise UsageError("--video-codec copy needs pictures that are encoded already: a file or a camera")
    if config.video_codec == "jpeg" and config.size is not None:
        _check_jpeg_size(*config.size)


def _check_servers(config: SenderConfig) -> None:
    if config.load is not None:
        raise UsageError("--load measures the path to a receiver: name it HOST:PORT, without rtsp://")
    if config.sdp is not None and config.targets[0].url is not None:
        raise UsageError("--sdp: a server is told by RTSP what is sent; leave it out")


def _check_jpeg_size(width: int, height: int) -> None:
    from protocol.payload.jpeg import check_size

    try:
        check_size(width, height)
    except Unsupported as error:
        raise UsageError(f"--size: {str(error).removeprefix(error.reason + ': ')}; use h264 or vp8") from None


def target(text: str) -> Target:
    """`HOST`, `HOST:PORT`, `rtp://HOST:PORT` or `rtsp[s]://[USER@]HOST[:PORT]/NAME`. Raises UsageError."""
    if text.lower().startswith(("rtsp://", "rtsps://")):
        return _server(text)
    scheme, place = address.split_scheme(text)
    host, port = address.host_port(place)
    if not host:
        raise UsageError(f"{text!r} names no host: write HOST or HOST:PORT")
    if scheme == "rtp" and port > 65532:
        raise UsageError(f"port {port} will not do: rtp:// uses this and the next three, choose one below 65533")
    return Target(host, port, classical=scheme == "rtp")


def _server(text: str) -> Target:
    """Raises UsageError."""
    try:
        found = url.parse(text)
    except ProtocolError as error:
        raise UsageError(f"{text!r} is no address: write rtsp://HOST:PORT/NAME") from error
    if not found.host:
        raise UsageError(f"{text!r} names no host: write rtsp://HOST:PORT/NAME")
    return Target(found.host, found.port, url=found if found.name else replace(found, path="/live"))


PROGRAM = Program(
    name="steadycast-send",
    table="sender",
    description="Send live audio and video over RTP.",
    examples="""\
examples:
  python -m sender 192.0.2.7                      camera and microphone, to a receiver on that machine
  python -m sender 192.0.2.7 --video clip.mp4 --loop
  python -m sender 192.0.2.7 --video pattern --size 640x360 --fps 30 --video-bitrate 800k
  python -m sender 192.0.2.7 '[2001:db8::7]:6004' several targets at once
  python -m sender rtp://192.0.2.7:5004 --sdp stream.sdp    for ffplay, VLC and GStreamer
  python -m sender 192.0.2.7 --load 20M --duration 30s      measure a path, without media
  python -m sender 192.0.2.7 --load find                    search for the rate it carries
  python -m sender rtsps://192.0.2.7:5004/door              announced to a receiver or a server, encrypted
  python -m sender 239.1.2.3 --interface eth0 --ttl 4       a multicast group

Any option may also stand in the environment (STEADYCAST_VIDEO_BITRATE=1M) or in a file (--config; its tables are
[sender] and [receiver]); the command line wins, then the environment.
Exit codes: 0 done, 1 error, 2 wrong usage, 3 nobody there, 4 a --fail-if holds, 130 second Ctrl-C.""",
    positional=Positional(
        "target",
        "TARGET ...",
        "HOST[:PORT] (everything on one port, default 5004), or rtp://HOST:PORT (video on PORT, audio on PORT+2,"
        " RTCP one above each, as other programs expect), or rtsp[s]://[USER@]HOST[:PORT]/NAME (announced there)",
        many=True,
        read=target,
    ),
    groups=(
        Group(
            "picture",
            (
                Option("video", "camera (default), camera:N, camera:PATH, a file, pattern, - or a FIFO (YUV4MPEG2,"
                       " sent as it arrives), or none", "WHAT"),
                Option("video-codec", "h264 (default), vp8, jpeg, or copy: a file's or camera's H.264 as it is",
                       "CODEC", units.choice(_VIDEO_CODECS)),
                Option("video-bitrate", "default 2M", "RATE", units.bit_rate),
                Option("size", "default: the source's own", "WxH", units.size),
                Option("fps", "pictures a second; default: the source's own", "N", units.frame_rate),
            ),
        ),
        Group(
            "sound",
            (
                Option("audio", "mic (default), mic:NAME, a file, tone or none; a --video alone brings its own sound",
                       "WHAT"),
                Option("audio-codec", "opus (default), l16, pcmu or pcma", "CODEC", units.choice(_AUDIO_CODECS)),
                Option("audio-bitrate", "of opus, default 64k", "RATE", units.bit_rate),
            ),
        ),
        Group(
            "stream",
            (
                Option("loop", "begin the file again at its end", kind="switch"),
                Option("sdp", "write what is sent, for players that need to be told, to this file", "FILE"),
                Option("repair", "against loss: auto (default): what the receiver asks for; none; nack: send again what"
                       " any receiver misses; or fec:25%: so many repair packets", "HOW", repair),
                Option("packet-size", "largest UDP payload in bytes, default 1200; of --load: of every packet", "BYTES",
                       units.integer(64, 65_507)),
            ),
        ),
        Group(
            "measuring without media",
            (
                Option("load", "paced packets of this rate (UDP payload, as iperf3 counts) instead of media; find:"
                       " search for the highest rate that the path carries, find:100M: up to that", "RATE", load),
                Option("pattern", "cbr (default): evenly spaced; video: pictures and larger key frames; voip: as many"
                       " calls of 50 packets a second as the rate pays for", "PATTERN", units.choice(_PATTERNS)),
                Option("loss-bound", "of --load find: loss that is acceptable, default 1%", "SHARE", units.share),
            ),
        ),
        Group(
            "who is there",
            (
                Option("require-encryption", "end rather than send to a HOST in the open that takes no encryption",
                       kind="switch"),
                Option("plain", "send to HOSTs in the open, and ask nobody for encryption", kind="switch"),
                *connecting_options(),
            ),
        ),
        options.network_options(
            Option("ttl", "how many routers multicast may pass, default 1", "N", units.integer(0, 255)),
            Option("dscp", "mark packets for routers: EF, AF41, CS5 or a number", "NAME", units.dscp),
        ),
        options.run_options(),
        options.help_options(),
    ),
)  # fmt: skip
