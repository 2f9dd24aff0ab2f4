import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.stats import sample
from watchkeeper.stats.sample import Sample

ANY = st.lists(st.floats(allow_nan=False), min_size=1, max_size=40)


def shapes(size: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    normal = rng.normal(size=size)
    return {
        "normal": normal,
        "lognormal": rng.lognormal(sigma=3.0, size=size),
        "Cauchy": rng.standard_cauchy(size),
        "far from zero": 1e9 + normal,
        "rounded": np.round(normal, 1),
        "half zeros": np.where(rng.random(size) < 0.5, 0.0, normal),
        "both zeros": np.where(rng.random(size) < 0.5, -0.0, normal),
        "infinities": np.where(rng.random(size) < 0.3, np.copysign(np.inf, normal), normal),
        "extremes": np.where(rng.random(size) < 0.1, np.copysign(1e308, normal), normal),
        "tiny": normal * 1e-310,
        "constant": np.full(size, 0.1),
        "two values": np.where(normal > 0, 3.0, 5.0),
        "one outlier": np.append(normal[1:], 1e300),
    }


@pytest.mark.parametrize("shape", shapes(1))
def test_given_many_values_when_counted_then_ranks_are_those_of_sorting(shape: str) -> None:
    values = shapes(60_000)[shape]
    ranked = np.sort(values)
    spread = np.unique(ranked[np.linspace(0, len(ranked) - 1, 1000).astype(int)])
    asked = Sample(values)

    for points in (spread, np.linspace(-3.0, 3.0, 29), np.array([-np.inf, 0.1, np.inf])):
        below, upto = asked.ranks(points)
        assert below.tolist() == np.searchsorted(ranked, points, side="left").tolist()
        assert upto.tolist() == np.searchsorted(ranked, points, side="right").tolist()
    assert "values" not in vars(asked)  # it was not sorted for that


@settings(deadline=None)
@given(values=ANY, points=ANY)
def test_given_any_values_and_points_when_counted_then_ranks_are_those_of_sorting(
    values: list[float], points: list[float]
) -> None:
    ranked, asked = np.sort(values), np.unique(points)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "_SMALL", 0)  # count even where sorting is quicker
        below, upto = Sample(np.array(values)).ranks(asked)

    assert below.tolist() == np.searchsorted(ranked, asked, side="left").tolist()
    assert upto.tolist() == np.searchsorted(ranked, asked, side="right").tolist()
