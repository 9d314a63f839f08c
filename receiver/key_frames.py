"""Whether pictures can go on, or wait for a key frame: judged by what goes to the decoder, in order."""

from __future__ import annotations

from protocol.payload.base import Depacketizer


class KeyFrames:
    """Of one stream. Once a key frame is wanted, it is until a whole one comes."""

    def __init__(self, depacketizer: Depacketizer, *, predicted: bool) -> None:
        """`predicted`: a frame may need those before it."""
        self._depacketizer, self._predicted = depacketizer, predicted
        self.wanted = False
        self.why = ""
        self._came = False

        """the first one has come."""

    @property
    def began(self) -> bool:
        """Something could be shown, of pictures that need those before them."""
        return self._came

    @property
    def awaits_first(self) -> bool:
        """Nothing can be shown yet."""
        return self._predicted and not self._came

    def judge(self, data: bytes, missing: int) -> None:
        """`data` of a frame in order, `missing` packets of it."""
        if not self._predicted:
            return
        if missing or not data:
            self.request("packets are missing" if missing else "a frame cannot be used")
        elif (self.wanted or not self._came) and self._depacketizer.key_frame(data):
            self.wanted, self._came = False, True
        elif not self._came:
            self.request("joined in the middle")

    def lost(self, why: str) -> None:
        """More than can be repaired."""
        if self._predicted:
            self.request(why)

    def request(self, why: str) -> None:
        """The first reason stands."""
        if not self.wanted:
            self.wanted, self.why = True, why
