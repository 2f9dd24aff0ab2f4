"""Experiments on the gateway: who answers, and what is recorded of it."""

import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from starlette.testclient import TestClient
from tests.servers import LABELS, ROWS, fill_registry, tensor

from watchkeeper.app import App
from watchkeeper.config import Settings
from watchkeeper.errors import IntegrityError
from watchkeeper.experiments import Allocation, Arm, Equals, Namespace, Override, Range, Targeting
from watchkeeper.registry import ModelRegistry
from watchkeeper.server import create_asgi
from watchkeeper.testing import InMemoryExperiments

ROW = [3.0, 0.0, 1.0, 0.0]
USERS = [f"user-{n}" for n in range(200)]


class Gate:
    """A gateway within this process, its registry and its experiments."""

    def __init__(self, client: TestClient, app: App, experiments: InMemoryExperiments) -> None:
        self.client, self.app, self.experiments = client, app, experiments

    def run(self, model: str, *allocations: Allocation) -> None:
        """Let these run, and have the router look."""
        self.experiments.run(model, *allocations)
        self.refresh()

    def refresh(self) -> None:
        self.client.portal.call(self.router.refresh)  # type: ignore[union-attr]

    @property
    def router(self) -> Any:
        return self.client.app.application.gateway.router  # type: ignore[attr-defined]

    def infer(self, unit: str, *rows: list[Any], path: str = "", **more: Any) -> dict[str, Any]:
        answer = self.client.post(
            f"/v2/models/lr{path}/infer",
            json={"inputs": [tensor(*(rows or (ROW,)))], "parameters": {"unit_id": unit, **more}},
        )
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def variant(self, unit: str, **more: Any) -> str:
        return str(self.infer(unit, **more)["parameters"]["variant"])

    def recorded(self, model: str = "lr") -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.app.events.read(model).rows.to_pylist()
        return rows

    def exposures(self) -> Counter[str | None]:
        """Return how many predictions are recorded of each experiment and phase."""
        return Counter(row["experiment"] for row in self.recorded())


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    fill_registry(tmp_path)
    with ModelRegistry(tmp_path / "registry") as registry:
        for version, answer in (("2", 0), ("3", 1)):
            model = DummyClassifier(strategy="constant", constant=answer).fit(ROWS, LABELS)
            registry.register_model(model, "lr", version, {}, training_data=ROWS)
    experiments = InMemoryExperiments()
    with (
        App(Settings(data_dir=tmp_path)) as app,
        TestClient(create_asgi(app, experiments), raise_server_exceptions=False) as client,
    ):
        yield Gate(client, app, experiments)


def split(*weights: int, name: str = "exp", **more: Any) -> Allocation:
    versions = [None, "2", "3"]
    keys = ["control", "v2", "v3"]
    arms = [Arm(*each) for each in zip(keys, weights, versions, strict=False)]
    return Allocation(experiment=name, arms=tuple(arms), **more)


def test_given_an_experiment_when_units_ask_then_each_has_the_arm_of_its_hash_and_keeps_it(
    gate: Gate,
) -> None:
    allocation = split(5_000, 3_000, 2_000)
    gate.run("lr", allocation)

    answers = {unit: gate.infer(unit) for unit in USERS}
    again = {unit: gate.variant(unit) for unit in USERS}

    expected = {unit: allocation.assign(unit).arm for unit in USERS}
    assert {unit: a["parameters"]["variant"] for unit, a in answers.items()} == expected
    assert again == expected
    versions = {"control": "1", "v2": "2", "v3": "3"}
    for unit, answer in answers.items():
        assert answer["model_version"] == versions[str(expected[unit])]
    # The dummies answer 0 and 1 whatever they are asked.
    assert {a["outputs"][0]["data"][0] for u, a in answers.items() if expected[u] == "v2"} == {0}
    assert {a["outputs"][0]["data"][0] for u, a in answers.items() if expected[u] == "v3"} == {1}


def test_given_an_experiment_when_answered_then_the_exposure_is_recorded_with_each_prediction(
    gate: Gate,
) -> None:
    allocation = split(5_000, 5_000, included_bp=5_000, phase=3)
    gate.run("lr", allocation)
    for unit in USERS:
        gate.infer(unit, ROW, ROW)  # two rows of one unit

    rows = gate.recorded()

    assert len(rows) == 2 * len(USERS)
    expected = {
        None: ("production", "1", None),
        "control": ("control", "1", "exp/3"),
        "v2": ("v2", "2", "exp/3"),
    }
    seen = set()
    for row in rows:
        arm = allocation.assign(row["unit_id"]).arm
        seen.add(arm)
        assert (row["variant"], row["model_version"], row["experiment"]) == expected[arm]
    assert seen == set(expected)


