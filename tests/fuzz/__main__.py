"""Coverage-guided fuzzing: `python -m tests.fuzz [TARGET …] [--seconds 60]`, with Atheris (`pip install -e '.[fuzz]'`).

What finds new ways through the code is added to the target's corpus. What breaks a target is printed and left in the
folder named: put it into the corpus too, with the repair.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType

import protocol
from tests.fuzz import corpora
from tests.fuzz.targets import TARGETS, Target

Step = tuple[str, int, int]

_TRIED = str(Path(protocol.__file__).parent)
_MAX_INPUT = 4096
_CHILD = """
import sys, atheris
with atheris.instrument_imports(include=["protocol"]):
    from tests.fuzz.targets import TARGETS
target = TARGETS[sys.argv.pop(1)]
atheris.Setup(sys.argv, target)
atheris.Fuzz()
"""


def fuzz(target: str, seconds: int) -> int:
    """libFuzzer's exit code: 0 when nothing broke."""
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{target}-"))
    found = folder / "found"
    found.mkdir()
    known = corpora.load(target)
    for number, data in enumerate(known):
        (found / f"{number:04}").write_bytes(data)
    limits = [f"-max_len={_MAX_INPUT}", "-timeout=5", "-verbosity=0", f"-artifact_prefix={folder}/"]
    command = [sys.executable, "-c", _CHILD, target, *limits, f"-max_total_time={seconds}", str(found)]
    outcome = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    if outcome == 0:
        corpora.save(target, worth_keeping(TARGETS[target], known, [path.read_bytes() for path in found.iterdir()]))
        shutil.rmtree(folder)
    print(f"{target}: {'nothing broke' if outcome == 0 else f'broken, see {folder}'}", flush=True)
    return outcome


def worth_keeping(target: Target, known: list[bytes], found: Iterable[bytes]) -> list[bytes]:
    """What is known, and what goes a way through the code that neither it nor anything shorter goes."""
    kept, gone = list(known), set().union(*(_steps(target, data) for data in known))
    for data in sorted(found, key=lambda data: (len(data), data)):
        steps = _steps(target, data)
        if steps - gone:
            gone |= steps
            kept.append(data)
    return kept


def _steps(target: Target, data: bytes) -> set[Step]:
    """From which line to which it went, in the code that is tried."""
    steps: set[Step] = set()
    last: dict[int, int] = {}

    def trace(frame: FrameType, event: str, _argument: object) -> Callable[..., object] | None:
        if not frame.f_code.co_filename.startswith(_TRIED):
            return None
        before = 0 if event == "call" else last.get(id(frame), 0)
        last[id(frame)] = frame.f_lineno
        steps.add((frame.f_code.co_filename, before, frame.f_lineno))
        return trace

    sys.settrace(trace)
    try:
        target(data)
    finally:
        sys.settrace(None)
    return steps


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", nargs="*", choices=[[], *TARGETS])
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    options = parser.parse_args()
    return max([fuzz(target, options.seconds) for target in options.target or TARGETS])


if __name__ == "__main__":
    sys.exit(main())
