"""What callers are told when something breaks, and what the store then holds."""

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.parts import until
from tests.server.odd_models import (
    RELEASE,
    Ends,
    Hangs,
    Imaginary,
    Mistyped,
    NeedsSetting,
    NotANumber,
    Panic,
    Raises,
    Refuses,
    WrongShape,
    ranks,
)
from tests.servers import tensor

from watchkeeper.app import App
from watchkeeper.registry import ModelRegistry

ROW = [3.0, 0.0, 1.0, 0.0]


def app_of(client: TestClient) -> App:
    return client.app_state["app"]  # type: ignore[no-any-return]


def infer(client: TestClient, model: str, *rows: list[float]) -> Any:
    return client.post(f"/v2/models/{model}/infer", json={"inputs": [tensor(*rows)]})


@pytest.fixture(autouse=True)
def _release() -> Iterator[None]:
    RELEASE.clear()
    yield
    RELEASE.set()


@pytest.mark.parametrize(
    ("model", "status", "told"),
    [
        (Raises(), 500, "RuntimeError: the weights are gone"),
        (Mistyped(), 500, "TypeError: unsupported operand"),
        (Ends(SystemExit), 500, "SystemExit: out of bounds"),
        (WrongShape(), 500, "expected one prediction for each row"),
        (NotANumber(), 500, "not finite"),
        (Imaginary(), 500, "JSON has no form for values of complex128"),
        (Refuses(), 400, "cannot take these values: negative values"),
    ],
)
def test_given_a_model_that_fails_when_inferred_then_the_caller_is_told_and_it_is_recorded(
    start: Callable[..., TestClient], model: Any, status: int, told: str
) -> None:
    client = start(odd=model)
    answer = infer(client, "odd", [-1.0, 0.0])

    assert answer.status_code == status
    assert told in answer.json()["error"]
    assert "Traceback" not in answer.text
    (row,) = app_of(client).events.read("odd").rows.to_pylist()
    assert (row["status"], row["prediction"]) == ("error", None)
    assert told in row["error"]
    metrics = client.get("/metrics").text
    assert 'model_predictions_total{model="odd",model_version="1",status="error"} 1.0' in metrics
    assert 'model_active_predictions{model="odd"} 0.0' in metrics


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, Panic])
def test_given_a_model_that_raises_what_is_no_exception_when_inferred_then_the_next_is_answered(
    start: Callable[..., TestClient], caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    client = start(odd=Ends(error))

    assert [infer(client, "odd", [1.0, 1.0]).status_code for _ in range(4)] == [500] * 4
    assert infer(client, "odd", [0.0, 0.0]).json()["outputs"][0]["data"] == [0.0]
    assert "Traceback" in caplog.text
    assert "odd_models.py" in caplog.text


def test_given_one_bad_row_when_batched_with_others_then_the_others_are_answered(
    start: Callable[..., TestClient],
) -> None:
    client = start(odd=Refuses())
    values = [float(number) if number % 7 else -1.0 for number in range(40)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda value: infer(client, "odd", [value, 0.0]), values))

    for value, answer in zip(values, answers, strict=True):
        if value < 0:
            assert answer.status_code == 400
        else:
            assert answer.json()["outputs"][0]["data"] == [value]
    rows = app_of(client).events.read("odd").rows
    assert rows.num_rows == 40
    recorded = dict(
        zip(rows["prediction_id"].to_pylist(), rows["prediction"].to_pylist(), strict=True)
    )
    for value, answer in zip(values, answers, strict=True):
        if value >= 0:
            assert recorded[answer.json()["parameters"]["prediction_id"]] == value


def test_given_a_function_of_all_rows_when_many_ask_at_once_then_their_rows_stay_apart(
    start: Callable[..., TestClient],
) -> None:
    client = start(odd=ranks)
    with ThreadPoolExecutor(6) as pool:
        asking = [pool.submit(infer, client, "odd", [5.0, 0.0], [7.0, 0.0]) for _ in range(6)]
        waiting = 'model_active_predictions{model="odd"} 12.0'
        until(lambda: waiting in client.get("/metrics").text)
        RELEASE.set()
        answers = [request.result(30).json()["outputs"][0]["data"] for request in asking]

    assert answers == [[2.0, 1.0]] * 6


