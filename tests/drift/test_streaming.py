import builtins
import math
from typing import Any, get_args

import numpy as np
import pytest

from watchkeeper.drift import StreamingDriftDetector
from watchkeeper.drift.streaming import StreamingMethod
from watchkeeper.errors import InvalidValueError, MissingExtraError


@pytest.mark.parametrize("method", get_args(StreamingMethod))
def test_given_a_stream_when_one_feature_shifts_then_it_is_noticed_soon_and_only_it(
    method: Any,
) -> None:
    rng = np.random.default_rng(5)
    detector = StreamingDriftDetector(method, seed=1)
    for row in range(3_000):
        shift = 4.0 if row >= 2_000 else 0.0
        detector.update({"moves": 10.0 + shift + rng.normal(), "rests": float(row % 2), "w": "a"})

    noticed = [row for row in detector.changes["moves"] if row >= 2_000]
    assert noticed[0] < 2_300
    assert "w" not in detector.changes
    assert detector.seen == 3_000


def test_given_what_is_no_number_when_updated_then_it_is_left_out() -> None:
    detector = StreamingDriftDetector()
    for value in (None, math.nan, math.inf, True, "a", [1.0]):
        assert detector.update({"x": value}) == ()

    assert detector.seen == 6


def test_given_bad_arguments_when_made_then_the_error_says_what_there_is() -> None:
    with pytest.raises(InvalidValueError, match="Page-Hinkley"):
        StreamingDriftDetector("CUSUM")  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="those of River's ADWIN"):
        StreamingDriftDetector("ADWIN", epsilon=3)


def test_given_no_river_when_made_then_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("river"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'watchkeeper\[online\]'"):
        StreamingDriftDetector()
