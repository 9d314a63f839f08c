"""Sound is judged by FFmpeg's decoders and by correlation with what went in."""

import numpy as np
import pytest

from protocol.errors import UsageError
from sender.encode import g711
from sender.encode.audio import open_audio_encoder
from sender.encode.framing import Conformer, Framer
from sender.libraries import av
from sender.media import Sound
from tests.support import media

START = 5_000_000_000


def voice(rate, seconds=1.0, channels=1):
    """Gliding tones with silences between, different in each channel."""
    t = np.arange(int(rate * seconds)) / rate
    envelope = 0.5 - 0.5 * np.cos(2 * np.pi * 4 * t)
    parts = [0.4 * envelope * np.sin(2 * np.pi * (200 + 100 * c + 150 * t) * t) for c in range(channels)]
    return np.stack(parts, axis=1).astype(np.float32)


def sounds(samples, rate, size):
    for start in range(0, len(samples), size):
        yield Sound(samples[start : start + size], START + start * 1_000_000_000 // rate, start)


def encode(encoder, samples, rate, size=480):
    return [unit for sound in sounds(samples, rate, size) for unit in encoder.encode(sound)]


def decode_opus(units, channels):
    context = av.CodecContext.create("libopus", "r")
    context.sample_rate, context.layout = 48_000, "mono" if channels == 1 else "stereo"
    frames = [frame for unit in units for frame in context.decode(av.Packet(unit.data))]
    to_float = av.AudioResampler(format="flt", layout=context.layout, rate=48_000)
    parts = [part.to_ndarray().reshape(-1, channels) for frame in frames for part in to_float.resample(frame)]
    return np.concatenate(parts)


def correlation(a, b):
    n = min(len(a), len(b))
    return float(np.corrcoef(a[:n].ravel(), b[:n].ravel())[0, 1])


def pcm(name, data):
    context = av.CodecContext.create(name, "r")
    context.sample_rate, context.layout = 8000, "mono"
    return np.concatenate([f.to_ndarray().ravel() for f in context.decode(av.Packet(data))]).astype(np.int64)


@pytest.mark.parametrize("channels", [1, 2])
def test_opus_packets_are_960_samples_and_sound_like_the_source(channels):
    source = voice(48_000, channels=channels)
    encoder = open_audio_encoder("opus", 48_000, channels, 64_000 * channels)
    units = encode(encoder, source, 48_000, size=441)
    assert (encoder.clock_rate, encoder.channels, encoder.packet_time) == (48_000, 2, 20_000_000)
    assert [unit.timestamp for unit in units] == list(range(0, 48_000, 960))
    # RFC 6716 §4.5 / RFC 7845 §4.2: libopus gives the signal back 6.5 ms later; the capture time accounts for it.
    assert units[10].capture_time == START + 200_000_000 - 6_500_000
    decoded = decode_opus(units, channels)
    assert len(decoded) == 960 * len(units)
    assert correlation(decoded[312:], source) > 0.99


def test_opus_speech_at_64_kbit_s_correlates(tmp_path):
    with av.open(str(media.speech(tmp_path))) as container:
        source = np.concatenate([f.to_ndarray().ravel() for f in container.decode(audio=0)]) / np.float32(32768)
    source = source.astype(np.float32)[:, None]
    units = encode(open_audio_encoder("opus", 48_000, 1, 64_000), source, 48_000)
    assert correlation(decode_opus(units, 1)[312:], source) >= 0.99
    assert sum(len(unit.data) for unit in units) * 8 / (len(source) / 48_000) < 90_000


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 96_000])
def test_opus_from_other_rates_keeps_time(rate):
    source = voice(rate)
    units = encode(open_audio_encoder("opus", rate, 1), source, rate, size=rate // 100)
    decoded = decode_opus(units, 1)[312:]
    assert correlation(decoded, voice(48_000)) > 0.99
    for unit in units[1:]:
        expected = START + unit.timestamp * 1_000_000_000 // 48_000 - 6_500_000
        assert abs(unit.capture_time - expected) < 100_000


def test_opus_with_in_band_fec_says_so():
    encoder = open_audio_encoder("opus", 48_000, 2, 32_000, forward_error_correction=True)
    assert encoder.format_parameters == {"sprop-stereo": "1", "useinbandfec": "1"}
    assert open_audio_encoder("opus", 48_000, 1).format_parameters == {}


@pytest.mark.parametrize(
    ("rate", "channels", "frames"), [(48_000, 1, 480), (48_000, 2, 240), (44_100, 1, 441), (44_100, 2, 220)]
)
def test_l16_is_the_samples_in_network_order(rate, channels, frames):
    integers = np.random.default_rng(2).integers(-32768, 32768, (rate // 10, channels)).astype(np.int16)
    encoder = open_audio_encoder("l16", rate, channels)
    units = encode(encoder, integers.astype(np.float32) / 32768, rate, size=333)
    assert (encoder.encoding, encoder.clock_rate, encoder.channels) == ("L16", rate, channels)
    assert encoder.packet_time == frames * 1_000_000_000 // rate
    assert all(len(unit.data) == frames * channels * 2 <= 1100 for unit in units)
    assert [unit.timestamp for unit in units] == [n * frames for n in range(len(units))]
    back = np.frombuffer(b"".join(unit.data for unit in units), ">i2").reshape(-1, channels)
    np.testing.assert_array_equal(back, integers[: len(back)])


def test_l16_takes_other_rates_to_48_khz():
    encoder = open_audio_encoder("l16", 16_000, 1)
    units = encode(encoder, voice(16_000), 16_000, size=160)
    back = np.frombuffer(b"".join(unit.data for unit in units), ">i2")
    assert encoder.clock_rate == 48_000
    assert correlation(back, voice(48_000)) > 0.999


@pytest.mark.parametrize(("codec", "decoder"), [("pcmu", "pcm_mulaw"), ("pcma", "pcm_alaw")])
def test_g711_is_8_khz_mono_in_20_ms(codec, decoder):
    encoder = open_audio_encoder(codec, 48_000, 2)
    units = encode(encoder, np.repeat(voice(48_000), 2, axis=1), 48_000)
    assert (encoder.encoding, encoder.clock_rate, encoder.channels) == (codec.upper(), 8_000, 1)
    assert all(len(unit.data) == 160 for unit in units)
    back = pcm(decoder, b"".join(unit.data for unit in units))
    assert correlation(back, voice(8_000)) > 0.99


@pytest.mark.parametrize(("table", "decoder"), [(g711.ulaw_table, "pcm_mulaw"), (g711.alaw_table, "pcm_alaw")])
def test_g711_tables_agree_with_another_decoder(table, decoder):
    codes = bytes(range(256))
    values = pcm(decoder, codes)
    # Every code decodes to a value that is encoded as that code again (-0 of the µ-law has no sample of its own).
    again = np.frombuffer(g711.encode(values.astype(np.int16), table()), np.uint8)
    np.testing.assert_array_equal(pcm(decoder, again.tobytes()), values)
    assert np.count_nonzero(again != np.arange(256)) <= 1


@pytest.mark.parametrize(
    ("table", "decoder", "first"), [(g711.ulaw_table, "pcm_mulaw", 4), (g711.alaw_table, "pcm_alaw", 0)]
)
def test_g711_decides_where_the_recommendation_does(table, decoder, first):
    # G.711 tables 1 and 2: a decoder's value y(n) lies in the middle between the decision values x(n-1) and x(n).
    values = pcm(decoder, bytes(range(256)))
    levels = np.unique(values[values > 0] if decoder == "pcm_alaw" else values[values >= 0])
    decisions = [first]
    for level in levels[1:] if first else levels:
        decisions.append(2 * int(level) - decisions[-1])
    thresholds = decisions[:-1] if first else decisions[1:-1]
    samples = np.arange(32768)
    expected = levels[np.searchsorted(thresholds, samples, side="right")]
    decoded = pcm(decoder, g711.encode(samples.astype(np.int16), table()))
    np.testing.assert_array_equal(decoded, expected)


def test_g711_well_known_codes():
    # G.711 tables 1a and 2a: silence, the smallest negative, and the largest of both signs.
    extremes = np.array([0, -1, 32767, -32768], np.int16)
    assert g711.encode(extremes, g711.alaw_table()) == bytes([0xD5, 0x55, 0xAA, 0x2A])
    assert g711.encode(np.array([0, 32767, -32768], np.int16), g711.ulaw_table()) == bytes([0xFF, 0x80, 0x00])


def block(position, frames, value=1.0):
    return Sound(np.full((frames, 1), value, np.float32), START + position * 125_000, position)


def test_framer_cuts_and_dates_blocks():
    framer = Framer(160, 1, 8_000)
    blocks = [b for n in range(10) for b in framer.push(block(n * 100, 100))]
    assert [b.position for b in blocks] == [0, 160, 320, 480, 640, 800]
    assert [b.capture_time for b in blocks] == [START + b.position * 125_000 for b in blocks]


def test_framer_fills_a_small_hole_with_silence():
    framer = Framer(160, 1, 8_000)
    assert framer.push(block(0, 100)) == []
    (first,) = framer.push(block(130, 100))
    np.testing.assert_array_equal(first.samples[:, 0], [1.0] * 100 + [0.0] * 30 + [1.0] * 30)


def test_framer_jumps_over_a_large_hole():
    framer = Framer(160, 1, 8_000)
    framer.push(block(0, 100))
    first, second = framer.push(block(8_000, 160))
    assert (first.position, second.position) == (0, 8_000)
    np.testing.assert_array_equal(first.samples[:, 0], [1.0] * 100 + [0.0] * 60)
    assert second.capture_time == START + 1_000_000_000


def test_resampling_starts_again_after_a_hole():
    conformer = Conformer(44_100, 48_000, 1)
    for n in range(20):
        conformer.push(Sound(np.zeros((441, 1), np.float32), START + n * 10_000_000, n * 441))
    after = conformer.push(Sound(np.zeros((441, 1), np.float32), START + 1_000_000_000, 44_100))
    assert after.position == 48_000
    assert after.capture_time == START + 1_000_000_000


@pytest.mark.parametrize(("codec", "channels", "hint"), [("mp3", 1, "opus"), ("opus", 6, "1 or 2")])
def test_what_cannot_be_encoded_is_refused(codec, channels, hint):
    with pytest.raises(UsageError, match=hint):
        open_audio_encoder(codec, 48_000, channels)


@pytest.mark.parametrize("codec", ["opus", "l16", "pcmu", "pcma"])
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_packets_leave_evenly_and_the_end_is_sent(codec: str, rate: int) -> None:
    encoder = open_audio_encoder(codec, rate, 1)
    block, duration = rate // 100, 1.234
    total = int(rate * duration)
    sent, counts = [], []
    for start in range(0, total, block):
        size = min(block, total - start)
        units = encoder.encode(Sound(np.full((size, 1), 0.1, np.float32), start * 10**9 // rate, start))
        counts.append(len(units))
        sent += units
    assert max(counts) <= -(-10_000_000 // encoder.packet_time) + 1, "no bursts"
    sent += encoder.flush()
    ticks = encoder.packet_time * encoder.clock_rate // 10**9
    assert [unit.timestamp for unit in sent] == [n * ticks for n in range(len(sent))]
    assert len(sent) * ticks >= duration * encoder.clock_rate - 1
    times = np.array([unit.capture_time for unit in sent])
    assert np.abs(np.diff(times) - encoder.packet_time).max() < 200_000
