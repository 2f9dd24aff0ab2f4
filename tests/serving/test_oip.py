import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.servers import tensor

from watchkeeper.app import App

INFER = "/v2/models/lr/infer"
ROW = [3.0, 0.0, 1.0, 0.0]


def app_of(client: TestClient) -> App:
    return client.app_state["app"]  # type: ignore[no-any-return]


def test_given_one_row_when_inferred_then_it_is_answered_and_recorded(client: TestClient) -> None:
    at = "2013-01-05T06:00:00Z"
    request = {
        "id": "r-1",
        "inputs": [tensor(ROW)],
        "parameters": {"unit_id": "N1", "timestamp": at, "tags": {"gate": "B"}},
    }
    answer = client.post(INFER, json=request).json()

    assert answer["model_name"] == "lr"
    assert answer["model_version"] == "1"
    assert answer["id"] == "r-1"
    (predict, proba) = answer["outputs"]
    assert predict == {"name": "predict", "datatype": "INT64", "shape": [1], "data": [1]}
    assert proba["shape"] == [1, 2]
    assert answer["parameters"]["variant"] == "production"
    assert answer["parameters"]["request_id"] == "r-1"
    (row,) = app_of(client).events.read("lr").rows.to_pylist()
    assert row["prediction_id"] == answer["parameters"]["prediction_id"]
    assert row["timestamp"] == datetime(2013, 1, 5, 6, tzinfo=UTC)
    assert [row[f"feature.x{i}"] for i in range(4)] == ROW
    assert (row["prediction"], row["unit_id"], row["status"]) == (1.0, "N1", "success")
    assert row["score"] == pytest.approx(proba["data"][1])
    assert dict(row["tags"]) == {"gate": "B"}
    assert row["latency_ms"] > 0


def test_given_two_rows_when_inferred_then_each_has_its_id(client: TestClient) -> None:
    answer = client.post(INFER, json={"inputs": [tensor(ROW, [0.0, 1.0, 0.0, 2.0])]}).json()

    assert answer["outputs"][0]["data"] == [1, 0]
    assert len(set(answer["parameters"]["prediction_ids"])) == 2


def test_given_one_tensor_a_feature_when_inferred_then_types_are_those_of_the_signature(
    client: TestClient,
) -> None:
    inputs = [
        {"name": "carrier", "shape": [2], "datatype": "BYTES", "data": ["AA", "UA"]},
        {"name": "distance", "shape": [2, 1], "datatype": "FP32", "data": [[900.0], [100.0]]},
        {"name": "night", "shape": [2], "datatype": "BOOL", "data": [False, True]},
    ]
    answer = client.post("/v2/models/flights/infer", json={"inputs": inputs})

    assert answer.json()["outputs"][0]["data"] == [1, 0]
    rows = app_of(client).events.read("flights").rows
    assert rows["feature.carrier"].to_pylist() == ["AA", "UA"]
    assert rows["feature.night"].to_pylist() == [False, True]


def test_given_nested_data_and_gzip_when_inferred_then_it_is_answered(client: TestClient) -> None:
    import json

    request = {"inputs": [{**tensor(ROW), "data": [ROW]}]}
    body = gzip.compress(json.dumps(request).encode())
    answer = client.post(INFER, content=body, headers={"Content-Encoding": "gzip"})

    assert answer.json()["outputs"][0]["data"] == [1]


def test_given_an_output_is_chosen_when_inferred_then_there_is_no_other(client: TestClient) -> None:
    request = {"inputs": [tensor(ROW)], "outputs": [{"name": "predict_proba"}]}
    answer = client.post(INFER, json=request).json()

    assert [output["name"] for output in answer["outputs"]] == ["predict_proba"]


def test_given_no_ids_when_inferred_then_headers_and_the_request_stand_in(
    client: TestClient,
) -> None:
    client.post(INFER, json={"inputs": [tensor(ROW)]}, headers={"X-Unit-Id": "u"})
    client.post(INFER, json={"inputs": [tensor(ROW)]}, headers={"X-Request-Id": "r"})

    first, second = app_of(client).events.read("lr").rows.to_pylist()
    assert first["unit_id"] == "u"
    assert (second["request_id"], second["unit_id"]) == ("r", "r")


def request_with(**changes: Any) -> dict[str, Any]:
    return {"inputs": [{**tensor(ROW), **changes}]}


