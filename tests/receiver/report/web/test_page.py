"""The page in a real browser: what it asks for, what it shows, and that it moves."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from receiver.report.snapshot import Event
from receiver.report.web.dashboard import Dashboard
from tests.receiver.report.story import AUDIO, story
from tests.support.browser import Page, browser

LIVE = "document.getElementById('state').textContent === 'live'"
CLOCK = "document.getElementById('clock').textContent"
TILES = "[...document.querySelectorAll('#tiles .value')].map(tile => tile.textContent)"
SHARES = "Chart.getChart(document.querySelectorAll('canvas')[0]).data.datasets"


@pytest.fixture(scope="module")
def shared_page() -> Iterator[Page]:
    with browser() as page:
        yield page


@pytest.fixture
def page(shared_page: Page, dashboard: Dashboard) -> Page:
    """The dashboard's page, open and live."""
    shared_page.requests.clear()
    shared_page.complaints.clear()
    shared_page.open(dashboard.url)
    shared_page.wait(LIVE)
    return shared_page


def test_it_loads_in_silence_and_asks_nobody_else(page: Page, dashboard: Dashboard) -> None:
    page.wait("!document.getElementById('picture-section').hidden")
    assert page.evaluate("document.getElementById('picture').naturalWidth") == 640
    assert page.complaints == []
    ours = urlsplit(dashboard.url)
    for request in page.requests:
        assert urlsplit(request.removeprefix("blob:")).netloc == ours.netloc
    assert page.evaluate("location.search + document.cookie") == ""  # the token is out of every script's reach


def test_without_the_token_it_shows_nothing(shared_page: Page, dashboard: Dashboard) -> None:
    url = urlsplit(dashboard.url)
    shared_page.call("Network.clearBrowserCookies")
    shared_page.open(f"http://{url.netloc}/")
    assert "token is missing" in shared_page.evaluate("document.body.textContent")
    shared_page.open(dashboard.url)
    shared_page.wait(LIVE)
    shared_page.open(f"http://{url.netloc}/")  # the cookie has it now
    shared_page.wait(LIVE)


def test_figures_stand_with_what_they_are_shares_of(page: Page) -> None:
    counts = list(story(40))[-1].streams[0].ledger
    network, *_ = page.evaluate(TILES)
    assert network == f"{100 * counts.lost_network / 8400:.2f} %"
    parts = page.evaluate("document.querySelector('#tiles .parts').textContent")
    assert parts.replace("\u202f", "") == f"{counts.lost_network} of 8400"
    assert page.evaluate("document.querySelectorAll('#streams tr').length") == 2
    assert "The network lost" in page.evaluate("document.getElementById('verdict').textContent")


def test_charts_begin_with_the_past_and_move_with_each_snapshot(page: Page, dashboard: Dashboard) -> None:
    assert page.evaluate("document.querySelectorAll('canvas').length") == 5
    assert page.evaluate(f"{SHARES}[0].data.length") == 40
    for snapshot in itertools.islice(story(43), 40, None):
        dashboard.publish(snapshot)
        page.wait(f"{CLOCK} === '0:{snapshot.time_s:02.0f}'")
    assert page.evaluate(f"{SHARES}[0].data.length") == 43
    assert page.evaluate(f"{SHARES}[0].data.at(-1).x") == 43
    label = page.evaluate("document.querySelector('canvas').ariaLabel")
    assert "Network loss" in label
    assert "%" in label


def test_shares_are_of_the_last_ten_seconds(page: Page) -> None:
    """Against the snapshots themselves."""
    moments = list(story(40))
    lost = [moment.streams[0].ledger.lost_network for moment in moments]
    drawn = page.evaluate(f"{SHARES}[0].data.map(point => point.y)")
    for second in (20, 30, 39):
        assert drawn[second] == pytest.approx((lost[second] - lost[second - 10]) / 2100)


def test_pause_stands_still_until_it_is_pressed_again(page: Page, dashboard: Dashboard) -> None:
    before = page.evaluate(CLOCK)
    page.evaluate("document.getElementById('pause').click()")
    *_, newest = story(41)
    dashboard.publish(newest)
    page.wait("document.getElementById('state').textContent === 'paused'")
    assert page.evaluate(CLOCK) == before
    page.evaluate("document.getElementById('pause').click()")
    *_, newest = story(42)
    dashboard.publish(newest)
    page.wait(f"{CLOCK} === '0:42'")
    assert page.evaluate(f"{SHARES}[0].data.length") == 42  # nothing was missed meanwhile


def test_another_stream_and_another_length_of_time(shared_page: Page, dashboard: Dashboard) -> None:
    page = shared_page
    for snapshot in itertools.islice(story(200), 40, None):
        dashboard.publish(snapshot)
    page.open(dashboard.url)
    page.wait(f"{CLOCK} === '3:20'")
    assert page.evaluate(f"{SHARES}[0].data.length") == 61
    page.evaluate("document.querySelector('input[value=\"300\"]').click()")
    page.wait(f"{SHARES}[0].data.length > 190")
    page.evaluate(
        f"(s => {{ s.value = '{AUDIO}/0'; s.dispatchEvent(new Event('change')); }})(document.getElementById('stream'))"
    )
    sent = "document.querySelector('#tiles .parts').textContent.split(' of ')[1]"
    assert page.evaluate(sent).replace("\u202f", "") == str(200 * 50)


def test_what_comes_from_the_network_is_text(page: Page, dashboard: Dashboard) -> None:
    hostile = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
    *_, newest = story(41)
    streams = tuple(replace(stream, encoding=hostile, cname=hostile) for stream in newest.streams)
    dashboard.publish(replace(newest, streams=streams, events=(Event(1.0, "x", hostile),)))
    page.wait(f"{CLOCK} === '0:41'")
    assert hostile in page.evaluate("document.getElementById('events').textContent")
    assert page.evaluate("document.title") == "Steadycast"
    assert page.evaluate("document.querySelectorAll('#events img, table img').length") == 0


def test_it_says_when_the_receiver_is_gone(page: Page, dashboard: Dashboard) -> None:
    dashboard.close()
    page.wait("document.getElementById('state').textContent === 'not connected'")
    assert page.evaluate("document.querySelectorAll('#streams tr').length") == 2  # what was last known stays


def test_nothing_is_wider_than_a_phone(page: Page) -> None:
    page.size(360, 740, mobile=True)
    try:
        page.wait("document.documentElement.scrollWidth === 360")
    finally:
        page.call("Emulation.clearDeviceMetricsOverride")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(page: Page, scheme: str) -> None:
    """WCAG 2.1: contrast of at least 4.5 for text, 3 for lines."""
    page.prefer(scheme)
    colours = ("page", "card", "text", "quiet", "accent", *(f"series-{n}" for n in range(1, 6)))
    style = "getComputedStyle(document.documentElement).getPropertyValue"
    values = {name: _luminance(page.evaluate(f"{style}('--{name}').trim()")) for name in colours}
    for ground in ("page", "card"):
        for name in ("text", "quiet", "accent"):
            assert _contrast(values[name], values[ground]) >= 4.5
        for number in range(1, 6):
            assert _contrast(values[f"series-{number}"], values[ground]) >= 3


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)
