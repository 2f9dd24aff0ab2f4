import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ks_2samp, kstwo

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats import ks_two_sample
from watchkeeper.stats.ks import _one_sided, ks_of_sample
from watchkeeper.stats.sample import Sample

tied = st.integers(-3, 3).map(float)
samples = arrays(np.float64, st.integers(1, 60), elements=tied | st.floats(allow_nan=False))


@pytest.mark.filterwarnings("ignore:ks_2samp")
@given(reference=samples, current=samples)
def test_given_any_samples_when_tested_then_it_is_scipys_test(
    reference: np.ndarray, current: np.ndarray
) -> None:
    expected = ks_2samp(reference, current)

    test = ks_two_sample(reference, current)

    assert test.statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert test.p_value == pytest.approx(expected.pvalue, rel=1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.5])
@pytest.mark.parametrize("sizes", [(20_000, 15_000), (10_001, 300), (200, 30_000)])
@pytest.mark.parametrize("decimals", [1, 12])
def test_given_large_samples_when_tested_then_it_is_scipys_test(
    shift: float, sizes: tuple[int, int], decimals: int
) -> None:
    rng = np.random.default_rng(sum(sizes))
    reference = rng.normal(size=sizes[0]).round(decimals)
    current = (rng.normal(size=sizes[1]) + shift).round(decimals)
    current[:3] = [np.inf, -np.inf, 0.0]
    expected = ks_2samp(reference, current)

    test = ks_two_sample(np.sort(reference), current)

    assert test.statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert test.p_value == pytest.approx(expected.pvalue, rel=1e-9)


@given(sample=samples, scale=st.sampled_from([0.5, 2.0, 1024.0]))
def test_given_another_unit_when_tested_then_the_answer_is_the_same(
    sample: np.ndarray, scale: float
) -> None:
    sample = np.clip(sample, -1e100, 1e100)
    other = sample[::-1] + 1.0

    assert ks_two_sample(sample * scale, other * scale) == ks_two_sample(
        sample * scale, np.random.default_rng(0).permutation(other * scale)
    )


def test_given_identical_samples_when_tested_then_nothing_differs() -> None:
    test = ks_two_sample(np.ones(50), np.ones(70))

    assert (test.statistic, test.p_value, test.effect_size) == (0.0, 1.0, 0.0)


@pytest.mark.parametrize("sample", [[], [1.0, np.nan]])
def test_given_no_values_or_nan_when_tested_then_it_is_an_error(sample: list[float]) -> None:
    with pytest.raises(InvalidValueError, match="current"):
        ks_two_sample(np.ones(3), np.array(sample))


@pytest.mark.parametrize("size", [2_001, 20_000, 500_000])
@pytest.mark.parametrize("scaled", [2.3, 3.0, 9.0, 50.0, 150.0])
def test_given_a_far_tail_when_added_up_in_steps_then_it_is_scipys(
    size: int, scaled: float
) -> None:
    distance = (scaled / size) ** 0.5

    assert 2 * _one_sided(distance, size) == pytest.approx(kstwo.sf(distance, size), rel=1e-10)


@pytest.mark.parametrize("kind", ["normal", "poisson", "cauchy", "disjoint", "constant", "bimodal"])
def test_given_a_hundred_thousand_values_when_tested_then_it_is_scipys_test(kind: str) -> None:
    rng = np.random.default_rng(7)
    size = 100_000
    pairs: dict[str, tuple[np.ndarray, np.ndarray]] = {
        "normal": (rng.normal(size=size), rng.normal(0.01, 1, size)),
        "poisson": (rng.poisson(3, size) * 1.0, rng.poisson(3.05, size) * 1.0),
        "cauchy": (rng.standard_cauchy(size), rng.standard_cauchy(size)),
        "disjoint": (rng.normal(size=size), rng.normal(50, 1, size)),
        "constant": (np.ones(size), rng.normal(size=size)),
        "bimodal": (rng.normal(size=size) + 100 * rng.integers(0, 2, size), rng.normal(size=size)),
    }
    reference, current = pairs[kind]
    expected = ks_2samp(reference, current)

    test = ks_two_sample(np.sort(reference), current)

    assert test.statistic == expected.statistic
    assert test.p_value == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("shift", [0.0, 0.05])
@pytest.mark.parametrize(
    "kind", ["normal", "heavy", "ties", "spike", "far apart", "infinite", "one"]
)
def test_given_a_sample_that_is_not_sorted_when_counted_then_the_distance_is_scipys(
    kind: str, shift: float
) -> None:
    rng = np.random.default_rng(7)

    def drawn(size: int) -> npt.NDArray[np.float64]:
        normal, coin = rng.normal(size=size), rng.random(size) < 0.3
        return {
            "normal": normal,
            "heavy": rng.standard_cauchy(size),
            "ties": np.round(normal, 1),
            "spike": np.where(coin, 0.0, normal),
            "far apart": np.where(coin, 1e-9 * normal, 1e9 + normal),
            "infinite": np.where(coin, np.inf, normal),
            "one": np.full(size, 2.0),
        }[kind]

    first, second = np.sort(drawn(90_000)), drawn(70_000) + shift

    test = ks_of_sample(first, Sample(second))

    theirs = ks_2samp(first, second, method="asymp")
    assert test.statistic == pytest.approx(theirs.statistic, abs=1e-12)
    assert test.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
