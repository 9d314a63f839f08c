"""Every encoder is judged by FFmpeg's decoder: are the pictures those that went in?"""

import base64
from fractions import Fraction

import numpy as np
import pytest

from protocol.errors import UsageError
from sender.encode.video import open_video_encoder
from sender.libraries import av, cv2
from sender.media import Picture

RATE = Fraction(30)
DECODERS = {"h264": "h264", "vp8": "vp8", "jpeg": "mjpeg"}


def scene(number, width=320, height=240):
    """A smooth picture with a block that moves, I420."""
    y, x = np.mgrid[:height, :width]
    luma = (100 + 60 * np.sin((x + 2 * number) / 25) * np.cos(y / 30)).astype(np.uint8)
    luma[60:100, 20 + 3 * number : 60 + 3 * number] = 220
    chroma = np.full((height // 2, width), 128, np.uint8)
    chroma[: height // 4, : width // 2] = 90
    return np.vstack((luma, chroma))


def picture(number, width=320, height=240):
    frame = av.VideoFrame.from_numpy_buffer(scene(number, width, height), "yuv420p")
    return Picture(frame, number * 33_333_333 + 7, number * 33_333_333)


def decode(codec, units):
    context = av.CodecContext.create(DECODERS[codec], "r")
    context.thread_count = 1
    frames = [frame for unit in units for frame in context.decode(av.Packet(unit.data))]
    return frames + context.decode(None)


def planes(frame):
    return frame.reformat(format="yuv420p", dst_color_range="MPEG").to_ndarray()


def psnr(a, b):
    return 10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b.astype(float)) ** 2)))


def nal_types(data):
    return [data[i + 3] & 31 for i in range(len(data) - 3) if data[i : i + 3] == b"\0\0\1"]


@pytest.mark.parametrize(("codec", "bitrate"), [("h264", 1_000_000), ("vp8", 1_000_000), ("jpeg", 4_000_000)])
def test_each_picture_comes_back_at_once_as_it_was(codec, bitrate):
    encoder = open_video_encoder(codec, 320, 240, RATE, bitrate)
    units = []
    for number in range(20):
        out = encoder.encode(picture(number))
        assert len(out) == 1
        units += out
    frames = decode(codec, units)
    assert len(frames) == 20
    for number, frame in enumerate(frames):
        assert psnr(planes(frame)[:240], scene(number)[:240]) > 33
    assert units[0].key_frame
    assert [unit.timestamp for unit in units[:4]] == [0, 3000, 6000, 9000]
    assert units[3].capture_time == 99_999_999 + 7


def test_h264_says_its_parameter_sets_before_the_first_picture():
    encoder = open_video_encoder("h264", 320, 240, RATE, 500_000)
    assert encoder.encoding == "H264"
    sets = [base64.b64decode(text) for text in encoder.format_parameters["sprop-parameter-sets"].split(",")]
    assert [unit[0] & 31 for unit in sets] == [7, 8]
    # Constrained baseline (RFC 6184 §8.1: profile_idc 66, constraint_set1 in profile-iop).
    level = bytes.fromhex(encoder.format_parameters["profile-level-id"])
    assert level == sets[0][1:4]
    assert level[0] == 66
    assert level[1] & 0x40
    data = encoder.encode(picture(0))[0].data
    assert all(b"\0\0\1" + unit in data for unit in sets)


def test_h264_refreshes_without_key_frames_until_one_is_asked_for():
    encoder = open_video_encoder("h264", 320, 240, RATE, 500_000)
    units = []
    for number in range(130):
        if number == 20:
            encoder.request_key_frame()
        units += encoder.encode(picture(number % 80))
    types = [set(nal_types(unit.data)) for unit in units]
    assert [number for number, kinds in enumerate(types) if 5 in kinds] == [0, 20]
    # A rolling refresh begins with a recovery point (SEI) and its parameter sets, at most every two seconds.
    starts = [number for number, unit in enumerate(units) if unit.key_frame]
    assert starts == [0, 20, 80]
    assert types[80] >= {6, 7, 8}
    assert len(decode("h264", units[20:])) == 110


def test_h264_slices_fit_a_datagram():
    encoder = open_video_encoder("h264", 640, 480, RATE, 4_000_000)
    noise = np.random.default_rng(1).integers(16, 235, (720, 640), np.uint8)
    data = encoder.encode(Picture(av.VideoFrame.from_numpy_buffer(noise, "yuv420p"), 0, 0))[0].data
    sizes = [len(unit) for unit in data.split(b"\0\0\1")[1:]]
    assert len(sizes) > 10
    assert max(sizes) <= 1150


def test_the_type_a_frame_had_in_its_file_is_not_obeyed():
    encoder = open_video_encoder("h264", 320, 240, RATE, 500_000)
    for number in range(3):
        shot = picture(number)
        shot.frame.pict_type = av.video.frame.PictureType.I
        unit = encoder.encode(shot)[0]
    assert not unit.key_frame


