"""Who is due when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sender.agenda import Agenda


def test_the_newest_moment_of_a_key_counts() -> None:
    agenda = Agenda()
    agenda.set(1, 50)
    agenda.set(2, 20)
    agenda.set(1, 70)
    assert agenda.next_time() == 20
    assert agenda.take(60) == [2]
    assert agenda.next_time() == 70
    agenda.set(1, None)
    assert agenda.next_time() is None
    assert agenda.take(100) == []


@given(st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 20))), max_size=60))
def test_it_is_a_table_of_moments(changes: list[tuple[int, int | None]]) -> None:
    agenda, table = Agenda(), dict[int, int | None]()
    for now, (key, moment) in enumerate(changes):
        agenda.set(key, moment)
        table[key] = moment
        due = {each for each, at in table.items() if at is not None and at <= now}
        taken = agenda.take(now)
        assert sorted(taken) == sorted(due)
        table = {each: at for each, at in table.items() if each not in due}
        assert agenda.next_time() == min((at for at in table.values() if at is not None), default=None)