def test_given_a_share_that_grows_when_units_ask_again_then_nobody_leaves_the_arm(
    gate: Gate,
) -> None:
    first = split(9_500, 500)
    gate.run("lr", first)
    before = {unit for unit in USERS if gate.variant(unit) == "v2"}
    gate.run("lr", first.next_phase(weights={"control": 5_000, "v2": 5_000}))
    after = {unit for unit in USERS if gate.variant(unit) == "v2"}

    assert before
    assert before < after
    assert gate.exposures() == {"exp/1": len(USERS), "exp/2": len(USERS)}


@pytest.mark.parametrize("how", ["header", "request id"])
def test_given_no_unit_in_the_parameters_when_asked_then_the_header_or_the_request_is_the_unit(
    gate: Gate, how: str
) -> None:
    allocation = split(5_000, 5_000)
    gate.run("lr", allocation)
    for unit in USERS[:20]:
        body: dict[str, Any] = {"inputs": [tensor(ROW)]}
        headers = {"X-Unit-Id": unit} if how == "header" else {}
        if how == "request id":
            body["id"] = unit
        answer = gate.client.post("/v2/models/lr/infer", json=body, headers=headers).json()
        assert answer["parameters"]["variant"] == allocation.assign(unit).arm


def test_given_mlflow_scoring_when_asked_then_it_takes_part(gate: Gate) -> None:
    allocation = split(5_000, 5_000)
    gate.run("lr", allocation)
    for unit in USERS[:20]:
        body = {"instances": [ROW], "params": {"unit_id": unit}}
        assert gate.client.post("/v1/models/lr/invocations", json=body).status_code == 200

    rows = gate.recorded()
    expected = {unit: allocation.assign(unit).arm for unit in USERS[:20]}
    assert {row["unit_id"]: row["variant"] for row in rows} == expected
    assert {row["experiment"] for row in rows} == {"exp/1"}


def test_given_a_version_is_named_when_asked_then_no_experiment_has_a_say(gate: Gate) -> None:
    gate.run("lr", split(1, 9_999))

    answer = gate.infer("user-1", path="/versions/3", force_variant="control")

    assert (answer["model_version"], answer["parameters"]["variant"]) == ("3", "pinned")
    assert gate.exposures() == {None: 1}


def test_given_two_experiments_in_a_namespace_when_units_ask_then_each_has_at_most_one(
    gate: Gate,
) -> None:
    one = split(5_000, 5_000, name="one", namespace=Namespace("ns", 0, 4_000))
    two = split(5_000, 5_000, name="two", namespace=Namespace("ns", 4_000, 8_000))
    gate.run("lr", one, two)
    for unit in USERS:
        gate.variant(unit)

    for row in gate.recorded():
        of = [each.label for each in (one, two) if each.assign(row["unit_id"]).arm is not None]
        assert of == ([] if row["experiment"] is None else [row["experiment"]])
    assert set(gate.exposures()) == {"one/1", "two/1", None}


def test_given_two_experiments_that_overlap_when_units_ask_then_the_first_answers(
    gate: Gate,
) -> None:
    first = split(5_000, 5_000, name="b", included_bp=5_000)
    gate.run("lr", first, split(1, 9_999, name="a"))
    for unit in USERS:
        gate.variant(unit)

    inside = sum(first.assign(unit).arm is not None for unit in USERS)
    assert gate.exposures() == {"b/1": inside, "a/1": len(USERS) - inside}


def test_given_targeting_when_asked_then_features_and_tags_decide(gate: Gate) -> None:
    rules = Targeting((Range("x0", at_least=1), Equals("tag.site", "web")))
    gate.run("lr", split(1, 9_999, targeting=rules))
    web: dict[str, Any] = {"tags": {"site": "web"}}

    assert gate.variant("u", **web) == "v2"
    assert gate.variant("u") == "production"
    assert gate.variant("u", tags={"site": "app"}) == "production"
    low = [0.0, *ROW[1:]]
    of = [gate.infer("u", *rows, **web) for rows in ([low], [ROW, ROW], [ROW, low])]
    # Rows that differ say nothing of their one unit.
    assert [each["parameters"]["variant"] for each in of] == ["production", "v2", "production"]


