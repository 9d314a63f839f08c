"""`python -m receiver`, and the console script: what must be said before the first heavy import."""

import os
import signal
import sys


def main() -> int:
    """The exit code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while modules are loaded: no traceback
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # nothing here multiplies matrices: its threads would only spin
    from receiver.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
