from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from watchkeeper.app import App
from watchkeeper.config import Settings
from watchkeeper.server import create_asgi

ALERT = {
    "status": "firing",
    "labels": {"alertname": "HighErrorRate", "model": "lr"},
    "annotations": {"summary": "lr 1 fails"},
    "startsAt": "2026-07-01T03:00:00Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "",
    "fingerprint": "8d1c",
}


def test_given_a_notification_when_posted_then_its_alerts_are_listed_and_counted(
    client: TestClient,
) -> None:
    body = {"version": "4", "receiver": "page", "alerts": [ALERT]}
    first = client.post("/v1/alerts/alertmanager", json=body)
    second = client.post("/v1/alerts/alertmanager", json=body)
    listed = client.get("/v1/alerts", params={"status": "firing"}).json()["alerts"]
    metrics = client.get("/metrics").text

    assert (first.status_code, first.json(), second.json()) == (
        200,
        {"received": 1},
        {"received": 0},
    )
    assert [(each["name"], each["receiver"], each["ends_at"]) for each in listed] == [
        ("HighErrorRate", "page", None)
    ]
    assert 'watchkeeper_alerts_received_total{status="firing"} 1.0' in metrics
    assert client.get("/v1/alerts", params={"status": "resolved"}).json() == {"alerts": []}


def test_given_bad_notifications_when_posted_then_they_are_refused(
    client: TestClient,
) -> None:
    for body, field in (
        (b"{", "JSON"),
        (b"[]", "body"),
        (b'{"alerts": 3}', "alerts"),
    ):
        answer = client.post("/v1/alerts/alertmanager", content=body)
        assert answer.status_code == 400
        assert field in answer.json()["error"]["message"]
    assert client.get("/v1/alerts").json() == {"alerts": []}
    assert client.get("/v1/alerts", params={"status": "odd"}).status_code == 400


def test_given_keys_when_the_runbook_is_read_then_it_needs_none_and_the_webhook_does(
    start: Callable[..., TestClient],
) -> None:
    client = start(server={"api_keys": ["secret"]})

    page = client.get("/runbook")
    refused = client.post("/v1/alerts/alertmanager", json={"alerts": []})
    taken: Any = client.post(
        "/v1/alerts/alertmanager", json={"alerts": []}, headers={"Authorization": "Bearer secret"}
    )

    assert (page.status_code, refused.status_code, taken.status_code) == (200, 401, 200)
    assert page.headers["content-type"].startswith("text/html")
    assert 'id="modelaccuracydrop"' in page.text


def named(name: str, **changes: Any) -> dict[str, Any]:
    labels = {"alertname": name, "model": "lr", "severity": "critical", **changes.pop("labels", {})}
    return {**ALERT, "fingerprint": name, "labels": labels, **changes}


@pytest.mark.parametrize(
    ("odd", "status"),
    [
        (named("Odd", labels={"model": "team a/b c"}), 200),
        (named("Odd", labels={"model": ""}), 200),
        (named("Odd", annotations={"summary": ""}), 200),
        (named("Odd", annotations={"summary": " "}), 200),
        (named("Odd", annotations={}), 200),
        (named("Odd", status="odd"), 400),
        (named("Odd", startsAt="soon"), 400),
        ("odd", 400),
    ],
)
def test_given_one_odd_alert_when_posted_then_each_that_is_kept_has_its_incident(
    client: TestClient, odd: Any, status: int
) -> None:
    body = {"alerts": [named("Before"), odd, named("After")]}
    answers = [client.post("/v1/alerts/alertmanager", json=body) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [status, status]
    alerts = client.get("/v1/alerts").json()["alerts"]
    incidents = client.get("/v1/incidents").json()["incidents"]
    names = ["After", "Before", *(["Odd"] if status == 200 else [])]
    assert sorted(alert["name"] for alert in alerts) == names
    assert sorted(incident["source"] for incident in incidents) == [f"alert:{n}" for n in names]
    if status == 400:
        error = answers[0].json()["error"]
        assert error["details"]["field"].startswith("alerts[1]")
        assert "1 alerts were refused and 2 kept" in str(error)


def test_given_a_death_before_alerts_are_kept_when_repeated_then_their_incidents_are_there_once(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server: Any = client.app.application  # type: ignore[attr-defined]
    body = {"alerts": [named("First"), named("Second")]}
    with monkeypatch.context() as dying:
        dying.setattr(type(server.app.alerts), "receive", _dies)
        assert client.post("/v1/alerts/alertmanager", json=body).status_code == 500
    assert client.get("/v1/alerts").json() == {"alerts": []}

    assert client.post("/v1/alerts/alertmanager", json=body).json() == {"received": 2}
    incidents = client.get("/v1/incidents").json()["incidents"]
    assert sorted(each["source"] for each in incidents) == ["alert:First", "alert:Second"]


def _dies(*_: Any, **__: Any) -> Any:
    raise RuntimeError("the process died")


def test_given_a_receiver_in_the_settings_when_the_server_has_begun_then_it_is_told_of_all_since(
    tmp_path: Path,
) -> None:
    receivers = {"pager": {"url": "json://127.0.0.1:9/hook", "severity": "critical"}}
    settings = {"data_dir": tmp_path, "notifications": {"receivers": receivers}}
    with App(Settings.model_validate(settings)) as app, TestClient(create_asgi(app)) as client:
        client.post("/v1/alerts/alertmanager", json={"alerts": [named("AtTheStart")]})
        (waiting,) = app.receivers.waiting()
    assert (waiting.receiver, waiting.waiting) == ("pager", 1)
