"""The sender's command line, in this process, with a pipeline that only looks at its configuration."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sender import companion
from sender.cli import main
from sender.config import Load, SenderConfig, Target
from sender.snapshot import Snapshot

ROOT = Path(__file__).parents[2]


class Pipeline:
    """Stands in for `sender.pipeline.run`."""

    def __init__(self) -> None:
        self.config = SenderConfig(())

    def __call__(
        self, config: SenderConfig, *, log: Callable[[str], None], status: Callable[[Snapshot], None], stop: Any
    ) -> tuple[int, dict[str, Any]]:
        assert not stop.is_set()
        self.config = config
        log("sending")
        status(Snapshot(1.0))
        return 0, {"schema": "steadycast/1", "error": None, "verdict": "Sent 7 packets."}


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    monkeypatch.chdir(tmp_path)
    for name in ("STEADYCAST_VIDEO", "STEADYCAST_CONFIG", "STEADYCAST_AUDIO"):
        monkeypatch.delenv(name, raising=False)
    return Pipeline()


def test_a_host_is_enough(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["192.0.2.7"], pipeline) == 0
    target = Target("192.0.2.7", 5004, encryption="try")
    assert pipeline.config == SenderConfig((target,), given={"target": ["192.0.2.7"]})
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["steadycast-send: sending", "0:01  starting", "Sent 7 packets."]


def test_every_option_reaches_the_configuration(pipeline: Pipeline) -> None:
    text = (
        "host [2001:db8::7]:6000 rtp://192.0.2.7:7000 --audio tone --audio-codec L16 --audio-bitrate 32k"
        " --video pattern --video-codec vp8 --video-bitrate 1.5M --size 640x360 --fps 25 --sdp out.sdp"
        " --packet-size 1000 --bind 192.0.2.1 --interface eth0 --ttl 4 --dscp AF41 --rtcp-to host:9"
        " -4 --duration 10s --json -q"
    )
    assert main(text.split(), pipeline) == 0
    config = pipeline.config
    assert config.targets == (
        Target("host", 5004),
        Target("2001:db8::7", 6000),
        Target("192.0.2.7", 7000, classical=True),
    )
    assert (config.audio, config.audio_codec, config.audio_bitrate) == ("tone", "l16", 32_000)
    assert (config.video, config.video_codec, config.video_bitrate) == ("pattern", "vp8", 1_500_000)
    assert (config.size, config.fps, config.sdp, config.max_datagram) == ((640, 360), 25.0, "out.sdp", 1000)
    assert (config.bind, config.interface, config.ttl, config.dscp) == ("192.0.2.1", "eth0", 4, 34)
    assert (config.rtcp_to, config.family, config.duration) == (("host", 9), 4, 10_000_000_000)
    assert (config.json, config.quiet) == (True, True)


@pytest.mark.parametrize(
    ("arguments", "encryption"),
    [
        ("host", "try"),
        ("host --require-encryption", "must"),
        ("host --plain", "no"),
        ("host --load 1M", "no"),
        ("host --sdp out.sdp", "no"),
        ("host --rtcp-to other:9", "no"),
        ("rtp://host", "no"),
        ("rtsps://host/x --require-encryption", "no"),
    ],
)
def test_who_is_asked_for_encryption(pipeline: Pipeline, arguments: str, encryption: str) -> None:
    assert main(arguments.split(), pipeline) == 0
    assert [target.encryption for target in pipeline.config.targets] == [encryption]


def test_servers(pipeline: Pipeline) -> None:
    assert main(["rtsp://host/x", "rtsps://ann:secret@host:8322/a/b", "RTSP://[::1]:9"], pipeline) == 0
    one, two, three = pipeline.config.targets
    assert (one.host, one.port, str(one.url)) == ("host", 554, "rtsp://host/x")
    assert (two.port, str(two.url)) == (8322, "rtsps://host:8322/a/b")
    assert (three.host, str(three.url)) == ("::1", "rtsp://[::1]:9/live")
    assert "secret" not in str(pipeline.config.given)


def test_load_takes_the_place_of_media(pipeline: Pipeline) -> None:
    assert main(["host", "--load", "20M", "--pattern", "video", "--fps", "25", "--packet-size", "1000"], pipeline) == 0
    assert pipeline.config.load == Load(20_000_000, pattern="video", packet_size=1000, fps=25.0)
    assert (pipeline.config.audio, pipeline.config.video) == ("none", "none")
    assert main(["host", "--load", "find:100M", "--loss-bound", "0.5%"], pipeline) == 0
    assert pipeline.config.load == Load(None, 100_000_000, loss_bound=0.005)


@pytest.mark.parametrize(
    ("audio", "video", "chosen"),
    [
        (None, None, ("mic", "camera")),
        (None, "camera:1", ("mic", "camera:1")),
        (None, "pattern", ("tone", "pattern")),
        (None, "-", ("none", "-")),
        ("tone", None, ("tone", "pattern")),
        ("mic:USB", None, ("mic:USB", "camera")),
        ("none", "pattern", ("none", "pattern")),
        (None, "both", ("both", "both")),
        (None, "silent", ("none", "silent")),
        ("both", None, ("both", "both")),
        ("blind", None, ("blind", "none")),
        ("mic", "both", ("mic", "both")),
        (None, "not there", ("none", "not there")),
    ],
)
def test_what_goes_with_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, audio: str | None, video: str | None, chosen: tuple[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    content = {"both": {"audio", "video"}, "silent": {"video"}, "blind": {"audio"}}
    for name in content:
        (tmp_path / name).touch()
    assert companion.choose(audio, video, lambda path, medium: medium in content[path]) == chosen


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "say where to send"),
        ("host --json --json-stream", "--json and --json-stream both want stdout"),
        ("host --dashboard=:8080", "--dashboard: the sender draws in the terminal only"),
        ("host --fail-if late>1", "--fail-if: 'late>1': late is a share: write 1%"),
        (":5004", "TARGET: ':5004' names no host"),
        ("host:99999", "TARGET: port 99999 does not exist"),
        ("srt://host", "TARGET: srt:// is not supported"),
        ("rtp://host:65533", "TARGET: port 65533 will not do"),
        ("host --video-codec h265", "--video-codec: there is no 'h265' (did you mean h264?)"),
        ("host --audio-codec mp3", "--audio-codec: there is no 'mp3'; choose from opus, l16, pcmu, pcma"),
        ("host --size 641x360", "--size: '641x360': width and height must be even"),
        ("host --dscp HIGH", "--dscp: 'HIGH' is no DSCP"),
        ("host --ttl 256", "--ttl: '256' is no whole number from 0 to 255"),
        ("host --audio none --video none", "nothing to send"),
        ("host --video pattern --loop", "--loop needs a file"),
        ("host --plain --require-encryption", "--plain and --require-encryption exclude each other"),
        ("rtp://host --require-encryption", "--require-encryption: rtp:// and rtsp:// have none"),
        ("host --load 1M --require-encryption", "--load is for packets in the open"),
        ("rtsp://", "is no address: write rtsp://HOST:PORT/NAME"),
        ("rtsp://host/x --load 1M", "--load measures the path to a receiver"),
        ("rtsp://host/x --sdp out.sdp", "--sdp: a server is told by RTSP"),
        ("host --video pattern --video-codec copy", "--video-codec copy needs pictures that are encoded already"),
        ("host --video pattern --video-codec jpeg --size 2560x1440", "2560x1440"),
        ("host --lood", "there is no --lood (did you mean --loop?)"),
        ("host --load fast", "--load: 'fast' is no bit-rate"),
        ("host --load 20M --video pattern", "--load sends packets instead of media: leave out --video"),
        ("host --load find --pattern voip", "--load find sends evenly spaced packets: leave out --pattern"),
        ("host other --load find", "--load find searches one path: give one target"),
        ("host --load 20M --loss-bound 1%", "--loss-bound belongs to --load find"),
        ("host --load 20M --fps 25", "--fps belongs to --pattern video"),
        ("host --pattern voip", "--pattern belongs to --load"),
        ("host --load find --loss-bound much", "--loss-bound: 'much' is no share: write for example 1% or 0.01"),
        ("host --packet-size 100", "--packet-size: media need at least 256 bytes"),
    ],
)
def test_wrong_usage_is_one_line(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], arguments: str, message: str
) -> None:
    assert main(arguments.split(), pipeline) == 2
    error = capsys.readouterr().err
    assert error.startswith("steadycast-send: ")
    assert message in error
    assert error.count("\n") == 1


def test_json_goes_to_stdout(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["host", "--json", "-q"], pipeline) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["verdict"] == "Sent 7 packets."
    assert captured.err == ""


def test_list_devices_and_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list-devices"]) == 0
    out = capsys.readouterr().out
    assert "cameras:" in out
    assert "microphones:" in out
    assert main(["--check", "--json"]) == 0
    rows = {row["name"]: row["ok"] for row in json.loads(capsys.readouterr().out)}
    assert rows["h264 encoder"]
    assert rows["opus encoder"]


def test_help_loads_no_codec() -> None:
    code = "import sys; from sender.cli import main; main(['--help']); assert not {'av', 'cv2'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert "--video-bitrate RATE" in done.stdout


def test_the_module_is_a_program() -> None:
    command = [sys.executable, "-m", "sender", "host", "--fps", "many"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("steadycast-send: --fps: 'many' is no frame rate")
    assert done.stderr.count("\n") == 1
