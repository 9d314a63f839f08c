import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import sdp
from protocol.errors import Malformed, ProtocolError, Unsupported
from protocol.sdp import Attribute, Connection, MediaDescription, Origin, RtpMap, SessionDescription

VECTORS = Path(__file__).parent.parent / "vectors"
ALL_VECTORS = sorted(VECTORS.glob("*.sdp"))

# RFC 8866 §5, the example of the whole
RFC_8866 = """v=0
o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1
s=Call to John Smith
i=SDP Offer #1
u=http://www.jdoe.example.com/home.html
e=Jane Doe <jane@jdoe.example.com>
p=+1 617 555-6011
c=IN IP4 198.51.100.1
t=0 0
m=audio 49170 RTP/AVP 0
m=audio 49180 RTP/AVP 0
m=video 51372 RTP/AVP 99
c=IN IP6 2001:db8::2
a=rtpmap:99 h263-1998/90000
"""


def read(name: str) -> SessionDescription:
    return sdp.parse((VECTORS / name).read_bytes())


def test_example_of_rfc_8866() -> None:
    session = sdp.parse(RFC_8866)
    assert session.origin == Origin("jdoe", "3724394400", "3724394405", "IP4", "198.51.100.1")
    assert (session.name, session.information) == ("Call to John Smith", "SDP Offer #1")
    assert [(m.media, m.port, m.rtcp_port) for m in session.media] == [
        ("audio", 49170, 49171),
        ("audio", 49180, 49181),
        ("video", 51372, 51373),
    ]
    assert [session.connection_of(m) for m in session.media] == [
        Connection("198.51.100.1"),
        Connection("198.51.100.1"),
        Connection("2001:db8::2", "IP6"),
    ]
    assert sdp.rtp_formats(session.media[2]) == {99: RtpMap("h263-1998", 90000)}


def test_what_ffmpeg_prints() -> None:
    session = read("ffmpeg_h264_opus.sdp")  # begins with "SDP:"
    video, audio = session.media
    assert (video.media, video.port, session.connection_of(video)) == ("video", 45004, Connection("127.0.0.1"))
    (h264,) = sdp.rtp_formats(video).values()
    assert (h264.encoding, h264.clock_rate) == ("H264", 90000)
    assert h264.parameters == {
        "packetization-mode": "1",
        "sprop-parameter-sets": "Z/QADZGbKCg/YCIAAAMAAgAAAwBkHihTLA==,aOvjxEhE",
        "profile-level-id": "F4000D",
    }
    assert sdp.rtp_formats(audio) == {97: RtpMap("opus", 48000, 2, {"sprop-stereo": "1"})}
    assert audio.bandwidth == (("AS", 96),)
    assert session.attribute("tool") == "libavformat LIBAVFORMAT_VERSION"


@pytest.mark.parametrize(
    ("name", "formats", "connection"),
    [
        ("ffmpeg_pcmu.sdp", {0: RtpMap("PCMU", 8000)}, Connection("127.0.0.1")),  # no rtpmap
        ("ffmpeg_l16.sdp", {97: RtpMap("L16", 48000)}, Connection("127.0.0.1")),
        ("ffmpeg_jpeg_ipv6.sdp", {26: RtpMap("JPEG", 90000)}, Connection("::1", "IP6")),
        ("ffmpeg_vp8_multicast.sdp", {96: RtpMap("VP8", 90000)}, Connection("239.1.1.1", "IP4", ttl=3)),
    ],
)
def test_other_formats_of_ffmpeg(name: str, formats: dict[int, RtpMap], connection: Connection) -> None:
    session = read(name)
    (media,) = session.media
    assert sdp.rtp_formats(media) == formats
    assert session.connection_of(media) == connection


