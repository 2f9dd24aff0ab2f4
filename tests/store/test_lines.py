import json
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.store.lines import decode, encode
from watchkeeper.testing import a_prediction, an_outcome

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]))
)


def same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return type(left) is type(right) and bool(left == right)


@given(features=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), scalars))
def test_given_any_features_when_written_and_read_then_nan_null_and_absent_stay_apart(
    features: dict[str, Any],
) -> None:
    line = encode(a_prediction(features=features))

    assert line.count(b"\n") == 1
    json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    back = decode(line)
    assert list(back.features) == list(features)  # type: ignore[union-attr]
    assert all(same(back.features[name], value) for name, value in features.items())  # type: ignore[union-attr]


@given(value=scalars)
def test_given_any_label_and_score_when_written_and_read_then_they_are_the_same(value: Any) -> None:
    score = value if isinstance(value, float) else None

    made = decode(encode(a_prediction(prediction=value, score=score)))
    became = decode(encode(an_outcome(actual=value)))

    assert same(made.prediction, value)  # type: ignore[union-attr]
    assert same(made.score, score)  # type: ignore[union-attr]
    assert same(became.actual, value)  # type: ignore[union-attr]


def test_given_values_json_does_not_know_when_written_then_the_record_is_kept() -> None:
    features = {
        "bytes": b"ab",
        "scalar": np.float32(1.5),
        "nan": np.float64("nan"),
        "array": np.array([1, 2]),
        "time": datetime(2013, 1, 1, tzinfo=UTC),
        "nested": [1.0, float("inf"), {"x": {3}}],
        "object": int,
        "lone \ud800": "\ud800",
    }

    back = decode(encode(a_prediction(features=features, prediction=np.int64(3)))).features  # type: ignore[union-attr]

    assert math.isnan(back.pop("nan"))
    assert back == {
        "bytes": "YWI=",
        "scalar": 1.5,
        "array": [1, 2],
        "time": "2013-01-01T00:00:00+00:00",
        "nested": [1.0, "inf", {"x": [3]}],
        "object": "<class 'int'>",
        "lone \\ud800": "\\ud800",
    }


def test_given_a_line_of_a_newer_version_when_read_then_what_is_known_is_read() -> None:
    line = encode(an_outcome("a"))[:-2] + b',"weight":2}\n'

    assert decode(line) == an_outcome("a")


def test_given_a_line_from_before_experiments_when_read_then_it_is_of_none() -> None:
    line = encode(a_prediction(experiment="exp/1"))

    old = line.replace(b'"experiment":"exp/1",', b"")

    assert old != line
    assert decode(line) == a_prediction(experiment="exp/1")
    assert decode(old) == a_prediction()
