"""Cameras and microphones of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

from protocol.command.devices import Device

_SYSFS = Path("/sys/class/video4linux")
_VIDIOC_QUERYCAP = 0x80685600
_VIDEO_CAPTURE, _VIDEO_CAPTURE_MPLANE = 0x1, 0x1000
"""V4L2_CAP_… of linux/videodev2.h."""


def microphones() -> list[Device]:
    """What PortAudio can record from; [] also without PortAudio."""
    try:
        import sounddevice
    except OSError:
        return []
    with contextlib.suppress(sounddevice.PortAudioError):
        found = [device for device in sounddevice.query_devices() if device["max_input_channels"] > 0]
        default = sounddevice.default.device[0]
        return [
            Device(
                "microphone",
                device["index"],
                device["name"],
                f"--audio mic:{device['index']}",
                f"{device['max_input_channels']} channels, {device['default_samplerate']:.0f} Hz",
                device["index"] == default,
            )
            for device in found
        ]
    return []


def cameras() -> list[Device]:
    """Cameras; [] where the platform has no way to list them without opening each."""
    if sys.platform == "darwin":
        return _macos_cameras()
    return _linux_cameras(_SYSFS, Path("/dev"))


def _linux_cameras(sysfs: Path, nodes: Path) -> list[Device]:
    """V4L2 devices that give pictures; a camera's metadata nodes are left out."""
    entries = sorted(sysfs.glob("video*"), key=lambda entry: int(re.sub(r"\D", "", entry.name) or 0))
    devices: list[Device] = []
    for entry in entries:
        node = nodes / entry.name
        if not _captures(node):
            continue
        index = int(re.sub(r"\D", "", entry.name))
        with contextlib.suppress(OSError):
            name = (entry / "name").read_text(encoding="utf-8", errors="replace").strip()
            devices.append(Device("camera", index, name, f"--video camera:{index}", str(node), not devices))
    return devices


def _captures(node: Path) -> bool:
    """Whether a device says that it captures; what cannot be asked (busy, no permission) counts as a camera."""
    import fcntl

    capability = bytearray(104)
    try:
        descriptor = os.open(node, os.O_RDWR | os.O_NONBLOCK)
    except OSError:
        return True
    try:
        fcntl.ioctl(descriptor, _VIDIOC_QUERYCAP, capability)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    (device_capabilities,) = struct.unpack_from("=I", capability, 88)
    return bool(device_capabilities & (_VIDEO_CAPTURE | _VIDEO_CAPTURE_MPLANE))


def _macos_cameras() -> list[Device]:
    command = ["system_profiler", "-json", "SPCameraDataType"]
    try:
        output = subprocess.run(command, capture_output=True, timeout=20, check=True).stdout
        names = [entry["_name"] for entry in json.loads(output)["SPCameraDataType"]]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return []
    return [Device("camera", n, name, f"--video camera:{n}", "", n == 0) for n, name in enumerate(names)]
