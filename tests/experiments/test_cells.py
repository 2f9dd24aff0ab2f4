from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.errors import InvalidValueError
from watchkeeper.experiments import Metric, Observations, Sums, observe

START = datetime(2026, 3, 1, tzinfo=UTC)
ARMS = ("control", "new")
Row = tuple[str, str, int, int, float | None, int]  # unit, arm, phase, minute, value, told after

rows = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "eve", "joe"]),
        st.sampled_from([*ARMS, "pinned"]),
        st.integers(1, 2),
        st.integers(0, 300),
        st.one_of(st.none(), st.sampled_from([0.0, 1.0, 2.5])),
        st.integers(0, 200),
    ),
    max_size=25,
)


def table(given: list[Row], name: str = "accuracy") -> pa.Table:
    def moment(minutes: int) -> datetime:
        return START + timedelta(minutes=minutes)

    return pa.table(
        {
            "unit": pa.array([row[0] for row in given], pa.string()),
            "arm": pa.array([row[1] for row in given], pa.string()).dictionary_encode(),
            "phase": pa.array([row[2] for row in given], pa.int64()),
            "timestamp": pa.array([moment(row[3]) for row in given], pa.timestamp("us", "UTC")),
            name: pa.array([row[4] for row in given], pa.float64()),
            f"{name}.at": pa.array(
                [None if row[4] is None else moment(row[3] + row[5]) for row in given],
                pa.timestamp("us", "UTC"),
            ),
        }
    )


def total(found: Observations, arm: str, metric: str = "accuracy") -> Sums:
    cells = [cell.sums for cell in found.cells if (cell.arm, cell.metric) == (arm, metric)]
    return sum(cells, Sums())


def by_hand(given: list[Row], metric: Metric, now: int) -> dict[tuple[int, int, str], Sums]:
    """Return the cells by hour, phase and arm, as one would count them with a pencil."""
    of: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(given, key=lambda row: row[3]):
        if row[1] in ARMS and row[3] <= now:
            of[row[0]].append(row)
    cells: dict[tuple[int, int, str], Sums] = defaultdict(Sums)
    for own in of.values():
        _, arm, phase, first, *_ = own[0]
        deadline = first + metric.conversion_window / 60
        strayed = any(row[1] != arm and row[2] == phase for row in own)
        if strayed or deadline > now:
            continue
        counted = [
            row[4]
            for row in own
            if row[1] == arm
            and row[2] >= phase
            and row[3] <= deadline
            and row[4] is not None
            and row[3] + row[5] <= deadline
        ]
        y, d = sum(counted), float(len(counted))
        if metric.kind != "ratio":
            d = min(d, 1.0)
            y = float(y > 0) if metric.kind == "proportion" else y
        if d:
            cells[first // 60, phase, arm] += Sums(1, y, y * y, d, d * d, y * d)
    return cells


@settings(deadline=None)
@given(given=rows, kind=st.sampled_from(["ratio", "mean", "proportion"]), now=st.integers(0, 400))
def test_given_exposures_when_observed_then_cells_are_those_counted_by_hand(
    given: list[Row], kind: Any, now: int
) -> None:
    metric = Metric(name="accuracy", source="correct", kind=kind, conversion_window=5400.0)

    found = observe(table(given), [metric], ARMS, at=START + timedelta(minutes=now))

    assert {
        ((cell.start - START) // timedelta(hours=1), cell.phase, cell.arm): cell.sums
        for cell in found.cells
    } == by_hand(given, metric, now)


@settings(deadline=None)
@given(given=rows, now=st.integers(0, 400))
def test_given_units_in_several_tables_when_observed_then_the_result_is_that_of_one(
    given: list[Row], now: int
) -> None:
    metrics = [Metric.named("accuracy", conversion_window=5400.0), Metric.named("error-rate")]
    whole = table(given).append_column("error-rate", pa.array([0.0] * len(given)))
    odd = pc.equal(pc.index_in(whole["unit"], pc.unique(whole["unit"])), 1)
    parts = [whole.filter(odd), whole.filter(pc.invert(odd))]
    at = START + timedelta(minutes=now)

    found = observe(parts, metrics, ARMS, at=at)

    assert found == observe(whole, metrics, ARMS, at=at)
    with pytest.raises(InvalidValueError, match="at least one"):
        observe([], metrics, ARMS, at=at)


@settings(deadline=None)
@given(given=rows, hours=st.integers(1, 5))
def test_given_other_stretches_when_observed_then_the_totals_are_the_same(
    given: list[Row], hours: int
) -> None:
    metric = Metric.named("accuracy", conversion_window=60.0)
    at = START + timedelta(days=1)
    fine = observe(table(given), [metric], ARMS, at=at)
    coarse = observe(table(given), [metric], ARMS, at=at, width=timedelta(hours=hours))

    assert [total(fine, arm) for arm in ARMS] == [total(coarse, arm) for arm in ARMS]
    assert fine.units == coarse.units


def test_given_a_unit_that_met_two_arms_in_one_phase_when_observed_then_it_is_counted_apart() -> (
    None
):
    given: list[Row] = [
        ("ann", "control", 1, 0, 1.0, 0),
        ("ann", "new", 1, 5, 1.0, 0),
        ("bob", "control", 1, 1, 1.0, 0),
        ("bob", "new", 2, 6, 0.0, 0),  # moved by other weights: it stays where it began
    ]

    found = observe(table(given), [Metric.named("accuracy")], ARMS, at=START + timedelta(days=2))

    assert (found.multi_exposed, found.units) == (1, 1)
    assert total(found, "control") == Sums(1, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert total(found, "new") == Sums()


def test_given_outcomes_that_never_came_when_observed_then_their_share_is_told_by_arm() -> None:
    given: list[Row] = [
        ("ann", "control", 1, 0, 1.0, 0),
        ("bob", "new", 1, 0, None, 0),
        ("eve", "new", 1, 0, 1.0, 60 * 25),  # too late for its day
        ("joe", "new", 1, 0, 0.0, 0),
    ]

    found = observe(table(given), [Metric.named("accuracy")], ARMS, at=START + timedelta(days=9))

    assert found.unknown == {"accuracy": {"control": 0.0, "new": pytest.approx(2 / 3)}}
    assert total(found, "new").n == 1


def test_given_a_posted_value_when_nothing_was_posted_then_the_unit_counts_as_0() -> None:
    given: list[Row] = [("ann", "new", 1, 0, 40.0, 0), ("bob", "new", 1, 0, None, 0)]
    metric = Metric(name="revenue", source="value", kind="mean", cap=30.0)

    found = observe(table(given, "revenue"), [metric], ARMS, at=START + timedelta(days=9))

    assert total(found, "new", "revenue") == Sums(2, 30.0, 900.0, 2.0, 2.0, 30.0)


def test_given_a_latency_limit_when_observed_then_predictions_above_it_are_counted() -> None:
    given: list[Row] = [
        ("ann", "new", 1, at, value, 0) for at, value in enumerate([400.0, 500.0, 501.0])
    ]
    metric = Metric.named("slower-than-500")

    found = observe(table(given, metric.name), [metric], ARMS, at=START + timedelta(days=9))

    assert total(found, "new", metric.name) == Sums(1, 1.0, 1.0, 3.0, 9.0, 3.0)


def test_given_no_width_when_observed_then_the_error_says_so() -> None:
    with pytest.raises(InvalidValueError, match="longer than 0"):
        observe(table([]), [], ARMS, at=START, width=timedelta(0))
