"""A report as the other end gets it: what it sheds, and what is not believed."""

from __future__ import annotations

import json
import random
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import peer_report
from protocol.errors import ProtocolError

STREAM = {"ssrc": 1, "delay_distribution": [[0.1, 7]], "needed_buffer": [[20, 0.5]], "loss_runs": {"1": 2}}
REPORT: dict[str, Any] = {
    "schema": "steadycast/1",
    "verdict": "Nothing was lost.",
    "streams": [STREAM],
    "events": [{"time_s": 1.0, "kind": "x", "why": "y"}],
    "intervals": [{"start_s": 0}],
    "peer": {"verdict": "no"},
    "peers": [],
}
SENT: dict[str, Any] = {name: value for name, value in REPORT.items() if name not in ("intervals", "peer", "peers")}


def noise(seed: int, count: int) -> str:
    """Text that does not compress below half its length."""
    return random.Random(seed).randbytes(count // 2).hex()


def test_all_but_the_other_end_and_the_intervals_arrives() -> None:
    """An hour has a thousand intervals, of each stream too: they would push out everything else."""
    report = {**REPORT, "streams": [{**STREAM, "intervals": [{"first": 7}]}]}
    assert peer_report.unpack(peer_report.pack(report)) == SENT


def test_what_is_too_large_loses_its_events_first() -> None:
    report = {**REPORT, "events": [{"why": noise(1, 200_000)}]}
    data = peer_report.pack(report)
    assert len(data) <= peer_report.MAX_SIZE
    assert peer_report.unpack(data) == {**SENT, "events": [], "left_out": ["events"]}


def test_then_its_distributions_then_its_streams() -> None:
    wide = {**STREAM, "delay_distribution": [[noise(2, 200_000), 1]]}
    told = peer_report.unpack(peer_report.pack({**REPORT, "streams": [wide]}))
    assert told["streams"] == [{"ssrc": 1, "loss_runs": {"1": 2}}]
    assert told["left_out"] == ["events", "distributions"]
    wide = {**STREAM, "loss_runs": {noise(3, 200_000): 1}}
    told = peer_report.unpack(peer_report.pack({**REPORT, "streams": [wide]}))
    assert (told["streams"], told["verdict"]) == ([], "Nothing was lost.")


def test_a_report_that_is_large_in_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        peer_report.pack({"verdict": noise(4, 200_000), "streams": []})


def packed(text: str) -> bytes:
    return zlib.compress(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no zlib",
        peer_report.pack(REPORT)[:-5],
        packed("{"),
        packed("[]"),
        packed("7"),
        packed('{"a": NaN}'),
        packed('{"a": 1e999}'),
        packed('{"a": ' + "[" * 100 + "]" * 100 + "}"),
        packed('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"),
        packed('{"a": ' + "9" * 10_000 + "}"),
        packed('{"a": "' + "a" * 5_000_000 + '"}'),
        zlib.compress(b'{"a": "\xff"}'),
    ],
    ids=[
        "nothing", "no zlib", "cut", "no JSON", "a list", "a number", "NaN", "infinite", "deep", "very deep",
        "a long number", "a bomb", "no UTF-8",
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="peer_report"):
        peer_report.unpack(data)


@given(st.binary(max_size=300) | st.binary(max_size=300).map(zlib.compress) | st.text(max_size=100).map(packed))
def test_any_octets_give_an_object_or_a_protocol_error(data: bytes) -> None:
    try:
        peer_report.unpack(data)
    except ProtocolError:
        return


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_what_is_let_in_can_be_written_again(report: dict[str, Any]) -> None:
    """Also where another version, or another program, wrote what no report of ours has."""
    try:
        told = peer_report.unpack(packed(json.dumps(report)))
    except ProtocolError:
        return
    json.dumps(told, indent=2, allow_nan=False)


def test_another_version_is_kept() -> None:
    assert peer_report.unpack(packed('{"schema": "steadycast/9", "new": 1}')) == {"schema": "steadycast/9", "new": 1}


@pytest.mark.parametrize("told", [{}, {"verdict": None}, {"verdict": 7}, {"verdict": " "}])
def test_no_verdict(told: dict[str, Any]) -> None:
    assert peer_report.verdict(told) is None


def test_a_verdict_cannot_play_tricks_on_a_terminal() -> None:
    told = peer_report.verdict({"verdict": "All \x1b[31mwell\ud800.\n" + "x" * 10_000})
    assert told is not None
    assert told.startswith("All \ufffd[31mwell\ufffd.\ufffd")
    assert len(told) <= 4000
