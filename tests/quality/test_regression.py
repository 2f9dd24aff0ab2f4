from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from watchkeeper.errors import InvalidValueError
from watchkeeper.quality import regression_metrics

numbers = st.integers(-1_000, 1_000).map(lambda n: n / 8)
rows = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=60)


@given(sample=rows)
def test_given_any_sample_when_measured_then_each_metric_is_scikit_learns(
    sample: list[tuple[float, float]],
) -> None:
    predicted, actual = (np.array(column) for column in zip(*sample, strict=True))

    found = regression_metrics(predicted, actual)

    assert found["mae"] == pytest.approx(sk.mean_absolute_error(actual, predicted), abs=1e-9)
    assert found["rmse"] == pytest.approx(sk.root_mean_squared_error(actual, predicted), abs=1e-9)
    assert found["median_absolute_error"] == pytest.approx(
        sk.median_absolute_error(actual, predicted), abs=1e-9
    )
    assert found["mean_error"] == pytest.approx(np.mean(predicted - actual), abs=1e-9)
    whole = actual != 0
    assert found["mape_share"] == whole.mean()
    if whole.any():
        mape = sk.mean_absolute_percentage_error(actual[whole], predicted[whole])
        assert found["mape"] == pytest.approx(mape, rel=1e-9)
    else:
        assert found["mape"] is None
    if (actual == actual[0]).all():
        assert found["r2"] is None
    else:
        assert found["r2"] == pytest.approx(sk.r2_score(actual, predicted), rel=1e-9, abs=1e-9)


def test_given_constants_that_no_float_holds_when_measured_then_r2_is_still_unknown() -> None:
    assert regression_metrics([0.2] * 7, [0.1] * 7)["r2"] is None


@pytest.mark.parametrize(
    ("predicted", "actual"),
    [([], []), ([1.0], [1.0, 2.0]), ([float("nan")], [1.0]), ([1.0], [float("inf")]), (1.0, 1.0)],
)
def test_given_nonsense_when_measured_then_it_is_a_clear_error(predicted: Any, actual: Any) -> None:
    with pytest.raises(InvalidValueError, match="expected"):
        regression_metrics(predicted, actual)
