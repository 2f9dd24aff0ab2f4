import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from watchkeeper.app import App
from watchkeeper.events import new_prediction_id

PREDICTIONS, OUTCOMES = "/v1/models/risk/predictions", "/v1/models/risk/outcomes"


def app_of(client: TestClient) -> App:
    return client.app_state["app"]  # type: ignore[no-any-return]


def arrow(**columns: Any) -> bytes:
    table = pa.table(columns)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


RECORDS = [
    {
        "prediction_id": "a",
        "timestamp": "2013-01-01T00:00:00Z",
        "features": {"x": 1},
        "score": 0.5,
        "variant": "candidate",
        "experiment": "exp/1",
    },
    {"prediction_id": "b", "timestamp": "2013-01-02T00:00:00Z", "features": {"x": 2}, "score": 0.7},
]
FORMS = {
    "array": json.dumps(RECORDS).encode(),
    "NDJSON": "\n".join(json.dumps(record) for record in RECORDS).encode(),
    "Arrow": arrow(
        **{
            "prediction_id": ["a", "b"],
            "timestamp": ["2013-01-01T00:00:00Z", "2013-01-02T00:00:00Z"],
            "feature.x": [1, 2],
            "score": [0.5, 0.7],
            "variant": ["candidate", None],
            "experiment": ["exp/1", None],
        }
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_given_each_form_when_sent_twice_then_each_record_is_kept_once(
    client: TestClient, form: str
) -> None:
    for _ in range(2):
        answer = client.post(PREDICTIONS, content=FORMS[form])
        assert answer.json() == {"accepted": 2}

    rows = app_of(client).events.read("risk").rows
    assert rows["prediction_id"].to_pylist() == ["a", "b"]
    assert rows["feature.x"].to_pylist() == [1.0, 2.0]
    assert rows["score"].to_pylist() == [0.5, 0.7]
    assert rows["variant"].to_pylist() == ["candidate", "production"]
    assert rows["experiment"].to_pylist() == ["exp/1", None]
    assert rows["timestamp"].to_pylist()[0] == datetime(2013, 1, 1, tzinfo=UTC)


def test_given_outcomes_in_any_order_when_joined_then_the_latest_by_its_own_time_holds(
    client: TestClient,
) -> None:
    client.post(
        OUTCOMES,
        json=[
            {"prediction_id": "a", "actual": 1, "timestamp": "2013-03-02T00:00:00Z"},
            {"prediction_id": "a", "actual": 0, "timestamp": "2013-03-01T00:00:00Z"},
            {"prediction_id": "unknown", "actual": 1},
        ],
    )
    client.post(PREDICTIONS, content=FORMS["array"])
    client.post(OUTCOMES, content=arrow(prediction_id=["b"], actual=[True]))

    counts = app_of(client).events.counts("risk")
    rows = app_of(client).events.read("risk").rows
    assert rows["actual"].to_pylist() == [1.0, 1.0]
    assert (counts.predictions, counts.outcomes, counts.labelled) == (2, 3, 2)


def test_given_a_wrong_record_when_sent_then_none_of_the_body_is_kept(client: TestClient) -> None:
    body = json.dumps([*RECORDS, {"prediction_id": "c", "features": 7}])
    answer = client.post(PREDICTIONS, content=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["field"] == "records[2].features"
    assert app_of(client).events.models() == []


OURS = new_prediction_id(datetime(2013, 1, 31, tzinfo=UTC))
WRONG: dict[str, tuple[str, bytes, str]] = {
    "not JSON": (PREDICTIONS, b"nonsense", "body"),
    "cut short": (PREDICTIONS, FORMS["Arrow"][:-200], "body"),
    "a number": (PREDICTIONS, b"[1]", "records[0]"),
    "an empty id": (PREDICTIONS, b'[{"prediction_id":""}]', "records[0].prediction_id"),
    "an unknown field": (PREDICTIONS, b'[{"prediction_id":"a","colour":1}]', "records[0].colour"),
    "a bad time": (PREDICTIONS, b'[{"timestamp":"noon"}]', "records[0].timestamp"),
    "a score that is a word": (PREDICTIONS, b'[{"score":"high"}]', "records[0].score"),
    "a status that is none": (PREDICTIONS, b'[{"status":"maybe"}]', "records[0].status"),
    "tags that are no strings": (PREDICTIONS, b'[{"tags":{"a":1}}]', "records[0].tags"),
    "an id that contradicts its time": (
        PREDICTIONS,
        json.dumps([{"prediction_id": OURS, "timestamp": "2013-06-01"}]).encode(),
        "records[0].timestamp",
    ),
    "an outcome of nothing": (OUTCOMES, b'[{"actual":1}]', "records[0].prediction_id"),
    "an outcome without truth": (OUTCOMES, b'[{"prediction_id":"a"}]', "records[0].actual"),
    "an unknown column": (OUTCOMES, arrow(prediction_id=["a"], actual=[1], x=[1]), "x"),
    "no truth in Arrow": (OUTCOMES, arrow(prediction_id=["a"], actual=[None]), "records[0].actual"),
    "a value that is a word": (
        OUTCOMES,
        b'[{"prediction_id":"a","metric":"revenue","actual":"much"}]',
        "records[0].actual",
    ),
    "a value of a bad name": (
        OUTCOMES,
        b'[{"prediction_id":"a","metric":"a b","actual":1}]',
        "records[0].metric",
    ),
    "a value in Arrow that is no number": (
        OUTCOMES,
        arrow(prediction_id=["a", "b"], actual=[1.0, float("nan")], metric=[None, "revenue"]),
        "records[1].actual",
    ),
    "words as values in Arrow": (
        OUTCOMES,
        arrow(prediction_id=["a"], actual=["1"], metric=["revenue"]),
        "records[0].actual",
    ),
    "no id in Arrow": (OUTCOMES, arrow(prediction_id=["a", None], actual=[1, 1]), "records[1]"),
    "a bad name": ("/v1/models/.hidden/outcomes", b"[]", "model"),
}


@pytest.mark.parametrize("case", WRONG)
def test_given_a_wrong_body_when_sent_then_the_error_names_record_and_field(
    client: TestClient, case: str
) -> None:
    path, body, field = WRONG[case]
    answer = client.post(path, content=body)

    assert answer.status_code == 400
    assert field in answer.json()["error"]["details"]["field"]
    assert app_of(client).events.models() == []


def test_given_an_id_of_ours_without_a_time_when_sent_then_the_id_tells_it(
    client: TestClient,
) -> None:
    client.post(PREDICTIONS, json=[{"prediction_id": OURS, "features": {}}])

    assert app_of(client).events.counts("risk").newest == datetime(2013, 1, 31, tzinfo=UTC)


def test_given_a_million_rows_when_sent_then_they_are_kept_or_refused_with_what_to_do(
    client: TestClient,
) -> None:
    count = 1_000_000
    ids = [f"p{number}" for number in range(count)]
    kept = client.post(OUTCOMES, content=arrow(prediction_id=ids, actual=[1] * count))
    line = b'{"prediction_id":"a-rather-long-identifier-of-a-prediction","actual":1},'
    refused = client.post(OUTCOMES, content=b"[" + line * count + b"]")

    assert kept.json() == {"accepted": count}
    assert app_of(client).events.counts("risk").outcomes == count
    assert refused.status_code == 413
    assert "NDJSON" in refused.json()["error"]["hint"]


def test_given_many_lines_when_one_is_wrong_then_none_is_kept(client: TestClient) -> None:
    good = b'{"prediction_id":"p%d","actual":1}\n'
    lines = b"".join(good % number for number in range(25_000))

    refused = client.post(OUTCOMES, content=lines + b'{"actual":1}\n')
    models = app_of(client).events.models()
    accepted = client.post(OUTCOMES, content=lines)

    assert refused.json()["error"]["details"]["field"] == "records[25000].prediction_id"
    assert models == []
    assert accepted.json() == {"accepted": 25_000}
    assert app_of(client).events.counts("risk").outcomes == 25_000


def test_given_a_full_journal_when_sent_then_it_is_refused_whatever_the_setting(
    start: Callable[..., TestClient],
) -> None:
    client = start(store={"journal_max_bytes": 200, "when_full": "answer"})
    answer = client.post(PREDICTIONS, content=FORMS["array"])

    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert "journal_max_bytes" in answer.json()["error"]["hint"]
    assert app_of(client).events.models() == []
