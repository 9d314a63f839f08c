"""Avahi in a network namespace of its own, with what our programs need there; run with `unshare --net --mount`.

`python -m tests.support.avahi FOLDER` prints one JSON object: what avahi-browse saw of our announcement, and what our
search saw of avahi-publish's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from protocol.control.discovery.announcer import Announcer
from protocol.control.discovery.finder import find
from protocol.control.discovery.listing import as_json
from protocol.control.discovery.service import SENDS, Service
from tests.support.peers import Process

ADDRESS = "198.51.100.7"
OURS = Service("Front door", 8554, SENDS, "/live", True, ":".join(["AB"] * 32))
_BUS = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type> <listen>unix:path={}</listen> <auth>EXTERNAL</auth>
  <policy context="default"> <allow send_destination="*"/> <allow receive_sender="*"/> <allow own="*"/> </policy>
</busconfig>
"""
_AVAHI = "[server]\nhost-name=other\nuse-ipv6=no\n"
_SETTING_UP = (
    "mount -t tmpfs none /run",
    "ip link set lo up",
    "ip link add test0 type veth peer name test1",
    f"ip addr add {ADDRESS}/24 dev test0",
    "ip link set test1 up",
    "ip link set test0 up",
    "ip route add 224.0.0.0/4 dev test0",
)


@contextmanager
def avahi(folder: Path) -> Iterator[None]:
    """Its daemon, on a bus of its own."""
    bus, settings = folder / "bus.conf", folder / "avahi.conf"
    bus.write_text(_BUS.format(folder / "bus"))
    settings.write_text(_AVAHI)
    os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = f"unix:path={folder / 'bus'}"
    daemon = ["avahi-daemon", "-f", settings, "--no-drop-root", "--no-chroot", "--no-rlimits"]
    with Process(["dbus-daemon", f"--config-file={bus}", "--nofork", "--nopidfile"], folder, "bus"):
        _wait_for(folder / "bus")
        with Process(daemon, folder, "avahi") as process:
            process.wait_for_text("Server startup complete")
            yield


def main(folder: Path) -> None:
    for command in _SETTING_UP:
        subprocess.run(command.split(), check=True)
    with avahi(folder):
        publish = ["avahi-publish-service", "Camera", "_rtsp._tcp", "554", "path=axis/media"]
        announcer = Announcer(OURS, print)
        announcer.start()
        with Process(publish, folder, "publish") as publishing:
            publishing.wait_for_text("Established")
            found = find(seconds=1.5)
        seen = browse()
        announcer.close()
        time.sleep(1.5)  # RFC 6762 §10.1: after a goodbye others keep it for a second
        print(json.dumps({"found": json.loads(as_json(found)), "seen": seen, "after": browse()}))


def browse() -> list[list[str]]:
    """The lines of avahi-browse that have everything, on the interface of this test."""
    command = ["avahi-browse", "--resolve", "--terminate", "--parsable", "_rtsp._tcp"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout
    lines = [line.split(";") for line in said.splitlines()]
    return [line for line in lines if line[0] == "=" and line[1] == "test0"]


def _wait_for(path: Path) -> None:
    for _ in range(100):
        if path.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"nobody makes {path}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
