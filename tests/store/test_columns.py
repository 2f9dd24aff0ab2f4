import json
import math
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.store.columns import (
    disk_name,
    event_name,
    kinds_of,
    outcome_rows,
    prediction_rows,
    prediction_rows_of_table,
)
from watchkeeper.testing import a_prediction, an_outcome


def rows_of(*features: dict[str, Any], kinds: Any = None) -> pa.Table:
    return prediction_rows([a_prediction(features=each) for each in features], kinds or {})


def texts(rows: pa.Table) -> list[dict[str, str]]:
    return [dict(each or ()) for each in rows["as_text"].to_pylist()]


def test_given_nan_null_and_absent_when_tabulated_then_they_stay_three_things() -> None:
    rows = rows_of({"x": 1.0}, {"x": math.nan}, {"x": None}, {})

    values = rows["feature.x"].to_pylist()
    assert values[0] == 1.0
    assert math.isnan(values[1])
    assert values[2:] == [None, None]
    assert texts(rows) == [{}, {}, {"feature.x": "null"}, {}]


def test_given_a_word_where_numbers_are_when_tabulated_then_it_is_kept_beside_them() -> None:
    rows = rows_of({"x": 1}, {"x": "high"}, {"x": 2}, {"x": [1]}, {"x": True})

    assert rows["feature.x"].to_pylist() == [1.0, None, 2.0, None, None]
    assert texts(rows)[1:] == [
        {"feature.x": '"high"'}, {}, {"feature.x": "[1]"}, {"feature.x": "true"},
    ]  # fmt: skip


def test_given_an_integer_a_float_cannot_hold_when_tabulated_then_all_its_digits_are_kept() -> None:
    rows = rows_of({"x": 2**53}, {"x": 2**53 + 1}, {"x": -(2**70)})

    assert rows["feature.x"].to_pylist() == [2.0**53, None, None]
    assert texts(rows)[1:] == [{"feature.x": str(2**53 + 1)}, {"feature.x": str(-(2**70))}]


def test_given_a_declared_kind_when_most_values_differ_then_the_declaration_holds() -> None:
    rows = rows_of({"x": "1"}, {"x": "2"}, {"x": 3}, kinds={"feature.x": "number"})

    assert rows["feature.x"].to_pylist() == [None, None, 3.0]


def test_given_words_when_tabulated_then_they_are_dictionary_coded() -> None:
    rows = rows_of({"c": "a"}, {"c": "b"}, {"c": "a"})

    assert pa.types.is_dictionary(rows["feature.c"].type)


def test_given_truth_values_as_labels_when_tabulated_then_they_are_numbers() -> None:
    made = prediction_rows([a_prediction(prediction=True), a_prediction(prediction=0)], {})
    became = outcome_rows([an_outcome(actual=False), an_outcome(actual=1.0)], {})

    assert made["prediction"].to_pylist() == [1.0, 0.0]
    assert became["actual"].to_pylist() == [0.0, 1.0]


def test_given_a_failed_prediction_when_tabulated_then_its_answer_is_null_and_no_misfit() -> None:
    rows = prediction_rows([a_prediction(prediction=None, status="error", error="boom")], {})

    assert "prediction" not in rows.schema.names
    assert texts(rows) == [{}]


cells = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text("ab")


@given(table=st.lists(st.dictionaries(st.sampled_from("xyz"), cells), min_size=1, max_size=8))
def test_given_any_mixture_when_tabulated_then_every_value_is_in_its_column_or_beside_it(
    table: list[dict[str, Any]],
) -> None:
    rows = rows_of(*table)

    for row, beside, given_values in zip(rows.to_pylist(), texts(rows), table, strict=True):
        for name, value in given_values.items():
            held = row.get(f"feature.{name}")
            if held is None:
                text = beside[f"feature.{name}"]
                kept = json.loads(text)
                assert kept == value or (isinstance(value, float) and not math.isfinite(value))
            elif isinstance(value, float) and math.isnan(value):
                assert math.isnan(held)
            else:
                assert held == value
        assert len(beside) <= len(given_values)


@given(
    table=st.lists(
        st.dictionaries(st.sampled_from("xy"), st.integers(-5, 5) | st.none()), min_size=1
    )
)
def test_given_a_bulk_ingest_when_tabulated_then_it_equals_one_by_one(
    table: list[dict[str, Any]],
) -> None:
    events = [
        a_prediction(str(n), features={name: row.get(name) for name in "xy"})
        for n, row in enumerate(table)
    ]
    one_by_one = prediction_rows(events, {"feature.x": "number", "feature.y": "number"})
    bulk = prediction_rows_of_table(
        pa.table(
            {
                "prediction_id": pa.array([e.prediction_id for e in events], pa.string()),
                "timestamp": pa.array([e.timestamp for e in events], pa.timestamp("us", "UTC")),
                "arrived_at": pa.array([e.arrived_at for e in events], pa.timestamp("us", "UTC")),
                "feature.x": pa.array([e.features["x"] for e in events], pa.int64()),
                "feature.y": pa.array([e.features["y"] for e in events], pa.int64()),
            }
        ),
        {},
    )

    for name in ("feature.x", "feature.y", "as_text", "day", "status", "variant"):
        assert bulk[name].to_pylist() == one_by_one[name].to_pylist()


def test_given_large_integers_in_a_bulk_ingest_when_tabulated_then_all_digits_are_kept() -> None:
    moment = pa.array([a_prediction().timestamp] * 3, pa.timestamp("us", "UTC"))
    rows = prediction_rows_of_table(
        pa.table(
            {
                "prediction_id": ["a", "b", "c"],
                "timestamp": moment,
                "arrived_at": moment,
                "feature.x": pa.array([1, 2**53 + 1, 2**64 - 1], pa.uint64()),
                "feature.y": pa.array([1, 2**53 + 1, -(2**63)], pa.int64()),
            }
        ),
        {},
    )

    assert rows["feature.x"].to_pylist() == [1.0, None, None]
    assert texts(rows)[2] == {"feature.x": str(2**64 - 1), "feature.y": str(-(2**63))}


@given(names=st.lists(st.text(min_size=1, max_size=12), unique=True, max_size=8))
def test_given_any_names_when_stored_then_they_come_back_and_differ_without_regard_to_case(
    names: list[str],
) -> None:
    taken: list[str] = []
    for name in names:
        taken.append(disk_name(name, taken))

    assert [event_name(own) for own in taken] == names
    assert len({own.lower() for own in taken}) == len(names)
    assert not any(letter in own for own in taken for letter in " ,;{}()\n\t=")


def test_given_a_table_when_asked_then_it_tells_what_its_columns_hold() -> None:
    rows = rows_of({"x": 1, "c": "a", "t": True})

    assert kinds_of(rows.schema) == {
        "feature.x": "number", "feature.c": "word", "feature.t": "truth", "prediction": "number",
    }  # fmt: skip
