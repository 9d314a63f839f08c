"""What a session is asked is in its capture, and a replay asks the same: in virtual time, over the seeded network."""

from __future__ import annotations

import inspect
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from protocol import key_file
from receiver.capture import journal
from receiver.capture.file import CaptureFile
from receiver.capture.link import Unwrapper
from receiver.capture.recorded import RecordedSession, configuration, described
from receiver.capture.records import Note, Packet
from receiver.config import Latency, ReceiverConfig
from receiver.media import StreamKey
from receiver.replay.run import run
from receiver.report import document
from receiver.report.collect import collect
from receiver.session import ReceiverSession, SessionConfig
from receiver.transport import UdpPath
from tests.support import pair, recording, sealed, traffic
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND
from tests.support.netem import Conditions, GilbertElliott, rtp_only

READ_ONLY = {"next_timeout", "streams", "settled", "known_paths", "heard"}
BAD = Conditions(
    delay=60 * MS, jitter=15 * MS, bursts=GilbertElliott.of(0.05, 3), duplication=0.02, only=rtp_only
)  # fmt: skip


def both(duration: int) -> Any:
    return traffic.together(traffic.video(duration), traffic.audio(duration, stream=1))


def recorded(
    folder: Path, conditions: Conditions = BAD, seconds: int = 6, *, repair: bool = False
) -> tuple[pair.Pair, Path]:
    """A stream that was captured from its beginning to its end."""
    file = folder / "run.pcapng"
    meeting, capture = recording.meet(file, conditions, repair=repair)
    meeting.run(both(seconds * SECOND))
    assert meeting.receiver is not None
    meeting.receiver.set_device_latency("audio", 12 * MS)
    meeting.receiver.request_key_frame(StreamKey(pair.VIDEO.ssrc), "a test")
    meeting.finish()
    meeting.receiver.close(meeting.clock.now)
    meeting.receiver.poll()
    capture.close()
    return meeting, file


def replayed(file: Path, config: ReceiverConfig | None = None) -> dict[str, Any]:
    code, report = run(
        config or ReceiverConfig(), str(file), log=print, status=lambda _: None, stop=threading.Event()
    )  # fmt: skip
    assert code == 0
    return report


def live(meeting: pair.Pair) -> list[dict[str, Any]]:
    """The streams as the report has them."""
    assert meeting.receiver is not None
    snapshot = collect(
        meeting.receiver.statistics(), {}, (), time_s=1.0, rates={}, skew=None, kernel_drops=None,
        kernel_drops_exact=True, output_drops={}, began=meeting.sender_clock.origin,
    )  # fmt: skip
    return document.document(snapshot, {})["streams"]  # type: ignore[return-value]


def test_every_way_into_a_session_is_recorded() -> None:
    inputs = {name for name, _ in inspect.getmembers(ReceiverSession, inspect.isfunction) if not name.startswith("_")}
    assert inputs - READ_ONLY == {name for name in vars(RecordedSession) if not name.startswith("_")}


@pytest.mark.parametrize("conditions", [pair.CLEAN, BAD, Conditions(loss=0.5), Conditions(delay=MS, reordering=True)])
def test_a_replay_gives_the_same_figures(tmp_path: Path, conditions: Conditions) -> None:
    meeting, file = recorded(tmp_path, conditions, 4)
    report = replayed(file)
    assert report["capture"]["calls_recorded"]
    expected = [{**stream, "bitrate_bps": None} for stream in live(meeting)]
    assert [{**stream, "bitrate_bps": None} for stream in report["streams"]] == expected


def test_a_replay_repairs_what_was_repaired(tmp_path: Path) -> None:
    meeting, file = recorded(tmp_path, Conditions(delay=20 * MS, loss=0.1), repair=True)
    report = replayed(file)
    assert report["capture"]["calls_recorded"]
    expected = [{**stream, "bitrate_bps": None} for stream in live(meeting)]
    assert [{**stream, "bitrate_bps": None} for stream in report["streams"]] == expected
    ledgers = [stream["ledger"] for stream in report["streams"]]
    assert all(ledger["recovered_rtx"] + ledger["recovered_fec"] > 5 for ledger in ledgers)
    assert sum(stream["repair"]["requested"] for stream in report["streams"]) > 5


def test_what_was_sent_is_in_the_capture(tmp_path: Path) -> None:
    meeting, file = recorded(tmp_path)
    packets = [record for record in CaptureFile(str(file)).records() if isinstance(record, Packet)]
    sent = [Unwrapper().unwrap(packet) for packet in packets if packet.outbound]
    on_the_link = [fate.head for fate in meeting.back.log]
    assert [None if datagram is None else datagram.payload[: len(head)] for datagram, head in
            zip(sent, on_the_link, strict=False)] == on_the_link  # fmt: skip
    assert len(sent) >= len(on_the_link) > 5
    first = sent[0]
    assert first is not None
    assert (first.source_port, first.destination_port) == (5004, 6000)


