"""The exact figures are closed forms; draws check what has none."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betaln

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats import bayesian_report

Counts = tuple[int, int]
counts = st.integers(1, 3_000).flatmap(
    lambda total: st.tuples(st.integers(0, total), st.just(total))
)


def exceeds(a: float, b: float, c: int, d: float) -> float:
    """Return P(Y > X) of X ~ Beta(a, b) and Y ~ Beta(c, d): Evan Miller's sum, for whole c."""
    k = np.arange(c)
    terms = betaln(a + k, b + d) - np.log(d + k) - betaln(1 + k, d) - betaln(a, b)
    return float(np.exp(terms).sum())


def loss(a: float, b: float, c: int, d: float) -> float:
    """Return E[(Y - X)+]: means times probabilities, with one event more on either side."""
    return c / (c + d) * exceeds(a, b, c + 1, d) - a / (a + b) * exceeds(a + 1, b, c, d)


def test_given_the_reference_case_when_asked_then_the_figure_is_the_published_one() -> None:
    report = bayesian_report({"control": (2_000, 10_000), "treatment": (220, 1_000)})

    control, treatment = report.arms.values()
    assert treatment.probability_best == pytest.approx(0.934912061351, abs=2e-12)
    assert treatment.probability_better == pytest.approx(treatment.probability_best, abs=1e-14)
    assert control.probability_best == pytest.approx(1 - treatment.probability_best, abs=1e-12)
    assert treatment.mean == 221 / 1_002
    assert treatment.difference == pytest.approx(221 / 1_002 - 2_001 / 10_002)
    assert (control.difference, control.difference_interval) == (None, None)
    assert report.credibility == pytest.approx(95.0)


@settings(deadline=None, max_examples=30)
@given(control=counts, treatment=counts)
def test_given_two_arms_when_asked_then_probability_and_loss_are_the_exact_ones(
    control: Counts, treatment: Counts
) -> None:
    # Logarithms of the closed forms are large: these know nine digits, the quadrature more.
    (s, m), (t, n) = control, treatment
    a, b, c, d = 1 + s, 1 + m - s, 1 + t, 1 + n - t

    own, other = bayesian_report({"a": control, "b": treatment}).arms.values()

    assert other.probability_best == pytest.approx(exceeds(a, b, c, d), abs=1e-8)
    assert own.probability_best + other.probability_best == pytest.approx(1.0, abs=1e-11)
    assert own.expected_loss == pytest.approx(loss(a, b, c, d), abs=1e-8)
    assert own.expected_loss - other.expected_loss == pytest.approx(
        other.mean - own.mean, abs=1e-10
    )
    low, high = other.difference_interval or (1.0, 0.0)
    assert -1.0 <= low < high <= 1.0


def test_given_three_arms_when_asked_then_draws_agree() -> None:
    arms = {"a": (20, 100), "b": (26, 110), "c": (2, 9)}
    rng = np.random.default_rng(1)
    drawn = np.array([rng.beta(0.5 + s, 2 + n - s, 400_000) for s, n in arms.values()])

    report = bayesian_report(arms, prior=(0.5, 2.0), credibility=0.9)

    best = np.bincount(drawn.argmax(axis=0)) / drawn.shape[1]
    losses = (drawn.max(axis=0) - drawn).mean(axis=1)
    for at, found in enumerate(report.arms.values()):
        assert found.probability_best == pytest.approx(best[at], abs=4e-3)
        assert found.expected_loss == pytest.approx(losses[at], abs=3e-4)
        assert found.credible_interval == pytest.approx(
            tuple(np.quantile(drawn[at], [0.05, 0.95])), abs=3e-3
        )
        if at:
            assert found.probability_better == pytest.approx(
                np.mean(drawn[at] > drawn[0]), abs=4e-3
            )
            assert found.difference_interval == pytest.approx(
                tuple(np.quantile(drawn[at] - drawn[0], [0.05, 0.95])), abs=3e-3
            )
    assert sum(each.probability_best for each in report.arms.values()) == pytest.approx(1.0)


def test_given_errors_when_fewer_are_better_then_the_arms_change_places() -> None:
    errors = {"a": (30, 100), "b": (20, 90)}
    successes = {name: (n - s, n) for name, (s, n) in errors.items()}

    of_errors = bayesian_report(errors, higher_is_better=False).arms["b"]
    of_successes = bayesian_report(successes).arms["b"]

    assert of_errors.probability_best == pytest.approx(of_successes.probability_best)
    assert of_errors.probability_better == pytest.approx(of_successes.probability_better)
    assert of_errors.expected_loss == pytest.approx(of_successes.expected_loss)
    assert of_errors.mean == pytest.approx(1 - of_successes.mean)
    low, high = of_successes.difference_interval or (0.0, 0.0)
    assert of_errors.difference_interval == pytest.approx((-high, -low))


@pytest.mark.parametrize(
    ("arms", "prior"),
    [
        ({"a": (10**9, 10**9), "b": (10**9 - 3, 10**9)}, (1.0, 1.0)),
        ({"a": (10**8, 10**9), "b": (10**8 + 20_000, 10**9), "c": (1, 9)}, (1.0, 1.0)),
        ({"a": (0, 10**9), "b": (10**9, 10**9)}, (1.0, 1.0)),
        ({"a": (0, 1), "b": (1, 1)}, (0.1, 0.1)),
        ({"a": (0, 1), "b": (0, 10**9), "c": (1, 1)}, (0.1, 0.1)),
        ({f"{at}": (100 + at, 1_000) for at in range(5)}, (1.0, 1.0)),
    ],
)
def test_given_extremes_when_asked_then_probabilities_add_up_and_losses_to_the_means(
    arms: dict[str, Counts], prior: tuple[float, float]
) -> None:
    found = [*bayesian_report(arms, prior=prior).arms.values()]

    assert sum(each.probability_best for each in found) == pytest.approx(1.0, abs=1e-9)
    # What every arm would lose, and what it has, is the mean of the best.
    best = [each.mean + each.expected_loss for each in found]
    assert best == pytest.approx([best[0]] * len(best), abs=1e-9)
    assert min(each.expected_loss for each in found) >= 0.0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"arms": {"a": (1, 2)}}, "at least one other arm"),
        ({"arms": {"a": (0, 0), "b": (1, 2)}}, r"arms\['a'\] is \(0, 0\)"),
        ({"arms": {"a": (1, 2), "b": (3, 2)}}, r"arms\['b'\] is \(3, 2\)"),
        ({"arms": {"a": (1, 2), "b": (0.5, 2)}}, r"arms\['b'\]"),
        ({"prior": (0.0, 1.0)}, r"prior is \(0.0, 1.0\); expected two numbers of at least 0.1"),
        ({"credibility": 95}, "credibility is 95"),
    ],
)
def test_given_wrong_arguments_when_asked_then_the_error_says_what_is_wrong(
    changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidValueError, match=told):
        bayesian_report(**{"arms": {"a": (1, 2), "b": (1, 2)}, **changes})
