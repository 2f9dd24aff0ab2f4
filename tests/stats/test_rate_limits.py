from math import exp, inf, log

import numpy as np
import pytest
from scipy import integrate, stats

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats.rate_limits import evidence_above, evidence_below, evidence_of_steps


@pytest.mark.parametrize(
    ("bad", "good", "evidence"),
    [(10, 90, 1.3997582666), (3, 17, 1.0577944191), (0, 50, -1.7790528180),
     (60, 940, -0.8089372155)],
)  # fmt: skip
def test_given_counts_when_weighed_then_the_evidence_is_the_figure_of_reference(
    bad: int, good: int, evidence: float
) -> None:
    assert evidence_above(bad, good, 0.05) == pytest.approx(evidence, abs=1e-9)


@pytest.mark.parametrize(
    ("requests", "least"),
    [(10, 4), (20, 5), (50, 8), (100, 12), (200, 20), (500, 41), (1000, 73), (5000, 303)],
)
def test_given_requests_when_few_are_bad_then_the_smallest_number_that_fails_is_that_of_reference(
    requests: int, least: int
) -> None:
    found = [evidence_above(bad, requests - bad, 0.05) >= log(20) for bad in range(requests + 1)]

    assert found.index(True) == least
    assert all(found[least:])


@pytest.mark.parametrize(("bad", "requests"), [(0, 88), (1, 134), (2, 174), (5, 277), (10, 430)])
def test_given_few_bad_ones_when_safety_is_proved_then_it_takes_the_requests_of_reference(
    bad: int, requests: int
) -> None:
    assert evidence_below(bad, requests - bad, 0.05) >= log(20)
    assert evidence_below(bad, requests - bad - 1, 0.05) < log(20)


@pytest.mark.parametrize(("bad", "good", "limit"), [(7, 60, 0.05), (3, 400, 0.01), (30, 20, 0.7)])
def test_given_counts_when_the_likelihood_is_averaged_then_quadrature_agrees(
    bad: int, good: int, limit: float
) -> None:
    mean = min(2 * limit, (1 + limit) / 2)
    prior = stats.beta(20 * mean, 20 * (1 - mean))

    def relative(rate: float) -> float:
        return (rate / limit) ** bad * ((1 - rate) / (1 - limit)) ** good

    above, _ = integrate.quad(lambda p: relative(p) * prior.pdf(p), limit, 1, limit=200)
    below, _ = integrate.quad(relative, 0, limit, limit=200)

    assert exp(evidence_above(bad, good, limit)) == pytest.approx(above / prior.sf(limit), rel=1e-6)
    assert exp(evidence_below(bad, good, limit)) == pytest.approx(below / limit, rel=1e-6)


def test_given_a_good_canary_of_many_requests_when_weighed_then_there_is_no_evidence() -> None:
    assert evidence_above(1_200, 118_800, 0.05) == -inf
    assert evidence_of_steps([(1_200, 118_800)], 11, 0.05) == pytest.approx(10 / 22)


def test_given_a_rate_at_its_limit_when_looked_at_often_then_few_are_called_bad() -> None:
    rng = np.random.default_rng(3)
    false = 0
    for _ in range(400):
        steps: list[tuple[int, int]] = []
        for _ in range(4):
            bad = good = 0
            for some in rng.binomial(25, 0.05, 12):
                bad, good = bad + int(some), good + 25 - int(some)
                if evidence_of_steps([*steps, (bad, good)], 4, 0.05) >= 20:
                    false += 1
                    break
            else:
                steps.append((bad, good))
                continue
            break

    assert false / 400 <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


def test_given_a_version_that_fails_under_load_only_when_weighed_then_its_step_tells_it() -> None:
    steps = [(10, 990)] * 5

    together = exp(evidence_above(50 + 45, 4_950 + 255, 0.05))
    assert together < 20
    assert evidence_of_steps([*steps, (45, 255)], 11, 0.05) > 20


@pytest.mark.parametrize(
    ("arguments", "told"),
    [((-1, 3, 0.05), "bad is -1"), ((1, -3, 0.05), "good is -3"), ((1, 3, 0.0), "limit is 0"),
     ((1, 3, 1.0), "limit is 1")],
)  # fmt: skip
def test_given_nonsense_when_weighed_then_the_error_says_what(
    arguments: tuple[int, int, float], told: str
) -> None:
    with pytest.raises(InvalidValueError, match=told):
        evidence_above(*arguments)
    with pytest.raises(InvalidValueError, match="planned"):
        evidence_of_steps([(1, 1), (1, 1)], 1, 0.05)
