from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.server.odd_models import Sees

from watchkeeper.app import App

FLIGHTS = "/v1/models/flights/invocations"
LR = "/v1/models/lr/invocations"
ROW = [3.0, 0.0, 1.0, 0.0]
CSV = {"Content-Type": "text/csv"}

SAME: dict[str, tuple[str, Any]] = {
    "split": (
        FLIGHTS,
        {
            "dataframe_split": {
                "columns": ["night", "carrier", "distance"],
                "index": [0, 1],
                "data": [[False, "AA", 900.0], [True, "UA", 100]],
            }
        },
    ),
    "records": (
        FLIGHTS,
        {
            "dataframe_records": [
                {"distance": 900.0, "carrier": "AA", "night": False},
                {"distance": 100.0, "carrier": "UA", "night": True},
            ]
        },
    ),
    "inputs by column": (
        FLIGHTS,
        {"inputs": {"distance": [900, 100], "carrier": ["AA", "UA"], "night": [False, True]}},
    ),
    "instances by name": (
        FLIGHTS,
        {
            "instances": [
                {"distance": 900.0, "carrier": "AA", "night": False},
                {"distance": 100.0, "carrier": "UA", "night": True},
            ]
        },
    ),
    "inputs as a matrix": (LR, {"inputs": [ROW, [0.0, 1.0, 0.0, 2.0]]}),
    "instances as a matrix": (LR, {"instances": [ROW, [0.0, 1.0, 0.0, 2.0]]}),
}


@pytest.mark.parametrize("form", SAME)
def test_given_each_form_when_scored_then_the_answer_is_the_same(
    client: TestClient, form: str
) -> None:
    path, body = SAME[form]
    answer = client.post(path, json=body)

    assert answer.json()["predictions"] == [1, 0]
    assert len(answer.json()["prediction_ids"]) == 2


def test_given_csv_when_scored_then_cells_have_the_types_of_the_signature(
    client: TestClient,
) -> None:
    body = "distance,carrier,night\n900,AA,false\n100,UA,true\n"
    answer = client.post(FLIGHTS, content=body, headers={"Content-Type": "text/csv; charset=utf-8"})

    assert answer.json()["predictions"] == [1, 0]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("900,5,AA,false", "body.rows[1] is \"['900', '5', 'AA', 'false']\"; expected 3 fields"),
        ("900,AA", "body.rows[1] is \"['900', 'AA']\"; expected 3 fields"),
    ],
)
def test_given_a_line_of_csv_of_another_length_when_scored_then_it_is_refused(
    client: TestClient, line: str, told: str
) -> None:
    body = f"distance,carrier,night\n\n100,UA,true\n{line}\n"
    answer = client.post(FLIGHTS, content=body, headers=CSV)

    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]


@pytest.mark.parametrize("body", ["", "\n\n", "\ufeff"])
def test_given_csv_without_a_line_when_scored_then_names_are_expected(
    client: TestClient, body: str
) -> None:
    answer = client.post(FLIGHTS, content=body.encode(), headers=CSV)

    assert answer.status_code == 400
    assert "CSV with a line of names first" in answer.json()["error"]["message"]


def test_given_csv_of_a_spreadsheet_when_scored_then_its_mark_is_no_part_of_a_name(
    client: TestClient,
) -> None:
    body = '\ufeffdistance,carrier,night\r\n900,"AA",false\r\n100,UA,true\r\n'
    answer = client.post(FLIGHTS, content=body.encode(), headers=CSV)

    assert answer.json()["predictions"] == [1, 0]


@pytest.mark.parametrize(
    ("form", "seen"),
    [
        ('"dataframe_split": {"columns": ["a", "b"], "data": [[NaN, 1]]}', 0),
        ('"dataframe_records": [{"a": NaN, "b": 1}]', 0),
        ('"inputs": {"a": [Infinity], "b": [NaN]}', 1),
        ('"instances": [[-Infinity, 1]]', -1),
        ('"instances": [[1, NaN]]', 7),
    ],
)
def test_given_numbers_that_only_pythons_json_has_when_scored_then_the_model_gets_them(
    start: Callable[..., TestClient], form: str, seen: int
) -> None:
    client = start(odd=Sees())
    body = "{" + form + r', "params": {"unit_id": "NaN \" -Infinity"}}'
    answer = client.post("/v1/models/odd/invocations", content=body)

    assert answer.json()["predictions"] == [seen]
    (row,) = client.app_state["app"].events.read("odd").rows.to_pylist()
    assert row["unit_id"] == 'NaN " -Infinity'


