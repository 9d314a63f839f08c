"""What payload types mean, for all that comes or for what comes along the paths of one agreement."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from receiver.media import Format


@dataclass(frozen=True, slots=True, eq=False)
class PayloadTypes:
    """Two are the same only if they are one: it also stands for the agreement."""

    formats: Mapping[int, Format]
    """of media, by payload type."""
    rtx: Mapping[int, int] = field(default_factory=dict)
    """of retransmissions, with those of their originals; none of them: nothing is asked for again."""
    rtx_ssrcs: Mapping[int, int] = field(default_factory=dict)
    """SSRCs of retransmissions, with those of their originals, as far as a description names them."""
    fec: int | None = None
    red: int | None = None
    """of Reed–Solomon repair packets and of redundant sound; None: there are none."""
    wrapped: tuple[int, ...] = ()
    ulpfec: tuple[int, ...] = ()
    """of RED around the packets of other programs, and of their ULPFEC."""
    rtcp_path: Hashable | None = None
    """where RTCP goes before any came; None: where the media comes from."""