@pytest.mark.parametrize("codec", ["h264", "vp8", "jpeg"])
def test_the_bit_rate_is_kept_and_follows(codec):
    bitrate = 3_000_000 if codec == "jpeg" else 1_000_000
    encoder = open_video_encoder(codec, 320, 240, RATE, bitrate)
    random = np.random.default_rng(5)
    sizes = []
    for number in range(120):
        if number == 60:
            encoder.set_bitrate(bitrate // 3)
        shot = scene(number % 80).astype(int) + random.integers(-9, 10, (360, 320))
        frame = av.VideoFrame.from_numpy_buffer(np.clip(shot, 16, 235).astype(np.uint8), "yuv420p")
        sizes.append(len(encoder.encode(Picture(frame, 0, number * 33_333_333))[0].data))
    for part, wanted in ((sizes[30:60], bitrate), (sizes[90:], bitrate // 3)):
        assert np.mean(part) * 8 * 30 == pytest.approx(wanted, rel=0.25)


def test_h264_above_its_first_bit_rate_opens_again():
    encoder = open_video_encoder("h264", 320, 240, RATE, 200_000)
    assert encoder.encode(picture(0))[0].key_frame
    encoder.set_bitrate(800_000)
    assert 5 in nal_types(encoder.encode(picture(1))[0].data)


@pytest.mark.parametrize("codec", ["h264", "vp8", "jpeg"])
@pytest.mark.parametrize("pixel_format", ["yuv422p", "yuv444p", "gray", "bgr24", "yuvj420p"])
def test_any_pixel_format_and_odd_sizes(codec, pixel_format):
    encoder = open_video_encoder(codec, 329, 245, RATE, 2_000_000)
    frame = picture(0, 330, 246).frame.reformat(format=pixel_format)
    decoded = decode(codec, encoder.encode(Picture(frame, 0, 0)))[0]
    assert (decoded.width, decoded.height) == ((328, 240) if codec == "jpeg" else (328, 244))
    # What was cut off is at the right and the bottom: the rest is where it was.
    assert psnr(planes(decoded)[:240, :320], scene(0, 330, 246)[:240, :320]) > 30


def test_another_size_is_scaled_with_black_beside_it():
    encoder = open_video_encoder("h264", 640, 360, RATE, 2_000_000)
    decoded = planes(decode("h264", encoder.encode(picture(0, 320, 240)))[0])
    assert np.abs(decoded[:360, :72].astype(int) - 16).max() < 8
    assert np.abs(decoded[:360, 568:].astype(int) - 16).max() < 8
    expected = cv2.resize(scene(0)[:240], (480, 360), interpolation=cv2.INTER_CUBIC)
    assert psnr(decoded[:360, 80:560], expected) > 30


def test_jpeg_is_what_rfc_2435_can_carry():
    data = open_video_encoder("jpeg", 320, 240, RATE, 3_000_000).encode(picture(0))[0].data
    assert data[:2] == b"\xff\xd8"
    sof = data.index(b"\xff\xc0")  # baseline
    assert data[sof + 11 : sof + 12] == b"\x22"  # 2x2 luma: 4:2:0
    assert data.index(b"\xff\xdd") > 0  # restart interval
    # Annex K's first Huffman table, as RFC 2435 appendix B writes it (lum_dc_codelens).
    assert bytes([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]) in data


@pytest.mark.parametrize(
    ("codec", "width", "height", "hint"),
    [("h265", 640, 480, "h264"), ("jpeg", 2048, 1080, "--size"), ("h264", 8, 8, "--size"), ("vp8", 9000, 10, "--size")],
)
def test_what_cannot_be_encoded_is_refused_in_one_line(codec, width, height, hint):
    with pytest.raises(UsageError) as refusal:
        open_video_encoder(codec, width, height, RATE, 1_000_000)
    assert hint in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_h264_far_below_its_rate_opens_again_once_and_follows_upwards():
    encoder = open_video_encoder("h264", 320, 240, RATE, 2_000_000)
    encoder.encode(picture(0))
    encoder.set_bitrate(1_500_000)
    assert 5 not in nal_types(encoder.encode(picture(1))[0].data)
    encoder.set_bitrate(500_000)
    assert 5 in nal_types(encoder.encode(picture(2))[0].data)
    for number, bitrate in enumerate((450_000, 590_000), 3):
        encoder.set_bitrate(bitrate)
        assert 5 not in nal_types(encoder.encode(picture(number))[0].data)


def test_vp8_is_not_opened_again_for_a_little():
    encoder = open_video_encoder("vp8", 320, 240, RATE, 1_000_000)
    assert encoder.encode(picture(0))[0].key_frame
    for number, bitrate in enumerate((950_000, 1_050_000), 1):
        encoder.set_bitrate(bitrate)
        assert not encoder.encode(picture(number))[0].key_frame
    encoder.set_bitrate(500_000)
    assert encoder.encode(picture(3))[0].key_frame
