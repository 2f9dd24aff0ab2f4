from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.timelines.rows import HOUR, START, many, table

from watchkeeper.timelines import cells_of, empty_cells, together
from watchkeeper.timelines.cells import histogram_entries

numbers = st.sampled_from([None, 0.0, 1.0])
scores = st.one_of(st.none(), st.floats(0, 1), st.sampled_from([-0.5, 1.5, float("nan")]))
row = st.fixed_dictionaries(
    {
        "timestamp": st.integers(0, 400).map(lambda n: START + n * HOUR / 100),
        "model_version": st.sampled_from(["1.0.0", "1.1.0", "2.0.0", None]),
        "variant": st.sampled_from(["production", "canary"]),
        "status": st.sampled_from(["success", "success", "error"]),
        "latency_ms": st.one_of(st.none(), st.floats(0, 1e12)),
        "prediction": numbers,
        "score": scores,
        "actual": numbers,
        "actual_timestamp": st.one_of(
            st.none(), st.integers(-100, 10_000).map(lambda n: START + n * HOUR)
        ),
    }
)


def as_numbers(cells: pa.Table) -> list[dict[str, Any]]:
    return [
        {name: pytest.approx(own, rel=1e-9, abs=1e-9) if isinstance(own, float) else own
         for name, own in each.items()}
        for each in cells.to_pylist()
    ]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 2), row), max_size=40),
    task=st.sampled_from(["binary", "multiclass", "regression"]),
)
def test_given_any_parts_when_put_together_then_they_are_the_cells_of_the_whole(
    rows: list[tuple[int, dict[str, Any]]], task: str
) -> None:
    parts = [table([each for own, each in rows if own == part]) for part in range(3)]
    whole = table([each for _, each in rows])

    found = together([cells_of(part, task=task) for part in parts])

    expected = cells_of(whole, task=task)
    assert found.schema.equals(expected.schema, check_metadata=True)
    assert found.to_pylist() == as_numbers(expected)


def test_given_events_when_counted_then_each_hour_version_and_variant_has_a_row() -> None:
    rows = many(500, 1)

    cells = cells_of(rows, task="binary")

    keys = {
        (each["timestamp"].replace(minute=0, second=0, microsecond=0),
         each["model_version"], each["variant"])
        for each in rows.to_pylist()
    }  # fmt: skip
    found = [(c["hour"], c["model_version"], c["variant"]) for c in cells.to_pylist()]
    assert found == sorted(keys)
    assert sum(cells["predictions"].to_pylist()) == 500


def test_given_nothing_when_counted_then_there_are_no_cells() -> None:
    assert cells_of(table([]), task="binary").equals(empty_cells("binary"))
    assert together([empty_cells("binary")]).num_rows == 0


def test_given_words_when_counted_then_the_positive_class_is_the_one_that_is_named() -> None:
    base = {"timestamp": START, "model_version": "1", "variant": "production", "status": "success"}
    pairs = [("late", "late"), ("late", "on time"), ("on time", "on time"), ("late", None)]
    rows = [{**base, "prediction": told, "actual": true} for told, true in pairs]

    (cell,) = cells_of(table(rows, words=True), task="binary", positive="late").to_pylist()

    names = ("answered", "labelled", "right", "called", "positives", "true_positives")
    assert [cell[name] for name in names] == [4, 3, 2, 3, 1, 1]


def test_given_words_when_numbers_were_expected_then_nothing_is_measured() -> None:
    base = {"timestamp": START, "model_version": "1", "variant": "production", "status": "success"}
    rows = table([{**base, "prediction": "high", "actual": "low"}], words=True)

    (cell,) = cells_of(rows, task="regression").to_pylist()

    assert (cell["labelled"], cell["errors"], cell["squared_error"]) == (1, 0, 0.0)


def test_given_slices_of_cells_when_a_histogram_is_read_then_it_is_of_the_slice() -> None:
    cells = cells_of(many(300, 2), task="binary")
    every = histogram_entries(cells, "latencies")

    row, bins, counts = histogram_entries(cells.slice(5, 7), "latencies")

    inside = (every[0] >= 5) & (every[0] < 12)
    assert np.array_equal(row + 5, every[0][inside])
    assert np.array_equal(bins, every[1][inside])
    assert np.array_equal(counts, every[2][inside])