def test_given_an_override_when_the_unit_asks_then_it_has_its_arm_and_may_choose_another(
    gate: Gate,
) -> None:
    gate.run("lr", split(9_999, 1, overrides=(Override("tester", "v2", "release test"),)))

    assert gate.variant("tester") == "v2"
    assert gate.variant("tester", force_variant="control") == "control"
    by_header = gate.client.post(
        "/v2/models/lr/infer",
        json={"inputs": [tensor(ROW)]},
        headers={"X-Unit-Id": "tester", "X-Force-Variant": "control"},
    ).json()
    assert by_header["parameters"]["variant"] == "control"


@pytest.mark.parametrize(
    ("unit", "variant"), [("stranger", "v2"), ("tester", "v9"), ("tester", 7), ("tester", "")]
)
def test_given_no_override_or_no_arm_when_a_variant_is_forced_then_it_is_refused(
    gate: Gate, unit: str, variant: Any
) -> None:
    gate.run("lr", split(5_000, 5_000, overrides=(Override("tester", "v2", "test"),)))
    body = {
        "inputs": [tensor(ROW)],
        "parameters": {"unit_id": unit, "force_variant": variant},
    }

    refused = gate.client.post("/v2/models/lr/infer", json=body)
    elsewhere = gate.client.post(
        "/v1/models/lr/invocations",
        json={"instances": [ROW], "params": {"unit_id": unit, "force_variant": variant}},
    )

    assert refused.status_code == elsewhere.status_code == 400
    assert "force_variant" in refused.json()["error"]
    assert "lr" not in gate.app.events.models()


@pytest.mark.parametrize("how", ["unknown", "archived", "damaged"])
def test_given_an_arm_that_cannot_be_loaded_when_asked_then_production_answers_and_it_is_named(
    gate: Gate, how: str
) -> None:
    if how == "damaged":
        folder = gate.app.settings.data_dir / "registry" / "lr" / "2"
        next(path for path in folder.iterdir() if path.suffix == ".skops").write_bytes(b"not it")
    allocation = split(1, 9_999)
    if how == "unknown":
        arms = (allocation.arms[0], replace(allocation.arms[1], model_version="99"))
        allocation = replace(allocation, arms=arms)
    elif how == "archived":
        gate.app.registry.archive("lr:2")
    gate.run("lr", allocation)

    assert {gate.variant(unit) for unit in USERS[:20]} == {"production"}
    (fault,) = gate.router.experiment_faults
    assert fault.startswith("experiment exp/1 takes no traffic: ")
    assert gate.client.get("/v2/health/ready").status_code == 200
    assert gate.exposures() == {None: 20}


def test_given_a_faulty_arm_when_it_can_be_loaded_again_then_the_experiment_takes_traffic(
    gate: Gate,
) -> None:
    folder = gate.app.settings.data_dir / "registry" / "lr" / "2"
    shutil.move(folder, folder.with_name("away"))
    gate.run("lr", split(1, 9_999))
    before = gate.variant("u")

    shutil.move(folder.with_name("away"), folder)
    gate.refresh()

    assert (before, gate.variant("u")) == ("production", "v2")
    assert gate.router.experiment_faults == []


def test_given_no_version_in_production_when_an_experiment_runs_then_it_takes_no_traffic(
    gate: Gate,
) -> None:
    gate.run("ghost", split(5_000, 5_000))

    (fault,) = gate.router.experiment_faults
    assert "ghost has no version in production" in fault
    answer = gate.client.post("/v2/models/ghost/infer", json={"inputs": [tensor(ROW)]})
    assert answer.status_code == 404


def test_given_an_experiment_ends_when_asked_then_its_versions_are_let_go(gate: Gate) -> None:
    gate.run("lr", split(5_000, 3_000, 2_000))
    during = {live.runtime.model_id for live in gate.router.live()}
    threads = [thread for thread in threading.enumerate() if thread.name in {"lr:2", "lr:3"}]
    gate.run("lr")

    for thread in threads:
        thread.join(30)
    assert len(threads) == 2
    assert not any(thread.is_alive() for thread in threads)
    after = {live.runtime.model_id for live in gate.router.live()}
    assert {"lr:2", "lr:3"} <= during
    assert not {"lr:2", "lr:3"} & after
    assert {gate.variant(unit) for unit in USERS[:20]} == {"production"}


def test_given_the_winner_is_promoted_when_it_answers_then_it_is_the_version_that_was_loaded(
    gate: Gate,
) -> None:
    gate.run("lr", split(5_000, 5_000))
    arm = next(live for live in gate.router.live() if live.runtime.model_id == "lr:2")

    gate.app.registry.promote_to_production("lr:2")
    gate.run("lr")

    assert gate.router.production["lr"] is arm
    assert gate.infer("u")["model_version"] == "2"


