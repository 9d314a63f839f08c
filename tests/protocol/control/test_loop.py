"""The control thread."""

from __future__ import annotations

import asyncio
import threading

from protocol.control.loop import ControlThread


def test_work_is_done_there_and_its_result_comes_back() -> None:
    control = ControlThread()

    async def where() -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    try:
        assert control.call(where()).result(5) == "control"
    finally:
        control.close()


def test_calls_come_in_order_and_nobody_waits() -> None:
    control, seen, done = ControlThread(), list[int](), threading.Event()
    try:
        for number in range(100):
            control.post(seen.append, number)
        control.post(done.set)
        assert done.wait(5)
    finally:
        control.close()
    assert seen == list(range(100))


def test_a_mistake_is_told_and_the_rest_goes_on() -> None:
    told: list[Exception] = []
    control, done = ControlThread(told.append), threading.Event()
    try:
        control.post(lambda: [].pop())
        control.post(done.set)
        assert done.wait(5)
    finally:
        control.close()
    assert [type(error) for error in told] == [IndexError]


def test_closing_ends_what_runs_and_may_be_done_twice() -> None:
    control, began, ended = ControlThread(), threading.Event(), threading.Event()

    async def forever() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiting = control.call(forever())
    assert began.wait(5)
    control.close()
    control.close()
    assert ended.is_set()
    assert waiting.cancelled()
    control.post(ended.clear)
    assert ended.is_set()
    assert control.loop.is_closed()
