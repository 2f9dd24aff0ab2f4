"""What a running server measures by itself, and keeps."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.servers import tensor


def test_given_predictions_with_outcomes_when_the_server_measures_then_both_findings_are_kept(
    start: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchkeeper.jobs.controller._MEASURE", 3_600.0)  # only the test looks
    client = start(models={"lr": {"quality": {"min_samples": 10}}})
    outcomes = []
    for number in range(40):
        answer = client.post(
            "/v2/models/lr/infer", json={"inputs": [tensor([float(number), 0.0, 1.0, 0.0])]}
        ).json()
        outcomes.append({"prediction_id": answer["parameters"]["prediction_id"], "actual": 0})
    assert client.post("/v1/models/lr/outcomes", json=outcomes[:30]).status_code == 200
    server: Any = client.app.application  # type: ignore[attr-defined]

    client.portal.call(server.controller.measuring.look, server.gateway.router.production.values())  # type: ignore[union-attr]
    client.portal.call(server.controller.measuring.look, server.gateway.router.production.values())  # type: ignore[union-attr]

    found = client.get("/v1/models/lr/findings").json()["findings"]
    assert sorted(each["kind"] for each in found) == ["drift", "quality"]  # once an interval
    (quality,) = (each for each in found if each["kind"] == "quality")
    (drift,) = (each for each in found if each["kind"] == "drift")
    assert drift["summary"].endswith("; the predictions drifted")  # each alike, unlike in training
    assert drift["evidence"]["answers"]["drift_detected"] is True
    assert 'model_prediction_drift_detected{model="lr"} 1.0' in client.get("/metrics").text
    assert "30 of 40 labelled; accuracy of 10 without an outcome est" in quality["summary"]
    assert quality["evidence"]["estimate"]["rows"] == 10
    assert quality["evidence"]["coverage"] == 0.75
