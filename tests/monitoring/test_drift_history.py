from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from watchkeeper.drift.checks import DRIFTED, STEADY, UNKNOWN
from watchkeeper.monitoring.drift_history import DriftHistory
from watchkeeper.records import Finding, FindingRepository, Unread
from watchkeeper.store.database import ControlDatabase

START = datetime(2013, 7, 1, tzinfo=UTC)


class CountedFindings(FindingRepository):
    """Drift checks of flights in a database, which count how many are read."""

    def __init__(self, database: ControlDatabase) -> None:
        super().__init__(database)
        self.read = 0

    def add_check(self, hours: int, *, end: bool = True, **features: dict[str, Any]) -> None:
        at = START + timedelta(hours=hours)
        self.add(
            Finding(
                model="flights",
                kind="drift",
                bad=any(feature["drift_detected"] for feature in features.values()),
                summary="",
                at=at,
                start=None,
                end=at - timedelta(minutes=5) if end else None,
                table_versions={},
                evidence={"features": features, "threshold": 0.05},
            )
        )

    def unread(self, *query: Any, **limits: Any) -> list[Unread]:
        findings = super().unread(*query, **limits)
        self.read += len(findings)
        return findings


@pytest.fixture
def findings() -> Iterator[CountedFindings]:
    with closing(ControlDatabase("sqlite://")) as database:
        yield CountedFindings(database)


def drift(detected: bool | None, effect: float | None) -> dict[str, Any]:
    return {"drift_detected": detected, "effect_size": effect, "p_value": 0.1}


def test_given_more_findings_than_are_read_at_once_when_asked_then_each_is_read_once(
    findings: CountedFindings,
) -> None:
    for number in range(1_201):
        findings.add_check(number, temp=drift(number % 2 == 0, 0.1))
    history = DriftHistory(findings)

    assert len(history.checks("flights")) == 1_201
    assert len(history.checks("flights")) == 1_201
    assert findings.read == 1_201

    findings.add_check(5_000, temp=drift(None, None), wind=drift(True, 0.4))
    checks = history.checks("flights")

    assert findings.read == 1_202
    assert len(checks) == 1_202
    assert checks.features == ("temp", "wind")
    assert checks.states[-1].tolist() == [UNKNOWN, DRIFTED]
    assert np.isnan(checks.effects[-1, 0])


def test_given_a_check_of_all_that_is_recorded_when_asked_then_its_time_is_when_it_was_made(
    findings: CountedFindings,
) -> None:
    findings.add_check(1, end=False, temp=drift(False, 0.0))
    findings.add_check(2, temp=drift(False, 0.0))

    checks = DriftHistory(findings).checks("flights")

    assert [checks.moment(row) for row in (0, 1)] == [
        START + timedelta(hours=1),
        START + timedelta(hours=2) - timedelta(minutes=5),
    ]
    assert checks.states[0, 0] == STEADY


def test_given_no_finding_when_asked_then_there_is_no_check(
    findings: CountedFindings,
) -> None:
    assert not len(DriftHistory(findings).checks("flights"))
