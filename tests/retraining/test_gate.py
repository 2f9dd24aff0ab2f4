"""The gate: paired tests against other implementations, segments, limits, and its error rate."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar

from watchkeeper.retraining import Answered, Cost, GateReport, Policy, judge
from watchkeeper.retraining.gate import _one_sided, _weighted_area

CHEAP = Cost(latency_ms=2.0, size=10_000)
NOON = datetime(2026, 6, 3, 12, tzinfo=UTC)
RNG = np.random.default_rng(7)
ACTUAL = RNG.random(2_000) < 0.4


def right(share: float, seed: int, actual: np.ndarray = ACTUAL) -> Answered:
    """Return answers of which about a share is right."""
    wrong = np.random.default_rng(seed).random(len(actual)) >= share
    return Answered(actual ^ wrong)


def verdicts(found: GateReport) -> dict[str, bool]:
    return {each.check: each.passed for each in found.checks}


def test_given_a_better_candidate_when_judged_then_it_passes_with_its_figures() -> None:
    found = judge(
        Policy(), ACTUAL, right(0.9, 1), right(0.8, 2), task="binary", cost=CHEAP,
        boundary=NOON, champion_learned_until=NOON - timedelta(days=1),
    )  # fmt: skip

    assert found.passed
    assert found.candidate["accuracy"] > found.champion["accuracy"]
    assert "gain of accuracy: +0.1" in found.reason
    assert GateReport.from_dict(found.to_dict()) == found


def test_given_the_same_answers_when_judged_then_the_candidate_is_no_better() -> None:
    same = right(0.8, 1)

    found = judge(Policy(), ACTUAL, same, same, task="binary", cost=CHEAP)

    assert not found.passed
    assert verdicts(found) == {
        "later rows": True, "rows": True, "gain of accuracy": False, "latency": True, "size": True,
    }  # fmt: skip


def test_given_candidates_that_are_no_better_when_judged_often_then_few_pass() -> None:
    passed = sum(
        judge(
            Policy(), ACTUAL[:300], right(0.8, 2 * n, ACTUAL[:300]),
            right(0.8, 2 * n + 1, ACTUAL[:300]), task="binary", cost=CHEAP,
        ).passed
        for n in range(400)
    )  # fmt: skip

    assert passed <= 32  # 20 are expected at most; more than 32 happen once in 150


def test_given_a_gain_below_the_least_when_judged_then_it_does_not_pass() -> None:
    policy = Policy(min_gain=0.2)

    assert not judge(policy, ACTUAL, right(0.9, 1), right(0.8, 2), task="binary", cost=CHEAP).passed


def test_given_a_better_auc_and_equal_accuracy_when_judged_then_it_passes() -> None:
    rng = np.random.default_rng(3)
    predicted = np.zeros(2_000, dtype=bool)
    good, poor = (expit(ACTUAL + rng.normal(0, spread, 2_000)) for spread in (0.8, 1.6))

    found = judge(
        Policy(), ACTUAL, Answered(predicted, good), Answered(predicted, poor), task="binary",
        cost=CHEAP,
    )  # fmt: skip

    assert found.passed
    assert verdicts(found)["gain of accuracy"]  # it does not lose
    assert found.candidate["auc"] == pytest.approx(roc_auc_score(ACTUAL, good))


def test_given_a_better_auc_and_worse_accuracy_when_judged_then_it_does_not_pass() -> None:
    rng = np.random.default_rng(3)
    good, poor = (expit(ACTUAL + rng.normal(0, spread, 2_000)) for spread in (0.8, 1.6))

    found = judge(
        Policy(), ACTUAL, Answered(right(0.6, 1).predicted, good),
        Answered(right(0.8, 2).predicted, poor), task="binary", cost=CHEAP,
    )  # fmt: skip

    assert not found.passed
    assert not verdicts(found)["gain of accuracy"]
    assert verdicts(found)["gain of auc"]


def test_given_a_segment_that_is_worse_when_judged_then_it_does_not_pass() -> None:
    carrier = np.where(np.arange(2_000) % 4 == 0, "AA", "UA")
    candidate = right(0.95, 1).predicted.copy()
    small = carrier == "AA"
    candidate[small] = right(0.6, 3).predicted[small]
    policy = Policy(segments=("carrier",))

    found = judge(
        policy, ACTUAL, Answered(candidate), right(0.8, 2), task="binary", cost=CHEAP,
        segments={"carrier": carrier.tolist()},
    )  # fmt: skip

    assert not found.passed
    assert not verdicts(found)["segment carrier=AA"]
    assert verdicts(found)["segment carrier=UA"]
    assert verdicts(found)["gain of accuracy"]


@pytest.mark.parametrize(
    ("check", "cost", "until"),
    [
        ("latency", Cost(latency_ms=600.0, size=1), NOON),
        ("size", Cost(latency_ms=1.0, size=10**12), NOON),
        ("later rows", CHEAP, NOON + timedelta(seconds=1)),
    ],
)
def test_given_a_limit_that_is_broken_when_judged_then_that_check_fails(
    check: str, cost: Cost, until: datetime
) -> None:
    found = judge(
        Policy(), ACTUAL, right(0.9, 1), right(0.8, 2), task="binary", cost=cost, boundary=NOON,
        champion_learned_until=until,
    )  # fmt: skip

    assert [name for name, passed in verdicts(found).items() if not passed] == [check]
    assert not found.passed


def test_given_errors_that_shrink_when_a_regression_is_judged_then_it_passes() -> None:
    actual = RNG.normal(size=500)
    better, worse = (Answered(actual + RNG.normal(0, s, 500)) for s in (0.5, 1.0))

    assert judge(Policy(), actual, better, worse, task="regression", cost=CHEAP).passed
    found = judge(Policy(), actual, worse, better, task="regression", cost=CHEAP)
    assert not found.passed
    assert "gain of mae: -" in found.reason


def test_given_classes_when_judged_then_accuracy_decides() -> None:
    actual = np.array(["a", "b", "c"] * 100, dtype=object)
    worse = np.where(np.arange(300) % 3 == 0, "b", actual).astype(object)

    assert judge(
        Policy(), actual, Answered(actual), Answered(worse), task="multiclass", cost=CHEAP
    ).passed


def test_given_a_first_version_when_judged_then_nobody_has_to_be_beaten() -> None:
    assert judge(Policy(), ACTUAL, right(0.6, 1), None, task="binary", cost=CHEAP).passed


def test_given_pairs_when_tested_then_the_p_values_are_those_of_statsmodels() -> None:
    own, theirs = right(0.85, 1).predicted == ACTUAL, right(0.8, 2).predicted == ACTUAL
    table = [
        [np.sum(own & theirs), np.sum(own & ~theirs)],
        [np.sum(~own & theirs), np.sum(~own & ~theirs)],
    ]

    more, less = _one_sided(own, theirs)

    assert 2 * min(more, less) == pytest.approx(mcnemar(table, exact=True).pvalue)


def test_given_weights_when_the_area_is_taken_then_it_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    scores, counts = rng.integers(0, 20, 300) / 20, rng.integers(0, 4, 300).astype(float)
    truth = rng.random(300) < 0.3

    area = _weighted_area(scores, truth)

    assert area(counts) == pytest.approx(roc_auc_score(truth, scores, sample_weight=counts))
    assert area(truth.astype(float)) is None
