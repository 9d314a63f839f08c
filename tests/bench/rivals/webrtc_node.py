"""One end of an aiortc pair, by a Python that has aiortc.

    webrtc_node.py send|show FIFO FOLDER BITRATE LOCAL_PORT REMOTE_PORT

Offer and answer go through FOLDER as files. LOCAL_PORT (0: any) is the UDP port here, REMOTE_PORT the one under which
the other end is reached.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import aioice.ice
import av
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.codecs import h264

WIDTH, HEIGHT, FPS = 640, 360, 30
SIZE = WIDTH * HEIGHT * 3 // 2
CLOCK = 90_000


class Camera(MediaStreamTrack):  # type: ignore[misc]
    """Raw pictures from a FIFO."""

    kind = "video"

    def __init__(self, fifo: str) -> None:
        super().__init__()
        self._fifo, self._count = fifo, 0
        self._file: BinaryIO | None = None

    async def recv(self) -> Any:
        data = await asyncio.get_running_loop().run_in_executor(None, self._read)
        if len(data) < SIZE:
            await asyncio.Event().wait()  # the end of the FIFO
        picture = np.frombuffer(data, np.uint8).reshape(HEIGHT * 3 // 2, WIDTH)
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts, frame.time_base = self._count * CLOCK // FPS, Fraction(1, CLOCK)
        self._count += 1
        return frame

    def _read(self) -> bytes:
        if self._file is None:
            self._file = open(self._fifo, "rb")  # noqa: SIM115
        return self._file.read(SIZE)


async def show(track: Any, fifo: str) -> None:
    """Each picture as it is handed out."""
    loop = asyncio.get_running_loop()
    descriptor = await loop.run_in_executor(None, os.open, fifo, os.O_WRONLY)

    def write(frame: Any) -> None:
        rest = memoryview(frame.to_ndarray(format="yuv420p")).cast("B")
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    while True:
        frame = await track.recv()
        await loop.run_in_executor(None, write, frame)


def only_loopback(port: int) -> None:
    """aioice leaves 127.0.0.1 out and takes any port; here it is to use that address alone, and our port."""
    aioice.ice.get_host_addresses = lambda **_: ["127.0.0.1"]
    loop = asyncio.get_running_loop()
    create = loop.create_datagram_endpoint

    def bound(factory: Any, local_addr: Any = None, **more: Any) -> Any:
        return create(factory, local_addr=local_addr and (local_addr[0], port), **more)

    loop.create_datagram_endpoint = bound  # type: ignore[method-assign,assignment]


async def hear(path: Path, port: int) -> str:
    """The other end's description, its candidates on our side of the network."""
    while not path.exists():
        await asyncio.sleep(0.01)
    return re.sub(r"(a=candidate:\S+ \d+ \S+ \d+ 127\.0\.0\.1) \d+", rf"\1 {port}", path.read_text())


def tell(path: Path, description: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(description)
    part.rename(path)


async def main() -> None:
    what, fifo, folder, bitrate, local, remote = sys.argv[1:]
    offer, answer = Path(folder) / "offer.sdp", Path(folder) / "answer.sdp"
    done = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, done.set)
    h264.DEFAULT_BITRATE = h264.MAX_BITRATE = int(bitrate)
    only_loopback(int(local))
    connection = RTCPeerConnection()
    shows = []
    connection.on("track", lambda track: shows.append(asyncio.ensure_future(show(track, fifo))))
    if what == "send":
        known = RTCRtpSender.getCapabilities("video").codecs
        video = connection.addTransceiver(Camera(fifo), direction="sendonly")
        video.setCodecPreferences([codec for codec in known if codec.mimeType in ("video/H264", "video/rtx")])
        await connection.setLocalDescription(await connection.createOffer())
        tell(offer, connection.localDescription.sdp)
        description = await hear(answer, int(remote))
        await connection.setRemoteDescription(RTCSessionDescription(description, "answer"))
    else:
        description = await hear(offer, int(remote))
        await connection.setRemoteDescription(RTCSessionDescription(description, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        tell(answer, connection.localDescription.sdp)
    await done.wait()
    os._exit(0)  # a thread may sit in a read of the FIFO


if __name__ == "__main__":
    asyncio.run(main())
