import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from watchkeeper.errors import InvalidValueError
from watchkeeper.incidents import AlertRepository, notification_of
from watchkeeper.store import ControlDatabase

NOW = datetime(2026, 7, 1, 3, 5, tzinfo=UTC)


def notification(**changes: Any) -> dict[str, Any]:
    """Return what Alertmanager 0.25 posts."""
    alert = {
        "status": "firing",
        "labels": {"alertname": "HighErrorRate", "model": "flights", "severity": "critical"},
        "annotations": {"summary": "flights 1.0.0 fails"},
        "startsAt": "2026-07-01T03:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "8d1c4f",
    }
    return {
        "receiver": "page",
        "status": "firing",
        "alerts": [alert | changes],
        "groupLabels": {"alertname": "HighErrorRate"},
        "externalURL": "http://alertmanager",
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
    }


OVER = {"status": "resolved", "endsAt": "2026-07-01T03:04:00Z"}


@pytest.fixture
def repository(tmp_path: Path) -> Any:
    with closing(ControlDatabase(f"sqlite:///{tmp_path / 'control.db'}")) as database:
        yield AlertRepository(database)


def test_given_an_alert_when_it_is_repeated_and_ends_then_it_is_one_alert(
    repository: AlertRepository,
) -> None:
    told = [
        repository.receive(notification_of(notification(**changes)).alerts, at=NOW)
        for changes in ({}, {}, OVER, OVER)
    ]

    assert [[alert.status for alert in news] for news in told] == [
        ["firing"], [], ["resolved"], [],
    ]  # fmt: skip
    (kept,) = repository.find()
    assert (kept.name, kept.status, kept.receiver) == ("HighErrorRate", "resolved", "page")
    assert kept.ends_at == datetime(2026, 7, 1, 3, 4, tzinfo=UTC)
    assert kept.starts_at - datetime(2026, 7, 1, 3, tzinfo=UTC) < timedelta(seconds=1)
    assert kept.labels["model"] == "flights"


def test_given_an_alert_that_comes_back_when_received_then_what_was_said_last_is_true(
    repository: AlertRepository,
) -> None:
    again = {"startsAt": "2026-07-02T03:00:00Z"}
    for changes in (OVER, {}, again):
        repository.receive(notification_of(notification(**changes)).alerts, at=NOW)

    assert [alert.status for alert in repository.find()] == ["firing", "firing"]
    assert [alert.ends_at for alert in repository.find("firing")] == [None, None]
    assert repository.find("resolved") == []
    assert repository.find(name="Other") == []


def test_given_a_repository_when_opened_again_then_alerts_are_there(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'control.db'}"
    with closing(ControlDatabase(url)) as database:
        AlertRepository(database).receive(notification_of(notification()).alerts, at=NOW)
    with closing(ControlDatabase(url)) as again:
        kept = AlertRepository(again).find("firing")

    assert [alert.fingerprint for alert in kept] == ["8d1c4f"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"status": "pending"}, "alerts[0].status is 'pending'; expected firing or resolved"),
        ({"labels": {}}, "alerts[0].labels.alertname"),
        ({"labels": None}, "alerts[0].labels"),
        ({"labels": {"alertname": 3}}, "alerts[0].labels.alertname is 3"),
        ({"fingerprint": ""}, "alerts[0].fingerprint"),
        ({"fingerprint": "x" * 2000}, "alerts[0].fingerprint"),
        ({"startsAt": "soon"}, "alerts[0].startsAt"),
        ({"startsAt": 7}, "alerts[0].startsAt"),
        ({"status": "resolved", "endsAt": None}, "alerts[0].endsAt"),
        ({"annotations": []}, "alerts[0].annotations"),
    ],
)
def test_given_a_bad_alert_when_read_then_the_error_names_the_field(
    changes: dict[str, Any], told: str
) -> None:
    good = notification()["alerts"]
    read = notification_of(
        {**notification(**changes), "alerts": [*notification(**changes)["alerts"], *good]}
    )
    (refused,) = read.refused
    assert told in str(refused)
    assert [alert.fingerprint for alert in read.alerts] == ["8d1c4f"]


@pytest.mark.parametrize("body", [None, [], {}, {"alerts": None}])
def test_given_no_notification_when_read_then_the_error_says_what_was_expected(body: Any) -> None:
    with pytest.raises(InvalidValueError, match="expected"):
        notification_of(body)


def test_given_no_alerts_when_read_then_there_are_none() -> None:
    assert notification_of(json.loads('{"alerts": []}')).alerts == ()
