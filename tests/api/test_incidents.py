"""Incidents on a server: opened by what Alertmanager posts, acted on over HTTP and by command."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from watchkeeper.cli import main


def post_alert(client: TestClient, status: str = "firing") -> None:
    alert = {
        "status": status, "fingerprint": "f", "startsAt": "2026-03-01T00:00:00Z",
        "endsAt": "2026-03-01T00:09:00Z", "generatorURL": "",
        "labels": {"alertname": "HighErrorRate", "model": "lr", "severity": "critical"},
        "annotations": {"summary": "lr fails"},
    }  # fmt: skip
    body = {"version": "4", "receiver": "page", "alerts": [alert]}
    assert client.post("/v1/alerts/alertmanager", json=body).status_code == 200


def test_given_an_alert_when_posted_then_its_incident_is_acted_on_by_http_and_command(
    start: Callable[..., TestClient], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = start()
    post_alert(client)
    post_alert(client)
    (found,) = client.get("/v1/incidents").json()["incidents"]
    name = found["name"]
    where = ["--data-dir", str(tmp_path)]
    assert main(["incidents", "list", *where]) == 1
    assert "lr fails" in capsys.readouterr().out

    taken = client.post(f"/v1/incidents/{name}/acknowledge", json={"text": "looking"}).json()
    assert taken["state"] == "acknowledged"
    assert main(["incidents", "list", "--state", "acknowledged", *where]) == 0
    for words in (["assign", name, "maria"], ["note", name, "a disk is full"]):
        assert main(["incidents", *words, *where]) == 0
    post_alert(client, "resolved")
    assert main(["incidents", "show", name, *where]) == 0
    shown = capsys.readouterr().out
    for told in ("maria", "a disk is full", "the alert has ended", "alert:HighErrorRate"):
        assert told in shown
    draft = tmp_path / "draft.md"
    assert main(["incidents", "post-mortem", name, "--out", str(draft), *where]) == 0
    assert client.get(f"/v1/incidents/{name}/post-mortem").text.startswith(
        "# Post-mortem: lr fails"
    )
    assert main(["incidents", "post-mortem", name, "--finish", str(draft), *where]) == 2
    assert "not over" in capsys.readouterr().err
    assert main(["incidents", "resolve", name, "--reason", "space again", *where]) == 0
    draft.write_text("# Done")
    assert main(["incidents", "post-mortem", name, "--finish", str(draft), *where]) == 0
    assert client.get(f"/v1/incidents/{name}/post-mortem").text == "# Done"
    assert main(["incidents", "post-mortem", name, "--finish", str(tmp_path / "no"), *where]) == 2
    history: Any = client.get(f"/v1/incidents/{name}/history").json()["history"]
    assert history[-1]["action"] == "incident finish"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/incidents/nothing/acknowledge", {}, 404),
        ("/v1/incidents/nothing/resolve", {"texts": "x"}, 400),
    ],
)
def test_given_bad_input_when_acted_on_then_the_error_says_what(
    start: Callable[..., TestClient], path: str, body: Any, status: int
) -> None:
    answer = start().post(path, json=body)
    assert answer.status_code == status, answer.text
