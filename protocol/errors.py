"""The one exception tree.

SteadycastError
 ├── ProtocolError        bytes from outside that break a rule; counted by `reason`, never fatal to a session
 │    ├── Truncated       shorter than its own header says
 │    ├── Malformed       a field holds what the RFC forbids
 │    └── Unsupported     legal, but nothing here can do it
 └── FatalError           the program ends; its text is the one line the user reads
      ├── UsageError      what was asked for makes no sense or does not exist (exit 2)
      ├── ResourceError   a device, file, socket or codec refuses (exit 1)
      ├── Untrusted       the far end is not who it should be, or does not take us for who we are (exit 1)
      └── NoPeerError     nobody at the other end (exit 3)
"""

from __future__ import annotations


class SteadycastError(Exception):
    """Whatever Steadycast raises on purpose."""


class ProtocolError(SteadycastError):
    """Bytes from the network that cannot be used; `reason` is a short snake_case key to count by."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class Truncated(ProtocolError):
    """The bytes end before the structure they announce."""


class Malformed(ProtocolError):
    """A field holds what its specification forbids."""


class Unsupported(ProtocolError):
    """Legal, but outside what Steadycast can do."""


class FatalError(SteadycastError):
    """Ends the program; the message is one line that says what to do."""

    exit_code = 1


class UsageError(FatalError):
    """What was asked for makes no sense or does not exist."""

    exit_code = 2


class ResourceError(FatalError):
    """A device, file, socket or codec refuses."""

    exit_code = 1


class Untrusted(FatalError):
    """The far end's certificate or our password will not do. Never a reason to go on without encryption."""

    exit_code = 1


class NoPeerError(FatalError):
    """Every target refuses, or no packet came."""

    exit_code = 3
