"""What a version is called, where it comes from, in what it differs, and how it goes."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from watchkeeper.errors import ConflictError, IntegrityError, InvalidValueError, NotFoundError
from watchkeeper.registry import Lineage, ModelRegistry
from watchkeeper.testing import FixedClock

X = [[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]]
Y = [0, 0, 1, 1]
MODEL = LogisticRegression(C=0.5).fit(X, Y)
JULY = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture
def registry(tmp_path: Path) -> Any:
    with ModelRegistry(tmp_path, clock=FixedClock()) as own:
        for version in ("1", "2", "3"):
            own.register_model(MODEL, "risk", version, {"auc": 0.5 + int(version) / 10})
        yield own


def test_given_lineage_when_registered_then_all_of_it_is_kept_beside_what_the_model_says(
    registry: ModelRegistry,
) -> None:
    east = timezone(timedelta(hours=2))
    lineage = Lineage(
        parent="risk:1", dataset="june.parquet", training_start=datetime(2026, 6, 1, tzinfo=east),
        training_end=JULY, table_versions={"predictions": 7}, evaluated_on="july",
        code_revision="3f2a", packages={"mine": "2"},
    )  # fmt: skip
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.25)).fit(X, Y)
    registry.register_model(model, "risk", "4", {}, lineage=lineage)

    kept = registry.get("risk:4").lineage
    assert kept.parameters["C"] == 0.25
    assert set(kept.packages) == {"numpy", "scikit-learn", "mine"}
    assert kept.training_start == datetime(2026, 5, 31, 22, tzinfo=UTC)
    for name in ("parent", "dataset", "training_end", "table_versions", "evaluated_on"):
        assert kept[name] == lineage[name]
    manifest = Path(registry.get("risk:4").file_path).with_name("manifest.json")
    assert json.loads(manifest.read_text())["lineage"]["code_revision"] == "3f2a"

    with pytest.raises(InvalidValueError, match="a time after training_start"):
        Lineage(training_start=JULY, training_end=JULY - timedelta(days=1))


def test_given_parameters_that_json_has_not_when_registered_then_they_are_kept_as_words(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    model = LogisticRegression(C=float("inf")).fit(X, Y)
    registry.register_model(model, "risk", "4", {})
    lineage = Lineage(parameters={"missing": float("nan"), "bounds": [float("-inf"), 1.0]})
    registry.register_model(MODEL, "risk", "5", {}, lineage=lineage)

    assert registry.get("risk:4").lineage.parameters["C"] == "inf"
    kept = {"missing": "nan", "bounds": ["-inf", 1.0]}
    assert registry.get("risk:5").lineage.parameters == kept
    for path in tmp_path.rglob("manifest.json"):
        strict(path.read_text())


def test_given_a_version_that_an_earlier_release_stored_with_nan_when_read_then_it_is_there(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "control.db") as database:
        database.execute(
            "UPDATE model_versions SET lineage = "
            """'{"parameters": {"C": Infinity, "missing": NaN}}' WHERE version = '3'"""
        )

    found = registry.get("risk:3")
    assert found.lineage.parameters["C"] == float("inf")
    assert strict(found.to_json())["lineage"]["parameters"] == {"C": None, "missing": None}


def strict(text: str) -> Any:
    """Return what JSON says; NaN and infinities are none of it."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_given_aliases_when_set_then_they_find_versions_and_move_with_a_trail(
    registry: ModelRegistry,
) -> None:
    registry.promote_to_production("risk:1")
    registry.set_alias("risk:2", "challenger", reason="better in the gate", actor="ada")
    registry.set_alias("risk:2", "canary-7")
    assert registry.get("risk@champion").model_id == "risk:1"
    assert registry.get("risk@challenger").aliases == ("canary-7", "challenger")
    assert [each.aliases for each in registry.list_models()] == [
        (), ("canary-7", "challenger"), ("champion",),
    ]  # fmt: skip

    registry.set_alias("risk@challenger", "next")
    registry.set_alias("risk:3", "challenger")
    registry.promote_to_production("risk@challenger")
    assert registry.get_production_model("risk") == "risk:3"
    assert registry.get("risk:3").aliases == ("challenger", "champion")
    assert registry.get("risk@next").model_id == "risk:2"
    registry.remove_alias("risk", "canary-7", actor="bob")
    with pytest.raises(NotFoundError, match="challenger, champion, next"):
        registry.get("risk@canary-7")
    trail = [each for each in registry.history("risk") if each["action"] == "alias"]
    assert trail[0]["evidence"] == {"alias": "challenger", "was": None, "is": "risk:2"}
    assert trail[-1]["evidence"] == {"alias": "canary-7", "was": "risk:2", "is": None}


@pytest.mark.parametrize(("alias", "said"), [("champion", "follows"), ("a b", "alias")])
def test_given_an_alias_that_cannot_be_when_set_then_it_is_refused(
    registry: ModelRegistry, alias: str, said: str
) -> None:
    with pytest.raises(InvalidValueError, match=said):
        registry.set_alias("risk:1", alias)