def test_what_gstreamer_writes() -> None:
    video, audio, jpeg = read("gstreamer.sdp").media
    assert sdp.rtp_formats(video)[96].parameters["sprop-parameter-sets"].startswith("Z/QADZGbKCg/")
    assert sdp.rtp_formats(audio) == {
        96: RtpMap("OPUS", 48000, 2, {"sprop-stereo": "1", "sprop-maxcapturerate": "48000"})
    }
    assert sdp.rtp_formats(jpeg) == {26: RtpMap("JPEG", 90000)}
    assert jpeg.attribute("x-dimensions") == "320,240"


def test_text_around_a_description_is_passed_over() -> None:
    marked = b"\xef\xbb\xbf" + (VECTORS / "ffmpeg_pcmu.sdp").read_bytes().partition(b"\n")[2]
    assert sdp.parse(marked) == read("ffmpeg_pcmu.sdp")
    noise = b"\xef\xbb\xbfOutput #0, rtp, to 'rtp://127.0.0.1':\n\n  Metadata:\nSDP:\n"
    tail = b"\nframe=   10 fps=0.0 q=28.0 size=N/A\n[q] command received. Exiting.\n"
    text = (VECTORS / "ffmpeg_l16.sdp").read_bytes()
    assert sdp.parse(noise + text + tail) == sdp.parse(text)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_will_do(end: str) -> None:
    assert sdp.parse(RFC_8866.replace("\n", end)) == sdp.parse(RFC_8866)


def test_three_lines_are_enough() -> None:
    session = sdp.parse("v=0\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 26")
    assert [sdp.rtp_formats(m)[26].encoding for m in session.media] == ["JPEG"]


@pytest.mark.parametrize(
    ("lines", "port"),
    [
        ("", 5005),
        ("a=rtcp:53020\n", 53020),  # RFC 3605 §2.1
        ("a=rtcp:53020 IN IP4 126.16.64.4\n", 53020),
        ("a=rtcp-mux\n", 5004),
        ("a=rtcp:53020\na=rtcp-mux\n", 5004),
    ],
)
def test_rtcp_port(lines: str, port: int) -> None:
    (media,) = sdp.parse(f"v=0\nm=video 5004 RTP/AVP 26\n{lines}").media
    assert media.rtcp_port == port


@pytest.mark.parametrize("lines", ["", "a=rtcp:x\n", "a=rtcp:65536\n"])
def test_an_rtcp_port_out_of_range(lines: str) -> None:
    (media,) = sdp.parse(f"v=0\nm=video 65535 RTP/AVP 26\n{lines}").media
    with pytest.raises(Malformed):
        _ = media.rtcp_port


def test_sources_of_rfc_5576() -> None:
    # §10
    text = (
        "v=0\nm=video 49170 RTP/AVP 96\na=ssrc:12345 cname:another-user@example.com\na=ssrc:67890 previous-ssrc:11111\n"
    )
    assert sdp.parse(text).media[0].sources == {
        12345: {"cname": "another-user@example.com"},
        67890: {"previous-ssrc": "11111"},
    }


def test_direction_of_the_media_else_of_the_session() -> None:
    session = sdp.parse("v=0\na=recvonly\nm=audio 1 RTP/AVP 0\nm=audio 3 RTP/AVP 0\na=sendonly\n")
    assert [session.direction_of(m) for m in session.media] == ["recvonly", "sendonly"]
    plain = sdp.parse("v=0\nm=audio 1 RTP/AVP 0\n")
    assert plain.direction_of(plain.media[0]) == "sendrecv"


def test_payload_types_nobody_explains_are_left_out() -> None:
    (media,) = sdp.parse("v=0\nm=video 1 RTP/AVP 97 96 0 300 x\na=rtpmap:96 VP8/90000\na=rtpmap:98 H264/90000\n").media
    assert list(sdp.rtp_formats(media)) == [96, 0]


