"""pcap and pcapng by their drafts: files made octet by octet, and whatever octets there are."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import UsageError
from receiver.capture.file import CaptureFile
from receiver.capture.records import Counters, Packet, Record
from tests.support import captures
from tests.support.captures import SECOND, Pcapng

TIME = 1_700_000_000_123_456_789


def read(folder: Path, data: bytes) -> tuple[list[Record], str | None]:
    file = CaptureFile(str(captures.save(folder / "file", data)))
    return list(file.records()), file.damage


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_pcap(tmp_path: Path, order: str, nanoseconds: bool) -> None:
    data = captures.pcap([(TIME, b"one"), (TIME + SECOND, b"second")], order=order, nanoseconds=nanoseconds, snap=5)
    kept = TIME if nanoseconds else TIME // 1000 * 1000
    assert read(tmp_path, data) == ([Packet(kept, 1, b"one", 3), Packet(kept + SECOND, 1, b"secon", 6)], None)


def test_pcap_whose_link_type_says_more(tmp_path: Path) -> None:
    data = captures.pcap([(TIME, b"one")], link=1 | 5 << 28 | 1 << 26)  # a frame check sequence follows
    assert read(tmp_path, data)[0] == [Packet(TIME // 1000 * 1000, 1, b"one", 3)]


@pytest.mark.parametrize("order", "<>")
def test_pcapng_with_several_interfaces(tmp_path: Path, order: str) -> None:
    file = Pcapng(order).section()
    file.interface(1)  # microseconds unless it says otherwise
    file.interface(101, (2, b"eth0"), (9, b"\x09"), (14, struct.pack(order + "q", 3600)))
    file.interface(113, (9, b"\x8a"))  # 2**-10 s
    file.enhanced(TIME // 1000, b"a").enhanced(TIME, b"bcde", number=1).enhanced(5 * 1024 + 512, b"f", number=2)
    found, damage = read(tmp_path, file.data)
    assert found == [
        Packet(TIME // 1000 * 1000, 1, b"a", 1),
        Packet(TIME + 3600 * SECOND, 101, b"bcde", 4),
        Packet(5_500_000_000, 113, b"f", 1),
    ]
    assert damage is None


@pytest.mark.parametrize("order", "<>")
def test_directions_and_comments(tmp_path: Path, order: str) -> None:
    file = Pcapng(order).section().interface(101)
    for flags in (0, 1, 2, 0x1E):
        file.enhanced(0, b"x", (1, b"a comment"), (2, struct.pack(order + "I", flags)), (4, bytes(8)))
    assert [p.outbound for p in read(tmp_path, file.data)[0] if isinstance(p, Packet)] == [False, False, True, True]


@pytest.mark.parametrize("order", "<>")
def test_simple_and_obsolete_packet_blocks(tmp_path: Path, order: str) -> None:
    file = Pcapng(order).section().interface(1, snap=4)
    file.enhanced(7, b"abc").simple(b"defgh", 9)
    file.block(2, struct.pack(order + "HHIIII", 0, 3, 0, 8, 2, 2) + b"ij")
    found, _ = read(tmp_path, file.data)
    assert found == [Packet(7000, 1, b"abc", 3), Packet(7000, 1, b"defg", 9), Packet(8000, 1, b"ij", 2)]


def test_sections_of_either_order_and_unknown_blocks(tmp_path: Path) -> None:
    little, big = Pcapng("<").section(), Pcapng(">").section()
    little.block(4, b"names").block(0x80001234, bytes(400)).interface(1).enhanced(1, b"x")
    big.block(0xBAD, struct.pack(">I", 1) + b"of somebody else").interface(101).enhanced(2, b"y")
    found, damage = read(tmp_path, little.data + big.data)
    assert found == [Packet(1000, 1, b"x", 1), Packet(2000, 101, b"y", 1)]
    assert damage is None


def test_statistics(tmp_path: Path) -> None:
    file = Pcapng().section().interface(1, (9, b"\x09"))
    counts = file.options((2, struct.pack("<II", 1, 2)), (4, struct.pack("<Q", 9)), (5, struct.pack("<Q", 3)))
    file.block(5, struct.pack("<III", 0, 0, 0) + counts)
    found = read(tmp_path, file.data)[0][0]
    assert isinstance(found, Counters)
    assert (found.dropped_by_interface, found.dropped_by_system) == (3, None)
    assert found.began == ((1 << 32) + 2, ((1 << 32) + 2) * 1000)


def whole(kind: str) -> bytes:
    packets = captures.stream(3)
    if kind == "pcap":
        return captures.pcap(packets, link=101)
    file = Pcapng().section().interface(101, (9, b"\x09"))
    for time, packet in packets:
        file.enhanced(time, packet, (2, struct.pack("<I", 1)))
    return file.data


@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
def test_cut_anywhere(tmp_path: Path, kind: str) -> None:
    data = whole(kind)
    complete, _ = read(tmp_path, data)
    ends = 0
    for size in range(4, len(data)):
        found, damage = read(tmp_path, data[:size])
        assert found == complete[: len(found)]
        ends += damage is None
        assert damage is None or damage.endswith("ends in the middle of a packet")
    assert ends <= 5  # only between two blocks or packets


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"RIFF and so on", "is no capture"),
        (b"ab", "is no capture"),
        (b"\x1f\x8b\x08\x00", "gunzip"),
        (captures.pcap([])[:4] + b"\x09\x00" + bytes(18), "of a version"),
    ],
)
def test_no_capture(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(UsageError, match=said) as failure:
        list(CaptureFile(str(captures.save(tmp_path / "file", data))).records())
    assert "\n" not in str(failure.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        CaptureFile(str(tmp_path / "none"))
    with pytest.raises(UsageError, match="Is a directory"):
        CaptureFile(str(tmp_path))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_octets_give_packets_or_one_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    octets = bytearray(whole(data.draw(st.sampled_from(["pcap", "pcapng"]))))
    for _ in range(data.draw(st.integers(1, 6))):
        octets[data.draw(st.integers(4, len(octets) - 1))] = data.draw(st.integers(0, 255))
    octets += data.draw(st.binary(max_size=40))
    path = tmp_path_factory.getbasetemp() / "fuzz"
    file = CaptureFile(str(captures.save(path, bytes(octets))))
    found: list[Record] = []
    with suppress(UsageError):
        found = list(file.records())
    assert all(len(p.data) <= len(octets) for p in found if isinstance(p, Packet))
    assert file.damage is None or "\n" not in file.damage
