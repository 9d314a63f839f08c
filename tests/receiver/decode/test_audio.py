"""Opus against the FFmpeg encoder, G.711 against FFmpeg's tables, concealment by what may be heard."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from protocol.errors import Malformed, ResourceError, Unsupported
from receiver.decode import opus
from receiver.decode.audio import AudioDecoder, a_law_table, mu_law_table
from receiver.libraries import av
from receiver.media import AccessUnit, Format, Samples, StreamKey

OPUS = Format("opus", 48000, 2)


def unit(format: Format, data: bytes, number: int = 0, following: bytes | None = None) -> AccessUnit:
    return AccessUnit(StreamKey(1), format, data, number * 960, number * 20_000_000, 0, following=following)


def voice(seconds: float, rate: int = 48000) -> NDArray[np.float32]:
    """Vowel-like: a fundamental that glides, harmonics, a syllable's envelope."""
    t = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (120 * t + 2 * np.sin(2 * np.pi * t))
    tone = sum(np.sin(k * phase) / k for k in range(1, 12))
    return (0.15 * tone * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * t))).astype(np.float32)


@cache
def opus_packets(bit_rate: int, fec: bool, application: str = "voip") -> tuple[bytes, ...]:
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = 48000, "mono", "flt"
    context.bit_rate = bit_rate
    options = {"application": application, "frame_duration": "20"}
    context.options = {**options, "fec": "1", "packet_loss": "20"} if fec else options
    sound, packets = voice(2), []
    for start in range(0, len(sound), 960):
        frame = av.AudioFrame.from_ndarray(sound[None, start : start + 960], "flt", "mono")
        frame.sample_rate, frame.pts = 48000, start
        packets += context.encode(frame)
    return tuple(bytes(packet) for packet in packets)


def decode_all(decoder: AudioDecoder, packets: tuple[bytes, ...]) -> NDArray[np.float32]:
    return np.concatenate([decoder.decode(unit(OPUS, p, n))[0].samples for n, p in enumerate(packets)])


def test_opus_sounds_like_its_source() -> None:
    played = decode_all(AudioDecoder(OPUS), opus_packets(64000, False, "audio"))
    assert played.shape[1] == 2
    np.testing.assert_array_equal(played[:, 0], played[:, 1])
    source, best = voice(2), 0.0
    for delay in range(600):
        best = max(best, float(np.corrcoef(played[4800 + delay : 48000 + delay, 0], source[4800:48000])[0, 1]))
    assert best > 0.99


def test_a_lost_packet_is_rebuilt_from_the_one_after_it() -> None:
    packets = opus_packets(24000, True)
    lost = next(n for n in range(30, 60) if opus.has_fec(packets[n + 1]))
    whole = decode_all(AudioDecoder(OPUS), packets)[lost * 960 : (lost + 1) * 960]
    with_fec, without = AudioDecoder(OPUS), AudioDecoder(OPUS)
    decode_all(with_fec, packets[:lost]), decode_all(without, packets[:lost])
    (rebuilt,) = with_fec.decode(unit(OPUS, b"", lost, packets[lost + 1]))
    (made_up,) = without.decode(unit(OPUS, b"", lost))
    assert rebuilt.concealed
    assert made_up.concealed
    assert rebuilt.samples.shape == made_up.samples.shape == (960, 2)
    assert with_fec.fec_recovered_samples == 960
    assert without.fec_recovered_samples == 0
    error = [np.square(s.samples - whole).sum() for s in (rebuilt, made_up)]
    assert error[0] < 0.5 * error[1]


def test_fec_is_seen_where_libopus_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """opus_packet_has_lbrr exists since libopus 1.5, which PyAV's wheel has and many systems have not."""
    monkeypatch.setattr(opus.ctypes.util, "find_library", lambda _: None)
    if not opus._candidates() or not hasattr(opus._load(), "opus_packet_has_lbrr"):
        pytest.skip("no libopus that knows opus_packet_has_lbrr")
    has_lbrr = opus._load().opus_packet_has_lbrr
    seen = 0
    for packets in (opus_packets(24000, True), opus_packets(24000, False), opus_packets(64000, False)):
        for packet in packets:
            assert opus.has_fec(packet) == bool(has_lbrr(packet, len(packet)))
            seen += opus.has_fec(packet)
    assert seen > 30
    assert not any(map(opus.has_fec, [b"", b"\x00", b"\x03\xc1", b"\x03\xff\xff\xff", b"\xfc\xff\xff"]))


def test_a_hole_longer_than_a_packet_is_filled() -> None:
    decoder = opus.Decoder(48000, 1)
    decoder.decode(opus_packets(64000, False)[40])
    assert decoder.conceal(5760 * 2 + 960).shape == (5760 * 2 + 960, 1)
    assert decoder.decode_fec(opus_packets(24000, True)[41], 5760 + 960).shape == (5760 + 960, 1)


@pytest.mark.parametrize("data", [b"\xff", b"\xff\xff\xff", b"\x03", b"\x03\x00"])
def test_a_broken_packet_is_concealed(data: bytes) -> None:
    with pytest.raises(Malformed):
        opus.Decoder().decode(data)
    decoder = AudioDecoder(OPUS)
    (samples,) = decoder.decode(unit(OPUS, data))
    assert samples.concealed
    assert samples.samples.shape == (960, 2)
    assert decoder.errors == 1