@pytest.mark.parametrize("form", ["tensors", "dataframe"])
def test_given_an_arm_with_another_signature_when_asked_then_it_gets_what_it_takes(
    gate: Gate, form: str
) -> None:
    columns = pd.DataFrame({"a": [0.0, 9.0] * 10, "b": [9.0, 0.0] * 10})
    registry = gate.app.registry
    for version, names in (("1", ["a", "b"]), ("2", ["b", "a"])):
        model = LogisticRegression().fit(columns[names].to_numpy(), LABELS)
        registry.register_model(model, "turned", version, {}, training_data=columns[names])
    registry.promote_to_production("turned:1")
    gate.run("turned", split(5_000, 5_000))

    for unit in USERS[:20]:
        if form == "tensors":
            inputs = [
                {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
                for name, value in (("a", 9.0), ("b", 0.0))
            ]
            body = {"inputs": inputs, "parameters": {"unit_id": unit}}
            answer = gate.client.post("/v2/models/turned/infer", json=body)
        else:
            body = {"dataframe_records": [{"a": 9.0, "b": 0.0}], "params": {"unit_id": unit}}
            answer = gate.client.post("/v1/models/turned/invocations", json=body)
        assert answer.status_code == 200, answer.text
    rows = gate.recorded("turned")
    assert {row["model_version"] for row in rows} == {"1", "2"}
    assert {row["prediction"] for row in rows} == {1.0}
    assert {(row["feature.a"], row["feature.b"]) for row in rows} == {(9.0, 0.0)}


def test_given_requests_on_their_way_when_experiments_change_then_each_is_answered_and_right(
    gate: Gate,
) -> None:
    first = split(5_000, 3_000, 2_000)
    phases = [first, first.next_phase(weights={"control": 2_000, "v2": 6_000})]
    done = threading.Event()

    def ask(worker: int) -> list[tuple[str, str, str]]:
        answers: list[tuple[str, str, str]] = []
        while len(answers) < 20 or (not done.is_set() and len(answers) < 500):
            unit = f"w{worker}-{len(answers) % 50}"
            answer = gate.infer(unit)
            answers.append((unit, answer["parameters"]["variant"], answer["model_version"]))
        return answers

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, worker) for worker in range(4)]
        try:
            for swap in range(30):
                gate.run("lr", *([], phases[:1], phases[1:])[swap % 3])
        finally:
            done.set()
        answers = [each for of in asked for each in of.result(60)]

    versions = {"production": "1", "control": "1", "v2": "2", "v3": "3"}
    assert all(versions[variant] == version for _, variant, version in answers)
    for unit, variant, _ in answers:
        assert variant in {"production", *(phase.assign(unit).arm for phase in phases)}
    rows = gate.recorded()
    assert len(rows) == len(answers)
    assert {row["status"] for row in rows} == {"success"}
    for row in rows:
        assert (row["experiment"] is None) == (row["variant"] == "production")


def test_given_an_arm_that_hangs_when_it_is_given_up_then_production_answers(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.run("lr", split(1, 9_999))
    before = gate.variant("u")
    arm = next(live for live in gate.router.live() if live.runtime.model_id == "lr:2")
    monkeypatch.setattr(arm._batcher, "_abandoned", 3)

    assert (before, gate.variant("u")) == ("v2", "production")
    assert gate.router.experiment_faults == ["experiment exp/1 takes no traffic: lr:2 hangs"]


def test_given_experiments_that_cannot_be_read_when_followed_then_those_loaded_go_on(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.run("lr", split(1, 9_999))

    def broken() -> int:
        raise OSError("disk I/O error")

    monkeypatch.setattr(gate.experiments, "generation", broken)
    with pytest.raises(OSError, match="disk"):
        gate.refresh()

    assert gate.variant("u") == "v2"


def test_given_experiments_that_are_stored_wrongly_when_followed_then_production_still_is(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.run("lr", split(1, 9_999))

    def wrong() -> Any:
        raise IntegrityError("experiment exp cannot be read")

    monkeypatch.setattr(gate.experiments, "running", wrong)
    gate.app.registry.promote_to_production("lr:3")
    gate.refresh()

    answer = gate.infer("u")
    assert (answer["model_version"], answer["parameters"]["variant"]) == ("3", "production")
    assert gate.router.experiment_faults == [
        "no experiment takes traffic: experiment exp cannot be read"
    ]