def test_given_a_model_that_hangs_when_inferred_then_it_is_cut_off_and_starves_no_other(
    start: Callable[..., TestClient],
) -> None:
    client = start(server={"predict_timeout": 2}, odd=Hangs())
    with ThreadPoolExecutor(4) as pool:
        hanging = pool.submit(infer, client, "odd", [1.0, 1.0])
        fast = [infer(client, "lr", ROW).status_code for _ in range(20)]
        answer = hanging.result(30)

    assert fast == [200] * 20
    assert answer.status_code == 504
    assert "did not answer within 2 s" in answer.json()["error"]
    assert infer(client, "odd", [0.0, 0.0]).status_code == 200
    rows = app_of(client).events.read("odd").rows.to_pylist()
    assert [row["status"] for row in rows] == ["error", "success"]


def test_given_a_model_that_hangs_often_when_asked_then_it_is_not_ready_and_recovers(
    start: Callable[..., TestClient],
) -> None:
    client = start(server={"predict_timeout": 1}, odd=Hangs())
    statuses = [infer(client, "odd", [1.0, 1.0]).status_code for _ in range(4)]
    ready = client.get("/v2/health/ready")
    model_ready = client.get("/v2/models/odd/ready")
    RELEASE.set()
    client.portal.call(_until_ready, client)  # type: ignore[union-attr]

    assert statuses == [504, 504, 504, 503]
    assert ready.status_code == 503
    assert "hangs" in ready.json()["reasons"][0]
    assert model_ready.status_code == 503
    assert infer(client, "odd", [0.0, 0.0]).status_code == 200


async def _until_ready(client: TestClient) -> None:
    server = client.app.application  # type: ignore[attr-defined]
    async with asyncio.timeout(60):
        while server.gateway.router.faults:  # noqa: ASYNC110 - only the loop can tell
            await asyncio.sleep(0)


def test_given_more_requests_than_may_be_in_flight_when_sent_then_503_with_retry_after(
    start: Callable[..., TestClient],
) -> None:
    client = start(server={"max_in_flight": 1, "predict_timeout": 60}, odd=Hangs())
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(infer, client, "odd", [1.0, 1.0])
        computing = 'model_active_predictions{model="odd"} 1.0'
        until(lambda: computing in client.get("/metrics").text)
        refused = infer(client, "lr", ROW)
        RELEASE.set()
        answered = hanging.result(30)

    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
    assert answered.status_code == 200


def test_given_a_full_journal_when_it_refuses_then_503_and_not_ready(
    start: Callable[..., TestClient],
) -> None:
    client = start(store={"journal_max_bytes": 100})
    answer = infer(client, "lr", ROW)

    assert answer.status_code == 503
    assert "cannot take more events" in answer.json()["error"]
    assert app_of(client).events.models() == []