def test_without_libopus_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opus, "_candidates", lambda: ["/nowhere/libopus.so"])
    with pytest.raises(ResourceError, match="libopus is missing"):
        opus._load()


def test_the_copy_in_the_wheel_serves_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opus.ctypes.util, "find_library", lambda _: None)
    if not opus._candidates():
        pytest.skip("this PyAV brings no libopus")
    assert opus._load().opus_get_version_string


@pytest.mark.parametrize(("codec", "table"), [("pcm_mulaw", mu_law_table()), ("pcm_alaw", a_law_table())])
def test_g711_is_what_ffmpeg_decodes(codec: str, table: NDArray[np.float32]) -> None:
    context = av.CodecContext.create(codec, "r")
    context.sample_rate, context.layout = 8000, "mono"
    (frame,) = context.decode(av.Packet(bytes(range(256))))
    np.testing.assert_array_equal((table * 32768).astype(int), frame.to_ndarray()[0])


@pytest.mark.parametrize(
    ("format", "width"), [(Format("L16", 48000, 2), 4), (Format("L16", 44100, 1), 2), (Format("PCMU", 8000), 1)]
)
def test_pcm_of_a_part_of_a_frame_is_concealed(format: Format, width: int) -> None:
    decoder = AudioDecoder(format)
    (samples,) = decoder.decode(unit(format, bytes(width * 160)))
    assert samples.samples.shape == (160, format.channels)
    assert samples.rate == format.clock_rate
    (concealed,) = decoder.decode(unit(format, b""))
    assert concealed.samples.shape == (160, format.channels), "as long as the unit before"
    if width > 1:
        assert decoder.decode(unit(format, bytes(width * 160 + 1)))[0].concealed
        assert decoder.errors == 1


def test_l16_is_big_endian_and_exact() -> None:
    """RFC 3551 §4.5.11: network byte order."""
    (samples,) = AudioDecoder(Format("L16", 48000, 2)).decode(unit(OPUS, b"\x7f\xff\x80\x00\x00\x01\xff\xff"))
    np.testing.assert_array_equal(samples.samples * 32768, [[32767, -32768], [1, -1]])


def test_lost_pcm_goes_on_in_pitch_then_fades_and_comes_back_without_a_click() -> None:
    format, rate = Format("L16", 48000, 1), 48000
    sound = voice(1)
    decoder, played = AudioDecoder(format), list[Samples]()
    for n in range(50):
        data = (sound[n * 960 : (n + 1) * 960] * 32767).astype(">i2").tobytes()
        played += decoder.decode(unit(format, b"" if 20 <= n < 27 else data, n))
    heard = np.concatenate([s.samples for s in played])[:, 0]
    assert [s.concealed for s in played] == [20 <= n < 27 for n in range(50)]
    hole = heard[20 * 960 : 27 * 960]
    assert np.corrcoef(hole[:480], sound[20 * 960 : 20 * 960 + 480])[0, 1] > 0.9, "10 ms on it still fits"
    assert np.abs(hole[: round(0.02 * rate)]).max() > 0.3 * np.abs(sound).max()
    assert not hole[round(0.1 * rate) :].any(), "silent after 100 ms"
    assert np.abs(np.diff(heard)).max() < 1.5 * np.abs(np.diff(sound)).max(), "a click"


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(Unsupported):
        AudioDecoder(Format("MPA", 90000))


@pytest.mark.parametrize(("bit_rate", "application"), [(64000, "audio"), (16000, "voip")], ids=["CELT", "SILK"])
def test_a_long_hole_in_opus_is_silent_after_a_tenth_of_a_second_and_ends_without_a_click(
    bit_rate: int, application: str
) -> None:
    packets = opus_packets(bit_rate, False, application)
    assert opus.is_celt(packets[40]) == (application == "audio")
    whole, decoder, played = decode_all(AudioDecoder(OPUS), packets), AudioDecoder(OPUS), list[Samples]()
    for n, packet in enumerate(packets):
        played += decoder.decode(unit(OPUS, b"" if 30 <= n < 45 else packet, n))
    heard = np.concatenate([s.samples for s in played])[:, 0]
    hole = heard[30 * 960 : 45 * 960]
    assert np.abs(hole[:960]).max() > 0.3 * np.abs(whole[30 * 960 : 31 * 960]).max()
    assert not hole[round(0.121 * 48000) :].any()
    assert np.abs(np.diff(heard)).max() < 1.5 * np.abs(np.diff(whole, axis=0)).max()


def test_after_celt_the_pitch_goes_on() -> None:
    """By correlation with what was lost, libopus 1.3 makes of it what a listener would."""
    packets = opus_packets(64000, False, "audio")
    whole, decoder = decode_all(AudioDecoder(OPUS), packets), AudioDecoder(OPUS)
    decode_all(decoder, packets[:40])
    (made_up,) = decoder.decode(unit(OPUS, b"", 40))
    lost = whole[40 * 960 : 40 * 960 + 480, 0]
    assert np.corrcoef(made_up.samples[:480, 0], lost)[0, 1] > 0.9
