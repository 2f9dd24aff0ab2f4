"""Whether to train: a function of stored facts; and the parts it is made of."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.errors import InvalidValueError
from watchkeeper.policies.schedules import last_fire
from watchkeeper.retraining import Facts, Policy, RetrainingDecision, decide, next_version

NOW = datetime(2026, 6, 3, 12, tzinfo=UTC)  # a Wednesday
WORSE = {"number": 7, "bad": True, "summary": "", "drops": {"accuracy": 0.08, "auc": 0.01}}
FACTS = Facts(champion="late:1.0.0", quality=WORSE, new_labelled=10)


@pytest.mark.parametrize(
    ("production", "expected"),
    [
        (None, "1.0.0"), ("1.2.3", "1.2.4"), ("v1.2.3", "v1.2.4"), ("2", "2.0.1"),
        ("1.4", "1.4.1"), ("1.2.3-rc1", "1.2.4"), ("1.2.3.4", "1.2.4"), ("blue", "1.0.0"),
        ("2026-06-01", "2026.0.1"), ("latest_7", "1.0.0"),
    ],
)  # fmt: skip
def test_given_any_version_when_trained_again_then_the_patch_number_grows(
    production: str | None, expected: str
) -> None:
    assert next_version(production) == expected


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,30}", fullmatch=True), st.integers(0, 20))
def test_given_versions_that_are_taken_when_the_next_is_named_then_it_is_free(
    production: str, more: int
) -> None:
    taken = {production}
    for _ in range(more):
        taken.add(next_version(production, taken))

    assert len(taken) == more + 1


@pytest.mark.parametrize(
    ("change", "train", "told"),
    [
        ({}, True, "accuracy 8.0%"),
        ({"quality": None}, False, "nothing asks"),
        ({"new_labelled": 0}, False, "no outcome has come"),
        ({"busy": "the rollout x is under way"}, False, "the rollout x"),
        ({"last_started": NOW - timedelta(hours=2)}, False, "cool-down lasts until"),
        ({"last_started": NOW - timedelta(hours=12)}, True, "accuracy"),
        ({"started_within_day": 2}, False, "budget is 2"),
        ({"champion": None}, False, "nothing is in production"),
        ({"fire": NOW, "quality": None}, True, "schedule"),
        ({"quality": {**WORSE, "drops": {"accuracy": 0.05}}}, False, "nothing asks"),
        ({"asked_by": "maria", "last_started": NOW, "new_labelled": 0}, True, "asked for by maria"),
        ({"asked_by": "maria", "busy": "it is"}, False, "it is"),
    ],
)
def test_given_facts_when_decided_then_the_reason_has_the_figures(
    change: dict[str, Any], train: bool, told: str
) -> None:
    found = decide(Policy(), replace(FACTS, **change), NOW)

    assert (found.train, told in found.reason) == (train, True), found.reason


def test_given_enough_new_outcomes_when_decided_then_they_ask_only_where_the_policy_lets_them() -> (
    None
):
    facts = Facts(champion="late:1.0.0", new_labelled=1_500)

    assert not decide(Policy(), facts, NOW).train
    found = decide(Policy(triggers=("outcomes",)), facts, NOW)
    assert found.train
    assert "1,500 new outcomes" in found.reason


def test_given_a_decision_when_it_is_stored_then_it_can_be_made_again() -> None:
    policy = Policy(segments=("carrier",), schedule="30 4 * * 1-5")
    facts = replace(FACTS, fire=NOW, last_started=NOW - timedelta(days=3))
    found = decide(policy, facts, NOW)

    again = decide(Policy.from_dict(policy.to_dict()), Facts.from_dict(facts.to_dict()), NOW)

    assert again == found == RetrainingDecision.from_dict(found.to_dict())


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("0 2 * * *", timedelta(days=1), datetime(2026, 6, 3, 2, tzinfo=UTC)),
        ("0 2 * * *", timedelta(hours=10), None),
        ("0 2 * * *", timedelta(days=400), datetime(2026, 6, 3, 2, tzinfo=UTC)),
        ("* * * * *", timedelta(days=900), NOW),
        ("0 2 * * 0", timedelta(days=30), datetime(2026, 5, 31, 2, tzinfo=UTC)),  # Sunday
        ("0 2 * * 7", timedelta(days=30), datetime(2026, 5, 31, 2, tzinfo=UTC)),
        ("0 2 * * 1-5", timedelta(days=30), datetime(2026, 6, 3, 2, tzinfo=UTC)),
        ("0 0 29 2 *", timedelta(days=1400), datetime(2024, 2, 29, tzinfo=UTC)),
        ("0 12 * * *", timedelta(days=1), NOW),
    ],
)
def test_given_a_schedule_when_looked_at_then_only_its_last_time_counts(
    schedule: str, after: timedelta, expected: datetime | None
) -> None:
    assert last_fire(schedule, NOW - after, NOW) == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schedule", "every day"), ("schedule", "0 25 * * *"), ("triggers", ("moon",)),
        ("on_success", "hope"), ("holdout", 1.0), ("daily_budget", 0), ("cooldown_hours", -1.0),
        ("time_limit", 0.0), ("max_relative_drop", 0.0),
    ],
)  # fmt: skip
def test_given_a_policy_that_cannot_be_when_made_then_it_says_which_value(
    field: str, value: object
) -> None:
    with pytest.raises(InvalidValueError, match=field):
        Policy(**{field: value})  # type: ignore[arg-type]
