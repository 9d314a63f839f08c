"""Flag > environment > configuration file > default."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.command.layers import gather
from protocol.command.options import family, read_values
from protocol.errors import UsageError
from tests.command.program_of_tests import PROGRAM


def values(arguments: list[str], environ: dict[str, str] | None = None) -> dict[str, object]:
    return read_values(PROGRAM, gather(PROGRAM, arguments, environ or {}))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "steadycast.toml"
    path.write_text(
        'duration = "30s"\nverbose = 1\n'
        '[receiver]\nlatency = "10ms"\nno-gro = true\nmap = ["96=a", "97=b"]\nsource = ":7000"\n'
        '[sender]\nanything = "is the sender\'s business"\n'
    )
    return path


def test_nothing_given_is_nothing() -> None:
    assert values([]) == {}


def test_the_file_is_the_weakest(file: Path) -> None:
    assert values(["--config", str(file)]) == {
        "config": str(file),
        "duration": 30_000_000_000,
        "verbose": 1,
        "latency": 10_000_000,
        "no_gro": True,
        "map": ("96=a", "97=b"),
        "source": ":7000",
    }


def test_the_environment_beats_the_file_and_a_flag_beats_both(file: Path) -> None:
    environ = {"STEADYCAST_LATENCY": "20ms", "STEADYCAST_CONFIG": str(file), "STEADYCAST_NO_GRO": "0"}
    assert values([], environ)["latency"] == 20_000_000
    assert values([], environ)["no_gro"] is False
    assert values(["--latency", "30ms"], environ)["latency"] == 30_000_000


def test_a_stronger_list_replaces_a_weaker_one(file: Path) -> None:
    assert values(["--config", str(file), "--map", "8=x"])["map"] == ("8=x",)
    assert values([], {"STEADYCAST_MAP": "8=x 9=y"})["map"] == ("8=x", "9=y")


def test_repeated_flags_count() -> None:
    assert values(["-vv", "-v"])["verbose"] == 3
    assert values([], {"STEADYCAST_VERBOSE": "2"})["verbose"] == 2


@pytest.mark.parametrize(
    ("environ", "origin"),
    [({"STEADYCAST_LATENCY": "soon"}, "STEADYCAST_LATENCY: "), ({"STEADYCAST_NO_GRO": "maybe"}, "STEADYCAST_NO_GRO: ")],
)
def test_a_refusal_names_the_variable(environ: dict[str, str], origin: str) -> None:
    with pytest.raises(UsageError, match=f"^{origin}"):
        values([], environ)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("latency = [1]", "latency must be a text or a number"),
        ("no-gro = 3", "no-gro must be true or false"),
        ('latencey = "1s"', r"latencey is no option of steadycast-try \(did you mean latency\?\)"),
        ("map = 3", "map must be a text or a list of texts"),
        ("list-devices = true", "list-devices is no option"),
        ("receiver = 3", "receiver in .* must be a table"),
        ("latency = ", "is no TOML"),
        ('latency = "later"', "later"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(content)
    with pytest.raises(UsageError, match=message) as refusal:
        values(["--config", str(path)])
    assert "\n" not in str(refusal.value)
    assert "bad.toml" in str(refusal.value)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(UsageError, match=r"--config: cannot read nowhere\.toml: No such file"):
        values(["--config", "nowhere.toml"])


def test_an_unknown_flag_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match=r"there is no --latncy \(did you mean --latency\?\)"):
        values(["--latncy=3ms"])


def test_flags_are_not_abbreviated() -> None:
    with pytest.raises(UsageError, match="there is no --lat"):
        values(["--lat", "3ms"])


def test_families() -> None:
    assert [family(values(given)) for given in ([], ["-4"], ["--ipv6"])] == [0, 4, 6]
    with pytest.raises(UsageError, match="-4 and -6 exclude each other"):
        family(values(["-4", "-6"]))


@pytest.mark.parametrize(
    ("arguments", "environ", "dashboard"),
    [
        (["--dashboard", ":7000"], {}, ""),
        (["--dashboard=[::1]:8080"], {}, "[::1]:8080"),
        ([], {"STEADYCAST_DASHBOARD": "1"}, ""),
        ([], {"STEADYCAST_DASHBOARD": "localhost:8080"}, "localhost:8080"),
        ([], {"STEADYCAST_DASHBOARD": "0"}, None),
        ([], {"STEADYCAST_CONFIG": "dashboard = true"}, ""),
        ([], {"STEADYCAST_CONFIG": "dashboard = false"}, None),
        ([], {"STEADYCAST_CONFIG": "dashboard = ':8080'"}, ":8080"),
    ],
)
def test_a_value_that_may_be_left_out(
    arguments: list[str], environ: dict[str, str], dashboard: str | None, tmp_path: Path
) -> None:
    if text := environ.get("STEADYCAST_CONFIG"):
        (tmp_path / "file.toml").write_text(text)
        environ = {"STEADYCAST_CONFIG": str(tmp_path / "file.toml")}
    found = values(arguments, environ)
    assert found.get("dashboard") == dashboard
    assert arguments[1:] == [":7000"] * ("source" in found)


def test_a_list_with_spaces_in_its_values() -> None:
    found = values([], {"STEADYCAST_FAIL_IF": "freezes.count > 1 or late > 1%"})["fail_if"]
    assert isinstance(found, tuple)
    assert len(found) == 1
