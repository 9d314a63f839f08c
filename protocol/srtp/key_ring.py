"""Several keys at one place: which of them opens a datagram shows by its SSRC, once it has opened one of that."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace

from protocol.datagram import Batch
from protocol.srtp.master_key import MasterKey
from protocol.srtp.refused import NO_KEY, Refusal, Refused
from protocol.srtp.rollover import Allowance
from protocol.srtp.unprotector import Unprotector

MOST = 64
"""keys; of more, the one that was silent for longest makes room."""
_PATHS = 1024
_RTCP = {bytes((kind,)) for kind in range(192, 224)}


class KeyRing:
    """The keys of everybody who may send to a place. Not for two threads at once."""

    def __init__(self, keys: Iterable[MasterKey] = ()) -> None:
        self._keys: list[Unprotector] = []
        self._owners: dict[int, tuple[Unprotector, ...]] = {}
        """by SSRC: a receiver reports about all tracks under one, about each with a key of its own."""
        self._paths: dict[Hashable, Unprotector] = {}
        """whose datagrams came there last."""
        self._trials = Allowance()
        self._refused = Refused()
        for key in keys:
            self.add(key)

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: MasterKey) -> Unprotector:
        """One more."""
        if len(self._keys) >= MOST:
            self.remove(min(self._keys, key=lambda key: key.heard))
        made = Unprotector(key)
        self._keys.append(made)
        return made

    def remove(self, key: Unprotector) -> None:
        """It opens nothing any more."""
        self._keys.remove(key)
        self._refused.merge(key.refused)
        self._owners = {
            ssrc: tuple(owner for owner in owners if owner is not key) for ssrc, owners in self._owners.items()
        }
        self._paths = {path: owner for path, owner in self._paths.items() if owner is not key}

    def open(self, batch: Batch) -> Batch:
        """What is authentic, valid until the next call; the rest is in `take_refused`."""
        if len(self._keys) == 1:
            return self._keys[0].unprotect_batch(batch)
        if not self._keys:
            self._refused.reasons[NO_KEY] += len(batch)
        rows, opened = [], []
        for row, now in enumerate(batch.arrival_times.tolist() if self._keys else ()):
            datagram = self._open(batch.datagram(row), batch.path, now)
            if datagram is not None:
                rows.append(row)
                opened.append(datagram)
        plain = Batch.of(opened, 0)
        times = batch.arrival_times[rows]
        return replace(
            batch,
            buffer=plain.buffer,
            offsets=plain.offsets,
            lengths=plain.lengths,
            arrival_times=times,
            authentic=True,
        )

    def take_refused(self) -> Refused:
        """What was not let in since it was asked last."""
        taken, self._refused = self._refused, Refused()
        for key in self._keys:
            if key.refused:
                taken.merge(key.refused)
                key.refused = Refused()
        return taken

    def _open(self, datagram: bytes, path: Hashable, now: int) -> bytes | None:
        ssrc = int.from_bytes(datagram[4:8] if datagram[1:2] in _RTCP else datagram[8:12])
        why: Refusal | None = None
        for key in self._candidates(ssrc, path, now):
            opened = key.attempt(datagram, now)
            if opened is not None:
                self._note(key, ssrc, path)
                return opened
            why = why or key.why
        self._refused.add(why or Refusal(NO_KEY))
        return None

    def _candidates(self, ssrc: int, path: Hashable, now: int) -> Iterator[Unprotector]:
        """The keys to try, in this order. All of them are, as long as strangers did not have too many tried."""
        likely = dict.fromkeys(self._owners.get(ssrc, ()))
        if (near := self._paths.get(path)) is not None:
            likely[near] = None
        yield from likely
        others = [key for key in self._keys if key not in likely]
        if others and self._trials.take(len(others), now):
            yield from others

    def _note(self, key: Unprotector, ssrc: int, path: Hashable) -> None:
        """It has opened something of this SSRC that came there."""
        owners = self._owners.get(ssrc, ())
        if key not in owners:
            self._owners[ssrc] = (*owners, key)
        if self._paths.get(path) is not key:
            if len(self._paths) >= _PATHS:
                del self._paths[next(iter(self._paths))]
            self._paths[path] = key
