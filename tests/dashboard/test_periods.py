"""Periods and unhealthy periods of a model from a time line, drift checks and activity."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.dashboard.periods import (
    ActivityEvent,
    DriftedFeatures,
    Period,
    PeriodLimits,
    periods_of,
    unhealthy_periods,
)
from watchkeeper.timelines import cells_of, timeline_of

START = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
BASELINE = {"accuracy": 0.9}


def rows_of(days: Sequence[tuple[int, float, float]]) -> pa.Table:
    """Return events: predictions a day, the share of them that is right, the share that failed."""
    rows: dict[str, list[object]] = {
        name: []
        for name in (
            "timestamp", "model_version", "variant", "status", "latency_ms", "prediction", "score",
            "actual", "actual_timestamp",
        )
    }  # fmt: skip
    for place, (count, right, failed) in enumerate(days):
        for number in range(count):
            at = START + place * DAY + number * timedelta(minutes=1)
            bad = number < failed * count
            rows["timestamp"].append(at)
            rows["model_version"].append("1")
            rows["variant"].append("production")
            rows["status"].append("error" if bad else "success")
            rows["latency_ms"].append(5.0)
            rows["prediction"].append(None if bad else 1.0)
            rows["score"].append(None)
            rows["actual"].append(None if bad else float(number % 100 < 100 * right))
            rows["actual_timestamp"].append(None if bad else at + DAY)
    times = pa.timestamp("us", "UTC")
    typed = {"timestamp": times, "actual_timestamp": times, "score": pa.float64()}
    return pa.table({name: pa.array(values, typed.get(name)) for name, values in rows.items()})


def described(
    days: Sequence[tuple[int, float, float]],
    *,
    baseline: Mapping[str, float] = BASELINE,
    terms: PeriodLimits | None = None,
    drifted: list[DriftedFeatures] | None = None,
    events: list[ActivityEvent] | None = None,
    new_from: datetime | None = None,
) -> tuple[Period, ...]:
    found = timeline_of(
        cells_of(rows_of(days), task="binary"),
        START,
        START + len(days) * DAY,
        points=max(2, len(days)),
    )
    assert found.bucket == "day"
    return periods_of(
        found,
        lambda at: "2" if new_from is not None and at >= new_from else "1",
        lambda _: baseline,
        terms=terms or PeriodLimits(),
        drifted=drifted or [],
        events=events or [],
    )


def test_given_a_loss_beyond_the_allowed_when_described_then_that_day_is_unhealthy() -> None:
    found = described([(400, 0.9, 0), (400, 0.7, 0), (400, 0.9, 0)])

    assert [each.condition for each in found] == ["healthy", "unhealthy", "healthy"]
    assert found[1].why == "accuracy 0.7, 22% worse than the 0.9 that was registered"
    assert [each.named for each in found] == ["1 Jun 2026", "2 Jun 2026", "3 Jun 2026"]
    assert found[1].labelled == 400


def test_given_a_fall_that_chance_may_explain_when_described_then_the_day_is_not_unhealthy() -> (
    None
):
    found, _ = described([(100, 0.85, 0), (0, 0, 0)])  # 0.767 to 0.907

    assert found.figures[0].loss == pytest.approx(1 / 18)
    assert found.condition == "healthy"


def test_given_too_few_outcomes_when_described_then_the_condition_is_unknown() -> None:
    found, _ = described([(99, 0.1, 0), (0, 0, 0)])

    assert found.condition == "unknown"
    assert found.why == "99 outcomes are known, and 100 are needed"


def test_given_failures_when_described_then_it_is_unhealthy_also_without_outcomes() -> None:
    found = described([(60, 0.9, 0.5), (400, 0.9, 0.0)], terms=PeriodLimits(error_rate=0.01))

    assert [each.condition for each in found] == ["unhealthy", "healthy"]
    assert found[0].why == "50.0% of the predictions failed"


def test_given_no_baseline_when_described_then_nothing_can_be_held_against_it() -> None:
    found, _ = described([(400, 0.2, 0), (0, 0, 0)], baseline={})

    assert (found.condition, found.why) == (
        "unknown",
        "no figure was registered to hold it against",
    )


def test_given_a_silent_day_when_described_then_it_splits_no_unhealthy_period() -> None:
    found = described([(400, 0.9, 0), (400, 0.7, 0), (0, 0, 0), (400, 0.6, 0), (400, 0.9, 0)])
    (unhealthy,) = unhealthy_periods(found)

    assert [each.condition for each in found] == [
        "healthy",
        "unhealthy",
        "unknown",
        "unhealthy",
        "healthy",
    ]
    assert (unhealthy.first, unhealthy.last, unhealthy.ongoing) == (found[1], found[3], False)
    assert unhealthy.why == found[3].why  # of the worst


def test_given_an_unhealthy_period_at_the_end_when_described_then_a_healthy_day_ends_it() -> None:
    days = [(400, 0.9, 0), (400, 0.7, 0), (0, 0.0, 0)]

    assert [each.ongoing for each in unhealthy_periods(described(days))] == [True]
    assert [each.ongoing for each in unhealthy_periods(described([*days, (400, 0.9, 0)]))] == [
        False
    ]


def test_given_another_unhealthy_version_when_described_then_it_has_its_own_period() -> None:
    found = unhealthy_periods(described([(400, 0.7, 0)] * 4, new_from=START + 2 * DAY))

    assert [(each.version, each.ongoing) for each in found] == [("1", False), ("2", True)]


def test_given_checks_and_events_when_described_then_each_is_in_its_period() -> None:
    event = ActivityEvent(START + DAY, "promotion", "2 promoted", "/x")
    found = described(
        [(400, 0.9, 0), (400, 0.7, 0)],
        drifted=[
            DriftedFeatures(START + DAY, ("wind", "temp")),
            DriftedFeatures(START + 1.2 * DAY, ("temp",)),
            DriftedFeatures(START - DAY, ("dew",)),
        ],
        events=[event, ActivityEvent(START + 9 * DAY, "incident", "later", "/y")],
    )

    assert [each.events for each in found] == [(), (event,)]
    assert [each.drifted for each in found] == [(), ("temp", "wind")]
    assert unhealthy_periods(found)[0].drifted == ("temp", "wind")


def test_given_hours_when_named_then_they_are_labelled_in_the_zone_of_the_viewer() -> None:
    cells = cells_of(rows_of([(400, 0.9, 0)]), task="binary")
    found = timeline_of(cells, START, START + timedelta(hours=2), points=2)
    zone = ZoneInfo("America/New_York")

    named = periods_of(found, lambda _: "1", lambda _: BASELINE, zone=zone, terms=PeriodLimits())

    assert [each.named for each in named] == ["31 May, 20:00", "31 May, 21:00"]


@settings(max_examples=25)
@given(shares=st.lists(st.tuples(st.integers(0, 150), st.floats(0, 1)), min_size=2, max_size=5))
def test_given_any_days_when_described_then_unhealthy_periods_are_exactly_the_unhealthy_days(
    shares: list[tuple[int, float]],
) -> None:
    found = described([(count, right, 0.0) for count, right in shares])
    unhealthy = unhealthy_periods(found)

    inside = {
        each.start
        for own in unhealthy
        for each in found
        if own.first.start <= each.start < own.last.end and each.condition == "unhealthy"
    }
    assert inside == {each.start for each in found if each.condition == "unhealthy"}
    assert all(each.condition != "healthy" for own in unhealthy for each in found
               if own.first.start <= each.start < own.last.end)  # fmt: skip
    assert sum(each.predictions for each in found) == sum(count for count, _ in shares)
    assert np.all([not own.ongoing for own in unhealthy[:-1]])
