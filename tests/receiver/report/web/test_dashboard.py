"""The server as a client sees it, over real sockets."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from protocol.errors import ResourceError, UsageError
from receiver.libraries import cv2
from receiver.report.document import document
from receiver.report.snapshot import Snapshot
from receiver.report.web.dashboard import CLIENTS, Dashboard
from receiver.report.web.handler import STREAMS
from receiver.report.web.history import SECONDS
from tests.receiver.report.story import story

PATHS = ("/", "/metrics", "/api/snapshot", "/api/stream", "/report.json", "/intervals.csv", "/picture.jpg",
         "/static/dashboard.js", "/library/chart.js", "/nothing")  # fmt: skip


def token(dashboard: Dashboard) -> str:
    return urlsplit(dashboard.url).query.removeprefix("token=")


def bearer(dashboard: Dashboard) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(dashboard)}"}


def ask(
    dashboard: Dashboard, path: str, headers: dict[str, str] | None = None, method: str = "GET"
) -> tuple[http.client.HTTPResponse, bytes]:
    url = urlsplit(dashboard.url)
    connection = http.client.HTTPConnection(str(url.hostname), url.port or 0, timeout=10)
    with closing(connection):
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        return answer, answer.read()


def events(dashboard: Dashboard, stack: ExitStack) -> Iterator[tuple[str, Any]]:
    """Server-sent events, as a browser reads them."""
    url = urlsplit(dashboard.url)
    connection = stack.enter_context(closing(http.client.HTTPConnection(str(url.hostname), url.port or 0, timeout=10)))
    connection.request("GET", "/api/stream", headers=bearer(dashboard))
    answer = stack.enter_context(connection.getresponse())
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    name = ""
    for line in answer:
        if line.startswith(b"event: "):
            name = line[7:].strip().decode()
        elif line.startswith(b"data: "):
            yield name, json.loads(line[6:])


def test_without_the_token_there_is_nothing_but_a_sign_of_life(dashboard: Dashboard) -> None:
    for path in PATHS:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": "steadycast_1=x"}):
            answer, body = ask(dashboard, path, headers)
            assert answer.status == 401
            assert b"video" not in body
    answer, body = ask(dashboard, "/healthz")
    assert (answer.status, body) == (200, b"ok\n")


def test_the_token_moves_from_the_address_into_a_cookie(dashboard: Dashboard) -> None:
    url = urlsplit(dashboard.url)
    answer, _ = ask(dashboard, f"/?{url.query}")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=" in cookie
    answer, body = ask(dashboard, "/", {"Cookie": cookie.partition(";")[0]})
    assert answer.status == 200
    assert b"<title>Steadycast</title>" in body
    assert token(dashboard).encode() not in body


def test_a_foreign_name_is_refused_even_with_the_token(dashboard: Dashboard) -> None:
    answer, _ = ask(dashboard, "/api/snapshot", {**bearer(dashboard), "Host": "rebound.example"})
    assert answer.status == 421


def test_what_each_address_gives(dashboard: Dashboard) -> None:
    wanted = {
        "/": "text/html",
        "/metrics": "text/plain; version=0.0.4",
        "/api/snapshot": "application/json",
        "/report.json": "application/json",
        "/intervals.csv": "text/csv",
        "/static/dashboard.css": "text/css",
        "/static/dashboard.js": "text/javascript",
        "/static/icon.svg": "image/svg+xml",
        "/library/chart.js": "text/javascript",
        "/picture.jpg": "image/jpeg",
    }
    for path, content_type in wanted.items():
        answer, body = ask(dashboard, path, bearer(dashboard))
        assert (answer.status, path) == (200, path)
        assert answer.headers["Content-Type"].startswith(content_type)
        assert int(answer.headers["Content-Length"]) == len(body) > 0
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in answer.headers
        head, nothing = ask(dashboard, path, bearer(dashboard), "HEAD")
        assert (head.status, nothing) == (200, b"")
    report = json.loads(ask(dashboard, f"/report.json?token={token(dashboard)}")[1])
    assert report["streams"][0]["ledger"]["sent"] == 40 * 210
    for path in ("/nothing", "/static/", "/static/..%2f__init__.py", "/static/../dashboard.py"):
        assert ask(dashboard, path, bearer(dashboard))[0].status == 404
    assert ask(dashboard, "/", bearer(dashboard), "POST")[0].status == 501


def test_the_picture_is_small_and_right(dashboard: Dashboard) -> None:
    _, body = ask(dashboard, "/picture.jpg", bearer(dashboard))
    picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (360, 640, 3)
    assert picture[180, 100].argmax() == 2  # red, in OpenCV's order
    assert picture[180, 540].argmax() == 0


def test_without_a_picture_there_is_no_content() -> None:
    with closing(Dashboard(("127.0.0.1", 0), lambda snapshot: document(snapshot, {}))) as dashboard:
        assert ask(dashboard, "/picture.jpg", bearer(dashboard))[0].status == 204
        assert json.loads(ask(dashboard, "/api/snapshot", bearer(dashboard))[1])["streams"] == []
        assert b"steadycast_datagrams_total 0" in ask(dashboard, "/metrics", bearer(dashboard))[1]


def test_a_page_is_told_the_past_then_each_snapshot(dashboard: Dashboard) -> None:
    with ExitStack() as stack:
        told = events(dashboard, stack)
        name, history = next(told)
        assert (name, len(history["points"])) == ("history", 40)
        assert history["points"][0]["t"] == 1.0
        assert len(history["points"][0]["rows"][0]) == 1 + len(history["fields"])
        name, update = next(told)
        assert (name, update["duration_s"], update["point"]["t"]) == ("update", 40.0, 40.0)
        assert "intervals" not in update
        for snapshot in list(story(42))[40:]:
            dashboard.publish(snapshot)
            assert next(told)[1]["duration_s"] == snapshot.time_s


def test_the_past_is_bounded() -> None:
    with (
        closing(Dashboard(("127.0.0.1", 0), lambda snapshot: document(snapshot, {}))) as dashboard,
        ExitStack() as stack,
    ):
        for second in range(3 * SECONDS):
            dashboard.publish(Snapshot(float(second)))
        _, history = next(events(dashboard, stack))
        assert len(history["points"]) == SECONDS
        assert history["points"][-1]["t"] == 3 * SECONDS - 1


def test_clients_that_do_not_read_hold_up_nobody(dashboard: Dashboard) -> None:
    """As many as fit and more; publishing stays quick, and closing too."""
    url = urlsplit(dashboard.url)
    snapshot = list(story(41))[-1]
    request = f"GET /api/stream?token={token(dashboard)} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()
    with ExitStack() as stack:
        for number in range(CLIENTS + 8):
            client = stack.enter_context(socket.create_connection((str(url.hostname), url.port or 0), 5))
            client.sendall(request if number % 2 else b"GET / HT")
        began = time.monotonic()
        for _ in range(200):
            dashboard.publish(snapshot)
        assert time.monotonic() - began < 1.0
        began = time.monotonic()
        dashboard.close()
        assert time.monotonic() - began < 3.0


def test_too_many_clients_are_told_so_and_there_is_room_again(dashboard: Dashboard) -> None:
    url = urlsplit(dashboard.url)
    with ExitStack() as stack:
        for _ in range(CLIENTS):
            stack.enter_context(socket.create_connection((str(url.hostname), url.port or 0), 5))
        assert ask_until(dashboard, 503)
    assert ask_until(dashboard, 200)


def ask_until(dashboard: Dashboard, status: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if ask(dashboard, "/healthz")[0].status == status:
                return True
        except (ConnectionError, http.client.BadStatusLine):
            continue
        time.sleep(0.02)
    return False


def test_pages_are_bounded_apart(dashboard: Dashboard) -> None:
    with ExitStack() as stack:
        for _ in range(STREAMS):
            next(events(dashboard, stack))
        assert ask(dashboard, "/api/stream", bearer(dashboard))[0].status == 503
        assert ask(dashboard, "/metrics", bearer(dashboard))[0].status == 200


@pytest.mark.parametrize(
    "request_bytes",
    [b"\r\n\r\n", b"GET\r\n\r\n", b"\xff\xfe\x00\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET http://[ HTTP/1.0\r\n\r\n",
     b"GET /" + b"a" * 70_000 + b" HTTP/1.0\r\n\r\n", b"GET / HTTP/1.0\r\n" + b"A: b\r\n" * 200 + b"\r\n"],
)  # fmt: skip
def test_nonsense_is_answered_and_nothing_is_written(
    dashboard: Dashboard, request_bytes: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    url = urlsplit(dashboard.url)
    with socket.create_connection((str(url.hostname), url.port or 0), 5) as client:
        client.sendall(request_bytes)
        client.shutdown(socket.SHUT_WR)
        try:
            answer = client.recv(4096)
        except ConnectionResetError:
            answer = b""
    assert b"200 OK" not in answer
    assert ask(dashboard, "/healthz")[0].status == 200
    assert capfd.readouterr() == ("", "")


def test_a_port_in_use_is_said_in_one_line(dashboard: Dashboard) -> None:
    port = urlsplit(dashboard.url).port or 0
    with pytest.raises(ResourceError, match=rf"TCP port {port} is in use") as caught:
        Dashboard(("127.0.0.1", port), lambda snapshot: document(snapshot, {}))
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="not an address of this machine"):
        Dashboard(("192.0.2.7", 0), lambda snapshot: document(snapshot, {}))
    with pytest.raises(UsageError, match="no address"):
        Dashboard(("no such name", 0), lambda snapshot: document(snapshot, {}))


def test_after_close_the_port_is_free_at_once(dashboard: Dashboard) -> None:
    port = urlsplit(dashboard.url).port or 0
    with ExitStack() as stack:
        told = events(dashboard, stack)
        next(told)
        dashboard.close()
        assert len(list(told)) <= 1  # the stream ends, it does not hang
    Dashboard(("127.0.0.1", port), lambda snapshot: document(snapshot, {})).close()
