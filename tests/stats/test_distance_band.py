import numpy as np
import pytest
from scipy.stats import ks_2samp

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats.distance_band import distance_band


@pytest.mark.parametrize(("shift", "true"), [(0.0, 0.0), (0.3, 0.3)])
def test_given_samples_that_grow_when_looked_at_often_then_the_band_holds_at_all_looks(
    shift: float, true: float
) -> None:
    rng = np.random.default_rng(7)
    missed = 0
    for _ in range(200):
        first, second = rng.random(3_000), rng.random(1_500) + shift
        for size in range(50, 1_501, 145):
            found = float(ks_2samp(first[: 2 * size], second[:size], method="asymp").statistic)
            low, high = distance_band(found, 2 * size, size, 0.1)
            if not low <= true <= high:
                missed += 1
                break
    assert missed <= 20  # a tenth of the runs


def test_given_more_data_when_banded_then_it_is_narrower_and_finds_what_is_there() -> None:
    assert distance_band(0.3, 50, 50)[0] == 0.0
    assert 0.2 < distance_band(0.3, 20_000, 5_000)[0] < 0.3
    assert distance_band(0.3, 20_000, 5_000, 0.5)[0] > distance_band(0.3, 20_000, 5_000, 0.01)[0]


@pytest.mark.parametrize("given", [(1.1, 5, 5), (0.1, 0, 5), (0.1, 5, 0), (0.1, 5, 5, 0.0)])
def test_given_what_cannot_be_when_banded_then_it_is_refused(given: tuple[float, ...]) -> None:
    with pytest.raises(InvalidValueError):
        distance_band(*given)  # type: ignore[arg-type]
