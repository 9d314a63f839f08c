"""Two reports side by side: which stream belongs to which, what is said about it, and the program around it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocol.errors import UsageError
from receiver.cli import main
from receiver.compare.comparison import Comparison, Figure, as_json, compared
from receiver.compare.text import text, verdict

RATE = 100
SECONDS = 40
EARLY = Path(__file__).parents[2] / "vectors" / "report_1_early.json"


def stream(losses: list[int], ssrc: int = 1, media: str = "video", encoding: str = "H264") -> dict[str, Any]:
    """One that lost so many packets in each second."""
    sent, lost = RATE * len(losses), sum(losses)
    return {
        "ssrc": ssrc,
        "epoch": 0,
        "media": media,
        "encoding": encoding,
        "ledger": {"sent": sent, "arrived": sent - lost, "lost": lost, "lost_network": lost, "missed": lost, "late": 0},
        "ratios": {
            "network_loss": {"value": lost / sent, "numerator": lost, "denominator": sent},
            "late": {"value": 0.0, "numerator": 0, "denominator": sent},
        },
        "loss_runs": {"1": lost} if lost else {},
        "jitter_ms": 3.0,
    }


def report(losses: list[int], *, cumulative: bool = False, ssrc: int = 1, jitter: float = 3.0) -> dict[str, Any]:
    rows, before = [], 0
    for second, lost in enumerate(losses):
        before = before + lost if cumulative else lost
        sent = RATE * (second + 1 if cumulative else 1)
        ledger = {"arrived": sent - before, "lost": before, "lost_network": before, "missed": before, "late": 0}
        row = {"ssrc": ssrc, "epoch": 0, "ledger": ledger, "jitter_ms": jitter + 0.1 * (second % 5), "rtt_ms": None}
        rows.append({"start_s": second, "end_s": second + 1.0, "streams": [row]})
    return {"schema": "steadycast/1", "streams": [stream(losses, ssrc)], "intervals": rows, "events": [], "error": None}


def drawn(mean: float, seed: int) -> list[int]:
    return [int(n) for n in np.random.default_rng(seed).binomial(RATE, mean, SECONDS)]


def figure(comparison: Comparison, name: str, pair: int = 0) -> Figure:
    return next(figure for figure in comparison.pairs[pair].figures if figure.name == name)


@pytest.mark.parametrize("cumulative", [False, True])
def test_more_loss_is_worse_and_said_with_both_sides(cumulative: bool) -> None:
    a, b = drawn(0.01, 1), drawn(0.03, 2)
    comparison = compared(report(a, cumulative=cumulative), report(b, cumulative=cumulative, ssrc=2))
    loss = figure(comparison, "network_loss")
    assert (loss.outcome, loss.counts_a, loss.counts_b) == ("worse", (sum(a), 4000), (sum(b), 4000))
    assert loss.difference is not None
    assert loss.difference.method == "intervals exchanged"
    assert loss.difference.low < 0.02 < loss.difference.high
    assert loss.adjusted is not None
    assert loss.adjusted >= loss.difference.p_value
    said = verdict(comparison)
    assert said.startswith(
        f"In B network loss is worse: {sum(b) / 40:.2f} % ({sum(b)}/4000) against {sum(a) / 40:.2f} %"
    )
    assert "confidence" in said


def test_less_loss_is_better() -> None:
    comparison = compared(report(drawn(0.03, 2)), report(drawn(0.01, 1), ssrc=2))
    assert figure(comparison, "network_loss").outcome == "better"
    assert "times less (confidence" in verdict(comparison)


def test_equal_runs_differ_in_nothing_and_it_says_how_little_that_means() -> None:
    comparison = compared(report(drawn(0.01, 1)), report(drawn(0.01, 5), ssrc=2))
    assert not {f.outcome for f in comparison.pairs[0].figures} & {"better", "worse", "changed"}
    said = verdict(comparison)
    assert said.startswith("No difference that chance could not have made.")
    assert "of 100 such pairs" in said


def test_delay_is_told_from_the_intervals() -> None:
    comparison = compared(report(drawn(0.01, 1)), report(drawn(0.01, 5), ssrc=2, jitter=4.0))
    assert figure(comparison, "jitter_ms").outcome == "worse"
    assert "jitter is worse: 4.2 ms against 3.2 ms, 1.3 times as much" in verdict(comparison)


def test_without_intervals_runs_are_counted() -> None:
    a, b = report(drawn(0.01, 1)), report(drawn(0.03, 2), ssrc=2)
    comparison = compared(a | {"intervals": []}, b | {"intervals": []})
    loss = figure(comparison, "network_loss")
    assert loss.difference is not None
    assert (loss.difference.method, loss.outcome) == ("runs counted", "worse")
    assert figure(comparison, "jitter_ms").outcome == "same"


def sent_by(ssrc: int, peer: dict[str, Any] | None) -> dict[str, Any]:
    """A sender's report."""
    return report([0], ssrc=ssrc) | {"targets": [{"name": "there"}], "peer": peer}


