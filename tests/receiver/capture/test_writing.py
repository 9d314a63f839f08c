"""The file while it is written: headers that tshark finds right, a slow disk, a full one."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from protocol.errors import ResourceError
from receiver.capture import journal, writing
from receiver.capture.file import CaptureFile
from receiver.capture.headers import ends
from receiver.capture.link import Unwrapper
from receiver.capture.records import Counters, Note, Packet
from receiver.capture.writing import Capture
from receiver.transport import UdpPath
from tests.support import peers

V4 = UdpPath(5004, ("::ffff:127.0.0.1", 6000, 0, 0))
V6 = UdpPath(5004, ("::1", 6001, 0, 0))


def capture(path: Path, told: list[str] | None = None) -> Capture:
    made = Capture(str(path), (told if told is not None else []).append)
    made.begin({"session": {}}, 1000)
    return made


def test_tshark_finds_nothing_wrong(tmp_path: Path) -> None:
    peers.need("tshark")
    made = capture(tmp_path / "a.pcapng")
    for number, path in enumerate((V4, V6)):
        packets = [b"\x80\x61" + bytes(10 + size) for size in range(3)]
        made.call(journal.Datagrams(2000, 3, 5 * number), packets, [1500, 1600, 1700], path)
        made.sent([b"\x80\xc9\x00\x01" + bytes(4)], 2100, path)
    made.close()
    fields = ["ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "udp.srcport", "udp.dstport", "frame.packet_flags_direction"]
    command = ["tshark", "-n", "-r", str(tmp_path / "a.pcapng"), "-o", "ip.check_checksum:TRUE",
               "-o", "udp.check_checksum:TRUE", "-Y", "udp", "-T", "fields"]  # fmt: skip
    wanted = [
        part for f in (*fields, "_ws.expert.message", "ip.checksum.status", "udp.checksum.status") for part in ("-e", f)
    ]
    told = subprocess.run(command + wanted, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split("\t") for line in told]
    assert [row[:6] for row in rows[:4]] == [["127.0.0.1", "127.0.0.1", "", "", "6000", "5004"]] * 3 + [
        ["127.0.0.1", "127.0.0.1", "", "", "5004", "6000"]
    ]
    assert [row[2:6] for row in rows[4:]] == [["::1", "::1", "6001", "5004"]] * 3 + [["::1", "::1", "5004", "6001"]]
    assert [row[6][-1:] for row in rows] == ["1", "1", "1", "2"] * 2
    assert all(row[7] == "" for row in rows), rows
    assert [row[8] for row in rows[:4]] == ["1"] * 4  # good
    assert [row[9] for row in rows[4:]] == ["1"] * 4


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made = capture(tmp_path / "a.pcapng")
    made.kernel_drops = lambda: 7
    made.call(journal.Datagrams(2000, 2, 3, drops_exact=False), [b"one", b""], [1500, 1600], V4)
    made.call(journal.Timeout(3000))
    made.close()
    records = list(CaptureFile(str(tmp_path / "a.pcapng")).records())
    notes = [record for record in records if isinstance(record, Note)]
    facts = journal.read_begin(notes[0].body)
    assert facts["began"] == 1000
    offset = facts["wall_offset"]
    assert isinstance(offset, int)
    assert list(journal.decode(notes[1].body)) == [
        journal.Datagrams(2000, 2, 3, drops_exact=False), journal.Timeout(3000)
    ]  # fmt: skip
    packets = [record for record in records if isinstance(record, Packet)]
    assert [packet.time - offset for packet in packets] == [1500, 1600]
    found = [Unwrapper().unwrap(packet) for packet in packets]
    assert [datagram and datagram.payload for datagram in found] == [b"one", b""]
    counters = [record for record in records if isinstance(record, Counters)]
    assert counters[0].dropped_by_system == 7


def test_a_slow_disk_is_told_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = threading.Event()
    monkeypatch.setattr(writing, "_QUEUE", 4)
    written = Capture._write

    def slowly(self: Capture, data: bytes) -> None:
        ready.wait(5)
        written(self, data)

    monkeypatch.setattr(Capture, "_write", slowly)
    made = capture(tmp_path / "a.pcapng")
    for number in range(50):
        made.call(journal.Datagrams(2000 + number, 1), [b"x"], [1500], V4)
    ready.set()
    while made._taken_bytes < made._put_bytes:
        ready.wait(0.01)
        threading.Event().wait(0.01)
    made.call(journal.Timeout(9000))
    made.close()
    assert made.dropped >= 40
    notes = [r for r in CaptureFile(str(tmp_path / "a.pcapng")).records() if isinstance(r, Note)]
    calls = [call for note in notes[1:] for call in journal.decode(note.body)]
    gaps = [call for call in calls if isinstance(call, journal.Gap)]
    assert sum(gap.calls for gap in gaps) == sum(gap.datagrams for gap in gaps) == made.dropped


def test_a_full_disk_ends_the_file_with_one_line(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    told: list[str] = []
    made = capture(Path("/dev/full"), told)
    for number in range(20):
        made.call(journal.Datagrams(2000 + number, 1), [b"x"], [1500], V4)
    made.close()
    assert told == ["/dev/full: No space left on device; nothing more is written to it"]
    with pytest.raises(ResourceError, match=r"--capture: .* cannot be written"):
        Capture(str(tmp_path / "none" / "a.pcapng"), told.append)


def test_a_write_that_fails_leaves_whole_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = capture(tmp_path / "a.pcapng")
    made.call(journal.Datagrams(2000, 1), [b"x"], [1500], V4)
    while made._end == 0 or made._taken_bytes < made._put_bytes:
        threading.Event().wait(0.01)

    class Full:
        """Takes half of it, then nothing."""

        def __init__(self, file: Any) -> None:
            self._file, self._room = file, 20
            self.fileno, self.close = file.fileno, file.close

        def write(self, data: memoryview) -> int:
            if not self._room:
                raise OSError(28, "No space left on device")
            taken, self._room = self._room, 0
            return int(self._file.write(data[:taken]))

    monkeypatch.setattr(made, "_file", Full(made._file))
    made.call(journal.Datagrams(2001, 1), [b"y"], [1600], V4)
    made.close()
    file = CaptureFile(str(tmp_path / "a.pcapng"))
    assert [type(record) for record in file.records()] == [Note, Packet]
    assert file.damage is None


def test_addresses() -> None:
    assert ends(("127.0.0.1", 6000), 5004).ours == bytes([127, 0, 0, 1])
    assert ends(("127.0.0.1", 6000), 5004, "239.1.2.3").ours == bytes([239, 1, 2, 3])
    assert ends(("::1", 6000, 0, 0), 5004, "0.0.0.0").ours == bytes(15) + b"\1"
    assert ends(("::ffff:127.0.0.1", 6000, 0, 0), 5004, "::").theirs == bytes([127, 0, 0, 1])


def test_the_journal_refuses_what_it_did_not_write() -> None:
    from protocol.errors import Malformed

    for data in (b"\x09", b"\x01\x02", b"\x03\xff\xff", b"\x03\x02\x00{}", journal.encode(journal.Timeout(1)) + b"\7"):
        with pytest.raises(Malformed):
            list(journal.decode(data))
    assert json.loads(journal.begin({"a": 1})) == {"a": 1}