def test_given_two_versions_when_compared_then_what_differs_is_listed(
    registry: ModelRegistry,
) -> None:
    other = LogisticRegression(C=2.0).fit(X, Y)
    registry.register_model(
        other, "risk", "4", {"auc": 0.9, "f1": 0.5}, tags={"team": "b"},
        training_data={"a": [0.0, 1.0], "b": ["x", None]},
        lineage=Lineage(parent="risk:1"),
    )  # fmt: skip

    found = {each.what: each for each in registry.diff("risk:1", "risk:4")}

    assert found["metrics.auc"].change == pytest.approx(0.3)
    assert (found["metrics.f1"].before, found["metrics.f1"].after) == (None, 0.5)
    assert found["lineage.parameters.C"].change == 1.5
    assert found["lineage.parent"].after == "risk:1"
    assert found["signature.x0"].after is None
    assert found["signature.b"].after == "string, nullable"
    assert found["signature order"].before == "x0, x1"
    assert found["tags.team"].after == "b"
    assert found["about.training_data.rows"].after == 2
    assert registry.diff("risk:1", "risk:1") == ()


def test_given_words_when_the_card_is_asked_for_then_they_come_before_what_is_known(
    registry: ModelRegistry,
) -> None:
    words = "## What it is for\n\nLoans up to 5,000. Not for minors."
    registry.register_model(
        MODEL, "risk", "4", {"auc": 0.75}, "by branch", card=words,
        lineage=Lineage(dataset="june", evaluated_on="july"), actor="ada",
    )  # fmt: skip

    card = registry.card("risk:4")

    assert card.startswith(f"# risk:4\n\nby branch\n\n{words}\n\n")
    assert "## Metrics on july\n\n| metric | value |\n| --- | --- |\n| auc | 0.75 |" in card
    assert "| x0 | number | yes |" in card
    assert "| dataset | june |" in card
    assert registry.get("risk:4").file_hash in card
    assert "| register | ada |" in card
    kept = Path(registry.get("risk:4").file_path).with_name("card.md")
    kept.write_text("Fit for everybody.")
    with pytest.raises(IntegrityError, match=r"card\.md"):
        registry.card("risk:4")


def test_given_a_version_that_is_deleted_when_looked_for_then_only_the_trail_knows_it(
    registry: ModelRegistry,
) -> None:
    folder = Path(registry.get("risk:2").file_path).parent
    registry.set_alias("risk:2", "challenger")
    registry.delete("risk@challenger", reason="never used", actor="ada")

    assert not folder.exists()
    assert [each.version for each in registry.list_models()] == ["3", "1"]
    with pytest.raises(NotFoundError):
        registry.get("risk@challenger")
    entry = registry.history("risk")[-1]
    assert (entry["action"], entry["reason"], entry["actor"]) == ("delete", "never used", "ada")
    assert entry["evidence"]["version"]["metrics"] == {"auc": 0.7}
    with pytest.raises(ConflictError, match="was deleted on"):
        registry.register_model(MODEL, "risk", "2", {})
    assert registry.taken_versions("risk") == {"1", "2", "3"}


def test_given_what_serves_or_may_have_to_when_deleted_then_it_is_refused(
    registry: ModelRegistry,
) -> None:
    for version in ("1", "2", "3"):
        registry.promote_to_production(f"risk:{version}")
    with pytest.raises(ConflictError, match="is in production"):
        registry.delete("risk:3")
    with pytest.raises(ConflictError, match="what a rollback returns to"):
        registry.delete("risk:2")
    assert registry.rollback("risk") == "risk:2"
    registry.promote_to_production("risk:3")
    registry.delete("risk:1")  # two steps back
    assert registry.rollback("risk") == "risk:2"
    with pytest.raises(NotFoundError, match="is the first"):
        registry.rollback("risk")


DIES = """
import os, sys
from watchkeeper.registry import ModelRegistry
from watchkeeper.registry.artifacts import Artifacts
from watchkeeper.registry.repository import Repository

owner = {"delete": Repository, "promote": Repository, "discard": Artifacts}[sys.argv[2]]
whole = getattr(owner, sys.argv[2])

def dying(self, *args, **named):
    if sys.argv[3] == "before":
        os.kill(os.getpid(), 9)
    whole(self, *args, **named)
    os.kill(os.getpid(), 9)

registry = ModelRegistry(sys.argv[1])
setattr(owner, sys.argv[2], dying)
if sys.argv[2] == "promote":
    registry.promote_to_production("risk:2")
else:
    registry.delete("risk:2")
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["delete", "discard", "promote"])
def test_given_a_death_half_way_when_opened_again_then_a_version_is_whole_or_gone(
    registry: ModelRegistry, step: str, when: str
) -> None:
    registry.promote_to_production("risk:1")
    killed = subprocess.run(
        [sys.executable, "-c", DIES, registry.path, step, when], check=False, env=os.environ
    )

    assert killed.returncode == -signal.SIGKILL
    if step == "promote":
        assert registry.get_production_model("risk") == ("risk:1" if when == "before" else "risk:2")
        assert len(registry.list_models("production")) == 1
        return
    if (step, when) == ("delete", "before"):
        registry.verify("risk:2")
        registry.delete("risk:2")
    with pytest.raises(NotFoundError):
        registry.get("risk:2")
    with pytest.raises(ConflictError, match="was deleted"):
        registry.register_model(MODEL, "risk", "2", {})
    for each in registry.list_models():
        registry.verify(each.model_id)
