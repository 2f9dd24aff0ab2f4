from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from watchkeeper.identity import By
from watchkeeper.records import AuditTrail, Entry
from watchkeeper.store import ControlDatabase

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.fixture
def trail(tmp_path: Path) -> Iterator[AuditTrail]:
    with closing(ControlDatabase(f"sqlite:///{tmp_path / 'control.db'}")) as database:
        yield AuditTrail(database)


def noted(trail: AuditTrail, subject: str, action: str = "promote", hours: int = 0) -> Entry:
    return trail.note(
        at=NOON + timedelta(hours=hours),
        action=action,
        subject=subject,
        by=By("maria", "better"),
        evidence={"gain": float("nan"), "days": [1, 2]},
    )


def test_given_entries_when_kept_then_they_are_found_as_they_were_the_newest_first(
    trail: AuditTrail,
) -> None:
    kept = [noted(trail, "flights:1.0.0"), noted(trail, "flights:1.1.0")]
    assert trail.entries() == kept[::-1]
    assert kept[0].evidence == {"gain": None, "days": [1, 2]}
    assert kept[0].number is not None
    assert kept[1].number == kept[0].number + 1


def test_given_several_models_when_asked_for_one_then_a_longer_name_is_another(
    trail: AuditTrail,
) -> None:
    of_flights = noted(trail, "flights:1.0.0")
    of_flights_2 = noted(trail, "flights_2:1.0.0", "loadtest")
    of_system = noted(trail, "system:backup", "backup")
    assert trail.entries("flights") == [of_flights]
    assert trail.entries(action="loadtest") == [of_flights_2]
    assert trail.entries("system", subject="system:backup") == [of_system]
    assert of_system.model == "system"


def test_given_a_number_or_how_actions_begin_when_asked_then_there_are_only_such_entries(
    trail: AuditTrail,
) -> None:
    first = noted(trail, "flights:1.0.0")
    second = noted(trail, "flights:rollouts/june", "rollout step")
    third = noted(trail, "flights:1.0.0", "rollback")
    assert trail.entries(before=third.number, limit=1) == [second]
    assert trail.entries(beginning=("rollout ", "rollback")) == [third, second]
    assert trail.actions() == sorted({first.action, second.action, third.action})


def test_given_a_window_when_asked_then_its_end_is_not_in_it(trail: AuditTrail) -> None:
    first, second, third = (noted(trail, "flights:1.0.0", hours=each) for each in range(3))
    assert trail.entries(since=first.at, until=third.at) == [second, first]
    assert trail.entries(limit=1) == [third]
