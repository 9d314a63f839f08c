"""Key-frame requests of many receivers become few key frames."""

from __future__ import annotations

from sender.transmit.key_frames import INTERVAL, KeyFrameGate

NOW = 1_000_000_000


def test_the_first_request_is_served_at_once() -> None:
    gate = KeyFrameGate()
    assert not gate.take(NOW)
    gate.request()
    assert gate.take(NOW)
    assert not gate.take(NOW)


def test_a_request_soon_after_another_waits_and_is_not_forgotten() -> None:
    gate = KeyFrameGate()
    gate.request()
    assert gate.take(NOW)
    gate.key_frame()
    gate.request()
    assert gate.next_time() == NOW + INTERVAL
    assert not gate.take(NOW + INTERVAL - 1)
    assert gate.take(NOW + INTERVAL)


def test_one_key_frame_answers_all_who_asked_before() -> None:
    gate = KeyFrameGate()
    gate.request()
    assert gate.take(NOW)
    gate.request()
    gate.key_frame()
    assert gate.next_time() is None


def test_a_key_frame_that_nobody_asked_for_answers_nobody() -> None:
    gate = KeyFrameGate()
    gate.request()
    gate.key_frame()
    assert gate.take(NOW)