def test_another_latency_changes_only_the_listeners_half(tmp_path: Path) -> None:
    meeting, file = recorded(tmp_path)
    short = replayed(file, ReceiverConfig(latency=Latency(fixed=0), given={"latency": "0"}))
    for before, after in zip(live(meeting), short["streams"], strict=True):
        network = ("sent", "arrived", "lost", "duplicates", "reordered", "after_close", "before_join")
        assert [after["ledger"][name] for name in network] == [before["ledger"][name] for name in network]
        assert after["loss_runs"] == before["loss_runs"]
        assert after["jitter_ms"] == before["jitter_ms"]
    assert sum(s["ledger"]["late"] for s in short["streams"]) > sum(s["ledger"]["late"] for s in live(meeting))


def test_a_capture_that_was_cut_gives_what_is_there(tmp_path: Path) -> None:
    _, file = recorded(tmp_path)
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    told: list[str] = []
    code, report = run(ReceiverConfig(), str(file), log=told.append, status=lambda _: None, stop=threading.Event())
    assert code == 0
    assert told == [f"{file} ends in the middle of a packet: what is there is used"]
    arrived = sum(stream["ledger"]["arrived"] for stream in report["streams"])  # type: ignore[attr-defined]
    packets = [r for r in CaptureFile(str(file)).records() if isinstance(r, Packet) and not r.outbound]
    media = [p for p in packets if not 192 <= p.data[29] <= 223]
    assert arrived == len({p.data[30:40] for p in media})


def test_a_capture_that_was_changed_is_replayed_by_its_stamps(tmp_path: Path) -> None:
    """A packet is taken out, the journal is left."""
    _, file = recorded(tmp_path)
    data = file.read_bytes()
    at = 0
    for _ in range(40):  # blocks
        at += int.from_bytes(data[at + 4 : at + 8], "little")
    size = int.from_bytes(data[at + 4 : at + 8], "little")
    assert data[at : at + 4] == b"\6\0\0\0"
    file.write_bytes(data[:at] + data[at + size :])
    told: list[str] = []
    code, report = run(ReceiverConfig(), str(file), log=told.append, status=lambda _: None, stop=threading.Event())
    assert code == 0
    assert told == [f"{file} was changed after it was captured: replayed by its stamps, not call by call"]
    assert not report["capture"]["calls_recorded"]  # type: ignore[index]


def test_the_journal_has_every_call(tmp_path: Path) -> None:
    _, file = recorded(tmp_path, seconds=1)
    calls = [
        call
        for record in CaptureFile(str(file)).records()
        if isinstance(record, Note) and record.kind == journal.CALLS
        for call in journal.decode(record.body)
    ]
    assert not any(isinstance(call, journal.Gap) for call in calls)
    named = [call.name for call in calls if isinstance(call, journal.Command)]
    assert [name for name in named if name not in ("leave", "statistics")] == [
        "set_device_latency",
        "request_key_frame",
        "close",
    ]
    assert sum(isinstance(call, journal.Timeout) for call in calls) > 10


def test_the_configuration_survives() -> None:
    path = UdpPath(5004, ("::1", 9))
    config = SessionConfig({}, Latency(fixed=3), 7, "me", path, seed=1 << 63, rtx={112: 96}, rtx_ssrcs={5: 6})
    config = replace(config, wrapped=(121,), ulpfec=(122,), rebuild=False)
    assert configuration(described(config)) == config
    assert configuration({**described(config), "of_a_later_version": 1}) == config
    assert configuration(described(replace(config, rtcp_path=None))).rtcp_path is None


def test_a_replay_of_what_was_encrypted(tmp_path: Path) -> None:
    """The capture has what was decrypted, and how much was not let in."""
    file = tmp_path / "run.pcapng"
    conditions = Conditions(delay=5 * MS, duplication=0.03, corruption=0.02)
    meeting, capture = recording.meet(file, conditions)
    keys = key_file.parse(b"correct horse battery staple", "a file")
    theirs, ours = sealed.clocks(meeting)
    sealed.seal(meeting, keys.sender(**theirs), keys.receiver(**ours))
    meeting.run(both(4 * SECOND))
    meeting.finish()
    assert meeting.receiver is not None
    meeting.receiver.close(meeting.clock.now)
    meeting.receiver.poll()
    capture.close()
    report = replayed(file)
    expected = [{**stream, "bitrate_bps": None} for stream in live(meeting)]
    assert [{**stream, "bitrate_bps": None} for stream in report["streams"]] == expected
    for kind in ("corrupted", "duplicates_unverified"):
        assert sum(stream["ledger"][kind] for stream in report["streams"]) > 10
    assert report["socket"]["datagrams"] == meeting.receiver.statistics().datagrams
