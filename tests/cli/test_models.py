import json
from pathlib import Path
from typing import Any

import joblib
import pyarrow as pa
import pyarrow.csv
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

from watchkeeper.cli import main
from watchkeeper.registry import ModelRegistry

MODEL = LogisticRegression().fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])


class Command:
    """The command line on one data directory."""

    def __init__(self, data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._data_dir, self._capsys = str(data_dir), capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        code = main(["models", *arguments, "--data-dir", self._data_dir])
        out, error = self._capsys.readouterr()
        return code, out, error

    def json(self, *arguments: str) -> Any:
        code, out, error = self(*arguments, "--json")
        assert code == 0, error
        return json.loads(out)


@pytest.fixture
def models(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    skops.io.dump(MODEL, "model.skops")
    joblib.dump(MODEL, "model.joblib")
    pa.csv.write_csv(pa.table({"a": [0.0, 1.0], "b": [1.0, 0.0]}), "train.csv")
    return Command(data_dir, capsys)


def test_given_a_file_when_registered_promoted_and_taken_back_then_the_registry_says_so(
    models: Command, data_dir: Path
) -> None:
    first = models.json(
        "register", "model.skops", "--name", "risk", "--version", "1",
        "--metrics", '{"accuracy": 0.9}', "--tag", "team=a", "--training-data", "train.csv",
    )  # fmt: skip
    assert first["model_id"] == "risk:1"
    assert first["metrics"] == {"accuracy": 0.9}
    assert [each["name"] for each in first["signature"]["features"]] == ["a", "b"]
    assert models("register", "model.skops", "--name", "risk", "--version", "2")[0] == 0
    assert models("promote", "risk:1", "--reason", "first")[1] == "risk:1 is in production\n"
    assert models.json("promote", "risk:2")["status"] == "production"
    assert models("rollback", "risk", "--dry-run")[1] == (
        "risk:1 would take the place of risk:2; its files are as registered\n"
    )
    assert models.json("rollback", "risk", "--reason", "worse")["model_id"] == "risk:1"
    assert "is the first that was promoted" in models("rollback", "risk", "--dry-run")[2]
    assert models("archive", "risk:2")[0] == 0

    listed = models.json("list", "--model", "risk")["models"]
    assert [(each["model_id"], each["status"]) for each in listed] == [
        ("risk:2", "archived"), ("risk:1", "production"),
    ]  # fmt: skip
    history = models.json("show", "risk:1")["history"]
    assert [(each["action"], each["reason"]) for each in history] == [
        ("register", ""), ("promote", "first"), ("rollback", "worse"),
    ]  # fmt: skip
    with ModelRegistry(data_dir / "registry") as registry:
        assert registry.get_production_model("risk") == "risk:1"


def test_given_a_tampered_file_when_verified_then_the_exit_code_is_1(
    models: Command, data_dir: Path
) -> None:
    registered = models.json("register", "model.skops", "--name", "risk", "--version", "1")
    assert models("verify")[0] == 0
    Path(registered["file_path"]).write_bytes(b"changed")

    code, out, _ = models("verify", "risk:1")

    assert code == 1
    assert "SHA-256" in out
    assert models("promote", "risk:1")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["model.joblib", "--name", "r", "--version", "1"], "--allow-unsafe"),
        (["none.skops", "--name", "r", "--version", "1"], "none.skops"),
        (["model.pmml", "--name", "r", "--version", "1"], "ends in"),
        (["train.csv", "--name", "r", "--version", "1"], "ends in"),
        (["model.skops", "--name", "../r", "--version", "1"], "model_name"),
        (["model.skops", "--name", "r", "--version", "1", "--metrics", "{"], "--metrics"),
        (["model.skops", "--name", "r", "--version", "1", "--metrics", "[]"], "--metrics"),
        (["model.skops", "--name", "r", "--version", "1", "--tag", "x"], "NAME=VALUE"),
    ],
)
def test_given_bad_arguments_when_registered_then_two_lines_say_what_to_do(
    models: Command, arguments: list[str], told: str
) -> None:
    code, _, error = models("register", *arguments)

    assert code == 2
    assert told in error
    assert len(error.splitlines()) <= 2
    assert models.json("list") == {"models": []}


def test_given_consent_when_an_unsafe_file_is_registered_then_it_is_recorded(
    models: Command,
) -> None:
    registered = models.json(
        "register", "model.joblib", "--name", "r", "--version", "1", "--allow-unsafe"
    )

    assert registered["unsafe"] is True


def test_given_unknown_names_when_asked_for_then_the_error_names_them(models: Command) -> None:
    for arguments in (["show", "r:1"], ["promote", "r:1"], ["rollback", "r"]):
        code, _, error = models(*arguments)
        assert code == 2
        assert "r" in error


def test_given_two_versions_when_named_compared_and_deleted_then_the_commands_say_so(
    models: Command,
) -> None:
    Path("card.md").write_text("For loans.")
    for version in ("1", "2"):
        code, _, error = models(
            "register", "model.skops", "--name", "risk", "--version", version,
            "--metrics", f'{{"auc": 0.{version}}}', "--card", "card.md",
            "--lineage", '{"dataset": "june", "training_end": "2026-07-01T00:00:00+00:00"}',
        )  # fmt: skip
        assert code == 0, error
    models("promote", "risk:1")
    assert models("alias", "risk:2", "challenger")[1] == "risk@challenger is risk:2\n"
    assert models.json("show", "risk@challenger")["aliases"] == ["challenger"]
    told = models.json("diff", "risk@champion", "risk@challenger")["differences"]
    found = {each["what"]: (each["before"], each["after"]) for each in told}
    found.pop("size", None)  # skops writes the ids of objects, which are not always as long
    assert found == {"metrics.auc": (0.1, 0.2)}
    assert "metrics.auc" in models("diff", "risk:1", "risk:2")[1]
    assert models("diff", "risk:1", "risk:1")[1] == "risk:1 and risk:1 do not differ\n"
    assert "For loans." in models("card", "risk:2")[1]
    assert models("alias", "risk:2", "challenger", "--remove")[1] == "risk@challenger is no more\n"
    assert "is in production" in models("delete", "risk:1")[2]
    assert "is deleted" in models("delete", "risk:2", "--reason", "unused")[1]
    assert "unused" in models("history", "risk")[1]
    assert models("history", "nobody")[0] != 0
    code, _, error = models(
        "register", "model.skops", "--name", "risk", "--version", "3", "--lineage", '{"data": 1}'
    )
    assert code != 0
    assert "training_start" in error


def test_given_a_version_that_an_experiment_or_a_shadow_needs_when_deleted_then_it_is_refused(
    models: Command, data_dir: Path
) -> None:
    for version in ("1", "2", "3"):
        models("register", "model.skops", "--name", "risk", "--version", version)
    models("promote", "risk:1")
    common = ["--data-dir", str(data_dir)]
    arms = ["--arm", "old=1", "--arm", "new=2", "--units", "1000"]
    assert main(["experiments", "create", "x", "--model", "risk", *arms, *common]) == 0
    assert main(["shadows", "start", "s", "--model", "risk", "--version", "3", *common]) == 0
    assert "a variant of the experiment x" in models("delete", "risk:2")[2]
    assert "gets mirrored traffic as the shadow s" in models("delete", "risk:3")[2]
    assert main(["shadows", "stop", "s", *common]) == 0
    assert "is deleted" in models("delete", "risk:3")[1]
