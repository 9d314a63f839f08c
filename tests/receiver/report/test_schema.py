"""docs/report.schema.json against real reports of both ends, and against what the programs know of the report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from protocol.command.figures import FIGURES, TABLES
from receiver.report.document import document, interval
from receiver.report.reader import REPORT, STREAM
from tests.receiver.report.example import audio, counts, snapshot, video
from tests.support import peers

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")

ROOT = Path(__file__).parents[3]
SCHEMA: dict[str, Any] = json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))
DEFINITIONS: dict[str, Any] = SCHEMA["$defs"]


def complaints(found: object, definition: str = "report") -> list[str]:
    validator = jsonschema.Draft202012Validator({"$ref": f"#/$defs/{definition}", "$defs": DEFINITIONS})
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(found)]


def parts(schema: object, place: str = "#") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every object in the schema."""
    if isinstance(schema, dict):
        yield place, schema
        for name, part in schema.items():
            yield from parts(part, f"{place}/{name}")
    if isinstance(schema, list):
        for index, part in enumerate(schema):
            yield from parts(part, f"{place}/{index}")


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_member_is_described_and_no_other_allowed() -> None:
    for place, part in parts(SCHEMA):
        if "properties" not in part or place.endswith("/properties"):
            continue
        assert part["additionalProperties"] is False, place
        for name, member in part["properties"].items():
            described = member | DEFINITIONS.get(member.get("$ref", "").rpartition("/")[2], {})
            assert described.get("description"), f"{place}/{name}"


def test_snapshots() -> None:
    first = snapshot(video(counts(100)), audio(counts(None)), time_s=1.0)
    second = snapshot(video(counts(200, lost=4)), audio(counts(None)), time_s=2.0)
    rows = [interval(first, None), interval(second, first)]
    assert complaints(document(second, {"video": "none"}, intervals=rows)) == []
    assert complaints(document(snapshot(), {}, error="no packets came")) == []


@pytest.mark.parametrize("name", ["report_1_early.json", "report_1_early_sender.json"])
def test_early_reports(name: str) -> None:
    assert complaints(json.loads((ROOT / "tests" / "vectors" / name).read_text())) == []


def test_the_schema_does_complain() -> None:
    report = document(snapshot(video(counts(100))), {})
    assert complaints({**report, "undocumented": 1})
    assert complaints({**report, "schema": "steadycast/2"})
    (stream,) = report["streams"]  # type: ignore[misc]
    assert complaints({**report, "streams": [{**stream, "undocumented": 1}]})
    assert complaints({**report, "streams": [{**stream, "jitter_ms": "3"}]})


def test_the_reader_knows_every_member() -> None:
    assert set(REPORT) == set(DEFINITIONS["report"]["properties"])
    assert set(STREAM) == set(DEFINITIONS["stream"]["properties"])


def members(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Path and type of every number, and of every table of counts."""
    if "$ref" in schema:
        yield from members(DEFINITIONS[schema["$ref"].rpartition("/")[2]], path)
    for choice in schema.get("oneOf", ()):
        yield from members(choice, path)
    kinds = schema.get("type", ())
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    if kinds & {"number", "integer"}:
        yield path, "number"
    if isinstance(schema.get("additionalProperties"), dict) and "integer" in schema["additionalProperties"]["type"]:
        yield path, "table"
    for name, member in schema.get("properties", {}).items():
        yield from members(member, (*path, name))


def test_every_figure_can_be_named_in_a_condition() -> None:
    """But for what identifies or describes, and the ends of confidence intervals."""
    no_figures = {"ssrc", "payload_type", "epoch", "first_sequence", "last_sequence", "numerator", "denominator", "low"}
    no_figures |= {"high", "reporter", "extended_highest_sequence"}
    found = set(members(DEFINITIONS["stream"]))
    numbers = {path for path, kind in found if kind == "number" and not no_figures & set(path)}
    assert {figure.path for figure in FIGURES.values() if figure.place == "streams"} == numbers
    tables = {path for path, kind in found if kind == "table"} - {("frames", "unsendable")}
    assert {figure.path for figure in TABLES.values() if figure.place == "streams"} == tables
    socket = set(members(DEFINITIONS["socket"]))
    assert {figure.path for figure in (*FIGURES.values(), *TABLES.values()) if figure.place == "socket"} == {
        path for path, _ in socket
    }


def test_real_reports_of_both_ends(tmp_path: Path) -> None:
    """Each line of --json-stream of a receiver and a sender, and the report beside it."""
    port = peers.free_ports(4)
    arguments = ("--audio", "none", "--video", "none", "--json-stream", "--report", tmp_path / "r", "--exit-on-end")
    media = ("--video", "pattern", "--audio", "tone", "--size", "320x240", "--duration", "3s", "--json-stream")
    with peers.Process(peers.receiver(f"127.0.0.1:{port}", *arguments), tmp_path, "receiver") as receiving:
        receiving.wait_for_port(port, 30)
        with peers.Process(peers.sender(f"127.0.0.1:{port}", *media), tmp_path, "sender") as sending:
            assert sending.wait(30) == 0, sending.log
        assert receiving.wait(15) == 0, receiving.log
    for name in ("receiver", "sender"):
        lines = [json.loads(line) for line in (tmp_path / f"{name}.out").read_text().splitlines()]
        for line in lines:
            assert complaints(line, f"{line['kind']}_line") == []
        kinds = [line["kind"] for line in lines]
        assert kinds.count("interval") >= 2
        assert kinds[-1] == "report"
        assert kinds.count("event") == len(lines[-1]["report"]["events"]) > 0
    assert json.loads((tmp_path / "r" / "report.json").read_text())["streams"][0]["ledger"]["sent"] > 0
    assert (tmp_path / "r" / "intervals.csv").read_text().count("\n") > 2
