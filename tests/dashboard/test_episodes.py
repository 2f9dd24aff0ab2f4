"""The story of a model: chapters and illnesses from a time line, checks and deeds."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.dashboard.episodes import Chapter, Deed, Moved, Terms, chapters, illnesses
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


def told(
    days: Sequence[tuple[int, float, float]],
    *,
    baseline: Mapping[str, float] = BASELINE,
    terms: Terms | None = None,
    moved: list[Moved] | None = None,
    deeds: list[Deed] | None = None,
    new_from: datetime | None = None,
) -> tuple[Chapter, ...]:
    found = timeline_of(
        cells_of(rows_of(days), task="binary"),
        START,
        START + len(days) * DAY,
        points=max(2, len(days)),
    )
    assert found.bucket == "day"
    return chapters(
        found,
        lambda at: "2" if new_from is not None and at >= new_from else "1",
        lambda _: baseline,
        terms=terms or Terms(),
        moved=moved or [],
        deeds=deeds or [],
    )


def test_given_a_fall_beyond_what_is_allowed_when_told_then_that_day_is_ill_with_figures() -> None:
    found = told([(400, 0.9, 0), (400, 0.7, 0), (400, 0.9, 0)])

    assert [each.condition for each in found] == ["well", "ill", "well"]
    assert found[1].why == "accuracy 0.7, 22% worse than the 0.9 that was registered"
    assert [each.named for each in found] == ["1 Jun 2026", "2 Jun 2026", "3 Jun 2026"]
    assert found[1].labelled == 400


def test_given_a_fall_that_chance_may_explain_when_told_then_the_day_is_not_ill() -> None:
    found, _ = told([(100, 0.85, 0), (0, 0, 0)])  # 0.767 to 0.907

    assert found.figures[0].loss == pytest.approx(1 / 18)
    assert found.condition == "well"


def test_given_too_few_outcomes_when_told_then_nobody_can_tell() -> None:
    found, _ = told([(99, 0.1, 0), (0, 0, 0)])

    assert found.condition == "unknown"
    assert found.why == "99 outcomes are known, and 100 are needed"


def test_given_failures_when_told_then_it_is_ill_also_without_outcomes() -> None:
    found = told([(60, 0.9, 0.5), (400, 0.9, 0.0)], terms=Terms(error_rate=0.01))

    assert [each.condition for each in found] == ["ill", "well"]
    assert found[0].why == "50.0% of the predictions failed"


def test_given_no_baseline_when_told_then_nothing_can_be_held_against_it() -> None:
    found, _ = told([(400, 0.2, 0), (0, 0, 0)], baseline={})

    assert (found.condition, found.why) == (
        "unknown",
        "no figure was registered to hold it against",
    )


def test_given_a_silent_day_when_told_then_it_is_unknown_and_parts_no_illness() -> None:
    found = told([(400, 0.9, 0), (400, 0.7, 0), (0, 0, 0), (400, 0.6, 0), (400, 0.9, 0)])
    (ill,) = illnesses(found)

    assert [each.condition for each in found] == ["well", "ill", "unknown", "ill", "well"]
    assert (ill.first, ill.last, ill.lasts) == (found[1], found[3], False)
    assert ill.why == found[3].why  # of the worst


def test_given_an_illness_at_the_end_when_told_then_it_lasts_until_a_day_is_well() -> None:
    days = [(400, 0.9, 0), (400, 0.7, 0), (0, 0.0, 0)]

    assert [each.lasts for each in illnesses(told(days))] == [True]
    assert [each.lasts for each in illnesses(told([*days, (400, 0.9, 0)]))] == [False]


def test_given_another_version_when_it_is_ill_as_well_then_that_is_an_illness_of_its_own() -> None:
    found = illnesses(told([(400, 0.7, 0)] * 4, new_from=START + 2 * DAY))

    assert [(each.version, each.lasts) for each in found] == [("1", False), ("2", True)]


def test_given_checks_and_deeds_when_told_then_each_is_in_its_chapter_and_the_rest_in_none() -> (
    None
):
    deed = Deed(START + DAY, "promotion", "2 promoted", "/x")
    found = told(
        [(400, 0.9, 0), (400, 0.7, 0)],
        moved=[
            Moved(START + DAY, ("wind", "temp")),
            Moved(START + 1.2 * DAY, ("temp",)),
            Moved(START - DAY, ("dew",)),
        ],
        deeds=[deed, Deed(START + 9 * DAY, "incident", "later", "/y")],
    )

    assert [each.deeds for each in found] == [(), (deed,)]
    assert [each.moved for each in found] == [(), ("temp", "wind")]
    assert illnesses(found)[0].moved == ("temp", "wind")


def test_given_hours_when_named_then_they_are_told_in_the_zone_of_who_looks() -> None:
    cells = cells_of(rows_of([(400, 0.9, 0)]), task="binary")
    found = timeline_of(cells, START, START + timedelta(hours=2), points=2)
    zone = ZoneInfo("America/New_York")

    named = chapters(found, lambda _: "1", lambda _: BASELINE, zone=zone, terms=Terms())

    assert [each.named for each in named] == ["31 May, 20:00", "31 May, 21:00"]


@settings(max_examples=25)
@given(shares=st.lists(st.tuples(st.integers(0, 150), st.floats(0, 1)), min_size=2, max_size=5))
def test_given_any_days_when_told_then_illnesses_are_exactly_the_ill_days(
    shares: list[tuple[int, float]],
) -> None:
    found = told([(count, right, 0.0) for count, right in shares])
    ill = illnesses(found)

    inside = {
        each.start
        for own in ill
        for each in found
        if own.first.start <= each.start < own.last.end and each.condition == "ill"
    }
    assert inside == {each.start for each in found if each.condition == "ill"}
    assert all(each.condition != "well" for own in ill for each in found
               if own.first.start <= each.start < own.last.end)  # fmt: skip
    assert sum(each.predictions for each in found) == sum(count for count, _ in shares)
    assert np.all([not own.lasts for own in ill[:-1]])
