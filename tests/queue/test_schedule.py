"""The times of attempts, of the warning and of the end, by arithmetic alone: no time passes here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail.queue.schedule import Schedule
from pysendmail.queue.settings import Settings

DAY, HOUR = 86400.0, 3600.0
PLAIN = Schedule()


def life(schedule: Schedule, *, jumps: dict[int, float] | None = None, limit: int = 2000) -> list[float]:
    """Return the age, as the clock shows it, at each attempt of a message that is put off for ever.

    `jumps` sets the clock forward (or back) after so many attempts.
    """
    ages = [0.0]
    while not schedule.is_over(ages[-1], len(ages)):
        assert len(ages) < limit, "it is tried for ever"
        ages.append(ages[-1] + schedule.pause(len(ages)) + (jumps or {}).get(len(ages), 0.0))
    return ages


def test_the_first_pause_is_short_and_each_is_twice_the_one_before_up_to_the_longest() -> None:
    assert [PLAIN.pause(n) for n in range(1, 9)] == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert PLAIN.pause(10**9) == 3600
    assert PLAIN.pause(0) == 60


@given(st.integers(0, 200), st.floats(0, 1, exclude_max=True), st.floats(1, 1e5), st.floats(1, 1e6))
def test_chance_takes_up_to_a_quarter_off_and_adds_nothing(
    attempts: int, chance: float, first: float, longest: float
) -> None:
    schedule = Schedule(first, longest)
    whole = schedule.pause(attempts)
    assert 0.75 * whole <= schedule.pause(attempts, chance) <= whole <= schedule.longest


def test_what_failed_together_does_not_come_again_together() -> None:
    assert len({PLAIN.pause(3, chance / 10) for chance in range(10)}) == 10


def test_a_first_pause_over_the_longest_is_the_longest() -> None:
    schedule = Schedule(first=7200, longest=60)
    assert {schedule.pause(n) for n in range(1, 5)} == {7200.0}


def test_a_message_that_is_always_put_off_is_given_up_after_its_time_and_no_sooner() -> None:
    ages = life(PLAIN)
    assert 5 * DAY <= ages[-1] < 5 * DAY + HOUR
    assert ages[-2] < 5 * DAY
    assert abs(len(ages) - PLAIN.most) <= 1


@given(st.floats(1, 1e4), st.floats(1, 1e5), st.floats(1, 1e6))
def test_the_number_of_attempts_that_fit_is_known_without_trying(first: float, longest: float, expire: float) -> None:
    schedule = Schedule(first, longest, expire)
    attempts, age = 1, 0.0
    while attempts < 5000 and age + schedule.pause(attempts) <= expire:
        age += schedule.pause(attempts)
        attempts += 1
    if attempts < 5000:
        assert abs(schedule.most - attempts) <= 1
        assert 1 <= schedule.enough <= max(1, attempts)


@pytest.mark.parametrize(
    ("age", "attempts", "over"),
    [
        (0, 1, False),
        (5 * DAY - 1, 10**6, False),
        (5 * DAY, 1, False),
        (5 * DAY, PLAIN.enough - 1, False),
        (5 * DAY, PLAIN.enough, True),
        (30 * DAY, 3, False),
        (-1, PLAIN.most - 1, False),
        (-30 * DAY, PLAIN.most, True),
    ],
)
def test_both_age_and_attempts_end_it(age: float, attempts: int, over: bool) -> None:
    assert PLAIN.is_over(age, attempts) is over


def test_a_clock_that_jumps_a_month_ahead_ends_nothing_before_it_was_really_tried() -> None:
    ages = life(PLAIN, jumps={2: 30 * DAY})
    assert len(ages) == PLAIN.enough
    assert ages[-1] - ages[2] > DAY  # tried for more than a day after the jump


def test_a_clock_that_jumps_a_month_back_lets_nothing_be_tried_for_ever() -> None:
    ages = life(PLAIN, jumps={2: -30 * DAY})
    assert len(ages) <= PLAIN.most
    assert life(PLAIN, jumps={50: -3 * DAY})[-1] < 5 * DAY + HOUR


def test_the_sender_is_told_of_a_delay_after_its_time_or_never() -> None:
    assert [PLAIN.is_late(age) for age in (-1, 0, 4 * HOUR - 1, 4 * HOUR, 9 * DAY)] == [False, False, False, True, True]
    assert not Schedule(warn=None).is_late(10**9)


def test_a_short_life_still_has_an_end() -> None:
    schedule = Schedule(first=60, longest=60, expire=1)
    assert schedule.enough == schedule.most == 1
    assert schedule.is_over(1, 1)


def test_a_smarthost_that_is_back_is_found_again_within_half_an_hour() -> None:
    settings = Settings(schedule=Schedule(60, 4 * HOUR))
    assert [settings.closed_for(n, False, 0.0) for n in (1, 2, 9, 99)] == [60, 120, 1800, 1800]


def test_a_refused_login_is_not_repeated_as_often() -> None:
    settings = Settings(schedule=Schedule(60, 4 * HOUR))
    assert [settings.closed_for(n, True, 0.0) for n in (1, 2, 99)] == [480, 960, 4 * HOUR]