def test_given_a_journal_whose_thread_dies_when_asked_then_not_ready_and_it_says_why(
    start: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = start(store={"fsync_interval": 0.01})
    with monkeypatch.context() as system:
        system.delattr(os, "fdatasync")
        infer(client, "lr", ROW)
        app_of(client).recorder.journal.worker.join(30)

    ready = [client.get("/v2/health/ready") for _ in range(2)]

    assert [answer.status_code for answer in ready] == [503, 503]
    (reason,) = ready[0].json()["reasons"]
    assert reason.startswith("the background thread journal has died: AttributeError")
    assert (
        'watchkeeper_background_deaths_total{worker="journal"} 1.0' in client.get("/metrics").text
    )


def test_given_a_full_journal_when_it_answers_then_the_answer_and_the_metrics_say_so(
    start: Callable[..., TestClient],
) -> None:
    client = start(store={"journal_max_bytes": 100, "when_full": "answer"})
    answer = infer(client, "lr", ROW)

    assert answer.json()["outputs"][0]["data"] == [1]
    assert answer.json()["parameters"]["recorded"] is False
    assert "prediction_id" not in answer.json()["parameters"]
    assert "watchkeeper_events_dropped_total 1.0" in client.get("/metrics").text
    assert app_of(client).events.models() == []


def test_given_a_tampered_artifact_when_started_then_it_is_not_loaded_and_others_answer(
    start: Callable[..., TestClient], tmp_path: Path
) -> None:
    def tamper(data_dir: Path) -> None:
        with ModelRegistry(data_dir / "registry") as registry:
            path = Path(registry.get("lr:1").file_path)
            path.write_bytes(path.read_bytes()[:-1] + b"x")

    client = start()
    tamper(tmp_path)
    with App(app_of(client).settings) as again:
        from watchkeeper.server import create_asgi

        with TestClient(create_asgi(again)) as second:
            ready = second.get("/v2/health/ready")
            model_ready = [second.get(f"/v2/models/{m}/ready") for m in ("lr", "flights")]
            answer = infer(second, "lr", ROW)

    assert ready.status_code == 200
    assert [ready.status_code for ready in model_ready] == [503, 200]
    assert answer.status_code == 503
    assert "SHA-256" in answer.json()["error"]


def test_given_no_version_that_loads_when_started_then_the_server_is_not_ready_and_says_why(
    start: Callable[..., TestClient], tmp_path: Path
) -> None:
    client = start()
    with ModelRegistry(tmp_path / "registry") as registry:
        for version in registry.list_models():
            Path(version.file_path).unlink()
    with App(app_of(client).settings) as again:
        from watchkeeper.server import create_asgi

        with TestClient(create_asgi(again)) as second:
            ready = second.get("/v2/health/ready")

    assert ready.status_code == 503
    assert "cannot be loaded" in ready.json()["reasons"][0]


@pytest.mark.parametrize(
    ("setting", "reason"), [(None, "KeyError: 'PRICE_LIST'"), ("exit", "SystemExit: 3")]
)
def test_given_code_that_fails_when_a_version_is_promoted_then_it_harms_its_own_model_only(
    start: Callable[..., TestClient],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    setting: str | None,
    reason: str,
) -> None:
    client = start()
    monkeypatch.setenv("PRICE_LIST", "prices.csv")
    with ModelRegistry(tmp_path / "registry") as registry:
        good = registry.load_model("lr:1")
        for name, version in (("lr", "2"), ("odd", "1")):
            registry.promote_to_production(
                registry.register_model(NeedsSetting(), name, version, {}, allow_unsafe=True)
            )
        registry.promote_to_production(registry.register_model(good, "late", "1", {}))
    monkeypatch.delenv("PRICE_LIST")
    if setting is not None:
        monkeypatch.setenv("PRICE_LIST", setting)
    controller: Any = client.app.application.controller  # type: ignore[attr-defined]
    assert client.portal is not None
    client.portal.call(controller.committing.commit)  # it leads from now on
    _follow(client)
    _follow(client)

    assert infer(client, "lr", ROW).json()["model_version"] == "1"
    assert infer(client, "late", ROW).status_code == 200
    refused = infer(client, "odd", ROW)
    assert refused.status_code == 503
    assert f"odd:1 cannot be loaded: {reason}" in refused.json()["error"]
    assert client.get("/health/ready").status_code == 200
    incidents = app_of(client).incidents
    by_model = {incident.model: incident for incident in incidents.find(active=True)}
    assert by_model.keys() == {"lr", "odd"}
    assert reason in by_model["lr"].title
    assert len(by_model["lr"].timeline) == 1

    monkeypatch.setenv("PRICE_LIST", "prices.csv")
    _follow(client)
    assert infer(client, "lr", ROW).json()["model_version"] == "2"
    assert incidents.find(active=True) == []


def _follow(client: TestClient) -> None:
    follow: Any = client.app.application.controller.follow  # type: ignore[attr-defined]
    assert client.portal is not None
    client.portal.call(follow)


def test_given_a_promotion_elsewhere_when_the_registry_is_looked_at_then_traffic_moves(
    client: TestClient, tmp_path: Path
) -> None:
    before = infer(client, "lr", ROW).json()["model_version"]
    with ModelRegistry(tmp_path / "registry") as registry:
        model = registry.load_model("lr:1")
        registry.promote_to_production(registry.register_model(model, "lr", "2", {}))
        _follow(client)
        promoted = infer(client, "lr", ROW).json()["model_version"]
        registry.rollback("lr")
        _follow(client)
        back = infer(client, "lr", ROW).json()["model_version"]

    assert (before, promoted, back) == ("1", "2", "1")
    assert set(app_of(client).events.read("lr").rows["model_version"].to_pylist()) == {"1", "2"}
