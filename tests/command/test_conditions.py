"""--fail-if: what a condition means is worked out by hand from reports of a few numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.command.conditions import Condition, failures, parse
from protocol.command.program import Outcome, Request, run
from protocol.errors import UsageError
from tests.command.program_of_tests import PROGRAM


def ratio(numerator: int | None, denominator: int | None) -> dict[str, Any]:
    value = None if numerator is None or not denominator else numerator / denominator
    return {"value": value, "numerator": numerator, "denominator": denominator}


def stream(media: str, ssrc: int, **figures: Any) -> dict[str, Any]:
    return {"media": media, "ssrc": ssrc, "epoch": 0, **figures}


REPORT = {
    "duration_s": 12.5,
    "streams": [
        stream(
            "video",
            1,
            ratios={"effective_loss": ratio(3, 200), "late": ratio(0, 200)},
            ledger={"lost": 3},
            jitter_ms=4.0,
            rtt_ms=None,
            bitrate_bps=1_500_000,
            freezes={"count": 2, "seconds": 0.75},
            frames={"rendered": 300},
            concealment=None,
            delay_variation_ms={"p50": 1.0, "p95": 12.0},
            loss_runs={"1": 1, "2": 1},
        ),
        stream(
            "audio",
            2,
            ratios={"effective_loss": ratio(1, 1000), "late": ratio(1, 1000)},
            ledger={"lost": 0},
            jitter_ms=31.0,
            rtt_ms=None,
            bitrate_bps=64_000,
            freezes=None,
            concealment={"concealed_samples": 960},
            delay_variation_ms=None,
            loss_runs={},
        ),
    ],
    "socket": {"kernel_drops": 0, "unparsed": {"truncated": 4}},
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("effective_loss > 1%", True),  # 1.5 % of the video
        ("effective_loss > 2%", False),
        ("effective_loss > 0.01", True),
        ("audio.effective_loss > 1%", False),
        ("video.effective_loss >= 1.5%", True),
        ("ratios.effective_loss.value == 1.5 %", True),
        ("jitter_ms > 30", True),  # of the audio
        ("jitter_ms > 30ms", True),
        ("jitter_ms > 0.04s", False),
        ("jitter_ms <= 31 and jitter_ms >= 31", True),
        ("bitrate_bps < 100 kbit/s", True),
        ("video.bitrate_bps < 1.4Mbit/s", False),
        ("freezes.count > 1", True),
        ("freezes.seconds > 750ms", False),
        ("concealment.concealed_samples = 960", True),
        ("loss_runs.2 > 0", True),
        ("loss_runs.3 > 0", False),
        ("ledger.lost != 3", True),  # the audio's
        ("socket.kernel_drops > 0", False),
        ("socket.unparsed.truncated > 3", True),
        ("socket.unparsed.malformed > 0", False),
        ("duration_s < 12s", False),
        ("not freezes.count == 2", False),
        ("late > 1% or freezes.count > 5 or jitter_ms > 30", True),
        ("late > 1% and freezes.count > 1", False),
        ("late > 1% and freezes.count > 1 or jitter_ms > 30", True),  # `and` binds closer
        ("late > 1% and (freezes.count > 1 or jitter_ms > 30)", False),
        ("not (late > 1%) and not not freezes.count > 1", True),
        ("rtt_ms == null", True),
        ("rtt_ms != null and rtt_ms > 100ms", False),
        ("jitter_ms != null", True),
        ("gilbert_elliott.p == null", True),
    ],
)
def test_what_holds(text: str, holds: bool) -> None:
    line = parse(text).held(REPORT)
    assert (line is not None) is holds
    assert line is None or " holds: " in line


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("rtt_ms > 100ms", True),  # nobody measured it
        ("not rtt_ms > 100ms", True),
        ("delay_variation_ms.p95 > 20ms", True),  # the audio's is not known
        ("delay_variation_ms.p95 > 10ms", True),  # the video's is enough
        ("video.delay_variation_ms.p95 > 20ms", False),
        ("rtt_ms > 100ms and late > 50%", False),  # false whatever rtt is
        ("rtt_ms > 100ms or late > 50%", True),
        ("rtt_ms > 100ms or jitter_ms > 30ms", True),
    ],
)
def test_what_is_not_known_does_not_pass(text: str, held: bool) -> None:
    assert (parse(text).held(REPORT) is not None) is held


def test_the_line_says_why() -> None:
    assert parse("effective_loss>1% and  freezes.count > 1").held(REPORT) == (
        "--fail-if 'effective_loss>1% and freezes.count > 1' holds:"
        " video 0x00000001 effective_loss is 1.50 % (3/200), video 0x00000001 freezes.count is 2"
    )
    assert parse("rtt_ms > 5").held(REPORT) == (
        "--fail-if 'rtt_ms > 5' cannot be decided and counts as held:"
        " video 0x00000001 rtt_ms is not known, audio 0x00000002 rtt_ms is not known"
    )
    assert parse("freezes.count > 0").held({**REPORT, "streams": REPORT["streams"][1:]}) == (
        "--fail-if 'freezes.count > 0' cannot be decided and counts as held: no video stream in the report"
    )


def test_each_end_knows_what_the_other_has_measured() -> None:
    """A sender has no loss of its own; its receivers' reports do. Any of several receivers is enough."""
    own = [stream("video", 1, ratios={"effective_loss": ratio(None, 200)})]
    near = {"streams": [stream("video", 1, ratios={"effective_loss": ratio(0, 200)})]}
    far = {"streams": [stream("video", 1, ratios={"effective_loss": ratio(8, 200)})]}
    bad = parse("effective_loss > 1%")
    assert "cannot be decided" in (bad.held({"streams": own, "peer": None}) or "")
    assert bad.held({"streams": own, "peer": near}) is None
    assert "4.00 % (8/200)" in (bad.held({"streams": own, "peer": near, "peers": [near, far]}) or "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the name of a figure is wanted at the end"),
        ("efective_loss > 1%", "there is no figure 'efective_loss' (did you mean effective_loss?)"),
        ("audio.freezes.count > 1", "there is no figure 'audio.freezes.count'"),
        ("effective_loss > 1", "effective_loss is a share: write 1%, or a number below 1"),
        ("effective_loss > 3ms", "effective_loss is not measured in ms: write 1%"),
        ("freezes.count > 3ms", "freezes.count is not measured in ms: write 3"),
        ("jitter_ms > 3%", "jitter_ms is not measured in %: write 30ms"),
        ("jitter_ms", "one of < <= > >= == != is wanted after jitter_ms"),
        ("jitter_ms >", "a number is wanted after >, as 30ms"),
        ("jitter_ms > soon", "a number is wanted after >, as 30ms"),
        ("jitter_ms > null", "a number is wanted after >"),
        ("3 < jitter_ms", "the name of a figure is wanted before '3'"),
        ("jitter_ms > 3 late > 1%", "'and' or 'or' is missing before 'late'"),
        ("(jitter_ms > 3", "a ) is missing"),
        ("jitter_ms > 3)", "'and' or 'or' is missing before ')'"),
        ("not", "the name of a figure is wanted at the end"),
        ("jitter_ms > 3 and", "the name of a figure is wanted at the end"),
        ("jitter_ms > 3; exit", "what is '; exit'?"),
        ("(" * 2000 + "jitter_ms > 3", "more than 50 levels deep"),
    ],
)
def test_what_makes_no_sense(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet=" ()<>=!%.andortlenuj_1m$", max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        condition = parse(text)
    except UsageError:
        return
    assert isinstance(condition, Condition)
    condition.held(REPORT)


def test_every_condition_is_told() -> None:
    conditions = [parse("freezes.count > 1"), parse("freezes.count > 2"), parse("late > 0%")]
    assert len(failures(conditions, REPORT)) == 2


def work(_request: Request) -> Outcome:
    return Outcome(0, REPORT, "It went so.")


def test_exit_code_and_lines(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--fail-if", "late > 50%", "--fail-if", "freezes.count > 1"]
    assert run(PROGRAM, arguments, work) == 4
    assert capsys.readouterr().err == (
        "It went so.\nsteadycast-try: --fail-if 'freezes.count > 1' holds: video 0x00000001 freezes.count is 2\n"
    )
    assert run(PROGRAM, [*arguments, "-q"], work) == 4
    assert capsys.readouterr().err.count("\n") == 1
    assert run(PROGRAM, arguments[:2], work) == 0


def test_a_condition_that_makes_no_sense_is_told_before_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    def never(_request: Request) -> Outcome:
        raise AssertionError

    assert run(PROGRAM, ["--fail-if", "loss > 1%"], never) == 2
    error = capsys.readouterr().err
    assert error.startswith("steadycast-try: --fail-if: 'loss > 1%': there is no figure 'loss'")
    assert error.count("\n") == 1


def test_a_run_that_failed_keeps_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    def failed(_request: Request) -> Outcome:
        return Outcome(1, REPORT, "The disk is full.")

    def alone(_request: Request) -> Outcome:
        return Outcome(3, {"streams": []}, "No packet came.")

    def empty(_request: Request) -> Outcome:
        return Outcome(0, {"streams": []}, "Nothing was sent.")

    assert run(PROGRAM, ["--fail-if", "freezes.count > 1"], failed) == 1
    assert "holds" in capsys.readouterr().err
    assert run(PROGRAM, ["--fail-if", "freezes.count > 1"], alone) == 3
    assert capsys.readouterr().err == "No packet came.\n"
    assert run(PROGRAM, ["--fail-if", "freezes.count > 1"], empty) == 4


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("STEADYCAST_FAIL_IF", "freezes.count > 1 and late < 50%")
    assert run(PROGRAM, ["--json"], work) == 4
    assert json.loads(capsys.readouterr().out)["duration_s"] == 12.5
