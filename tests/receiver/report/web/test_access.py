"""Who is let in."""

from __future__ import annotations

import sys

import pytest

from protocol.errors import ResourceError, UsageError
from receiver.report.web.access import Access
from receiver.report.web.dashboard import dashboard_address
from receiver.report.web.files import files

ACCESS = Access(["studio.example"], 8466, token="the-token")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8466",
        "127.0.0.1:8466",
        "[::1]:8466",
        "192.0.2.7",
        "[fe80::1%25eth0]:1",
        "studio.example",
    ],
)
def test_addresses_and_names_of_ours_are_known(host: str) -> None:
    assert ACCESS.knows_host(host)


@pytest.mark.parametrize("host", [None, "", "evil.example", "evil.example:8466", "localhost.evil.example", "[", "a b"])
def test_other_names_are_not(host: str | None) -> None:
    assert not ACCESS.knows_host(host)


def test_the_token_is_taken_from_three_places() -> None:
    assert ACCESS.admits("token=the-token", None, None)
    assert ACCESS.admits("", "Bearer the-token", None)
    assert ACCESS.admits("", "bearer  the-token", None)
    assert ACCESS.admits("", None, "other=1; steadycast_8466=the-token")
    assert ACCESS.set_cookie().startswith("steadycast_8466=the-token;")


@pytest.mark.parametrize(
    ("query", "authorization", "cookies"),
    [
        ("", None, None),
        ("token=", "Bearer ", "steadycast_8466="),
        ("token=The-token", "Basic the-token", "steadycast_8467=the-token"),
        ("token=the-token1", "the-token", "the-token"),
        ("token=%ff%00é\udcff", "Bearer é\x80", "steadycast_8466=é; ;=;\x00"),
    ],
)
def test_nothing_else_is(query: str, authorization: str | None, cookies: str | None) -> None:
    assert not ACCESS.admits(query, authorization, cookies)


def test_each_run_has_a_token_of_its_own() -> None:
    tokens = {Access([], 1).token for _ in range(20)}
    assert len(tokens) == 20
    assert min(map(len, tokens)) >= 22  # 128 bits


def test_addresses() -> None:
    assert dashboard_address(":8080") == dashboard_address("8080") == ("127.0.0.1", 8080)
    assert dashboard_address("[::1]:8080") == ("::1", 8080)
    assert dashboard_address("0.0.0.0:8080") == ("0.0.0.0", 8080)
    assert dashboard_address("studio.example")[0] == "studio.example"
    for text in ("", "127.0.0.1:99999", "http://x", "a b:1"):
        with pytest.raises(UsageError):
            dashboard_address(text)


def test_a_missing_chart_library_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chartkick", None)
    files.cache_clear()
    try:
        with pytest.raises(ResourceError, match=r"pip install 'chartkick"):
            files()
    finally:
        files.cache_clear()
