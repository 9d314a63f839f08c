"""What a person reads: the live line, the verdict, the final text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from protocol.command.check import buffer_advice
from receiver.media import AudioPlayoutStatistics, VideoPlayoutStatistics
from receiver.report.document import document
from receiver.report.line import line
from receiver.report.snapshot import (
    Bursts,
    EModel,
    Estimate,
    GilbertElliott,
    Percentiles,
    Snapshot,
    SocketSnapshot,
    Traffic,
)
from receiver.report.text import final_text
from receiver.report.verdict import verdict
from tests.receiver.report.example import audio, counts, snapshot, video

FROZEN = VideoPlayoutStatistics(1, 1, 1, freeze_count=2, total_freezes_duration_s=1.5)


def test_the_line_while_nothing_comes() -> None:
    assert line(Snapshot(65.0)) == "1:05  waiting"
    assert line(Snapshot(3.0, socket=SocketSnapshot(datagrams=7))) == "0:03  7 datagrams, none of a stream"


def test_the_line_of_a_stream() -> None:
    before = snapshot(video(counts(1000)), time_s=9.0)
    shown = VideoPlayoutStatistics(frames_rendered=327, freeze_count=1, total_freezes_duration_s=0.4)
    before_audio = AudioPlayoutStatistics(total_samples_received=48_000, concealed_samples=480)
    after = snapshot(
        audio(counts(500), bitrate_bps=64_000.0, audio=before_audio), video(counts(1000, lost=8, late=2), video=shown)
    )
    assert line(after, before) == (
        "0:10  video 30 fps 1.9 Mbit/s lost 0.80 % (8/1000) late 2 buffer 23 ms frozen 1× 0.4 s"
        "  |  audio 64 kbit/s lost 0.00 % (0/500) concealed 1.00 % (480/48000)"
    )


def test_the_line_never_shows_a_share_of_the_unknown() -> None:
    text = line(snapshot(video(counts(None, lost=3)), kernel_drops=12))
    assert "lost 3 seen" in text
    assert "%" not in text
    assert text.endswith("this machine dropped 12")


def test_only_the_newest_epoch_is_in_the_line() -> None:
    text = line(snapshot(video(counts(10, lost=1)), video(counts(20), epoch=1)))
    assert "(0/20)" in text
    assert "(1/10)" not in text


@pytest.mark.parametrize(
    ("taken", "sentence"),
    [
        (
            snapshot(video(counts(3600, lost=29), loss_runs={1: 21, 4: 2})),
            "The network lost 0.81 % (29/3600) of the video, in runs of up to 4.",
        ),
        (snapshot(video(counts(100, lost=2), loss_runs={1: 2})), "of the video, one packet at a time."),
        (
            snapshot(audio(counts(3000))),
            # rule of three: 3/3000
            "The network lost nothing of the sound (0/3000; with 95 % confidence its loss is below 0.1 %).",
        ),
        (
            snapshot(video(counts(None, lost=10))),
            "How much video was sent is not known: its sender does not say, so a loss before the first packet heard or"
            " after the last cannot be seen. Between them the loss was 1.00 % (10/1000).",
        ),
        (snapshot(video(counts(100, lost=3, sender=3))), "The sender could not hand over 3.00 % (3/100) of the video."),
        (snapshot(video(counts(0))), "The sender sent no video while this receiver listened."),
        (snapshot(video(counts(10))), "This machine dropped nothing."),
        (snapshot(video(counts(10)), kernel_drops=None), "is not known: its kernel does not say."),
        (snapshot(video(counts(10)), kernel_drops=8), f"kernel dropped 8 because its receive buffer was full: allow a"
         f" larger one with `{buffer_advice()}`"),
        (snapshot(video(counts(10)), kernel_drops=8, kernel_drops_exact=False), "dropped at least 8"),
        (snapshot(video(counts(200, late=2))), "1.00 % (2/200) of the video came too late to be played"),
        (
            snapshot(video(counts(200, late=2), needed_buffer=((0.0, 0.9), (41.2, 0.01), (83.5, 0.0)))),
            "1.00 % (2/200) of the video came too late to be played: 85 ms of buffer would have been enough"
            " (--latency 85ms).",
        ),
        (
            snapshot(audio(counts(5000), needed_buffer=((0.0, 0.9), (8.3, 0.001), (400.0, 0.0)))),
            "9 ms of buffer would have been enough for the sound.",
        ),
        (
            snapshot(video(counts(1000, lost=20), delay_variation_ms=Percentiles(None, 80.0, 180.0, 190.0))),
            "One packet in twenty was held up by 180 ms or more: the path seems to carry less than is sent, so let the"
            " sender send less (--bitrate).",
        ),
        (snapshot(video(counts(10))), "The picture never froze."),
        (
            snapshot(video(counts(10), video=FROZEN)),
            "The picture froze 2 times, 1.5 s in all.",
        ),
        (
            snapshot(video(counts(10), video=VideoPlayoutStatistics(9, 4))),
            "No picture was shown (9 came, 4 could be decoded).",
        ),
        (snapshot(audio(counts(10))), "No sound had to be made up."),
        (
            snapshot(audio(counts(10), audio=AudioPlayoutStatistics(48_000, 480, concealment_events=1))),
            "Sound was made up once to cover holes: 1.00 % (480/48000) of the samples.",
        ),
        (
            snapshot(video(counts(10)), unparsed={"short": 3}),
            "3 of 1500 datagrams were not understood.",
        ),
        (
            snapshot(video(replace(counts(10), arrived=9))),
            "The ledger does not balance, please report it: video 0x00001234: numbers = arrived + lost: 10 ≠ 9.",
        ),
    ],
)  # fmt: skip
def test_the_verdict_says(taken: Snapshot, sentence: str) -> None:
    assert sentence in verdict(taken)


def test_no_packet_says_what_to_check() -> None:
    assert verdict(Snapshot(5.0), (5004, 5007)) == (
        "No packet came. Check that the sender runs and names this machine,"
        " and that the firewall lets UDP 5004–5007 in."
    )
    other = Snapshot(5.0, socket=SocketSnapshot(datagrams=9, unparsed={"unknown_payload_type": 9}))
    assert "9 datagrams came, but no stream was among them (9 unknown payload type)." in verdict(other)


def test_the_network_comes_first() -> None:
    assert verdict(snapshot(video(counts(100, lost=2)), audio(counts(50)))).startswith("The network lost")


def test_the_final_text_has_a_block_for_each_stream() -> None:
    taken = snapshot(video(counts(1000, lost=8), loss_runs={1: 4, 2: 2}), audio(counts(None)), unparsed={"version": 3})
    text = final_text(report(taken))
    lines = text.splitlines()
    assert lines[0] == verdict(taken)
    assert "video H264, SSRC 0x00001234, someone@somewhere" in lines
    assert "  packets    1000 sent, 992 arrived, 8 lost, 0 late, 0 reordered, 0 duplicates" in lines
    assert "  loss runs  4 of 1, 2 of 2" in lines
    assert "  network    jitter 3.2 ms, round trip 41.0 ms" in lines
    assert "  packets    unknown sent, 1000 arrived, 0 lost, 0 late, 0 reordered, 0 duplicates" in lines
    assert "not understood: 3 version" in lines


def test_the_final_text_has_every_derived_figure() -> None:
    part = Estimate(0.25, 0.2, 0.3)
    taken = snapshot(
        audio(
            counts(1000, lost=8),
            late_runs={3: 1},
            bursts=Bursts(16, 2, 0.5, 0.001, 120.0, 9000.0),
            gilbert_elliott=GilbertElliott(part, part, part, part),
            reordering_extent={1: 3, 12: 1},
            reordering_late_ms=Percentiles(None, 1.0, 7.5, 8.0),
            delay_variation_ms=Percentiles(None, 1.0, 5.0, 9.0, 30.0),
            one_way_delay_ms=20.0,
            one_way_delay_error_ms=12.5,
            rtt_ms=25.0,
            clock_skew_ppm=-31.4,
            needed_buffer=((0.0, 0.9), (5.0, 0.01), (30.0, 0.0)),
            e_model=EModel(80.2, 4.03, 150.0, 0.008, 1.5, 0.0, 20.0),
            traffic=Traffic(120_000, 0, 40_000, 900),
        )
    )
    lines = final_text(report(taken)).splitlines()
    assert "  late runs  1 of 3" in lines
    assert "  bursts     2 of 120 ms on average, 50.0 % lost or late in them, 0.10 % between them" in lines
    assert any("good to bad 25 % (20 to 30)" in line for line in lines)
    assert "  reordering by up to 12 packets; 7.5 ms of buffer would have put 95 % of them in order" in lines
    assert "  network    jitter not measured, round trip 25.0 ms, one way 20.0 ± 12.5 ms" in lines
    assert "  delay      above the least: 50 % 1.0 ms, 95 % 5.0 ms, 99 % 9.0 ms, 99.9 % 30.0 ms" in lines
    assert "  clocks     the sender's runs 31.4 ppm faster" in lines
    assert "  needed     5.0 ms for 1 % late, 30.0 ms for 0.1 % late, 30.0 ms for none late" in lines
    assert "  estimate   R 80, MOS 4.0 (E-model: 150.0 ms, 0.80 % missed, burst ratio 1.5)" in lines
    assert "  traffic    120000 octets of media, 40000 octets of headers, 900 octets of RTCP" in lines


def report(taken: Snapshot) -> dict[str, Any]:
    return document(taken, {})
