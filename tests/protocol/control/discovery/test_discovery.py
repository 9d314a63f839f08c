"""Announcing and finding on this machine; another instance of the library is the other machine."""

from __future__ import annotations

import errno
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeroconf import ServiceInfo, Zeroconf

from protocol.control.discovery import listing
from protocol.control.discovery.announcer import Announcer
from protocol.control.discovery.finder import find
from protocol.control.discovery.service import RECEIVES, SENDS, TYPE, Service, instance, read, record
from protocol.control.machine import host_names
from protocol.errors import NoPeerError, ResourceError
from protocol.rtsp import url as rtsp_url
from receiver.cli import main

LOOPBACK = ["127.0.0.1"]
FINGERPRINT = ":".join(["AB"] * 32)
OURS = f"({os.getpid()})"
"""in the names of this run: others may look at the same network."""
LIVE = Service(f"Front door ☃ {OURS}", 8554, SENDS, "/live", True, FINGERPRINT, addresses=("127.0.0.1",))


def look(seconds: float) -> list[Service]:
    """Who of this run is there."""
    return [service for service in find(seconds=seconds, interfaces=LOOPBACK) if OURS in service.name]


def until_found(port: int) -> dict[str, Service]:
    """By name, once one with this port is there."""
    for _ in range(10):
        found = look(0.5)
        if any(service.port == port for service in found):
            return {service.name: service for service in found}
    raise AssertionError(f"nobody announces port {port}")


@pytest.fixture
def announced() -> Iterator[list[str]]:
    """What it had to say of itself."""
    said: list[str] = []
    announcer = Announcer(LIVE, said.append, interfaces=LOOPBACK)
    announcer.start()
    yield said
    announcer.close()


def test_who_listens_is_found_and_gone_when_it_ends(announced: list[str]) -> None:
    (first,) = until_found(8554).values()
    assert first == replace(LIVE, host=first.host)
    assert re.fullmatch(rf"{host_names()[0].partition('.')[0]}-[0-9a-f]{{8}}\.local", first.host)
    other = Announcer(
        Service(LIVE.name, 5004, RECEIVES, addresses=("127.0.0.1",)), announced.append, interfaces=LOOPBACK
    )
    other.start()
    found = until_found(5004)
    assert {name: (each.port, each.role, each.tls) for name, each in found.items()} == {
        LIVE.name: (8554, SENDS, True),
        f"{LIVE.name}-2": (5004, RECEIVES, None),  # RFC 6762 §9
    }
    other.close()
    assert {service.port for service in look(0.3)} == {8554}
    assert announced == []


def test_another_program_finds_what_is_needed(announced: list[str]) -> None:
    zeroconf = Zeroconf(interfaces=LOOPBACK)
    try:
        info = None
        for _ in range(5):
            info = info or zeroconf.get_service_info(TYPE, f"{LIVE.name}.{TYPE}", 1000)
    finally:
        zeroconf.close()
    assert info is not None
    assert (info.port, info.parsed_addresses()) == (8554, ["127.0.0.1"])
    assert info.properties == {
        b"txtvers": b"1",
        b"path": b"/live",
        b"role": b"sends",
        b"encryption": b"tls",
        b"fingerprint": FINGERPRINT.encode(),
    }
    assert announced == []


def test_another_programs_announcement_is_found() -> None:
    zeroconf = Zeroconf(interfaces=LOOPBACK)
    camera: dict[str, Any] = {"port": 554, "server": "camera.local.", "parsed_addresses": ["127.0.0.1"]}
    try:
        zeroconf.register_service(
            ServiceInfo(TYPE, f"Camera {OURS}.{TYPE}", properties={"path": "axis/media"}, **camera)
        )
        (found,) = look(1.0)
    finally:
        zeroconf.close()
    assert found == Service(f"Camera {OURS}", 554, "", "/axis/media", None, "", "camera.local", ("127.0.0.1",))
    assert found.url == "rtsp://127.0.0.1:554/axis/media"


def test_closing_does_not_take_long_even_before_it_began() -> None:
    begin = time.monotonic()
    Announcer(LIVE, print, interfaces=LOOPBACK).close()
    announcer = Announcer(LIVE, print, interfaces=LOOPBACK)
    announcer.start()
    announcer.close()
    assert time.monotonic() - begin < 2.5


