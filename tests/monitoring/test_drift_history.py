from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from watchkeeper.drift.checks import DRIFTED, STEADY, UNKNOWN
from watchkeeper.monitoring.drift_history import DriftHistory
from watchkeeper.records import Unread
from watchkeeper.results import strict_json

START = datetime(2013, 7, 1, tzinfo=UTC)


class Kept:
    """Findings in memory, which count how many are read."""

    def __init__(self) -> None:
        self.all: list[Unread] = []
        self.read = 0

    def add(self, hours: int, *, end: bool = True, **features: dict[str, Any]) -> None:
        at = START + timedelta(hours=hours)
        evidence = strict_json({"features": features, "threshold": 0.05})
        self.all.append(
            Unread(
                number=len(self.all) + 1,
                bad=any(each["drift_detected"] for each in features.values()),
                at=at,
                end=at - timedelta(minutes=5) if end else None,
                evidence=evidence,
            )
        )

    def unread(
        self,
        model: str,
        kind: str,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 500,
    ) -> list[Unread]:
        assert (model, kind) == ("flights", "drift")
        found = [
            each
            for each in reversed(self.all)
            if each.number > after and (before is None or each.number < before)
        ][:limit]
        self.read += len(found)
        return found


def drift(detected: bool | None, effect: float | None) -> dict[str, Any]:
    return {"drift_detected": detected, "effect_size": effect, "p_value": 0.1}


def test_given_more_findings_than_are_read_at_once_when_asked_then_each_is_read_once() -> None:
    kept = Kept()
    for number in range(1_201):
        kept.add(number, temp=drift(number % 2 == 0, 0.1))
    history = DriftHistory(kept)

    assert len(history.checks("flights")) == 1_201
    assert len(history.checks("flights")) == 1_201
    assert kept.read == 1_201

    kept.add(5_000, temp=drift(None, None), wind=drift(True, 0.4))
    found = history.checks("flights")

    assert kept.read == 1_202
    assert len(found) == 1_202
    assert found.features == ("temp", "wind")
    assert found.states[-1].tolist() == [UNKNOWN, DRIFTED]
    assert np.isnan(found.effects[-1, 0])


def test_given_a_check_of_all_that_is_recorded_when_asked_then_its_time_is_when_it_was_made() -> (
    None
):
    kept = Kept()
    kept.add(1, end=False, temp=drift(False, 0.0))
    kept.add(2, temp=drift(False, 0.0))

    found = DriftHistory(kept).checks("flights")

    assert [found.moment(row) for row in (0, 1)] == [
        START + timedelta(hours=1),
        START + timedelta(hours=2) - timedelta(minutes=5),
    ]
    assert found.states[0, 0] == STEADY


def test_given_no_finding_when_asked_then_there_is_no_check() -> None:
    assert not len(DriftHistory(Kept()).checks("flights"))
