"""The receiver's command line, in this process, with a pipeline that only looks at its configuration."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protocol.command.security import Security
from protocol.errors import NoPeerError
from protocol.rtsp.url import Url
from receiver.cli import main
from receiver.config import Latency, Listen, ReceiverConfig
from receiver.media import Format
from receiver.report.document import document
from receiver.report.snapshot import Snapshot

ROOT = Path(__file__).parents[2]


class Pipeline:
    """Stands in for `receiver.pipeline.run`."""

    def __init__(self) -> None:
        self.config = ReceiverConfig()

    def __call__(
        self, config: ReceiverConfig, *, log: Callable[[str], None], status: Callable[[Snapshot], None], stop: Any
    ) -> tuple[int, dict[str, Any]]:
        assert not stop.is_set()
        self.config = config
        log("listening")
        status(Snapshot(1.0))
        return 3, document(Snapshot(2.0), config.given, ports=config.listen.ports)


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    for name in ("STEADYCAST_LATENCY", "STEADYCAST_CONFIG", "STEADYCAST_VIDEO"):
        monkeypatch.delenv(name, raising=False)
    return Pipeline()


def test_nothing_given_is_the_default(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], pipeline) == 3
    assert pipeline.config == ReceiverConfig(listen=Listen(tcp=5004))
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert lines[:2] == ["steadycast-receive: listening", "0:01  waiting"]
    assert lines[2].startswith("No packet came.")
    assert "UDP 5004–5007" in lines[2]


def test_every_option_reaches_the_configuration(pipeline: Pipeline) -> None:
    text = (
        "rtp://[::1]:6000 --audio speaker:USB --video out.mp4 --record all.mkv --latency 60ms --map 96=VP8/90000"
        " --map 110=l16/48000/2 --map 111=opus/48000 --map 121=RED/90000 --ssrc 0x1234"
        " --no-gro --json --report out --picture last.png"
        " --duration 30s --bind ::1 --interface eth0 --rtcp-to 192.0.2.7:6001 -6 -vv --exit-on-end"
    )
    assert main(["--log-file", "/dev/null", *text.split()], pipeline) == 3
    given = {
        "source": "rtp://[::1]:6000", "audio": "speaker:USB", "video": "out.mp4", "record": "all.mkv",
        "latency": "60ms", "map": ["96=VP8/90000", "110=l16/48000/2", "111=opus/48000", "121=RED/90000"],
        "ssrc": "0x1234",
        "no_gro": True, "json": True, "report": "out", "picture": "last.png", "duration": "30s", "bind": "::1",
        "interface": "eth0", "rtcp_to": "192.0.2.7:6001", "ipv6": True, "exit_on_end": True,
        "verbose": 2, "log_file": "/dev/null",
    }  # fmt: skip
    assert pipeline.config == ReceiverConfig(
        listen=Listen("::1", (6000, 6001, 6002, 6003)),
        mapped={
            96: Format("VP8", 90_000),
            110: Format("L16", 48_000, 2),
            111: Format("opus", 48_000, 2),
            121: Format("red", 90_000),
        },
        audio="speaker:USB",
        video="out.mp4",
        record="all.mkv",
        latency=Latency(60_000_000),
        ssrc=0x1234,
        gro=False,
        duration=30_000_000_000,
        exit_on_end=True,
        bind="::1",
        interface="eth0",
        family=6,
        rtcp_to=("192.0.2.7", 6001),
        json=True,
        report="out",
        picture="last.png",
        verbose=2,
        given=given,
    )


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("source", "listen"),
    [
        (":6000", Listen(None, (6000, 6001, 6002, 6003), tcp=6000)),
        ("6000", Listen(None, (6000, 6001, 6002, 6003), tcp=6000)),
        ("rtp://@:6000", Listen(None, (6000, 6001, 6002, 6003))),
        ("239.1.2.3", Listen("239.1.2.3", (5004, 5005, 5006, 5007))),
        ("127.0.0.1:65532", Listen("127.0.0.1", (65532, 65533, 65534, 65535), tcp=65532)),
        ("rtsp://192.0.2.9/a/b?c=1", Listen(ports=(), url=Url("rtsp", "192.0.2.9", 554, "/a/b?c=1"))),
        ("RTSPS://[::1]:8555/live", Listen(ports=(), url=Url("rtsps", "::1", 8555, "/live"))),
    ],
)
def test_sources(pipeline: Pipeline, source: str, listen: Listen) -> None:
    main([source], pipeline)
    assert pipeline.config.listen == listen


def test_a_password_in_an_address_stays_out_of_the_report(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["rtsp://admin:se:cr@et@192.0.2.9/live", "--json"], pipeline)
    assert pipeline.config.listen.url == Url("rtsp", "192.0.2.9", 554, "/live", "admin", "se:cr@et")
    captured = capsys.readouterr()
    assert json.loads(captured.out)["configuration"]["source"] == "rtsp://admin@192.0.2.9/live"
    assert "se:cr" not in captured.err
    assert "password-file" in captured.err


def test_what_rtsp_needs_reaches_the_configuration(pipeline: Pipeline, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("alice:secret\nbob:x:y\n")
    users.chmod(0o600)
    digits = "ab" * 32
    options = f"--rtsp-transport tcp --users {users} --cert a.pem --key b.pem --ca c.pem --fingerprint {digits}"
    main(["rtsp://192.0.2.9/live", *options.split(), "--password-file", "p"], pipeline)
    assert pipeline.config.rtsp_transport == "tcp"
    fingerprint = ":".join(["AB"] * 32)
    assert pipeline.config.security == Security(
        {"alice": "secret", "bob": "x:y"}, "a.pem", "b.pem", "c.pem", fingerprint, "p"
    )


def test_a_description_brings_ports_and_formats(pipeline: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "a.sdp").write_text("v=0\nm=video 7000 RTP/AVP 96\na=rtpmap:96 VP8/90000\n")
    main(["a.sdp"], pipeline)
    assert pipeline.config.listen.ports == (7000, 7001)
    assert pipeline.config.formats == {96: Format("VP8", 90_000)}


@pytest.mark.parametrize(
    ("text", "latency"),
    [("auto", Latency()), ("auto:0.7", Latency(caution=0.7)), ("1.5s", Latency(1_500_000_000)), ("0ms", Latency(0))],
)
def test_latencies(pipeline: Pipeline, text: str, latency: Latency) -> None:
    main(["--latency", text], pipeline)
    assert pipeline.config.latency == latency


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--latency 60", "--latency: '60' is no time: write a number with its unit"),
        ("--latency auto:2", "--latency: 'auto:2': write auto:0 (quick) to auto:1 (safe)"),
        (":65533", "SOURCE: port 65533 will not do"),
        ("http://camera/1", "SOURCE: http:// is not supported"),
        ("rtsp://", "SOURCE: 'rtsp://' is no address: write rtsp://HOST:PORT/NAME"),
        ("nowhere.sdp", "SOURCE: cannot read nowhere.sdp: No such file"),
        ("--audio out.mp3", "--audio: cannot play sound to 'out.mp3'"),
        ("--video out.avi", "--video: cannot show pictures on 'out.avi'"),
        ("--record out.mp4", "--record: 'out.mp4' must end in .mkv"),
        ("--picture out.jpg", "--picture: 'out.jpg' must end in .png"),
        ("--map 72=VP8/90000", "--map: payload type 72 will not do"),
        ("--map 96=VP9/90000", "--map: cannot play 'VP9' (did you mean vp8?)"),
        ("--map 96", "--map: '96' is no mapping"),
        ("--ssrc 99999999999", "--ssrc: '99999999999' is no whole number"),
        ("--rtcp-to 192.0.2.7", "--rtcp-to: '192.0.2.7' needs a host and a port"),
        ("-4 -6", "-4 and -6 exclude each other"),
        ("--audio - --video -", "--audio - and --video - both want stdout"),
        ("--json --video -", "--video - and --json both want stdout"),
        ("--json-stream --audio -", "--audio - and --json-stream both want stdout"),
        ("--json --json-stream", "--json and --json-stream both want stdout"),
        ("--fail-if lost>3", "--fail-if: 'lost>3': there is no figure 'lost'"),
        ("--repair often", "--repair: 'often' is no repair: choose auto, none, nack or fec:25%"),
        ("--latency", "argument --latency: expected one argument"),
    ],
)
def test_wrong_usage_is_one_line(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], arguments: str, message: str
) -> None:
    assert main(arguments.split(), pipeline) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"steadycast-receive: {message}")
    assert error.count("\n") == 1


@pytest.mark.parametrize(("argument", "dashboard"), [("--dashboard", ""), ("--dashboard=:8080", ":8080")])
def test_where_the_dashboard_is(pipeline: Pipeline, argument: str, dashboard: str) -> None:
    """Without an address it does not take the source for one."""
    main([argument, ":6000"], pipeline)
    assert pipeline.config.dashboard == dashboard
    assert pipeline.config.listen.ports[0] == 6000


def test_without_a_terminal_there_is_a_status_line(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--dashboard"], pipeline)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "steadycast-receive: --dashboard: stderr is no terminal to draw on: a status line instead"
    assert lines[2] == "0:01  waiting"


def test_a_stream_of_json(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json-stream"], pipeline) == 3
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["kind"] for line in lines] == ["interval", "report"]
    assert lines[0]["interval"]["end_s"] == 1.0


def test_the_report_directory(pipeline: Pipeline, tmp_path: Path) -> None:
    main(["--report", str(tmp_path)], pipeline)
    assert json.loads((tmp_path / "report.json").read_text())["schema"] == "steadycast/1"
    assert (tmp_path / "intervals.csv").read_bytes() == b"start_s,end_s,media,ssrc,epoch\r\n"


def test_no_peer_is_exit_3(capsys: pytest.CaptureFixture[str]) -> None:
    def run(*_: Any, **__: Any) -> tuple[int, dict[str, Any]]:
        raise NoPeerError("nobody")

    assert main(["--json"], run) == 3
    assert json.loads(capsys.readouterr().out)["error"] == "nobody"


def test_list_devices_and_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list-devices"]) == 0
    assert capsys.readouterr().out.startswith("speakers:")
    assert main(["--list-devices", "--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), list)
    assert main(["--check", "--json"]) == 0
    rows = {row["name"]: row["ok"] for row in json.loads(capsys.readouterr().out)}
    assert rows["H264 decoder"]
    assert rows["opus decoder"]


def test_help_loads_no_codec() -> None:
    code = "import sys; from receiver.cli import main; main(['--help']); assert not {'av', 'cv2'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert "--latency TIME" in done.stdout


def test_the_module_is_a_program() -> None:
    command = [sys.executable, "-m", "receiver", "--latency", "soon"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("steadycast-receive: --latency: 'soon' is no time")
    assert done.stderr.count("\n") == 1
