"""Passwords from files, the environment and the keyboard."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

import pytest

from protocol.control.trust.passwords import own_password, read_password, read_users
from protocol.errors import ResourceError, UsageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.touch(0o600)
    return path


def test_users(file: Path) -> None:
    file.write_text("# who may come in\nanna:secret\n\nbo:with:colons and  spaces \r\nčeněk:heslo\n")
    assert read_users(str(file)) == {"anna": "secret", "bo": "with:colons and  spaces ", "čeněk": "heslo"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("anna", "line 1 of .* is not USER:PASSWORD"),
        ("\n:secret", "line 2 of .* is not USER:PASSWORD"),
        ("anna:", "line 1 of .* is not USER:PASSWORD"),
        ("anna:1\nanna:2", "line 2 of .* has anna again"),
        ("# nobody\n", "there is nobody in"),
    ],
)
def test_users_that_cannot_be_read(file: Path, content: str, message: str) -> None:
    file.write_text(content)
    with pytest.raises(UsageError, match=f"^{message}") as refusal:
        read_users(str(file))
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o666])
def test_a_file_that_others_can_read(file: Path, mode: int) -> None:
    file.write_text("anna:secret\n")
    file.chmod(mode)
    for read in (read_users, read_password):
        with pytest.raises(ResourceError, match=r"^others can read or change passwords in .*: chmod 600"):
            read(str(file))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^cannot read .*: No such file"):
        read_users(str(tmp_path / "nobody"))
    with pytest.raises(UsageError, match=r"^--password-file: cannot read .*: Is a directory"):
        read_password(str(tmp_path))


def test_our_own_password(file: Path) -> None:
    file.write_text("secret one\r\nand more\n")
    assert own_password("anna", "host", file=str(file), environ={"STEADYCAST_PASSWORD": "other"}) == "secret one"
    assert own_password("anna", "host", environ={"STEADYCAST_PASSWORD": "other"}) == "other"
    with pytest.raises(UsageError, match=r"^host wants the password of anna: give --password-file FILE, or set"):
        own_password("anna", "host", environ={}, ask=False)
    file.write_text("\n")
    with pytest.raises(UsageError, match="is empty: its first line should be the password"):
        own_password("anna", "host", file=str(file))


def test_the_keyboard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where somebody sits there."""
    asked: list[str] = []
    terminal, inner = pty.openpty()
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or "typed")
    with os.fdopen(inner) as keyboard:
        monkeypatch.setattr(sys, "stdin", keyboard)
        assert own_password("anna", "host", environ={}) == "typed"
    os.close(terminal)
    assert asked == ["password of anna at host: "]
