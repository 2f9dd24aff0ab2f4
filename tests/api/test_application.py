from collections.abc import Callable
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression
from starlette.testclient import TestClient
from tests.parts import until
from tests.servers import LABELS, ROWS, tensor


def predict_and_label(client: TestClient, right: int = 20) -> None:
    """Predict the training rows; the first `right` come true."""
    body = {"inputs": [tensor(*ROWS.tolist())], "parameters": {"timestamp": "2013-01-05T00:00:00Z"}}
    ids = client.post("/v2/models/lr/infer", json=body).json()["parameters"]["prediction_ids"]
    outcomes = [
        {"prediction_id": own, "actual": int(label if number < right else 1 - label)}
        for number, (own, label) in enumerate(zip(ids, LABELS, strict=True))
    ]
    assert client.post("/v1/models/lr/outcomes", json=outcomes).status_code == 200


def test_given_recorded_predictions_when_measured_over_http_then_it_is_what_was_recorded(
    start: Callable[..., TestClient],
) -> None:
    client = start(models={"lr": {"quality": {"min_samples": 10}}})
    predict_and_label(client, right=15)

    quality = client.get("/v1/models/lr/quality").json()
    drift = client.get("/v1/models/lr/drift?start=2013-01-05&end=2013-01-06").json()

    assert (quality["predictions"], quality["labelled"]) == (20, 20)
    assert quality["drop"]["current_accuracy"] == pytest.approx(0.75)
    assert quality["drop"]["drift_detected"] is True
    assert drift["report"]["drift_detected"] is False
    assert set(drift["report"]["features"]) == {"x0", "x1", "x2", "x3"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/models/none/quality", 404),
        ("/v1/models/none/drift", 404),
        ("/v1/models/lr/drift?start=2014-01-01", 404),
        ("/v1/models/lr/quality?start=noon", 400),
        ("/v1/models/lr/quality?start=2013-02-01&end=2013-01-01", 400),
        ("/v1/models/none", 404),
        ("/v1/models/none/versions", 404),
        ("/v1/nothing", 404),
    ],
)
def test_given_what_is_not_there_when_asked_for_then_the_error_has_the_products_shape(
    client: TestClient, path: str, status: int
) -> None:
    predict_and_label(client)
    answer = client.get(path)

    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"code", "message", "hint", "details"}


def test_given_models_when_listed_then_registered_and_recorded_ones_are_there(
    client: TestClient,
) -> None:
    client.post("/v1/models/elsewhere/outcomes", json=[{"prediction_id": "a", "actual": 1}])
    predict_and_label(client)

    models: Any = client.get("/v1/models").json()["models"]
    versions = client.get("/v1/models/lr/versions").json()["versions"]
    lr = client.get("/v1/models/lr").json()

    assert {each["name"]: each["production"] for each in models} == {
        "elsewhere": None,
        "flights": "flights:1.0.0",
        "lr": "lr:1",
    }
    assert versions[0]["model_id"] == "lr:1"
    assert "file_path" not in versions[0]
    assert lr["events"]["labelled"] == 20


@pytest.mark.parametrize("path", ["/v1/models/free/versions", "/v1/models/free/versions/1"])
def test_given_a_parameter_that_is_infinite_when_its_version_is_read_then_it_is_json(
    start: Callable[..., TestClient], path: str
) -> None:
    client = start(free=LogisticRegression(C=float("inf")).fit(ROWS, LABELS))

    answer = client.get(path)
    assert answer.status_code == 200
    assert '"C":"inf"' in answer.text
    assert client.get("/models/free/versions").status_code == 200


def test_given_outcomes_that_landed_when_scraped_then_the_accuracy_is_shown(
    start: Callable[..., TestClient],
) -> None:
    client = start(
        store={"segment_max_age": 0.02, "fsync_interval": 0.02, "landing_interval": 0.02},
        models={"lr": {"quality": {"min_samples": 10}}},
    )
    before = client.get("/metrics").text
    predict_and_label(client, right=15)
    until(lambda: "model_accuracy{" in client.get("/metrics").text)
    after = client.get("/metrics").text

    assert "model_accuracy{" not in before
    assert 'model_accuracy{model="lr",model_version="1"} 0.75' in after
