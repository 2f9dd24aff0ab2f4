from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.charts.given_charts import instants, zones

from watchkeeper.charts.ticks import logarithmic, numeric, times
from watchkeeper.charts.times import period

NEW_YORK = ZoneInfo("America/New_York")
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
finite = st.floats(-1e300, 1e300)


def labels(start: datetime, length: timedelta, zone: tzinfo = UTC) -> list[str]:
    return [tick.label for tick in times(start, start + length, zone)]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0.0, 0.25, 0.5, 0.75, 1.0]),
        (0.88, 0.934, [0.88, 0.9, 0.92]),
        (-3.0, 7.0, [-2.5, 0.0, 2.5, 5.0]),
        (0.0, 130_000.0, [0.0, 50_000.0, 100_000.0]),
        (5.0, 5.0, [5.0]),
    ],
)
def test_given_two_ends_when_marked_then_at_round_numbers(
    low: float, high: float, expected: list[float]
) -> None:
    assert numeric(low, high, 4) == pytest.approx(expected)


@given(one=finite, other=finite, count=st.integers(1, 12))
def test_given_any_two_ends_when_marked_then_few_ascending_numbers_between_them(
    one: float, other: float, count: int
) -> None:
    low, high = sorted((one, other))

    ticks = numeric(low, high, count)

    room = 1e-6 * (high / 2 - low / 2) + 1e-300
    assert 1 <= len(ticks) <= 4 * count + 2
    assert ticks == sorted(set(ticks))
    assert all(low - room <= tick <= high + room for tick in ticks)


def test_given_a_logarithmic_axis_when_marked_then_at_doubles_if_they_are_few() -> None:
    assert logarithmic(2.0, 50.0) == pytest.approx([2, 5, 10, 20, 50])
    assert logarithmic(1.0, 1e6) == pytest.approx([10.0**power for power in range(7)])


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (timedelta(minutes=30), ["12:00", "12:05", "12:10", "12:15", "12:20", "12:25", "12:30"]),
        (timedelta(hours=6), [f"{hour}:00" for hour in range(12, 19)]),
        (timedelta(days=2), ["12:00", "28 Nov", "12:00", "29 Nov", "12:00"]),
        (
            timedelta(days=6),
            [f"{day} Nov" for day in (28, 29, 30)] + [f"{d} Dec" for d in (1, 2, 3)],
        ),
        (timedelta(days=30), ["30 Nov", "7 Dec", "14 Dec", "21 Dec"]),  # Mondays
        (timedelta(days=200), ["Dec", "2027", "Feb", "Mar", "Apr", "May", "Jun"]),
        (timedelta(days=365), ["2027", "Mar", "May", "Jul", "Sep", "Nov"]),
        (timedelta(days=5 * 365), ["2027", "2028", "2029", "2030", "2031"]),
    ],
)
def test_given_a_stretch_of_time_when_marked_then_at_natural_times(
    length: timedelta, expected: list[str]
) -> None:
    assert labels(NOON, length) == expected


def test_given_a_zone_when_marked_then_midnight_is_that_of_its_clocks() -> None:
    ticks = times(NOON, NOON + timedelta(days=3), NEW_YORK, 3)

    assert [tick.label for tick in ticks] == ["28 Nov", "29 Nov", "30 Nov"]
    assert [tick.at.astimezone(UTC).hour for tick in ticks] == [5, 5, 5]


@pytest.mark.parametrize(
    "day", [datetime(2026, 3, 7, 5, tzinfo=UTC), datetime(2026, 10, 31, 4, tzinfo=UTC)]
)
def test_given_clocks_that_change_when_marked_by_days_then_midnight_stays_midnight(
    day: datetime,
) -> None:
    ticks = times(day, day + timedelta(days=4), NEW_YORK, 4)

    assert all(tick.at.hour == tick.at.minute == 0 for tick in ticks)
    assert len({tick.at.utcoffset() for tick in ticks}) == 2


def test_given_an_hour_that_clocks_repeat_when_marked_by_hours_then_it_is_marked_twice() -> None:
    start = datetime(2026, 11, 1, 4, tzinfo=UTC)

    assert labels(start, timedelta(hours=5), NEW_YORK) == [
        "1 Nov", "01:00", "01:00", "02:00", "03:00", "04:00",
    ]  # fmt: skip


def test_given_an_hour_that_clocks_skip_when_marked_then_no_time_is_one_that_never_was() -> None:
    start = datetime(2026, 3, 8, 5, tzinfo=UTC)

    assert labels(start, timedelta(hours=4), NEW_YORK) == [
        "8 Mar", "01:00", "03:00", "04:00", "05:00",
    ]  # fmt: skip


@given(start=instants, seconds=st.integers(1, 10**10), zone=zones, count=st.integers(2, 9))
def test_given_any_stretch_when_marked_then_few_ascending_instants_within_it(
    start: datetime, seconds: int, zone: ZoneInfo, count: int
) -> None:
    end = start + timedelta(seconds=seconds)

    ticks = times(start, end, zone, count)

    at = [tick.at.astimezone(UTC) for tick in ticks]
    assert at == sorted(set(at))
    assert all(start <= instant <= end for instant in at)
    assert len(at) <= count + 2


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime.min.replace(tzinfo=UTC), datetime(2, 1, 1, tzinfo=UTC)),
        (datetime(9998, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)),
        (NOON, NOON),
    ],
)
def test_given_the_ends_of_the_calendar_when_marked_then_there_is_no_error(
    start: datetime, end: datetime
) -> None:
    assert len(times(start, end, NEW_YORK)) < 12


def test_given_stretches_when_told_then_as_short_as_they_can_be() -> None:
    night = datetime(2026, 11, 27, 5, tzinfo=UTC)

    assert period(night, night + timedelta(days=1), NEW_YORK) == "27 Nov 2026"
    assert period(night, night + timedelta(days=7), NEW_YORK) == "27 Nov 2026 to 3 Dec 2026"
    assert period(NOON, NOON + timedelta(hours=1), UTC) == "27 Nov 2026, 12:00 to 13:00"
    assert period(NOON, NOON + timedelta(days=1), UTC) == "27 Nov 2026, 12:00 to 28 Nov 2026, 12:00"