def test_a_sender_and_a_receiver_of_two_streams_are_two_directions() -> None:
    there = sent_by(1, report(drawn(0.001, 1), ssrc=1))
    comparison = compared(there, report(drawn(0.03, 2), ssrc=2))
    assert comparison.kind == "directions"
    assert verdict(comparison).startswith("The way of B loses more: ")
    assert compared(report(drawn(0.03, 1)), report(drawn(0.001, 2), ssrc=2), both_directions=True).kind == "directions"


def test_two_ways_without_loss() -> None:
    comparison = compared(report([0] * 20), report([0] * 20, ssrc=2), both_directions=True)
    assert (
        verdict(comparison)
        == "Neither way loses anything: 0.00 % (0/2000) on the way of A, 0.00 % (0/2000) on that of B."
    )


def test_the_same_packets_played_twice_are_no_matter_of_chance() -> None:
    a, b = report(drawn(0.01, 1)), report(drawn(0.01, 1))
    b["streams"][0]["ratios"]["late"]["numerator"] = 40
    comparison = compared(a, b)
    assert comparison.kind == "same_packets"
    late = figure(comparison, "late")
    assert (late.outcome, late.difference) == ("worse", None)
    assert verdict(comparison).startswith("Both are of the same packets")


def test_a_run_differs_from_itself_in_nothing() -> None:
    a = report(drawn(0.01, 1))
    assert verdict(compared(a, a)).endswith("They are alike in every figure.")


def test_runs_without_loss_are_alike() -> None:
    a, b = (report([0] * 20, ssrc=ssrc) | {"intervals": []} for ssrc in (1, 2))
    assert verdict(compared(a, b)) == "No difference: neither lost anything."


def test_streams_find_each_other_by_what_they_carry() -> None:
    a, b = report(drawn(0.01, 1)), report(drawn(0.01, 2), ssrc=7)
    a["streams"] = [stream([0] * 9, 3, "audio", "opus"), *a["streams"]]
    b["streams"] += [stream([1] * 9, 9, "audio", "opus"), stream([0] * 5, 10, "video", "VP8")]
    comparison = compared(a, b)
    assert [(pair.media, pair.a["ssrc"], pair.b["ssrc"]) for pair in comparison.pairs] == [
        ("video", 1, 7),
        ("audio", 3, 9),
    ]
    assert (comparison.only_a, comparison.only_b) == ((), ("video 0x0000000a",))
    assert "only in B: video 0x0000000a" in text(comparison, ("a", "b"))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (sent_by(1, None), report([0] * 9, ssrc=2), "A is a sender's report without its receiver's"),
        (sent_by(1, None), report([0] * 9), "A and B are the two ends of one run"),
        (report([0] * 9), report([0] * 9) | {"streams": []}, "B has no streams"),
        (
            report([0] * 9),
            report([0] * 9) | {"streams": [stream([0] * 9, 5, "audio", "opus")]},
            "the two reports have no stream of the same kind",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_line(a: dict[str, Any], b: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        compared(a, b)
    assert "\n" not in str(raised.value)


def test_a_report_that_lacks_nearly_everything() -> None:
    bare = {"ssrc": 1, "media": "video", "encoding": "H264", "ledger": {}, "ratios": {}}
    comparison = compared({"streams": [bare]}, {"streams": [bare | {"ssrc": 2}]})
    assert {f.outcome for f in comparison.pairs[0].figures} == {"unknown"}
    assert "too short" in verdict(comparison)


def test_json_is_json_and_the_same_twice() -> None:
    comparison = compared(report(drawn(0.01, 1)), report(drawn(0.03, 2), ssrc=2))
    once, again = (json.dumps(as_json(comparison, verdict(comparison), ("a", "b")), allow_nan=False) for _ in range(2))
    assert once == again
    assert json.loads(once)["schema"] == "steadycast-compare/1"


def test_the_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    a.write_text(json.dumps(report(drawn(0.01, 1))))
    b.write_text(json.dumps(report(drawn(0.03, 2), ssrc=2)))
    assert main(["compare", str(a), str(b)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("In B network loss is worse")
    assert "network loss" in out.split("video H264")[1]
    assert main(["compare", str(a), str(b), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "runs"
    assert main(["compare", str(EARLY), str(EARLY)]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name two reports"),
        (["one.json"], "name two reports"),
        (["no.json", "no.json"], "cannot read no.json"),
        (["a", "b", "--both-direction"], "there is no --both-direction (did you mean --both-directions?)"),
    ],
)
def test_wrong_usage_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["compare", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_the_fitted_model_counts_where_there_are_no_intervals() -> None:
    a, b = (report(drawn(mean, seed), ssrc=seed) | {"intervals": []} for mean, seed in ((0.01, 1), (0.02, 2)))
    assert figure(compared(a, b), "network_loss").outcome == "worse"
    bursty = {"p": 0.0025, "r": 0.05, "loss_in_bad": 0.3, "loss_in_good": 0.0}
    a["streams"][0]["gilbert_elliott"] = {name: {"value": value, "low": 0, "high": 1} for name, value in bursty.items()}
    assert figure(compared(a, b), "network_loss").outcome == "same"
