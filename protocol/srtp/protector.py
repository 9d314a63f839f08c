"""RTP and RTCP out: each datagram encrypted and tagged."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.srtp import library
from protocol.srtp.master_key import MasterKey

_TRAILER = 256
"""octets that libsrtp may want behind a packet."""


class Protector:
    """Everything that leaves under one key. Streams appear by their SSRC. Not for two threads at once."""

    def __init__(self, key: MasterKey) -> None:
        self.key = key
        self.refused = 0
        """datagrams that did not leave: they are no RTP, their number was used before, or the key is used up."""
        self._context = library.Context(key, inbound=False)
        self._memory = library.Memory(2048)

    def protect(self, datagrams: Sequence[bytes]) -> list[bytes]:
        """The same, encrypted, in their order; RTCP is told apart by its packet type (RFC 5761 §4).

        What cannot be encrypted is left out: nothing leaves in the clear.
        """
        handle, memory = self._context.handle, self._memory
        pointer, octets, length = memory.pointer, memory.octets, memory.length
        protected = []
        for datagram in datagrams:
            size = len(datagram)
            if size + _TRAILER > memory.size:
                memory = self._memory = library.Memory(2 * (size + _TRAILER))
                pointer, octets, length = memory.pointer, memory.octets, memory.length
            rtcp = size >= 2 and 192 <= datagram[1] <= 223
            octets[:size] = datagram
            length[0] = size
            if (library.protect_rtcp if rtcp else library.protect)(handle, pointer, length):
                self.refused += 1
                continue
            protected.append(octets[: length[0]])
        if self.key.mki:
            return [self._identified(datagram) for datagram in protected]
        return protected

    def _identified(self, datagram: bytes) -> bytes:
        """With the MKI in its place: it is not part of what is authenticated (RFC 3711 §3.1)."""
        at = len(datagram) - mki_distance(self.key)
        return datagram[:at] + self.key.mki + datagram[at:]


def mki_distance(key: MasterKey) -> int:
    """Octets behind the MKI: the tag, unless that is part of the ciphertext (RFC 7714 §8.2)."""
    return 0 if key.profile.aead else key.profile.tag_length
