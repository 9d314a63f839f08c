"""GStreamer protects its pictures (rtpulpfecenc, rtpredenc) through a network that loses 5 %: judged by the ledger and
the pictures, against the same stream when nothing is rebuilt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.interop import gstreamer, stage
from tests.support import media, peers

MAP = ("--map", "121=RED/90000", "--map", "122=ULPFEC/90000", "--map", "96=H264/90000")
LOSS = ("--loss", "5%", "--delay", "10", "--seed", "3", "--back", "delay")
PROTECT = "rtpulpfecenc pt=122 percentage=100 percentage-important=100 ! rtpredenc pt=121 allow-no-red-blocks=true"


def received(clip: Path, folder: Path, *options: str) -> tuple[dict[str, Any], media.Seen]:
    """What the receiver tells of the stream of pictures, and the pictures."""
    folder.mkdir()
    front, port, out = peers.free_ports(), peers.free_ports(), stage.Outputs.of(folder)
    pipeline = (
        f"filesrc location={clip} ! matroskademux name=d d.video_0 ! queue ! avdec_ffv1 ! "
        f"{gstreamer.ENCODE['h264']} ! {PROTECT} ! udpsink host=127.0.0.1 port={front}"
    )
    asked = ("--audio", "none", "--latency", "200ms", *MAP, *options)
    with peers.Process(peers.proxy("--map", f"{front}:{port}", *LOSS), folder, "proxy") as network:
        network.wait_for_port(front)
        with peers.Process(stage.receiver(f"127.0.0.1:{port}", out, *asked), folder, "receiver") as receiving:
            receiving.wait_for_port(port)
            with peers.Process([*gstreamer.LAUNCH, *pipeline.split()], folder, "peer") as sending:
                assert sending.wait(20) == 0, sending.log
            assert receiving.interrupt() == 0, receiving.log
    return stage.stream(json.loads((folder / "receiver.out").read_text()), "video"), media.look(out.pictures)


def test_gstreamer_protects_its_pictures(clip: Path, tmp_path: Path) -> None:
    """Without a loss that is not lost still: repair hides none."""
    peers.need("gst-launch-1.0")
    told, seen = received(clip, tmp_path / "rebuilt")
    plainly, without = received(clip, tmp_path / "plain", "--repair", "none")
    for stream in (told, plainly):
        assert (stream["encoding"], stream["payload_type"]) == ("H264", 96)
        assert stream["ledger"]["lost"] > 10
    ledger = told["ledger"]
    assert ledger["recovered_fec"] >= 0.3 * ledger["lost"], f"{ledger}"
    assert plainly["ledger"]["recovered_fec"] == 0
    assert spoilt(told) < spoilt(plainly), f"{told['frames']} {plainly['frames']}"
    assert seen.in_order
    assert len(set(seen.numbers)) > len(set(without.numbers))


def spoilt(told: dict[str, Any]) -> int:
    """Pictures that were not played, or not as they were sent."""
    frames = told["frames"]
    return int(frames["damaged"] + frames["held"] + frames["dropped_network"] + frames["dropped_decode"])
