from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.rtsp import transport
from protocol.rtsp.transport import Transport


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # RFC 2326 §12.39
        (
            'RTP/AVP;multicast;ttl=127;mode="PLAY",RTP/AVP;unicast;client_port=3456-3457;mode="PLAY"',
            [Transport(multicast=True, ttl=127), Transport(client_port=(3456, 3457))],
        ),
        # §14.1, §14.2, §14.4, §14.6, §10.12
        (
            "RTP/AVP/UDP;unicast;client_port=3056-3057;server_port=5000-5001",
            [Transport(client_port=(3056, 3057), server_port=(5000, 5001))],
        ),
        ("RTP/AVP;unicast;client_port=8000-8001", [Transport(client_port=(8000, 8001))]),
        (
            "RTP/AVP;multicast;destination=225.219.201.15;port=7000-7001;ttl=127",
            [Transport(multicast=True, destination="225.219.201.15", port=(7000, 7001), ttl=127)],
        ),
        (
            "RTP/AVP;multicast;destination=224.0.1.11;port=21010-21011;mode=record;ttl=127",
            [Transport(multicast=True, destination="224.0.1.11", port=(21010, 21011), ttl=127, mode="RECORD")],
        ),
        ("RTP/AVP/TCP;interleaved=0-1", [Transport(lower="TCP", interleaved=(0, 1))]),
        # what other programs write
        ('RTP/AVP;unicast;client_port=1234-1235;mode="PLAY"', [Transport(client_port=(1234, 1235))]),
        (
            'RTP/AVP/TCP;unicast;interleaved=0-1;mode="receive"',
            [Transport(lower="TCP", interleaved=(0, 1), mode="RECORD")],
        ),
        (
            'RTP/SAVP;unicast;client_port=5000-5001;mode="RECORD"',
            [Transport("RTP/SAVP", client_port=(5000, 5001), mode="RECORD")],
        ),
        (
            "RTP/SAVPF;unicast;client_port=5000-5001, RTP/AVPF/TCP;unicast;interleaved=2-3",
            [Transport("RTP/SAVPF", client_port=(5000, 5001)), Transport("RTP/AVPF", "TCP", interleaved=(2, 3))],
        ),
        ('RTP/AVP;unicast;client_port=1-2;mode="PLAY,RECORD"', [Transport(client_port=(1, 2), mode="RECORD")]),
        (
            "rtp/avp/udp ; UNICAST ; Client_Port = 1234 - 1235 ; SSRC= 1a2B3c ",
            [Transport(client_port=(1234, 1235), ssrc=0x1A2B3C)],
        ),
        ("RTP/AVP;unicast;client_port=5000", [Transport(client_port=(5000, 5001))]),
        ("RTP/AVP;unicast;client_port=5000;RTCP-mux", [Transport(client_port=(5000, 5000), rtcp_mux=True)]),
        ("RTP/AVP/TCP;unicast;interleaved=4", [Transport(lower="TCP", interleaved=(4, 4))]),
        ("RTP/AVP;unicast;interleaved=0-1", [Transport(lower="TCP", interleaved=(0, 1))]),
        ("RTP/AVP/TCP;interleaved=0-1;ssrc=0x0000ABCD", [Transport(lower="TCP", interleaved=(0, 1), ssrc=0xABCD)]),
        (
            'RTP/AVP;unicast;destination="192.0.2.7";source=[2001:db8::1];client_port=6-7;ssrc=A;setup=active',
            [Transport(destination="192.0.2.7", source="2001:db8::1", client_port=(6, 7), ssrc=10)],
        ),
        # a quoted comma or semicolon ends nothing
        ('RTP/AVP;unicast;x="a,b;c";client_port=6-7', [Transport(client_port=(6, 7))]),
        # what cannot be used
        ("RAW/RAW/UDP;unicast;client_port=1-2,MP2T/H2221/UDP;unicast", []),
        ("RTP/AVP;client_port=70000-70001,RTP/AVP;client_port=x,RTP/AVP/TCP;interleaved=256,RTP/AVP/SCTP", []),
        ("RTP/AVP;ssrc=zz;ttl=x;destination=a b", [Transport()]),
        ("", []),
        (";,;", []),
        ('"', []),
    ],
)  # fmt: skip
def test_parse(text: str, expected: list[Transport]) -> None:
    assert transport.parse(text) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            Transport(client_port=(8000, 8001), server_port=(9000, 9001)),
            "RTP/AVP;unicast;client_port=8000-8001;server_port=9000-9001",
        ),
        (
            Transport("RTP/SAVP", "TCP", interleaved=(0, 1), ssrc=0xAB, mode="RECORD"),
            'RTP/SAVP/TCP;unicast;interleaved=0-1;ssrc=000000AB;mode="RECORD"',
        ),
    ],
)  # fmt: skip
def test_serialize(value: Transport, text: str) -> None:
    assert transport.serialize([value]) == text
    assert transport.serialize([value, value]) == f"{text},{text}"


@pytest.mark.parametrize("address", ["a;b", "a,b", "", 'a"', "a\r\nb"])
def test_no_other_parameters_in_an_address(address: str) -> None:
    with pytest.raises(ValueError):
        transport.serialize([Transport(destination=address)])


PAIRS = st.none() | st.tuples(st.integers(0, 65535), st.integers(0, 65535))
CHANNELS = st.none() | st.tuples(st.integers(0, 255), st.integers(0, 255))
ADDRESSES = st.sampled_from([None, "192.0.2.1", "2001:db8::1", "fe80::1%eth0", "cam.example.com"])


@given(
    st.lists(
        st.builds(
            Transport,
            st.sampled_from(transport.PROFILES),
            st.sampled_from(["UDP", "TCP"]),
            st.booleans(),
            ADDRESSES,
            ADDRESSES,
            PAIRS,
            PAIRS,
            PAIRS,
            st.none(),
            st.none() | st.integers(0, 255),
            st.none() | st.integers(0, 2**32 - 1),
            st.sampled_from(["PLAY", "RECORD"]),
            st.booleans(),
        )
        | st.builds(Transport, lower=st.just("TCP"), interleaved=CHANNELS),
        max_size=3,
    )
)
def test_what_is_written_comes_back(values: list[Transport]) -> None:
    assert transport.parse(transport.serialize(values)) == values
