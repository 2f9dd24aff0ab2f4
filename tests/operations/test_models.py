"""Changes of versions with their rules: readiness, what needs a version, and what is published."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sklearn.dummy import DummyClassifier

from watchkeeper.app import App
from watchkeeper.config import ModelPolicy, Settings
from watchkeeper.errors import ConflictError, InvalidValueError, NotFoundError
from watchkeeper.experiments import Mode
from watchkeeper.experiments.drafting import draft
from watchkeeper.experiments.repository import ExperimentRepository
from watchkeeper.identity import By, ModelId, RecordId
from watchkeeper.operations.changes import Change
from watchkeeper.rollouts import Event, Plan, Rollout, RolloutState
from watchkeeper.rollouts.repository import RolloutRepository, ShadowRepository
from watchkeeper.rollouts.shadow import Shadow

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MARIA = By("maria", "better on June", cause=RecordId("retraining", "late-june"))


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with App(Settings(data_dir=tmp_path)) as app:
        filled(app)
        yield app


def filled(app: App) -> None:
    """Register three versions, and put the first two in production one after the other."""
    model = DummyClassifier(strategy="constant", constant=1).fit([[0.0]], [1])
    for version in ("1", "2", "3"):
        app.registry.register_model(model, "late", version, {})
    for version in ("1", "2"):
        app.registry.promote_to_production(f"late:{version}")


def as_arm(app: App) -> None:
    experiment = draft("june", "late", {"control": "2", "new": "3"}, mode=Mode.ANYTIME)
    ExperimentRepository(app.control_database).add(experiment, at=NOW, by=By())


def as_shadow(app: App) -> None:
    shadow = Shadow(name="copy", model="late", version="3", started_at=NOW)
    ShadowRepository(app.control_database).add(shadow, at=NOW, by=By())


def as_canary(app: App) -> None:
    rollout = Rollout(name="july", model="late", version="3", plan=Plan(), stable="2")
    started = rollout.moved(Event.START, NOW)
    RolloutRepository(app.control_database).add(started, at=NOW, by=By())


@pytest.mark.parametrize("change", ["archive", "delete"])
@pytest.mark.parametrize(
    ("use", "why"),
    [(as_arm, "experiment june"), (as_shadow, "shadow copy"), (as_canary, "rollout july")],
)
def test_given_a_version_in_use_when_archived_or_deleted_then_it_is_refused(
    app: App, use: Callable[[App], None], why: str, change: str
) -> None:
    use(app)

    with pytest.raises(ConflictError, match=why):
        getattr(app.models, change)("late:3", by=MARIA)

    assert app.models.get("late:3").status == "registered"


@pytest.mark.parametrize("change", ["archive", "delete"])
@pytest.mark.parametrize(
    ("use", "why"),
    [(as_arm, "experiment june"), (as_shadow, "shadow copy"), (as_canary, "rollout july")],
)
def test_given_a_use_that_begins_as_a_version_is_put_aside_when_changed_then_the_use_is_not_lost(
    app: App, monkeypatch: pytest.MonkeyPatch, use: Callable[[App], None], why: str, change: str
) -> None:
    put_aside = getattr(app.registry, change)

    def used_first(*version: Any, **more: Any) -> None:
        use(app)
        put_aside(*version, **more)

    monkeypatch.setattr(app.registry, change, used_first)

    with pytest.raises(ConflictError, match=why):
        getattr(app.models, change)("late:3", by=MARIA)

    assert app.models.get("late:3").status == "registered"


def test_given_a_rollout_under_way_when_rolled_back_then_at_once_and_the_rollout_ends(
    app: App,
) -> None:
    app.rollouts.start("july", model="late", version="3", by=MARIA)
    assert app.rollouts.repository.splits(app.clock())

    assert app.models.roll_back("late", by=MARIA).model_id == "late:1"

    assert not app.rollouts.repository.splits(app.clock())
    app.rollouts.advance("july")
    assert app.rollouts.settle("july").state is RolloutState.ROLLED_BACK
    assert app.registry.get_production_model("late") == "late:1"


@pytest.mark.parametrize("change", ["archive", "delete"])
def test_given_what_a_rollback_returns_to_when_archived_or_deleted_then_it_is_refused(
    app: App, change: str
) -> None:
    for version, why in (("1", "a rollback returns to"), ("2", "in production")):
        with pytest.raises(ConflictError, match=why):
            getattr(app.models, change)(f"late:{version}", by=MARIA)

    assert app.models.roll_back("late", by=MARIA).model_id == "late:1"


def test_given_a_version_that_nothing_needs_when_changed_then_the_trail_says_who_why_and_of_what(
    app: App,
) -> None:
    published: list[Change] = []
    app.changes.subscribe(published.append)

    app.models.promote(ModelId("late", "3"), by=MARIA)
    app.models.roll_back("late", by=MARIA)
    app.models.set_alias("late:3", "challenger", by=MARIA)
    app.models.archive("late@challenger", by=MARIA)
    app.models.delete("late:3", by=MARIA)

    entries = app.audit.entries("late", limit=5)
    assert [entry.action for entry in reversed(entries)] == [
        "promote", "rollback", "alias", "archive", "delete",
    ]  # fmt: skip
    assert {By(entry.actor, entry.reason, entry.cause) for entry in entries} == {MARIA}
    assert published == [Change("version", "late")] * 5
    with pytest.raises(NotFoundError):
        app.models.promote("late:3", by=MARIA)


def test_given_a_model_that_has_to_be_ready_when_promoted_then_it_is_refused_until_it_is(
    tmp_path: Path,
) -> None:
    policy = ModelPolicy(promotion_requires_checklist=True)
    with App(Settings(data_dir=tmp_path, models={"late": policy})) as app:
        filled(app)
        app.models.set_alias("late:3", "candidate", by=MARIA)
        with pytest.raises(ConflictError, match="late is not ready: accuracy"):
            app.models.promote("late@candidate", by=MARIA)
        assert app.registry.get_production_model("late") == "late:2"

        tomorrow = app.clock() + timedelta(days=1)
        for point in app.checklists.of("late").points:
            app.checklists.waive("late", point.item.key, until=tomorrow, by=MARIA)
        assert app.models.promote("late@candidate", by=MARIA).status == "production"


def test_given_a_waiver_when_it_lacks_a_reason_or_a_point_then_nothing_is_kept(app: App) -> None:
    tomorrow = app.clock() + timedelta(days=1)
    with pytest.raises(InvalidValueError, match="may be waived"):
        app.checklists.waive("late", "logs", until=tomorrow, by=By("maria", " "))
    with pytest.raises(NotFoundError, match="nothing"):
        app.checklists.waive("late", "nothing", until=tomorrow, by=MARIA)

    assert app.audit.entries("late", action="waive readiness") == []


def test_given_an_earlier_version_when_a_rollback_is_rehearsed_then_the_checklist_has_it(
    app: App,
) -> None:
    assert app.models.rehearse_rollback("late", by=By("maria")).model_id == "late:1"

    points = {point.item.key: point for point in app.checklists.of("late").points}
    assert points["rollback"].state == "pass"
    assert "late:1 can take the place of late:2" in points["rollback"].told
    assert app.registry.get_production_model("late") == "late:2"