@pytest.mark.parametrize(
    "body",
    [
        '{"inputs": [[NaN, 1, 2, 3],]}',
        '{"inputs": [[-NaN, 1, 2, 3]]}',
        '{"inputs": [[nan, 1, 2, 3]]}',
        '{"inputs": [[NaN, 1, 2, 3]], "params": {"unit_id": "\\ud800"}}',
        '{"inputs": [[NaN, 1, 2, 3]], "' + '\\"' * 1_000_000,
        '{"inputs": [[NaN, ' + "[" * 100_000,
    ],
)
def test_given_what_is_not_json_beside_nan_when_scored_then_it_is_refused(
    client: TestClient, body: str
) -> None:
    answer = client.post(LR, content=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["field"] == "body"


def test_given_params_when_scored_then_they_are_recorded(client: TestClient) -> None:
    params = {"unit_id": "u", "timestamp": "2013-05-01T00:00:00Z", "tags": {"a": 1}}
    client.post(LR, json={"inputs": [ROW], "params": params})

    app: App = client.app_state["app"]
    (row,) = app.events.read("lr").rows.to_pylist()
    assert (row["unit_id"], dict(row["tags"])) == ("u", {"a": "1"})
    assert row["timestamp"].isoformat() == "2013-05-01T00:00:00+00:00"


WRONG: dict[str, tuple[str, Any, str]] = {
    "two forms": (LR, {"inputs": [ROW], "instances": [ROW]}, "exactly one of"),
    "no form": (LR, {"data": [ROW]}, "exactly one of"),
    "not an object": (LR, [ROW], "an object with"),
    "ragged rows": (LR, {"inputs": [ROW, [1.0]]}, "inputs[1]"),
    "wrong width": (LR, {"inputs": [[1.0, 2.0]]}, "4 columns"),
    "empty": (LR, {"inputs": []}, "at least one row"),
    "a word": (LR, {"inputs": [[1.0, "a", 1.0, 1.0]]}, "inputs.data[1]"),
    "split without data": (FLIGHTS, {"dataframe_split": {"columns": []}}, "columns and data"),
    "a short row": (
        FLIGHTS,
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1]]}},
        "dataframe_split.data[0]",
    ),
    "records that differ": (FLIGHTS, {"dataframe_records": [{"a": 1}, {"b": 1}]}, "[1]"),
    "missing features": (FLIGHTS, {"inputs": {"distance": [1.0]}}, "carrier"),
    "columns of two lengths": (
        FLIGHTS,
        {"inputs": {"distance": [1.0, 2.0], "carrier": ["a"], "night": [True]}},
        "same number of rows",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_given_a_wrong_body_when_scored_then_the_error_says_what_was_expected(
    client: TestClient, case: str
) -> None:
    path, body, told = WRONG[case]
    answer = client.post(path, json=body)

    error = answer.json()["error"]
    assert answer.status_code == 400
    assert set(error) == {"code", "message", "hint", "details"}
    assert told in error["message"]


def test_given_several_models_when_none_is_named_then_they_are_listed(client: TestClient) -> None:
    answer = client.post("/invocations", json={"inputs": [ROW]})

    assert answer.status_code == 409
    assert "flights, lr" in answer.json()["error"]["message"]


def test_given_a_default_model_when_none_is_named_then_it_answers(
    start: Callable[..., TestClient],
) -> None:
    client = start(server={"default_model": "lr"})

    assert client.post("/invocations", json={"inputs": [ROW]}).json()["predictions"] == [1]
    assert client.post(FLIGHTS, json=SAME["split"][1]).json()["predictions"] == [1, 0]


def test_given_a_scoring_client_when_it_pings_then_it_is_answered(client: TestClient) -> None:
    assert client.get("/ping").status_code == 200
    assert client.get("/health").status_code == 200
    assert client.get("/version").text
