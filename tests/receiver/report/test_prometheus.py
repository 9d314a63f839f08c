"""Prometheus' own parser, and Debian's promtool, read what is written."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from receiver.report.prometheus import prometheus_text
from receiver.report.snapshot import Percentiles, Snapshot, SocketSnapshot, Traffic
from tests.receiver.report.example import audio, counts, snapshot, video

STREAM = {"ssrc": "0x00000001", "epoch": "0", "media": "video", "encoding": "H264"}


def parsed(taken: Snapshot) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(prometheus_text(taken))}


def full() -> Snapshot:
    measured = {
        "rtt_ms": 12.0,
        "delay_variation_ms": Percentiles(p50=1.0, p95=4.0, p99=9.0, p99_9=20.0),
        "traffic": Traffic(1000, 200, 300, 40),
        "loss_runs": {1: 19, 2: 5},
    }
    one = replace(video(counts(6012, lost=29), **measured), ssrc=1)
    return snapshot(one, audio(counts(1000, lost=0)), kernel_drops=3)


def test_counters_gauges_and_their_labels() -> None:
    families = parsed(full())
    sent = families["steadycast_packets_sent"]
    assert sent.type == "counter"
    assert (sent.samples[0].name, sent.samples[0].value) == ("steadycast_packets_sent_total", 6012)
    assert sent.samples[0].labels == STREAM
    assert families["steadycast_network_loss_ratio"].samples[0].value == pytest.approx(29 / 6012)
    assert families["steadycast_round_trip_seconds"].samples[0].value == pytest.approx(0.012)
    assert families["steadycast_kernel_drops"].samples[0].value == 3
    octets = {sample.labels["kind"]: sample.value for sample in families["steadycast_received_bytes"].samples}
    assert octets == {"media": 1000, "repair": 200, "headers": 300, "rtcp": 40}


def test_loss_runs_are_a_histogram() -> None:
    runs = parsed(full())["steadycast_loss_run_packets"]
    of_video = {
        (s.name.rpartition("_")[2], s.labels.get("le")): s.value for s in runs.samples if s.labels["media"] == "video"
    }
    assert runs.type == "histogram"
    assert of_video["bucket", "1"] == 19
    assert of_video["bucket", "2"] == of_video["bucket", "+Inf"] == of_video["count", None] == 24
    assert of_video["sum", None] == 29


def test_what_was_not_measured_is_left_out() -> None:
    families = parsed(snapshot(audio(counts(None, lost=3)), kernel_drops=None))
    for name in ("packets_sent", "network_loss_ratio", "round_trip_seconds", "kernel_drops", "frames_rendered"):
        assert f"steadycast_{name}" not in families
    assert "steadycast_packets_arrived" in families
    assert set(parsed(Snapshot(0.0))) >= {"steadycast_datagrams", "steadycast_run_seconds"}


def test_hostile_names_stay_labels() -> None:
    name = 'x"} 1\nevil_total 9 \\'
    taken = Snapshot(1.0, (replace(video(counts(10)), encoding=name),), SocketSnapshot(5, {name: 2}))
    families = parsed(taken)
    assert "evil" not in families
    assert families["steadycast_packets_arrived"].samples[0].labels["encoding"] == name
    assert families["steadycast_unparsed_datagrams"].samples[0].labels["reason"] == name


def test_promtool_has_no_complaint() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian: prometheus) is not installed")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=prometheus_text(full()), capture_output=True, text=True, timeout=20
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