def test_where_nobody_can_be_told_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> Zeroconf:
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr("protocol.control.discovery.announcer.open_zeroconf", refuse)
    monkeypatch.setattr("protocol.control.discovery.finder.open_zeroconf", refuse)
    said: list[str] = []
    announcer = Announcer(LIVE, said.append)
    announcer.start()
    announcer.close()
    assert said == ["this machine cannot be announced on the network (No such device): others need its address"]
    with pytest.raises(ResourceError, match=r"^--find: cannot ask the network: No such device$"):
        find()


@pytest.mark.parametrize(
    ("service", "url"),
    [
        (Service("a", 322, path="/x", tls=True, addresses=("2001:db8::7", "192.0.2.7")), "rtsps://192.0.2.7:322/x"),
        (Service("a", 554, addresses=("fe80::7%eth0",)), "rtsp://[fe80::7%eth0]:554"),
        (Service("a", 554, host="camera.local"), "rtsp://camera.local:554"),
        (Service("a", 554, addresses=("127.0.0.1", "fe80::7", "2001:db8::7")), "rtsp://[2001:db8::7]:554"),
    ],
)
def test_addresses_to_connect_to(service: Service, url: str) -> None:
    assert service.url == url


def test_what_strangers_say_is_harmless() -> None:
    """Everybody in the network may announce anything."""
    said = {b"PATH": b"//evil.example/\x1b[2J x\xff?y#z", b"role": b"\x1b", b"encryption": b"rot13", b"\xff": None}
    places = ["192.0.2.7", "not an address"]
    service = read(f"\x1b[2Jname\nmore.{TYPE}", "ho\x1bst/.local.", 554, places, {**said, b"fingerprint": b"\x07AB"})
    assert service.name == " [2Jname more"
    assert service.url == "rtsp://192.0.2.7:554/evil.example/%1B%5B2J%20x%EF%BF%BD%3Fy%23z"
    assert (service.role, service.tls, service.addresses) == ("", None, ("192.0.2.7",))
    assert all(letter.isprintable() for line in listing.as_text([service]).splitlines() for letter in line)


@given(
    st.text(max_size=80), st.text(max_size=40), st.integers(1, 65535), st.lists(st.text(max_size=40), max_size=3),
    st.dictionaries(
        st.sampled_from([b"path", b"role", b"encryption", b"fingerprint", b"PATH"]), st.none() | st.binary(max_size=80)
    ),
)  # fmt: skip
def test_whatever_they_say_is_one_line_and_one_address(
    name: str, host: str, port: int, addresses: list[str], properties: dict[bytes, bytes | None]
) -> None:
    service = read(name, host, port, [*addresses, "192.0.2.7"], properties)
    assert all(letter.isprintable() for line in listing.as_text([service]).split("\n") for letter in line)
    assert len(listing.as_text([service]).split("\n")) == 2
    url = rtsp_url.parse(service.url)
    assert (url.port, url.user) == (port, None)
    assert url.host in (*addresses, "192.0.2.7")


def test_names_and_values_fit() -> None:
    """RFC 6763 §4.1.1 and §6.1."""
    name = instance("é" * 100 + ".\n")
    assert len(name.removesuffix(f".{TYPE}").encode()) <= 63
    assert instance("a.b") == f"a b.{TYPE}"
    assert instance("") == f"Steadycast.{TYPE}"
    assert all(len(f"{k}={v}".encode()) <= 255 for k, v in record(Service("a", 1, path="é" * 500)).items())
    assert record(Service("a", 1)) == {"txtvers": "1"}


def test_the_table() -> None:
    plain = Service("Desk", 5004, RECEIVES, addresses=("192.0.2.9",))
    assert listing.as_text([replace(LIVE, name="Front door ☃"), plain]).splitlines() == [
        "NAME                    ADDRESS                      CERTIFICATE",
        "Front door ☃  sends     rtsps://127.0.0.1:8554/live  AB:AB:AB:AB:AB:AB:AB:AB…",
        "Desk          receives  rtsp://192.0.2.9:5004",
    ]


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("protocol.control.discovery.finder.find", lambda _: [LIVE])
    assert main(["--find"]) == 0
    assert "rtsps://127.0.0.1:8554/live" in capsys.readouterr().out
    assert main(["--find", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["url"], found["fingerprint"]) == (LIVE.url, FINGERPRINT)
    monkeypatch.setattr("protocol.control.discovery.finder.find", lambda _: [])
    assert main(["--find"]) == NoPeerError.exit_code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"steadycast-receive: {listing.NOBODY}\n")