def test_parameter_names_compare_without_case_and_flags_have_no_value() -> None:
    (media,) = sdp.parse(
        "v=0\nm=audio 1 RTP/AVP 97\na=rtpmap:97 opus/48000/2\na=fmtp:97 UseInbandFEC=1 ; x; y=a=b\n"
    ).media
    assert sdp.rtp_formats(media)[97].parameters == {"useinbandfec": "1", "x": "", "y": "a=b"}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", Malformed),
        ("hello", Malformed),
        ("\x00\x01\x02\x03", Malformed),
        ("m=video 5004 RTP/AVP 96", Malformed),
        ("v=1\n", Unsupported),
        ("v=0\nv=0\n", Unsupported),
        ("v=0\nm=video\n", Malformed),
        ("v=0\nm=video x RTP/AVP 96\n", Malformed),
        ("v=0\nm=video 65536 RTP/AVP 96\n", Malformed),
        ("v=0\nm=video -1 RTP/AVP 96\n", Malformed),
        (f"v=0\nm=video {'9' * 5000} RTP/AVP 96\n", Malformed),
        ("v=0\nm=video ٣ RTP/AVP 96\n", Malformed),
        ("v=0\nc=IN IP5 x\n", Malformed),
        ("v=0\nc=IN IP4\n", Malformed),
        ("v=0\nc=IN IP4 239.1.1.1/x\n", Malformed),
        ("v=0\nc=IN IP6 ff15::1/3/4\n", Malformed),
        ("v=0\nb=AS:many\n", Malformed),
    ],
)
def test_unreadable_text(text: str, error: type[ProtocolError]) -> None:
    with pytest.raises(error):
        sdp.parse(text)


@pytest.mark.parametrize("rtpmap", ["H264", "H264/", "H264/0", "H264/x", "H264/90000/0", "H264/90000/x", "/90000"])
def test_unreadable_rtpmap(rtpmap: str) -> None:
    (media,) = sdp.parse(f"v=0\nm=video 1 RTP/AVP 96\na=rtpmap:96 {rtpmap}\n").media
    with pytest.raises(Malformed):
        sdp.rtp_formats(media)


def _use(text: bytes | str) -> None:
    try:
        session = sdp.parse(text)
        for media in session.media:
            sdp.rtp_formats(media)
            assert 0 <= media.rtcp_port <= 65535
            assert isinstance(media.sources, dict)
            assert session.direction_of(media) in sdp.DIRECTIONS
    except ProtocolError:
        return


@given(st.binary(max_size=200))
def test_any_bytes_are_a_description_or_our_error(data: bytes) -> None:
    _use(data)
    _use(b"v=0\n" + data)


@given(st.lists(st.tuples(st.sampled_from("vosicbtam"), st.text(max_size=30)), max_size=12))
def test_any_lines_are_a_description_or_our_error(lines: list[tuple[str, str]]) -> None:
    _use("v=0\n" + "".join(f"{kind}={value}\n" for kind, value in lines))


@given(st.data(), st.sampled_from(ALL_VECTORS))
def test_damaged_descriptions_are_descriptions_or_our_error(data: st.DataObject, path: Path) -> None:
    text = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    _use(bytes(text))


TOKENS = st.from_regex("[A-Za-z0-9-]{1,12}", fullmatch=True)
VALUES = st.from_regex("[A-Za-z0-9:;=/. -]{0,20}[a-z0-9]", fullmatch=True).map(str.strip)
ATTRIBUTES = st.lists(st.builds(Attribute, TOKENS, st.none() | VALUES), max_size=5).map(tuple)
CONNECTIONS = st.one_of(
    st.just(Connection("192.0.2.1")),
    st.builds(Connection, st.just("239.0.0.1"), st.just("IP4"), st.integers(0, 255), st.integers(1, 9)),
    st.builds(Connection, st.just("ff15::101"), st.just("IP6"), st.none(), st.integers(1, 9)),
)
BANDWIDTH = st.lists(st.tuples(st.sampled_from(["AS", "RR", "RS"]), st.integers(0, 10**9)), max_size=2).map(tuple)
MEDIA = st.builds(
    MediaDescription,
    st.sampled_from(["audio", "video"]),
    st.integers(0, 65535),
    st.sampled_from(["RTP/AVP", "RTP/AVPF", "RTP/SAVP"]),
    st.lists(st.integers(0, 127).map(str), min_size=1, max_size=4).map(tuple),
    st.integers(1, 9),
    st.none() | VALUES,
    st.none() | CONNECTIONS,
    BANDWIDTH,
    ATTRIBUTES,
)
SESSIONS = st.builds(
    SessionDescription,
    st.builds(Origin, TOKENS, st.integers(0, 10**18).map(str)),
    VALUES,
    st.none() | VALUES,
    st.none() | CONNECTIONS,
    BANDWIDTH,
    ATTRIBUTES,
    st.lists(MEDIA, max_size=3).map(tuple),
)


