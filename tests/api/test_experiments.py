"""An experiment over HTTP and by the command line, from its draft to its kept verdict."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sklearn.dummy import DummyClassifier
from starlette.testclient import TestClient
from tests.servers import LABELS, ROWS, tensor

from watchkeeper.cli import main
from watchkeeper.registry import ModelRegistry

START = datetime(2026, 3, 1, tzinfo=UTC)
NEW: dict[str, Any] = {
    "name": "smarter",
    "model": "lr",
    "arms": {"control": "2", "new": "3"},
    "planned_units": 120,
    "conversion_window": 60,
    "guardrails": {"error-rate": 0.2},
    "secondary": ["score"],
    "reason": "version 3 learned on more",
}


@pytest.fixture
def server(tmp_path: Path, start: Callable[..., TestClient]) -> TestClient:
    client = start(server={"clock": "events"})
    with ModelRegistry(tmp_path / "registry") as registry:
        for version, answer in (("2", 0), ("3", 1)):
            model = DummyClassifier(strategy="constant", constant=answer).fit(ROWS, LABELS)
            registry.register_model(model, "lr", version, {}, training_data=ROWS)
    return client


def ask(client: TestClient, path: str, body: Any, status: int = 200) -> Any:
    answer = client.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def predicted(client: TestClient, number: int, at: datetime) -> tuple[str, str]:
    body = {
        "inputs": [tensor([3.0, 0.0, 1.0, 0.0])],
        "parameters": {"unit_id": f"user-{number}", "timestamp": at.isoformat()},
    }
    told = ask(client, "/v2/models/lr/infer", body)["parameters"]
    return told["prediction_id"], told["variant"]


def test_given_a_better_version_when_the_experiment_ends_then_the_verdict_is_kept_with_its_evidence(
    server: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predicted(server, 0, START)  # the clock of a replay begins with the events
    made = ask(server, "/v1/experiments", NEW, 201)
    assert (made["state"], made["allocation"]["experiment"]) == ("draft", "smarter")
    assert predicted(server, 1, START)[1] == "production"

    ask(server, "/v1/experiments/smarter/start", {"reason": "now"})
    given = []
    for number in range(140):
        if number == 70:
            assert main(["experiments", "report", "smarter", "--data-dir", str(tmp_path)]) == 0
            assert "best with probability" in capsys.readouterr().out
            ask(server, "/v1/experiments/smarter/weights", {"weights": {"control": 20, "new": 80}})
        at = START + timedelta(minutes=number + 1)
        prediction_id, variant = predicted(server, number, at)
        given.append(variant)
        known = {"prediction_id": prediction_id, "actual": 1, "timestamp": at.isoformat()}
        ask(server, "/v1/models/lr/outcomes", [known])
    assert set(given) == {"control", "new"}
    traffic = 'model_experiment_traffic_percentage{model="lr",experiment="smarter",variant="new"}'
    assert f"{traffic} 80.0" in server.get("/metrics").text
    predicted(server, 999, START + timedelta(days=1))

    report = server.get("/v1/experiments/smarter/report").json()
    assert report["decision"]["verdict"] == "ship"
    assert report["arms"][0]["comparison"]["contrast"]["control"] == 0.0
    assert report["arms"][0]["comparison"]["contrast"]["treatment"] == 1.0
    assert sum(report["units"].values()) == 141
    assert report["multi_exposed"] == 0
    assert report["bayesian"] is None  # the weights have changed

    ended = ask(server, "/v1/experiments/smarter/stop", {"reason": "shipped"})
    assert ended["decision"]["verdict"] == "ship"
    assert predicted(server, 5, START + timedelta(days=1))[1] == "production"
    assert traffic not in server.get("/metrics").text
    kept = server.get("/v1/experiments/smarter").json()
    assert (kept["state"], kept["decision"]["arm"]) == ("stopped", "new")
    assert [phase["weights"]["new"] for phase in kept["phases"]] == [5000, 8000]

    with ModelRegistry(tmp_path / "registry") as registry:
        history = [e for e in registry.history("lr") if e["action"].startswith("experiment")]
    assert [each["action"].removeprefix("experiment ") for each in history] == [
        "create", "start", "change weights", "stop",
    ]  # fmt: skip
    assert history[-1]["reason"] == "shipped"
    assert history[-1]["evidence"]["units"] == report["units"]

    kept_at = ["--data-dir", str(tmp_path)]
    assert main(["experiments", "report", "smarter", "--json", *kept_at]) == 0
    assert json.loads(capsys.readouterr().out)["units"] == report["units"]
    page = tmp_path / "report.html"
    assert main(["experiments", "report", "smarter", "--html", str(page), *kept_at]) == 0
    assert "Experiment smarter" in page.read_text()
    assert "ship: new: accuracy 1 of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"weights": {"control": 50, "new": 50.5}}, "the sum of the weights"),
        ({"weights": {"control": 50}}, "weights is ['control']; expected one of each of"),
        ({"arms": {"control": "2", "new": "9"}}, "there is no model version 'lr:9'"),
        ({"alpha": 0}, "alpha is 0"),
        ({"metric": "precision"}, "metric is 'precision'"),
        ({"guardrails": {"latency": 0}}, "guardrail.margin is 0"),
        ({"colour": "blue"}, "body.colour"),
        ({"maturity": 60, "share": 20}, "share = 20 is now coverage = 20"),
        ({"maturity": 60, "share": 20}, "maturity = 60 is now conversion_window = 60"),
        ({"planned_units": None}, "planned_units is None"),
        ({"weights": {"control": 100.5, "new": 0}}, "percentage is 100.5"),
        ({"overrides": {"tester": "old"}}, "expected one of control, new"),
        ({"targeting": [{"attribute": "x", "above": 1}]}, "targeting[0]"),
        ({"namespace": {"name": "n", "start": 50, "end": 50}}, "the end in namespace n is 5000"),
        ({"hashing": "md5"}, "expected one of sha256, growthbook-v2"),
        ({"hashing": "growthbook-v2", "holdout": 5}, "sha256 with a holdout"),
    ],
)
def test_given_a_wrong_experiment_when_created_then_the_error_names_it_and_nothing_is_kept(
    server: TestClient, changes: dict[str, Any], told: str
) -> None:
    answer = server.post("/v1/experiments", json={**NEW, **changes})

    assert 400 <= answer.status_code < 500
    assert told in answer.json()["error"]["message"]
    assert server.get("/v1/experiments").json() == {"experiments": []}


def test_given_posted_values_when_reported_then_silence_counts_as_nothing_and_each_unit_once(
    server: TestClient,
) -> None:
    predicted(server, 0, START)
    metrics = {"metric": "value:revenue", "secondary": ["any:revenue"], "guardrails": {}}
    ask(server, "/v1/experiments", {**NEW, **metrics}, 201)
    ask(server, "/v1/experiments/smarter/start", {})
    assert server.get("/v1/experiments/smarter/report").json()["units"] == {"control": 0, "new": 0}
    spent: dict[str, list[float]] = {"control": [], "new": []}
    for number in range(60):
        at = START + timedelta(minutes=number)
        prediction_id, variant = predicted(server, number, at)
        value = float(number) if number % 3 == 0 else 0.0
        spent[variant].append(value)
        posted = {"prediction_id": prediction_id, "metric": "revenue", "actual": value}
        if value:
            ask(server, "/v1/models/lr/outcomes", [{**posted, "timestamp": at.isoformat()}])
    late = {**posted, "actual": 1e6, "timestamp": (START + timedelta(days=1)).isoformat()}
    ask(server, "/v1/models/lr/outcomes", [late])
    predicted(server, 999, START + timedelta(days=2))

    report = server.get("/v1/experiments/smarter/report").json()

    seen = report["arms"][0]["comparison"]["contrast"]
    bought = report["secondary"][0]["contrast"]
    for side, arm in (("control", "control"), ("treatment", "new")):
        assert seen[side] == pytest.approx(sum(spent[arm]) / len(spent[arm]))
        assert bought[side] == pytest.approx(sum(v > 0 for v in spent[arm]) / len(spent[arm]))


def test_given_an_experiment_when_another_wants_its_traffic_then_that_is_refused(
    server: TestClient,
) -> None:
    for name in ("first", "second"):
        ask(server, "/v1/experiments", {**NEW, "name": name}, 201)
    ask(server, "/v1/experiments/first/start", {})

    told = ask(server, "/v1/experiments/second/start", {}, 409)["error"]["message"]

    assert "the experiment first takes the traffic of lr already" in told
    assert ask(server, "/v1/experiments", {**NEW, "name": "first"}, 409)
    assert server.get("/v1/experiments/third").status_code == 404


def test_given_the_command_line_when_an_experiment_is_made_then_it_is_the_one_of_the_server(
    server: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--data-dir", str(tmp_path)]
    command = ["experiments", "create", "smarter", "--model", "lr", "--arm", "control=2"]
    options = ["--arm", "new=3", "--units", "500", "--weight", "control=90", "--weight", "new=10"]

    assert main([*command, *options, "--guardrail", "latency=5", *at]) == 0
    assert main(["experiments", "start", "smarter", *at]) == 0
    assert main(["experiments", "weights", "smarter", "--weight", "control=80",
                 "--weight", "new=20", *at]) == 0  # fmt: skip
    assert main(["experiments", "status", "smarter", *at]) == 0
    assert main(["experiments", "list", "--state", "running", *at]) == 0
    assert main(["experiments", "stop", "smarter", *at]) == 0
    told = capsys.readouterr().out
    assert "smarter runs: control 90 %, new 10 %" in told
    assert "undecided: new: there are no units of both variants yet" in told

    assert main([*command, "--arm", "new=3", "--weight", "control", *at]) == 2
    assert "--weight is 'control'; expected NAME=NUMBER" in capsys.readouterr().err
    assert main(["experiments", "report", "other", *at]) == 2
    (kept,) = server.get("/v1/experiments").json()["experiments"]
    assert (kept["state"], kept["decision"]["verdict"]) == ("stopped", "undecided")


def test_given_who_takes_part_when_created_by_body_or_command_then_both_mean_the_same(
    server: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = {"attribute": "tag.site", "in": ["web"]}
    body = {
        **NEW, "namespace": {"name": "pricing", "start": 0, "end": 50}, "holdout": 5,
        "targeting": [rule], "overrides": {"tester-1": "new"}, "salt": "s",
    }  # fmt: skip
    made = ask(server, "/v1/experiments", body, 201)["allocation"]
    command = ["experiments", "create", "other", "--model", "lr", "--arm", "control=2",
               "--arm", "new=3", "--units", "500", "--namespace", "pricing=0-50",
               "--holdout", "5", "--target", json.dumps(rule), "--override", "tester-1=new",
               "--salt", "s", "--json", "--data-dir", str(tmp_path)]  # fmt: skip
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)["allocation"]

    for field in ("namespace", "holdout", "targeting", "overrides", "salt", "hash", "arms"):
        assert told[field] == made[field], field
    assert made["namespace"] == {"name": "pricing", "start_bp": 0, "end_bp": 5000}
    ask(server, "/v1/experiments/smarter/start", {})
    answered = ask(server, "/v2/models/lr/infer", {
        "inputs": [tensor([3.0, 0.0, 1.0, 0.0])], "parameters": {"unit_id": "tester-1"},
    })  # fmt: skip
    assert answered["parameters"]["variant"] == "new"
    assert predicted(server, 1, START)[1] == "production"  # it does not say its site

    for wrong, said in (
        (["--namespace", "pricing=half"], "--namespace is 'pricing=half'; expected NAME=FROM-TO"),
        (["--target", "carrier=UA"], "--target is 'carrier=UA'; expected a rule as JSON"),
        (["--override", "tester-1"], "expected UNIT=ARM"),
    ):
        assert main([*command, *wrong]) == 2
        assert said in capsys.readouterr().err


def test_given_a_rate_and_an_effect_when_planned_then_the_units_are_those_of_the_design(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = ["experiments", "plan", "--baseline", "0.2", "--effect", "0.1", "--json"]
    found = []
    for more in (
        ["--mode", "fixed"],
        ["--mode", "group_sequential", "--per-day", "1000"],
        ["--mode", "anytime", "--treatment-share", "0.1"],
    ):
        assert main([*plan, *more]) == 0
        found.append(json.loads(capsys.readouterr().out))

    assert found[0] == {"units": 13_019, "control": 6_509, "treatment": 6_510, "days": None}
    assert found[1]["units"] == pytest.approx(1.0247 * 13_019, abs=3)
    assert found[1]["days"] == found[1]["units"] / 1000
    assert found[2]["treatment"] == pytest.approx(1.7 * 3574.42, abs=2)
    for wrong in ("looks", "treatments"):
        assert main([*plan, f"--{wrong}", "0"]) == 2
        assert f"{wrong} is 0" in capsys.readouterr().err
