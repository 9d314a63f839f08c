"""Encryption with a shared secret: each end says, in front of its packets and again and again, which key it made.

An announcement that somebody kept must not make an old run look like a new one. So it has to be of the last seconds by
our clock, or answer us: it names the salt that this run drew. Who cannot tell asks for such an answer.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Hashable
from dataclasses import replace
from itertools import chain, repeat
from typing import Any

import numpy as np

from protocol import ntp
from protocol.datagram import Batch, Transmission
from protocol.rtcp import key_announcement
from protocol.rtcp.key_announcement import NOBODY, KeyAnnouncement
from protocol.srtp.key_ring import KeyRing
from protocol.srtp.protector import Protector
from protocol.srtp.refused import Refused
from protocol.srtp.shared_secret import SALT_LENGTH, Role, SharedSecret

_SECOND = 1_000_000_000
CLOCKS = 10 * _SECOND
"""by how much both clocks may differ, and an announcement be delayed, where nothing else shows that it is new."""
_BEGINNING = tuple(_SECOND * ms // 1000 for ms in (20, 50, 100, 200, 400))
_EVERY = _SECOND // 2
"""between announcements along one path: at first, and then."""
_AT_ONCE = _SECOND // 50
"""the least between two."""
_QUESTIONS = _SECOND // 10
"""the least between two along one path."""
_PATHS = 1024
_OWED = 64
WRONG = "key_announcement"
"""announcements of who does not have the secret."""


class KeyExchange:
    """One run of one end: a sender's destination, or a receiver with all its senders."""

    def __init__(self, secret: SharedSecret, role: Role, *, now: int, wall: int) -> None:
        """`wall`: Unix ns at `now`."""
        self._secret, self._role = secret, role
        self._theirs: Role = "receiver" if role == "sender" else "sender"
        self._wall_offset = wall - now
        self._salt = secrets.token_bytes(SALT_LENGTH)
        self._protector = Protector(secret.master_key(role, self._salt))
        self._ring = KeyRing()
        self._known: set[bytes] = set()
        """salts whose keys are on the ring, or were."""
        self._heard: dict[Hashable, bytes] = {}
        """the other end's salt, by the path along which it came."""
        self._places: dict[Hashable, _Schedule] = {}
        self._owed: deque[bytes] = deque(maxlen=_OWED)
        """salts of those that want an answer."""
        self._answers: list[Transmission] = []
        self._asked: dict[Hashable, int] = {}
        """when, by path."""
        self._refused = Refused()

    @property
    def overhead(self) -> int:
        return self._protector.key.rtcp_overhead

    # Out

    def seal(self, transmission: Transmission, now: int) -> list[Transmission]:
        """Behind an announcement where one is due."""
        path = transmission.path
        sealed = [Transmission(self._protector.protect(transmission.datagrams), path)]
        schedule = self._places.get(path)
        if schedule is None:
            _make_room(self._places)
            schedule = self._places[path] = _Schedule()
        if schedule.due(now, hurry=bool(self._owed)):
            echo = self._owed.popleft() if self._owed else self._heard.get(path, NOBODY)
            sealed.insert(0, self._announcement(path, echo, now))
        return sealed

    def take_answers(self) -> list[Transmission]:
        answers, self._answers = self._answers, []
        return answers

    def _announcement(self, path: Hashable, echo: bytes, now: int, *, wants_echo: bool = False) -> Transmission:
        told = KeyAnnouncement(self._salt, ntp.ntp_from_unix(now + self._wall_offset), echo, wants_echo)
        return Transmission([told.pack(self._secret, self._role)], path)

    # In

    def open(self, batch: Batch, now: int) -> Batch:
        """Announcements stay here."""
        alike = np.flatnonzero(batch.lengths == key_announcement.SIZE)
        told = [row for row in alike.tolist() if key_announcement.is_announcement(batch.datagram(row))]
        for row in told:
            self._hear(batch.datagram(row), batch.path, now)
        return self._ring.open(_without(batch, told) if told else batch)

    def take_refused(self) -> Refused:
        taken, self._refused = self._refused, Refused()
        taken.merge(self._ring.take_refused())
        return taken

    def _hear(self, datagram: bytes, path: Hashable, now: int) -> None:
        told = key_announcement.unpack(datagram, self._secret, self._theirs)
        if told is None:
            self._refused.reasons[WRONG] += 1
            return
        if told.wants_echo and told.salt not in self._owed:
            self._owed.append(told.salt)
        if told.salt not in self._known:
            if not self._is_new(told, now):
                self._ask(told, path, now)
                return
            self._known.add(told.salt)
            self._ring.add(self._secret.master_key(self._theirs, told.salt))
        if path not in self._heard:
            _make_room(self._heard)
        self._heard[path] = told.salt

    def _is_new(self, told: KeyAnnouncement, now: int) -> bool:
        """A receiver always knows whom it answers; a sender may have to be believed its clock."""
        if told.echo == self._salt:
            return True
        age = now + self._wall_offset - ntp.unix_from_ntp(told.time)
        return self._role == "receiver" and abs(age) <= CLOCKS

    def _ask(self, told: KeyAnnouncement, path: Hashable, now: int) -> None:
        """A sender of which nothing shows that it is alive. What we say is no longer than what came."""
        last = self._asked.get(path)
        if self._role == "receiver" and (last is None or now - last >= _QUESTIONS):
            _make_room(self._asked)
            self._asked[path] = now
            self._answers.append(self._announcement(path, told.salt, now, wants_echo=True))


class _Schedule:
    """When announcements leave along one path: often at first, since the first may be lost."""

    def __init__(self) -> None:
        self._waits = chain(_BEGINNING, repeat(_EVERY))
        self._wait = 0
        self._last: int | None = None

    def due(self, now: int, *, hurry: bool) -> bool:
        if self._last is not None and now - self._last < (_AT_ONCE if hurry else self._wait):
            return False
        self._wait, self._last = next(self._waits), now
        return True


def _make_room(table: dict[Hashable, Any]) -> None:
    if len(table) >= _PATHS:
        del table[next(iter(table))]


def _without(batch: Batch, rows: list[int]) -> Batch:
    stay = np.ones(len(batch), bool)
    stay[rows] = False
    columns = {name: getattr(batch, name)[stay] for name in ("offsets", "lengths", "arrival_times")}
    return replace(batch, **columns)