@given(SESSIONS)
def test_every_description_survives(session: SessionDescription) -> None:
    assert sdp.parse(sdp.serialize(session)) == session


@pytest.mark.parametrize("path", ALL_VECTORS, ids=lambda path: path.stem)
def test_written_again_it_says_the_same(path: Path) -> None:
    session = sdp.parse(path.read_bytes())
    assert sdp.parse(sdp.serialize(session)) == session


def test_lines_have_the_order_of_rfc_8866() -> None:
    session = SessionDescription(
        name="x",
        information="y",
        connection=Connection("127.0.0.1"),
        bandwidth=(("AS", 1),),
        attributes=(Attribute("tool", "z"),),
        media=(MediaDescription("audio", 2, formats=("0",), title="t", connection=Connection("::1", "IP6")),),
    )
    text = sdp.serialize(session).decode()
    assert re.findall("^([a-z])=", text, re.MULTILINE) == list("vosicbtamic")
    assert text.count("\r\n") == text.count("\n")


def test_a_value_cannot_smuggle_in_a_line() -> None:
    with pytest.raises(ValueError):
        sdp.serialize(SessionDescription(name="x\r\nm=audio 1 RTP/AVP 0"))


PARAMETER_SETS = "Z/QADZGbKCg/YCIAAAMAAgAAAwBkHihTLA==,aOvjxEhE"
FORMATS = {
    96: RtpMap("H264", 90000, 1, {"packetization-mode": "1", "sprop-parameter-sets": PARAMETER_SETS}),
    97: RtpMap("opus", 48000, 2, {"useinbandfec": "1"}),
    98: RtpMap("VP8", 90000),
    99: RtpMap("L16", 48000),
    10: RtpMap("L16", 44100, 2),
}


def describe(payload_types: list[int], ports: list[int]) -> SessionDescription:
    media = tuple(
        MediaDescription(
            "video" if FORMATS[number].clock_rate == 90000 else "audio",
            port,
            formats=(str(number),),
            attributes=sdp.format_attributes({number: FORMATS[number]}),
        )
        for number, port in zip(payload_types, ports, strict=True)
    )
    return SessionDescription(connection=Connection("127.0.0.1"), media=media)


def test_formats_are_read_as_they_were_written() -> None:
    session = sdp.parse(sdp.serialize(describe([96, 97, 10], [5004, 5006, 5008])))
    read_back = [sdp.rtp_formats(media) for media in session.media]
    assert read_back == [{96: FORMATS[96]}, {97: FORMATS[97]}, {10: FORMATS[10]}]


def test_ffmpeg_takes_what_is_written(tmp_path: Path) -> None:
    """FFmpeg's own reader names the streams it found, though none of them is sent."""
    ffprobe = shutil.which("ffprobe")
    if ffprobe is None:
        pytest.skip("ffprobe is not installed")
    path = tmp_path / "session.sdp"
    path.write_bytes(sdp.serialize(describe([96, 97, 98, 99, 10], [45404, 45406, 45408, 45410, 45412])))
    command = [ffprobe, "-loglevel", "error", "-protocol_whitelist", "file,udp,rtp", "-nofind_stream_info"]
    command += ["-show_entries", "stream=codec_name,sample_rate,channels", "-of", "csv=p=0", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    found = run.stdout.split()
    assert found == ["h264", "opus,48000,2", "vp8", "pcm_s16be,48000,1", "pcm_s16be,44100,2"], run.stderr
