from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats import RateDropDetector


@given(
    outcomes=st.lists(st.booleans(), max_size=300),
    cut=st.integers(0, 300),
    baseline=st.sampled_from([0.3, 0.92, 0.999]),
    drop=st.sampled_from([0.01, 0.1, 0.29]),
)
def test_given_any_outcomes_when_taken_singly_or_together_then_it_is_the_same(
    outcomes: list[bool], cut: int, baseline: float, drop: float
) -> None:
    singly = RateDropDetector(baseline, drop, false_alarms=1e-3)
    together = RateDropDetector(baseline, drop, false_alarms=1e-3)

    told = [singly.update(outcome) for outcome in outcomes]
    together.update_many(outcomes[:cut])
    found = together.update_many(outcomes[cut:])

    assert found == singly.alarmed_at == together.alarmed_at
    assert found == (told.index(True) if any(told) else None)
    assert together.statistic == pytest.approx(singly.statistic, rel=1e-9)
    assert together.seen == singly.seen


def test_given_long_streams_when_taken_together_then_no_number_overflows() -> None:
    detector = RateDropDetector(0.9999, 0.00001)

    assert detector.update_many(np.ones(100_000, dtype=bool)) is None
    assert np.isfinite(detector.statistic)
    assert detector.update_many(np.zeros(10, dtype=bool)) is not None


@pytest.mark.parametrize(("to", "within"), [(0.82, 300), (0.5, 30), (0.2, 15)])
def test_given_a_fall_when_watched_then_it_is_noticed_the_sooner_the_worse_it_is(
    to: float, within: int
) -> None:
    rng, delays = np.random.default_rng(20130101), []
    for _ in range(200):
        detector = RateDropDetector(0.92, 0.05)
        assert detector.update_many(rng.random(500) < 0.92) is None
        alarm = detector.update_many(rng.random(5_000) < to)
        assert alarm is not None
        delays.append(alarm - 499)

    assert np.median(delays) <= within


@pytest.mark.parametrize("rate", [0.92, 0.95])
def test_given_no_fall_when_watched_long_then_alarms_are_as_rare_as_it_says(rate: float) -> None:
    # 4,000,000 outcomes: at most 40 alarms are expected, so 60 would be three deviations more.
    rng, alarms, seen = np.random.default_rng(20130101), 0, 0
    detector = RateDropDetector(0.92, 0.05)
    while seen < 4_000_000:
        if detector.update_many(rng.random(8_192) < rate) is not None:
            alarms, seen = alarms + 1, seen + detector.seen
            detector.reset()
        elif detector.seen > 1_000_000:
            seen += detector.seen
            detector.reset()

    assert alarms <= 60


def test_given_an_alarm_when_more_comes_then_it_stays_until_reset() -> None:
    detector = RateDropDetector(0.9, 0.1)
    at = detector.update_many([False] * 50)

    assert at is not None
    assert detector.update(True)
    assert detector.update_many([True] * 1_000) == at
    assert (detector.alarmed_at, detector.seen) == (at, at + 1)
    assert detector.statistic >= detector.threshold == pytest.approx(100_000)

    detector.reset()
    assert (detector.alarmed_at, detector.seen, detector.statistic) == (None, 0, 0.0)
    assert not detector.update(False)


@pytest.mark.parametrize(
    "how",
    [
        {"baseline": 0.0},
        {"baseline": 1.0},
        {"baseline": 0.04},
        {"baseline": 0.9, "smallest_drop": 0.0},
        {"baseline": 0.9, "smallest_drop": 0.9},
        {"baseline": 0.9, "false_alarms": 0.0},
        {"baseline": 0.9, "false_alarms": 1.0},
    ],
)
def test_given_bad_arguments_when_made_then_it_is_a_clear_error(how: Any) -> None:
    with pytest.raises(InvalidValueError, match="expected"):
        RateDropDetector(**how)


def test_given_a_table_when_taken_then_it_is_an_error() -> None:
    with pytest.raises(InvalidValueError):
        RateDropDetector(0.9).update_many([[True], [False]])