WRONG: dict[str, tuple[Any, str]] = {
    "not an object": ([], "body"),
    "no inputs": ({}, "inputs"),
    "no tensor": ({"inputs": []}, "inputs"),
    "twice the same name": ({"inputs": [tensor(ROW), tensor(ROW)]}, "inputs"),
    "too few values": (request_with(data=[1.0]), "inputs[0].data"),
    "too few columns": (request_with(shape=[1, 3], data=[1, 2, 3]), "inputs[0].shape"),
    "a negative shape": (request_with(shape=[-1, 4]), "inputs[0].shape"),
    "no rows": (request_with(shape=[0, 4], data=[]), "inputs[0].shape"),
    "an unknown datatype": (request_with(datatype="FP63"), "inputs[0].datatype"),
    "words for numbers": (request_with(datatype="BYTES", data=["a"] * 4), "inputs[0].datatype"),
    "a word among numbers": (request_with(data=[1.0, "a", 2.0, 3.0]), "inputs[0].data[1]"),
    "a fraction among integers": (request_with(datatype="INT8", data=[1, 1.5, 2, 3]), "data[1]"),
    "an integer out of range": (request_with(datatype="INT8", data=[1, 2, 128, 3]), "data[2]"),
    "a truth value among numbers": (request_with(data=[1.0, True, 2.0, 3.0]), "data[1]"),
    "an integer no float holds": (request_with(data=[10**400, 1, 2, 3]), "inputs[0]"),
    "an unknown output": (
        {"inputs": [tensor(ROW)], "outputs": [{"name": "logits"}]},
        "outputs",
    ),
    "a bad time": (
        {"inputs": [tensor(ROW)], "parameters": {"timestamp": "yesterday"}},
        "parameters.timestamp",
    ),
    "bad tags": ({"inputs": [tensor(ROW)], "parameters": {"tags": [1]}}, "parameters.tags"),
}


@pytest.mark.parametrize("case", WRONG)
def test_given_a_wrong_request_when_inferred_then_the_error_names_the_field(
    client: TestClient, case: str
) -> None:
    request, field = WRONG[case]
    answer = client.post(INFER, json=request)

    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]
    assert field in answer.json()["error"]
    assert app_of(client).events.models() == []


BODIES = {
    "nothing": b"",
    "not JSON": b"{",
    "NaN": b'{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP64","data":[NaN,1,2,3]}]}',
    "infinity": b'{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP64","data":[1e999,1,2,3]}]}',
    "deep nesting": b'{"inputs":' + b"[" * 100_000,
    "not UTF-8": b'{"id":"\xff"}',
}


@pytest.mark.parametrize("case", BODIES)
def test_given_a_body_that_is_not_json_when_inferred_then_it_is_400(
    client: TestClient, case: str
) -> None:
    answer = client.post(INFER, content=BODIES[case])

    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]


def test_given_missing_extra_and_null_features_when_inferred_then_they_are_named(
    client: TestClient,
) -> None:
    def send(**columns: Any) -> str:
        kinds = {"carrier": "BYTES", "night": "BOOL"}
        inputs = [
            {"name": name, "shape": [1], "datatype": kinds.get(name, "FP64"), "data": [value]}
            for name, value in columns.items()
        ]
        answer = client.post("/v2/models/flights/infer", json={"inputs": inputs})
        assert answer.status_code == 400
        return str(answer.json()["error"])

    assert "carrier" in send(distance=1.0, night=True)
    assert "altitude" in send(distance=1.0, carrier="AA", night=True, altitude=2.0)
    assert "carrier[0]" in send(distance=1.0, carrier=None, night=True)


def test_given_unknown_models_and_versions_when_asked_then_it_is_404(client: TestClient) -> None:
    request = {"inputs": [tensor(ROW)]}
    for path in ("/v2/models/none/infer", "/v2/models/lr/versions/9/infer"):
        answer = client.post(path, json=request)
        assert answer.status_code == 404
        assert list(answer.json()) == ["error"]
    assert client.get("/v2/models/none").status_code == 404
    assert client.get("/v2/models/lr/versions/9/ready").status_code == 404


def test_given_a_version_is_named_when_inferred_then_it_answers_as_pinned(
    client: TestClient,
) -> None:
    answer = client.post("/v2/models/lr/versions/1/infer", json={"inputs": [tensor(ROW)]}).json()

    assert answer["parameters"]["variant"] == "pinned"


def test_given_a_server_when_asked_what_it_is_then_it_speaks_the_protocol(
    client: TestClient,
) -> None:
    assert client.get("/v2").json()["name"] == "watchkeeper"
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models/lr/ready").json() == {"name": "lr", "ready": True}
    metadata = client.get("/v2/models/flights").json()
    assert metadata["versions"] == ["1.0.0"]
    assert {each["name"]: each["datatype"] for each in metadata["inputs"]} == {
        "distance": "FP64",
        "carrier": "BYTES",
        "night": "BOOL",
    }
    assert metadata["outputs"] == [
        {"name": "predict", "datatype": "INT64", "shape": [-1]},
        {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 2]},
    ]


def test_given_too_much_when_sent_then_it_is_413(start: Callable[..., TestClient]) -> None:
    client = start(server={"max_rows": 2, "max_body_bytes": 10_000})

    rows = client.post(INFER, json={"inputs": [tensor(ROW, ROW, ROW)]})
    size = client.post(INFER, content=b" " * 10_001)
    bomb = client.post(
        INFER,
        content=gzip.compress(b" " * 10_000_000),
        headers={"Content-Encoding": "gzip"},
    )
    cut = client.post(
        INFER, content=gzip.compress(b"{}")[:-4], headers={"Content-Encoding": "gzip"}
    )

    assert [each.status_code for each in (rows, size, bomb, cut)] == [413, 413, 413, 400]
