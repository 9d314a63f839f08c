"""Where values come from: flag > environment (STEADYCAST_…) > configuration file > default."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence

from protocol.command.options import Given, Option, Program, from_command_line
from protocol.command.units import suggestion
from protocol.errors import UsageError

PREFIX = "STEADYCAST_"
_TABLES = ("sender", "receiver")
_WANTED = {
    "switch": "true or false",
    "count": "a number",
    "value": "a text or a number",
    "optional": "true, false or a text",
}


def gather(program: Program, arguments: Sequence[str], environ: Mapping[str, str]) -> dict[str, Given]:
    """Every value that somebody gave, the strongest layer's of each. Raises UsageError."""
    flags = from_command_line(program, arguments)
    environment = from_environment(program, environ)
    config = flags.get("config") or environment.get("config")
    file = from_file(program, str(config.value)) if config else {}
    return {**file, **environment, **flags}


def from_environment(program: Program, environ: Mapping[str, str]) -> dict[str, Given]:
    """STEADYCAST_LATENCY=60ms and its like; a list is split at spaces, a switch is 1 or 0."""
    given = {}
    for option in program.options():
        name = PREFIX + option.key.upper()
        if name in environ and not option.command_line_only:
            given[option.key] = Given(_from_text(option, environ[name], name), name)
    return given


def from_file(program: Program, path: str) -> dict[str, Given]:
    """The file's top level, and the program's own table over it. Raises UsageError."""
    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"--config: cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config: {path} is no TOML: {error}") from None
    common = {key: value for key, value in content.items() if key not in _TABLES}
    own = content.get(program.table, {})
    if not isinstance(own, dict):
        raise UsageError(f"--config: {program.table} in {path} must be a table: [{program.table}]")
    return {_key(key): _from_toml(program, key, value, path) for key, value in {**common, **own}.items()}


def _key(name: str) -> str:
    return name.replace("-", "_")


def _from_text(option: Option, text: str, origin: str) -> str | list[str] | bool | int:
    if option.kind == "list":
        return [text] if option.spaced else text.split()
    if option.kind == "value":
        return text
    words = {"1": 1, "true": 1, "yes": 1, "on": 1, "0": 0, "false": 0, "no": 0, "off": 0, "": 0}
    if option.kind == "count" and text.isdecimal():
        return int(text)
    if option.kind == "optional":
        return text if text.lower() not in words else "" if words[text.lower()] else False
    if text.lower() not in words:
        raise UsageError(f"{origin}: {text!r} is neither 1 nor 0")
    return words[text.lower()] if option.kind == "count" else bool(words[text.lower()])


def _from_toml(program: Program, name: str, value: object, path: str) -> Given:
    origin = f"{path}: {name}"
    if _key(name) == program.positional.name:
        texts = _texts(value, origin)
        return Given(texts if program.positional.many else texts[0], origin)
    options = {option.key: option for option in program.options() if not option.command_line_only}
    option = options.get(_key(name))
    if option is None or option.name == "config":
        known = [option.name for option in options.values()]
        raise UsageError(f"{origin} is no option of {program.name}{suggestion(name, known)}")
    if option.kind == "list":
        return Given(_texts(value, origin), origin)
    if option.kind == "switch" and isinstance(value, bool):
        return Given(value, origin)
    if option.kind == "count" and isinstance(value, int):
        return Given(int(value), origin)
    if option.kind in ("value", "optional") and isinstance(value, str | int | float) and not isinstance(value, bool):
        return Given(str(value), origin)
    if option.kind == "optional" and isinstance(value, bool):
        return Given("" if value else False, origin)
    raise UsageError(f"{origin} must be {_WANTED[option.kind]}")


def _texts(value: object, origin: str) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise UsageError(f"{origin} must be a text or a list of texts")
    return list(texts)
