"""The word rate: never more messages in any window of time than it says."""

from hypothesis import given
from hypothesis import strategies as st

from pysendmail.queue.pace import Pace


def test_so_many_begin_at_once_and_the_next_one_waits_for_the_window() -> None:
    pace = Pace(3, 60)
    assert [pace.begin(now) for now in (0.0, 1.0, 2.0)] == [0.0, 0.0, 0.0]
    assert pace.begin(10.0) == 50.0
    assert pace.begin(59.0) == 1.0
    assert pace.begin(60.0) == 0.0
    assert pace.begin(60.5) == 0.5


@given(st.integers(1, 5), st.integers(1, 100), st.lists(st.integers(0, 50), max_size=60))
def test_no_window_holds_more_than_it_may(count: int, seconds: int, steps: list[int]) -> None:
    pace = Pace(count, seconds)
    now, begun = 0, []
    for step in steps:
        now += step
        if not pace.begin(now):
            begun.append(now)
    for start in begun:
        assert len([each for each in begun if start <= each < start + seconds]) <= count


@given(st.integers(1, 5), st.integers(1, 100), st.lists(st.integers(0, 50), max_size=60))
def test_who_waits_as_long_as_told_may_begin(count: int, seconds: int, steps: list[int]) -> None:
    pace = Pace(count, seconds)
    now = 0.0
    for step in steps:
        now += step
        if wait := pace.begin(now):
            now += wait
            assert pace.begin(now) == 0.0
