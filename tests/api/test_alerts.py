from collections.abc import Callable
from typing import Any

from starlette.testclient import TestClient

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


def test_given_bad_notifications_when_posted_then_they_are_refused_whole(
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
    half = {"alerts": [ALERT, {**ALERT, "status": "odd"}]}
    refused = client.post("/v1/alerts/alertmanager", json=half)

    assert refused.json()["error"]["details"]["field"] == "alerts[1].status"
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
