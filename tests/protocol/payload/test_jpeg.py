"""JPEG (RFC 2435)."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from protocol.errors import Malformed, ProtocolError, Truncated, Unsupported, UsageError
from protocol.payload import jfif, jpeg, jpeg_tables
from protocol.payload.jpeg import Depacketizer, Packetizer
from sender.libraries import cv2
from tests.protocol.payload.streams import HEIGHT, WIDTH, decode, jpeg_pixels, pictures, psnr
from tests.protocol.payload.streams import jpeg as encode

MCU_ROW = WIDTH // 16
SAMPLING_422 = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422


def round_trip(data: bytes, room: int = 1188) -> bytes:
    payloads = Packetizer().packetize(data, room)
    assert all(8 < len(payload) <= room for payload in payloads)
    return Depacketizer().depacketize(payloads)


@pytest.mark.parametrize("quality", range(1, 100))
def test_tables_of_every_q_are_libjpegs(quality: int) -> None:
    picture = jfif.parse(encode(pictures(1)[0], quality))
    assert jpeg_tables.quantizers(quality) == picture.tables
    assert jpeg_tables.quality_of(picture.tables) == quality


@pytest.mark.parametrize("sampling", [None, SAMPLING_422])
@pytest.mark.parametrize("restart_interval", [0, 1, 7, MCU_ROW])
@pytest.mark.parametrize("quality", [10, 80, 100])
@pytest.mark.parametrize("room", [300, 1188])
def test_pixels_are_the_same(sampling: int | None, restart_interval: int, quality: int, room: int) -> None:
    data = encode(pictures(1)[0], quality, restart_interval, sampling)
    assert np.array_equal(jpeg_pixels(round_trip(data, room)), jpeg_pixels(data))


def test_main_header() -> None:
    payloads = Packetizer().packetize(encode(pictures(1)[0], 80), 1188)
    # §3.1: type-specific 0, fragment offset, type 1 (4:2:0), Q 80, width and height in units of 8.
    assert payloads[0][:8] == bytes([0, 0, 0, 0, 1, 80, WIDTH // 8, HEIGHT // 8])
    assert payloads[1][:8] == struct.pack("!I4B", len(payloads[0]) - 8, 1, 80, WIDTH // 8, HEIGHT // 8)
    depacketizer = Depacketizer()
    assert [depacketizer.begins(payload) for payload in payloads] == [True] + [False] * (len(payloads) - 1)
    payloads = Packetizer().packetize(encode(pictures(1)[0], 80, sampling=SAMPLING_422), 1188)
    assert payloads[0][4] == 0


def test_restart_header_aligned_with_intervals() -> None:
    data = encode(pictures(1)[0], 30, MCU_ROW)
    intervals = HEIGHT // 16
    payloads = Packetizer().packetize(data, 1188)
    assert payloads[0][4] == 65
    nexts = 0
    for payload in payloads:
        interval, restart = struct.unpack_from("!HH", payload, 8)
        assert interval == MCU_ROW
        assert restart & 0xC000 == 0xC000, "an integral number of intervals: F and L (§3.1.7)"
        assert restart & 0x3FFF == nexts
        nexts += sum(payload[12:].count(bytes([0xFF, 0xD0 + n])) for n in range(8))
    assert nexts == intervals - 1


def test_restart_header_of_an_interval_larger_than_a_packet() -> None:
    payloads = Packetizer().packetize(encode(pictures(1)[0], 95, 2 * MCU_ROW), 500)
    flags = [struct.unpack_from("!H", payload, 10)[0] for payload in payloads]
    chunks = "".join({0x8000: "(", 0x4000: ")", 0: ".", 0xC000: "()"}[flag & 0xC000] for flag in flags)
    assert chunks.replace(".", "").replace("()", "") == ""
    assert [flag & 0x3FFF for flag in flags if flag & 0x8000] == list(range(HEIGHT // 32 + 1))


def test_tables_in_band() -> None:
    data = encode(pictures(1)[0], 100)
    payloads = Packetizer().packetize(data, 600)
    # §3.1.8: MBZ, precision 0 (8 bits), length 128, then both tables.
    assert payloads[0][5] == 255
    assert payloads[0][8:12] == bytes([0, 0, 0, 128])
    assert payloads[0][12:140] == bytes([1]) * 128, "quality 100 divides by one"
    with pytest.raises(Truncated):
        Depacketizer().depacketize([None, *payloads[1:]])
    with pytest.raises(UsageError):
        Packetizer().packetize(data, 140)


def test_tables_of_sixteen_bits() -> None:
    picture = jfif.parse(encode(pictures(1)[0], 80))
    wide = np.frombuffer(picture.tables[0], np.uint8).astype(">u2").tobytes()
    file = jfif.serialize(jfif.Jpeg(WIDTH, HEIGHT, 2, 0, (wide, picture.tables[1]), picture.scan))
    payloads = Packetizer().packetize(file, 1188)
    assert payloads[0][8:12] == bytes([0, 1, 0, 192]), "bit 0: the first table has 16 bits"
    assert jfif.parse(Depacketizer().depacketize(payloads)).tables == (wide, picture.tables[1])
    assert np.array_equal(jpeg_pixels(file), jpeg_pixels(jfif.serialize(picture)))


def test_static_tables_are_remembered_below_q_255() -> None:
    payloads = Packetizer().packetize(encode(pictures(1)[0], 100), 1188)
    first = [payload[:5] + b"\x80" + payload[6:] for payload in payloads]
    again = [first[0][:8] + bytes(4) + first[0][140:], *first[1:]]
    depacketizer = Depacketizer()
    with pytest.raises(Truncated):
        depacketizer.depacketize(again)
    assert depacketizer.depacketize(first) == depacketizer.depacketize(again)


def test_one_table_serves_both() -> None:
    tables = bytes(range(1, 65))
    payload = bytes([0, 0, 0, 0, 1, 255, 2, 2, 0, 0, 0, 64]) + tables + b"scan"
    picture = jfif.parse(Depacketizer().depacketize([payload]))
    assert picture.tables == (tables, tables)
    assert (picture.width, picture.height, picture.scan) == (16, 16, b"scan")


def test_a_size_that_is_no_multiple_of_eight_is_rounded_up() -> None:
    data = encode(pictures(1, 150, 84)[0], 90)
    pixels = jpeg_pixels(round_trip(data))
    assert pixels.shape == (88, 152, 3)
    # The chroma of the last column is upsampled from one sample more than the file admits to.
    assert np.array_equal(pixels[:82, :148], jpeg_pixels(data)[:82, :148])


@pytest.mark.parametrize("missing", range(5))
def test_intervals_around_a_hole_stay(missing: int) -> None:
    before, data = encode(pictures(2)[0], 55, MCU_ROW), encode(pictures(2)[1], 55, MCU_ROW)
    payloads: list[bytes | None] = list(Packetizer().packetize(data, 1188))
    assert len(payloads) > 5
    lost = payloads[missing]
    assert lost is not None
    first = struct.unpack_from("!H", lost, 10)[0] & 0x3FFF
    count = sum(lost[12:].count(bytes([0xFF, 0xD0 + n])) for n in range(8))
    payloads[missing] = None
    rows = slice(16 * first, 16 * (first + count))
    margin = slice(max(rows.start - 1, 0), rows.stop + 1)  # chroma is interpolated across the edge
    want, old = jpeg_pixels(data), jpeg_pixels(before)

    grey = jpeg_pixels(Depacketizer().depacketize(payloads))
    assert np.array_equal(np.delete(grey, margin, 0), np.delete(want, margin, 0))
    assert np.all(grey[rows.start + 1 : rows.stop - 1] == 128)

    depacketizer = Depacketizer()
    depacketizer.depacketize(Packetizer().packetize(before, 1188))
    mended = jpeg_pixels(depacketizer.depacketize(payloads))
    assert np.array_equal(np.delete(mended, margin, 0), np.delete(want, margin, 0))
    assert np.array_equal(mended[rows.start + 1 : rows.stop - 1], old[rows.start + 1 : rows.stop - 1])


def test_a_lost_end_is_filled_too() -> None:
    data = encode(pictures(1)[0], 40, MCU_ROW)
    payloads: list[bytes | None] = list(Packetizer().packetize(data, 1188))
    image = jpeg_pixels(Depacketizer().depacketize([*payloads[:-1], None]))
    assert psnr(image[:32], jpeg_pixels(data)[:32]) > 50
    assert np.all(image[-8:] == 128)


@pytest.mark.parametrize("restart_interval", [0, MCU_ROW])
def test_ffmpeg_decodes_a_picture_with_a_hole(restart_interval: int) -> None:
    data = encode(pictures(1)[0], 55, restart_interval)
    payloads: list[bytes | None] = list(Packetizer().packetize(data, 1188))
    payloads[len(payloads) // 2] = None
    (image,), (want,) = (decode("mjpeg", [file]) for file in (Depacketizer().depacketize(payloads), data))
    assert psnr(image[: HEIGHT // 4], want[: HEIGHT // 4]) > 50
    if restart_interval:
        assert psnr(image[HEIGHT - 16 : HEIGHT], want[HEIGHT - 16 : HEIGHT]) > 50


def test_part_of_a_large_interval_counts_as_missing() -> None:
    data = encode(pictures(1)[0], 95, 2 * MCU_ROW)
    payloads: list[bytes | None] = list(Packetizer().packetize(data, 500))
    payloads[1] = None
    image, want = jpeg_pixels(Depacketizer().depacketize(payloads)), jpeg_pixels(data)
    assert np.all(image[:31] == 128)
    assert np.array_equal(image[33:], want[33:])


def test_packets_not_aligned_with_intervals() -> None:
    """Restart count 0x3FFF, as GStreamer sends it: with a hole, what is before it stays."""
    data = encode(pictures(1)[0], 60, MCU_ROW)
    picture = jfif.parse(data)
    header = bytes([65, 60, WIDTH // 8, HEIGHT // 8]) + struct.pack("!HH", MCU_ROW, 0xFFFF)
    pieces = range(0, len(picture.scan), 700)
    payloads: list[bytes | None] = [at.to_bytes(4, "big") + header + picture.scan[at : at + 700] for at in pieces]
    want = jpeg_pixels(data)
    assert np.array_equal(jpeg_pixels(Depacketizer().depacketize(payloads)), want)
    payloads[len(payloads) // 2] = None
    image = jpeg_pixels(Depacketizer().depacketize(payloads))
    intact = next(row for row in range(HEIGHT) if not np.array_equal(image[row], want[row]))
    assert intact >= HEIGHT // 4
    assert np.all(image[intact + 17 :] == 128)
    payloads[0] = None
    with pytest.raises(Truncated):
        Depacketizer().depacketize(payloads)


def test_more_intervals_than_can_be_counted() -> None:
    size = (2040, 1040)
    data = encode(pictures(1, *size)[0], 10, 1, SAMPLING_422)
    payloads = Packetizer().packetize(data, 1188)
    assert {struct.unpack_from("!H", payload, 10)[0] for payload in payloads} == {0xFFFF}
    assert np.array_equal(jpeg_pixels(Depacketizer().depacketize(payloads)), jpeg_pixels(data))


def test_a_hole_without_restart_markers_cuts_the_picture() -> None:
    data = encode(pictures(1)[0], 80)
    payloads: list[bytes | None] = list(Packetizer().packetize(data, 1188))
    payloads[len(payloads) // 2] = None
    image, want = jpeg_pixels(Depacketizer().depacketize(payloads)), jpeg_pixels(data)
    assert np.array_equal(image[: HEIGHT // 4], want[: HEIGHT // 4])
    with pytest.raises(Truncated):
        Depacketizer().depacketize([None, *payloads[1:]])


def test_a_packet_of_another_picture_is_missing() -> None:
    payloads = Packetizer().packetize(encode(pictures(1)[0], 80), 1188)
    other = payloads[2][:5] + b"\x51" + payloads[2][6:]
    cut = Depacketizer().depacketize([*payloads[:2], None, *payloads[3:]])
    assert Depacketizer().depacketize([*payloads[:2], other, *payloads[3:]]) == cut


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ([cv2.IMWRITE_JPEG_PROGRESSIVE, 1], "jpeg_baseline"),
        ([cv2.IMWRITE_JPEG_OPTIMIZE, 1], "jpeg_huffman"),
        ([cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444], "jpeg_sampling"),
        ([cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440], "jpeg_sampling"),
    ],
)
def test_what_rfc_2435_cannot_carry(parameters: list[int], reason: str) -> None:
    good, data = cv2.imencode(".jpg", pictures(1)[0].to_ndarray(format="bgr24"), parameters)
    assert good
    with pytest.raises(Unsupported, match="4:2:0 or 4:2:2") as caught:
        Packetizer().packetize(bytes(data), 1188)
    assert caught.value.reason == reason


def test_grey_and_large_pictures() -> None:
    _, data = cv2.imencode(".jpg", np.zeros((16, 16), np.uint8))
    with pytest.raises(Unsupported, match="colour"):
        Packetizer().packetize(bytes(data), 1188)
    _, data = cv2.imencode(".jpg", np.zeros((16, 2048, 3), np.uint8))
    with pytest.raises(Unsupported, match="2040x2040"):
        Packetizer().packetize(bytes(data), 1188)
    jpeg.check_size(2040, 2040)
    for size in ((2041, 8), (8, 2041), (0, 8)):
        with pytest.raises(Unsupported):
            jpeg.check_size(*size)


def test_motion_jpeg_without_huffman_tables() -> None:
    data = encode(pictures(1)[0], 80)
    start, end = data.index(b"\xff\xc4"), data.index(b"\xff\xda")
    assert np.array_equal(jpeg_pixels(round_trip(data[:start] + data[end:])), jpeg_pixels(data))


def test_bytes_behind_the_end_and_a_missing_end() -> None:
    data = encode(pictures(1)[0], 80)
    assert round_trip(data + bytes(99)) == round_trip(data) == round_trip(data[:-2])


@pytest.mark.parametrize(
    "payload",
    [
        "", "00000000015010", "0000000002501016", "0100000001501016aa", "0000000001001016aa", "0000000001641016aa",
        "0000000001500016aa", "0000000001501016", "00000000415010160001", "000000004150101600000000aa",
        "0000000001ff1016", "0000000001ff101600000080aa", "0000000001ff101600000020" + "aa" * 32,
        "0000000001ff101600000000aa", "0000000101501016aa",
    ],
)  # fmt: skip
def test_broken_payloads(payload: str) -> None:
    with pytest.raises(ProtocolError):
        Depacketizer().depacketize([bytes.fromhex(payload)])


def test_broken_files() -> None:
    data = encode(pictures(1)[0], 80, MCU_ROW)
    scan = data.index(b"\xff\xda")
    broken = [
        data[:scan], data[:300], b"\xff\xd8", b"GIF89a", data[: scan + 14], data[:-900],
        data.replace(b"\xff\xdb", b"\xff\xe1"), data.replace(b"\xff\xc0", b"\xff\xe1"), data.replace(b"\xff\xd3", b""),
    ]  # fmt: skip
    for file in broken:
        with pytest.raises((Malformed, Truncated)):
            Packetizer().packetize(file, 1188)
    assert Packetizer().packetize(b"", 1188) == []
