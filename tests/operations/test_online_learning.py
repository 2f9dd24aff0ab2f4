"""Online learning over a real registry, event store and control database: every way it can go."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from river import linear_model, naive_bayes, preprocessing
from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDRegressor
from tests.operations.killed import Killed, kill_at

from watchkeeper.app import App
from watchkeeper.config import RegistrySettings, Settings
from watchkeeper.config.models import ModelPolicy
from watchkeeper.errors import IntegrityError, InvalidValueError, NotFoundError
from watchkeeper.events import Event, Outcome, Prediction, new_prediction_id
from watchkeeper.identity import By
from watchkeeper.online.consumed import Taught
from watchkeeper.operations.online_learning import OnlineStatus
from watchkeeper.policies.online import OnlinePolicy
from watchkeeper.registry import Status
from watchkeeper.rollouts import Plan
from watchkeeper.testing import FixedClock

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=2)
UNTAUGHT: Any = naive_bayes.GaussianNB
EVERY = 200
POLICY = OnlinePolicy(enabled=True, snapshot_every=EVERY, then="direct")
RNG = np.random.default_rng(3)
ROWS = RNG.normal(size=(3_000, 2))
LATE = (ROWS[:, 0] + 0.3 * RNG.normal(size=len(ROWS)) > 0).astype(int)
BY_WIND = (ROWS[:, 1] > 0).astype(int)


def estimator(labels: Any = BY_WIND, count: int = 60, **more: Any) -> SGDClassifier:
    """Return a model that looks at the wind, which tells nothing, and learns slowly."""
    settings = {"loss": "log_loss", "learning_rate": "constant", "eta0": 0.01, **more}
    model = SGDClassifier(random_state=1, **settings)
    for _ in range(3):
        model.partial_fit(ROWS[:count], labels[:count], classes=[0, 1])
    return model


def promoted(app: App, model: Any, version: str = "1.0.0", **more: Any) -> str:
    more = {"training_data": ROWS[:60], **more}
    model_id = app.registry.register_model(model, "late", version, {}, **more)
    app.registry.promote_to_production(model_id)
    return model_id


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with App(Settings(data_dir=tmp_path), clock=FixedClock(START)) as app:
        promoted(app, estimator())
        yield app


def row_of(number: int) -> dict[str, Any]:
    return {f"x{i}": float(ROWS[number, i]) for i in (0, 1)}


def made(
    first: int,
    last: int,
    labels: Any = LATE,
    came: datetime | None = None,
    features: Callable[[int], dict[str, Any]] = row_of,
) -> list[Event]:
    """Return predictions, one a minute, each with its outcome a minute later."""
    found: list[Event] = []
    for number in range(first, last):
        at = START + timedelta(minutes=number)
        then = at + timedelta(minutes=1) if came is None else came
        own = IDS[number]
        found += [
            Prediction(
                prediction_id=own, model="late", model_version="1.0.0", timestamp=at,
                arrived_at=at, features=features(number), prediction=0, score=0.5,
            ),
            Outcome(
                prediction_id=own, model="late", timestamp=then, arrived_at=then,
                actual=labels[number].item(),
            ),
        ]  # fmt: skip
    return found


IDS = [new_prediction_id(START + timedelta(minutes=n)) for n in range(len(ROWS))]


def look(
    app: App, at: datetime = NOW, policy: OnlinePolicy = POLICY, **settings: Any
) -> OnlineStatus:
    app.settings.models["late"] = ModelPolicy(online=policy, **settings)
    return app.online_learning.advance("late", at)


def versions(app: App) -> list[str]:
    return [each.version for each in app.registry.list_models(model_name="late")]


def coefficients(app: App, model_id: str) -> Any:
    return app.registry.load_model(model_id).coef_


def test_given_outcomes_when_looked_then_what_was_learned_is_a_version_and_is_promoted(
    app: App,
) -> None:
    app.recorder.record(made(0, 450))

    found = look(app)

    assert [step.number for step in found.steps] == [1, 2]
    assert (found.missing, found.busy) == (EVERY - 50, False)
    assert app.online_learning.waiting("late") == found.waiting == 50
    first = found.steps[0]
    assert first.kept, first.reason
    assert first.scores is not None
    assert first.scores.rows == EVERY
    assert first.scores.loss < first.scores.champion_loss
    assert first.promoted == "late:1.0.0-online.1" == first.snapshot
    second = app.registry.get("late:1.0.0-online.2")
    assert second.lineage.parent == "late:1.0.0-online.1"
    assert second.lineage.training_end == START + timedelta(minutes=399, microseconds=1)
    assert second.lineage.evaluated_on == "200 outcomes, each before it was used for training"
    assert second.tags == {"online.champion": "late:1.0.0", "online.number": "2"}
    assert second.signature == app.registry.get("late:1.0.0").signature
    assert second.metrics["accuracy"] == pytest.approx(1 - found.steps[1].scores.loss)  # type: ignore[union-attr]
    assert second.format == "skops"
    assert second.about["training_data"]["rows"] == 60 + 2 * EVERY  # what drift is measured against
    assert "online" in second.aliases
    assert app.registry.open_runtime(second.model_id).predict(ROWS[:2]).scores is not None
    assert not look(app).steps

    app.recorder.record(made(450, 610))
    (third,) = look(app).steps
    assert third.number == 3
    assert third.kept


def test_given_the_same_outcomes_when_learned_in_one_look_or_several_then_it_is_the_same(
    app: App, tmp_path: Path
) -> None:
    with App(Settings(data_dir=tmp_path / "other"), clock=FixedClock(START)) as other:
        promoted(other, estimator())
        other.recorder.record(made(0, 600))
        look(other)
        for first in range(0, 600, 150):
            app.recorder.record(made(first, first + 150))
            look(app)

        assert versions(app) == versions(other)
        assert np.array_equal(
            coefficients(app, "late:1.0.0-online.3"), coefficients(other, "late:1.0.0-online.3")
        )


def test_given_labels_that_turn_when_looked_then_it_returns_to_the_last_good_snapshot(
    app: App,
) -> None:
    """Good outcomes until a snapshot was promoted, and from then on the opposite of the truth."""
    app.recorder.record(made(0, 600))
    assert look(app).steps[-1].kept
    good = app.registry.get_production_model("late")
    assert good is not None
    assert good.startswith("late:1.0.0-online.")
    learned = versions(app)

    app.recorder.record(made(600, 800, 1 - LATE))
    (bad,) = look(app).steps

    assert not bad.kept
    assert bad.scores is not None
    assert bad.scores.fault == "it is worse than the champion"
    assert versions(app) == learned  # nothing of it stays
    # As things are, even what was good is worse than the champion, which knows nothing.
    assert bad.returned == "late:1.0.0" == app.registry.get_production_model("late")
    assert "back to late:1.0.0" in bad.reason
    promotion = app.audit.entries("late", action="promote", limit=1)[0]
    assert promotion.reason.startswith(f"back to the last good snapshot: {good} is worse")


def gone_wrong(app: App) -> str:
    """Let a snapshot be in production that is worse than the champion; return the one before it."""
    app.recorder.record(made(0, 400))
    look(app)
    assert app.registry.get_production_model("late") == "late:1.0.0-online.1"
    second = "late:1.0.0-online.2"
    app.registry.set_alias(second, "mine")
    # Somebody promotes a snapshot that has learned the opposite: learning goes on from there.
    awry = app.registry.load_model(second)
    for _ in range(40):
        awry.partial_fit(ROWS[:200], 1 - LATE[:200])
    app.registry.register_model(
        awry, "late", "1.0.0-online.7", {}, training_data=ROWS[:60],
        tags={"online.champion": "late:1.0.0", "online.number": "7"},
    )  # fmt: skip
    app.registry.promote_to_production("late:1.0.0-online.7")
    app.audit.note(
        at=NOW, by=By(), action="online", subject="late:online learning",
        evidence={"number": 7, "champion": "late:1.0.0", "production": "late:1.0.0-online.7",
                  "snapshot": "late:1.0.0-online.7",
                  "cursor": (START + timedelta(minutes=400)).isoformat(), "at_cursor": 1},
    )  # fmt: skip
    app.recorder.record(made(400, 600))
    return second


def test_given_a_snapshot_that_goes_wrong_when_looked_then_the_one_before_it_is_back(
    app: App,
) -> None:
    second = gone_wrong(app)

    (step,) = look(app, policy=replace(POLICY, then="keep")).steps

    assert not step.kept
    assert step.snapshot == step.returned == second
    assert app.registry.get_production_model("late") == second
    assert "online" in app.registry.get(second).aliases
    assert app.registry.find("late", "1.0.0-online.8") is None

    app.recorder.record(made(600, 800))
    (after,) = look(app, policy=replace(POLICY, then="keep")).steps
    assert after.kept
    assert app.registry.get(after.snapshot).lineage.parent == second
    assert app.registry.find("late", "1.0.0-online.1") is not None


def test_given_a_stream_that_was_bad_for_a_while_when_it_is_right_again_then_the_good_one_is_back(
    app: App,
) -> None:
    """Outcomes by chance, then the opposite, which is learned; then the truth again."""
    promoted(app, estimator(eta0=0.02), "2.0.0")
    told = LATE.copy()
    told[800:1200] = np.random.default_rng(8).integers(0, 2, size=400)
    told[1200:1800] = 1 - LATE[1200:1800]
    app.recorder.record(made(0, 2_000, told))

    steps = look(app).steps

    good = [step for step in steps if step.number <= 6]
    assert all(step.kept for step in good)
    opposite = [step.promoted for step in steps if step.number > 6 and step.promoted]
    assert opposite  # it is what came true, as far as anybody could know
    last = steps[-1]
    assert (last.number, last.kept) == (10, False)
    assert last.returned == last.snapshot == "late:2.0.0-online.6"  # from before the labels turned
    assert app.registry.get_production_model("late") == last.returned
    assert app.registry.get("late@online").model_id == last.returned


def test_given_the_policy_keeps_when_a_snapshot_is_better_then_it_stays_registered(
    app: App,
) -> None:
    app.recorder.record(made(0, 400))

    steps = look(app, policy=replace(POLICY, then="keep")).steps

    assert [step.promoted for step in steps] == ["", ""]
    assert app.registry.get_production_model("late") == "late:1.0.0"
    assert app.registry.get("late@online").model_id == "late:1.0.0-online.2"
    assert app.registry.get("late@online").status is Status.REGISTERED


WRITES = [
    ("registry", "register_model"),
    ("registry", "set_alias"),
    ("registry", "promote_to_production"),
    ("audit", "note"),
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(8))
def test_given_a_kill_between_two_writes_when_looked_again_then_it_ends_as_without(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, when: str
) -> None:
    app.recorder.record(made(0, 400))
    with App(Settings(data_dir=tmp_path / "other"), clock=FixedClock(START)) as other:
        promoted(other, estimator())
        other.recorder.record(made(0, 400))
        look(other)
        kill_at(monkeypatch, app, WRITES, number, when)
        for _ in range(3):
            with suppress(Killed):
                look(app)

        assert versions(app) == versions(other) == ["1.0.0-online.2", "1.0.0-online.1", "1.0.0"]
        for each in versions(app):
            assert np.array_equal(
                coefficients(app, f"late:{each}"), coefficients(other, f"late:{each}")
            )
        assert app.registry.production() == other.registry.production()
        told = [
            [each.evidence for each in one.audit.entries("late", action="online")]
            for one in (app, other)
        ]
        assert told[0] == told[1]
        assert len(app.audit.entries("late", action="promote")) == len(
            other.audit.entries("late", action="promote")
        )


@pytest.mark.parametrize("name", ["begin", "settle"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_given_a_kill_around_what_is_written_down_when_looked_again_then_it_teaches_once(
    app: App, monkeypatch: pytest.MonkeyPatch, name: str, when: str
) -> None:
    app.recorder.record(made(0, 400))
    real = getattr(Taught, name)
    left = [1]

    def killing(*given: Any) -> Any:
        dying = left and left.pop()
        if dying and when == "before":
            raise Killed
        found = real(*given)
        if dying:
            raise Killed
        return found

    monkeypatch.setattr(Taught, name, killing)
    with suppress(Killed):
        look(app)
    look(app)

    assert versions(app) == ["1.0.0-online.2", "1.0.0-online.1", "1.0.0"]
    assert len(app.audit.entries("late", action="online")) == 2
    assert not look(app).steps


def test_given_processes_that_die_in_learning_when_looked_then_the_batch_is_thrown_away(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.recorder.record(made(0, 400))

    def dies(*given: Any) -> Any:
        raise Killed

    monkeypatch.setattr("watchkeeper.operations.checkpoints.learned_from", dies)
    for _ in range(2):
        with suppress(Killed):
            look(app)
    monkeypatch.undo()
    steps = look(app).steps

    assert [(step.kept, step.failed) for step in steps] == [(False, True), (True, False)]
    assert "2 processes ended" in steps[0].reason
    assert versions(app) == ["1.0.0-online.2", "1.0.0"]


def test_given_two_processes_when_both_look_at_once_then_one_learns(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.recorder.record(made(0, 200))
    begun, go_on = threading.Event(), threading.Event()
    real = Taught.begin

    def slow(*given: Any) -> Any:
        begun.set()
        assert go_on.wait(60)
        return real(*given)

    monkeypatch.setattr(Taught, "begin", slow)
    found: list[OnlineStatus] = []
    thread = threading.Thread(target=lambda: found.append(look(app)))
    thread.start()
    assert begun.wait(60)
    with App(Settings(data_dir=tmp_path), clock=FixedClock(START)) as other:
        second = look(other)
        assert (second.busy, second.steps) == (True, ())
    go_on.set()
    thread.join(60)

    assert len(found[0].steps) == 1
    assert versions(app) == ["1.0.0-online.1", "1.0.0"]


def test_given_outcomes_that_come_again_or_are_corrected_when_looked_then_they_teach_once(
    app: App,
) -> None:
    app.recorder.record(made(0, 200))
    assert len(look(app).steps) == 1
    later = START + timedelta(hours=20)
    app.recorder.record(made(0, 100, came=later))
    app.recorder.record(made(100, 200, 1 - LATE, came=later))  # corrected

    found = look(app)

    assert (found.steps, found.waiting, found.missing) == ((), 200, EVERY)
    app.recorder.record(made(200, 400, came=later + timedelta(minutes=1)))
    (step,) = look(app).steps
    assert step.number == 2
    assert step.scores is not None
    app.landing.land()
    app.events.compact()  # which keeps the latest outcome of each
    assert not look(app).steps


def test_given_an_outcome_that_is_seen_late_when_looked_then_it_teaches_all_the_same(
    app: App,
) -> None:
    app.recorder.record(made(1, 201))
    assert len(look(app).steps) == 1

    app.recorder.record(made(0, 1, came=START + timedelta(minutes=195)))  # of a slow writer
    app.recorder.record(made(201, 401))

    (step,) = look(app).steps
    day = Taught(app.retraining.repository.folder / "online" / "late").of_day(date(2026, 3, 1))
    assert len(day) == 400
    assert step.number == 2


def test_given_many_outcomes_of_one_moment_when_looked_then_all_teach_in_time(app: App) -> None:
    app.recorder.record(made(0, 2_500, came=START + timedelta(days=1)))  # one request
    policy = replace(POLICY, then="keep")

    first, second = look(app, policy=policy), look(app, policy=policy)

    assert [len(each.steps) for each in (first, second)] == [10, 2]
    assert [each.waiting for each in (first, second)] == [500, 100]
    assert [each.missing for each in (first, second)] == [0, 100]


def test_given_late_and_old_outcomes_when_looked_then_days_count_and_old_ones_do_not(
    app: App,
) -> None:
    came = START + timedelta(days=20)
    app.recorder.record(made(0, 200, came=came))
    app.recorder.journal.seal()
    app.landing.land()
    before = replace(POLICY, window_days=15.0)
    assert not look(app, came + timedelta(minutes=1), before).steps
    assert not look(app, came - timedelta(minutes=1)).steps  # nothing has arrived by then

    assert len(look(app, came + timedelta(minutes=1)).steps) == 1


def test_given_outcomes_that_are_older_than_the_promotion_when_looked_then_they_do_not_teach(
    app: App,
) -> None:
    app.recorder.record(made(0, 400, came=START - timedelta(hours=1)))
    assert app.online_learning.waiting("late") == 0
    assert not look(app).steps


def test_given_many_days_when_looked_then_only_those_with_new_outcomes_are_read(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.recorder.record(made(0, 2_900))  # of three days
    app.recorder.journal.seal()
    app.landing.land()
    policy = replace(POLICY, then="keep", snapshot_every=1_450)
    assert len(look(app, NOW + timedelta(hours=1), policy).steps) == 2
    app.recorder.record(made(2_900, 3_000))
    late = [each for each in made(0, 100) if isinstance(each, Prediction)]
    again = [new_prediction_id(each.timestamp) for each in late]
    came = NOW + timedelta(hours=3)
    for own, event in zip(again, late, strict=True):
        told = {name: getattr(event, name) for name in event.__struct_fields__}
        about: dict[str, Any] = {
            "prediction_id": own, "model": "late", "timestamp": came, "arrived_at": came,
        }  # fmt: skip
        app.recorder.record(
            [Prediction(**{**told, "prediction_id": own}), Outcome(**about, actual=1)]
        )
    read = []
    real = app.events.read

    def seen(model: str, window: Any, **more: Any) -> Any:
        read.append(window.start.day)
        return real(model, window, **more)

    monkeypatch.setattr(app.events, "read", seen)

    (step,) = look(app, came, replace(policy, snapshot_every=200)).steps

    assert read == [1, 3]  # the second day had no news
    assert step.kept


def test_given_ids_of_somebody_else_when_looked_then_their_outcomes_teach(app: App) -> None:
    events = made(0, 200)
    own = [
        type(each)(**{**{f: getattr(each, f) for f in each.__struct_fields__},
                      "prediction_id": f"order-{IDS.index(each.prediction_id)}"})
        for each in events
    ]  # fmt: skip
    app.recorder.record(own)
    app.recorder.journal.seal()
    app.landing.land()

    assert len(look(app).steps) == 1
    app.events.compact()
    assert not look(app).steps


def test_given_nothing_when_looked_then_nothing_is_learned(app: App, tmp_path: Path) -> None:
    found = look(app)
    assert (found.steps, found.waiting, found.missing) == ((), 0, EVERY)
    with (
        App(Settings(data_dir=tmp_path / "none"), clock=FixedClock(START)) as other,
        pytest.raises(NotFoundError, match="model in production"),
    ):
        look(other)


def test_given_a_model_that_cannot_learn_when_looked_then_it_is_refused(app: App) -> None:
    promoted(app, LogisticRegression().fit(ROWS[:60], LATE[:60]), "2.0.0")
    app.recorder.record(made(0, 400))
    with pytest.raises(InvalidValueError, match="partial_fit"):
        look(app)
    assert versions(app) == ["2.0.0", "1.0.0"]


@pytest.mark.parametrize("actual", [0, 1])
def test_given_one_class_only_when_looked_then_it_is_learned(app: App, actual: int) -> None:
    app.recorder.record(made(0, 400, np.full(len(ROWS), actual)))
    assert [step.kept for step in look(app).steps] == [True, True]


def test_given_missing_features_when_looked_then_these_rows_are_left_out_and_said(
    app: App,
) -> None:
    def gaps(number: int) -> dict[str, Any]:
        row = row_of(number)
        if number % 4 == 0:
            row["x0"] = float("nan")
        if number % 4 == 1:
            del row["x1"]
        return row

    app.recorder.record(made(0, 200, features=gaps))
    app.recorder.record(made(200, 400, features=lambda n: {"x0": float("nan"), "x1": 1.0}))

    first, second = look(app).steps

    assert first.kept
    assert first.scores is not None
    assert (first.scores.rows, first.scores.left_out) == (100, 100)
    assert "100 left out" in first.reason
    assert not second.kept
    assert "only 0 of the rows" in second.reason


class Raises:
    """A model that raises when it learns."""

    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows))

    def partial_fit(self, rows: Any, labels: Any) -> None:
        message = "no room for this"
        raise ValueError(message)


def test_given_a_model_that_raises_when_it_learns_then_it_is_told_and_the_stream_goes_on(
    app: App,
) -> None:
    promoted(app, Raises(), "2.0.0", allow_unsafe=True)
    app.recorder.record(made(0, 400))

    steps = look(app).steps

    assert [(step.failed, step.kept) for step in steps] == [(True, False)] * 2
    assert "ValueError: no room for this" in steps[0].reason
    assert app.registry.get_production_model("late") == "late:2.0.0"


def test_given_too_little_memory_when_it_learns_then_the_batch_is_still_to_be_learned(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.recorder.record(made(0, 250))

    def starves(*given: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("watchkeeper.operations.checkpoints.learned_from", starves)
    with pytest.raises(MemoryError):
        look(app)
    assert versions(app) == ["1.0.0"]
    assert not app.audit.entries("late", action="online")
    monkeypatch.undo()

    (step,) = look(app).steps
    assert step.kept, step.reason


def test_given_a_model_of_river_when_looked_then_it_learns_and_answers(app: App) -> None:
    model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    for row, label in zip(ROWS[:60], BY_WIND, strict=False):
        model.learn_one({"x0": row[0], "x1": row[1]}, bool(label))
    promoted(app, model, "2.0.0", allow_unsafe=True)
    app.recorder.record(made(0, 400))

    steps = look(app).steps

    assert [step.kept for step in steps] == [True, True], steps
    found = app.registry.get("late@online")
    assert (found.format, found.unsafe, found.about["framework"]) == ("joblib", True, "river")
    answers = app.registry.open_runtime(found.model_id).predict(ROWS[:200])
    assert np.mean(answers.predictions == LATE[:200]) > 0.85
    assert answers.classes == (False, True)


def test_given_a_model_of_river_that_says_nothing_yet_when_looked_then_it_learns(
    app: App,
) -> None:
    promoted(app, UNTAUGHT(), "2.0.0", allow_unsafe=True, training_data=None)
    app.recorder.record(made(0, 200))

    (step,) = look(app).steps

    assert step.kept
    assert step.scores is not None
    assert step.scores.champion_loss == 1.0
    assert step.promoted == "late:2.0.0-online.1"
    assert app.registry.get(step.promoted).signature is None  # as its champion's


def test_given_a_regression_when_looked_then_errors_decide(tmp_path: Path) -> None:
    targets = 3 * ROWS[:, 0]
    model = SGDRegressor(random_state=1, learning_rate="constant", eta0=0.01)
    model.partial_fit(ROWS[:60], np.zeros(60))
    with App(Settings(data_dir=tmp_path), clock=FixedClock(START)) as app:
        promoted(app, model)
        app.recorder.record(made(0, 200, targets))
        (step,) = look(app, task="regression").steps

        assert step.promoted, step.reason
        assert step.scores is not None
        assert app.registry.get(step.snapshot).metrics == {"mae": step.scores.loss}
        assert "mean absolute error" in step.reason


def test_given_a_person_who_promotes_another_when_looked_then_learning_begins_there(
    app: App,
) -> None:
    app.recorder.record(made(0, 200))
    look(app)
    with App(Settings(data_dir=app.settings.data_dir), clock=FixedClock(NOW)) as later:
        promoted(later, estimator(LATE), "2.0.0")
        later.recorder.record(made(200, 400, came=NOW + timedelta(minutes=1)))
        (step,) = look(later, NOW + timedelta(hours=1)).steps

        assert step.number == 2
        assert later.registry.get(step.snapshot).lineage.parent == "late:2.0.0"
        assert step.snapshot == "late:2.0.0-online.2" or not step.kept

        # And one who goes back to a snapshot begins there, beside its own champion.
        later.models.roll_back("late", by=By("maria"))
        if later.registry.get_production_model("late") != "late:1.0.0-online.1":
            later.models.roll_back("late", by=By("maria"))
        assert later.registry.get_production_model("late") == "late:1.0.0-online.1"
        later.recorder.record(made(400, 600, came=NOW + timedelta(minutes=2)))
        (step,) = look(later, NOW + timedelta(hours=2)).steps
        assert later.registry.get(step.snapshot).lineage.parent == "late:1.0.0-online.1"
        assert later.registry.get(step.snapshot).tags["online.champion"] == "late:1.0.0"


def test_given_a_person_who_promotes_while_it_learns_when_it_ends_then_they_are_obeyed(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = app.registry.register_model(estimator(LATE), "late", "7.0.0", {})
    app.recorder.record(made(0, 400))
    real = Taught.begin

    def meanwhile(*given: Any) -> Any:
        app.registry.promote_to_production(other)
        return real(*given)

    monkeypatch.setattr(Taught, "begin", meanwhile)

    (step,) = look(app).steps

    assert "late:7.0.0 is in production by now" in step.reason
    assert app.registry.get_production_model("late") == "late:7.0.0"


def test_given_a_rollout_under_way_when_a_snapshot_is_better_then_it_is_not_promoted(
    app: App,
) -> None:
    app.registry.register_model(estimator(LATE), "late", "2.0.0", {}, training_data=ROWS[:60])
    app.rollouts.start("r", model="late", version="2.0.0", plan=Plan(), by=By("ada"))
    app.recorder.record(made(0, 200))

    (step,) = look(app).steps

    assert step.kept
    assert "the rollout r of late is under way" in step.reason
    assert app.registry.get_production_model("late") == "late:1.0.0"


def test_given_many_snapshots_when_looked_then_the_newest_and_those_in_production_stay(
    app: App,
) -> None:
    app.recorder.record(made(0, 1_800))

    look(app, policy=replace(POLICY, keep=2))

    kept = {each.version for each in app.registry.list_models() if each.promoted_at is None}
    used = {each.version for each in app.registry.list_models() if each.promoted_at is not None}
    assert kept <= {"1.0.0-online.8", "1.0.0-online.9"}
    assert "1.0.0" in used
    assert len(versions(app)) < 8


def test_given_a_tampered_snapshot_when_looked_then_nothing_is_loaded_and_it_is_told(
    app: App,
) -> None:
    app.recorder.record(made(0, 400))
    look(app, policy=replace(POLICY, then="keep"))
    path = Path(app.registry.get("late@online").file_path)
    path.write_bytes(path.read_bytes() + b"x")
    app.recorder.record(made(400, 600))

    with pytest.raises(IntegrityError, match="SHA-256"):
        look(app)
    assert app.registry.get_production_model("late") == "late:1.0.0"


def test_given_keys_when_a_snapshot_is_kept_then_it_is_signed(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from tests.registry.test_signing import key_pair

    private, public = key_pair(tmp_path_factory.mktemp("keys"), "own")
    settings = Settings(
        data_dir=tmp_path, registry=RegistrySettings(signing_key=private, public_key=public)
    )
    with App(settings, clock=FixedClock(START)) as app:
        promoted(app, estimator())
        app.recorder.record(made(0, 200))
        (step,) = look(app).steps
        app.registry.verify(step.snapshot)
        assert step.promoted


def test_given_files_that_were_damaged_when_looked_then_it_says_which(app: App) -> None:
    app.recorder.record(made(0, 200))
    look(app)
    day = app.retraining.repository.folder / "online" / "late" / "2026-03-01.arrow"
    day.write_bytes(b"torn")
    app.recorder.record(made(200, 400))
    with pytest.raises(IntegrityError, match=r"2026-03-01\.arrow cannot be read"):
        look(app)


def test_given_snapshots_when_the_history_is_read_then_they_are_in_it(app: App) -> None:
    app.recorder.record(made(0, 400))
    look(app)

    records = [each for each in app.history.records("late") if each.kind == "online"]

    assert len(records) == 2
    assert records[0].summary.startswith("late:online learning: kept: wrong ")
    assert records[0].evidence["scores"]["rows"] == EVERY
    assert json.dumps([each.to_dict() for each in records])


def test_given_a_river_model_that_runs_code_when_nobody_allowed_it_then_it_is_not_stored(
    app: App,
) -> None:
    model = linear_model.LogisticRegression()
    with pytest.raises(ValueError, match="allow_unsafe"):
        app.registry.register_model(model, "late", "3", {})
    with pytest.raises(InvalidValueError, match="scikit-learn estimator"):
        app.registry.register_model(model, "late", "3", {}, format="skops")


def test_given_a_required_checklist_when_a_snapshot_is_better_then_it_is_not_promoted(
    app: App,
) -> None:
    app.recorder.record(made(0, EVERY))

    (step,) = look(app, promotion_requires_checklist=True).steps

    assert step.kept, step.reason
    assert step.promoted == ""
    assert f"; {step.snapshot} is not promoted: late is not ready: " in step.reason
    assert app.registry.get_production_model("late") == "late:1.0.0"


def test_given_a_required_checklist_when_production_has_gone_wrong_then_the_champion_is_back(
    app: App,
) -> None:
    """The last good snapshot never was in production, and must not get there unready."""
    second = gone_wrong(app)

    (step,) = look(
        app, policy=replace(POLICY, then="keep"), promotion_requires_checklist=True
    ).steps

    assert step.snapshot == second
    assert step.returned == "late:1.0.0" == app.registry.get_production_model("late")
    assert f"; {second} is not promoted: late is not ready: " in step.reason
