"""Backups that are taken in the middle of online learning: gone back to, each outcome teaches once.

The learner stands before each of its writes in turn. Then a backup is taken, and in the middle of
that the learner goes on, as far as it is let.
"""

import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier

from watchkeeper.app import App
from watchkeeper.clock import system_clock
from watchkeeper.config import Settings
from watchkeeper.config.models import ModelPolicy
from watchkeeper.events import Event, Outcome, Prediction, new_prediction_id
from watchkeeper.online.consumed import Taught
from watchkeeper.policies.online import OnlinePolicy
from watchkeeper.store import staging
from watchkeeper.store.backup import BackupStore
from watchkeeper.testing import FixedClock

START = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)  # the first batch is of two days
NOW = START + timedelta(days=2)
ROWS = np.random.default_rng(3).normal(size=(400, 2))
LATE, BY_WIND = (ROWS > 0).astype(int).T
POLICY = OnlinePolicy(enabled=True, snapshot_every=200, then="direct")


def opened(data_dir: Path) -> App:
    models = {"late": ModelPolicy(online=POLICY)}
    return App(Settings(data_dir=data_dir, models=models), clock=FixedClock(START))


def begun(data_dir: Path) -> None:
    """Put a model in production, and record what makes two batches."""
    model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.05, random_state=1)
    model.partial_fit(ROWS[:60], BY_WIND[:60], classes=[0, 1])
    events: list[Event] = []
    for number, row in enumerate(ROWS):
        at = START + timedelta(minutes=number)
        own = new_prediction_id(at)
        # They arrive together: a fingerprint that is lost lets one teach again.
        then = START + timedelta(hours=12, seconds=number)
        events += [
            Prediction(
                prediction_id=own, model="late", model_version="1.0.0", timestamp=at,
                arrived_at=at, features={"x0": row[0], "x1": row[1]}, prediction=0, score=0.5,
            ),
            Outcome(
                prediction_id=own, model="late", timestamp=then, arrived_at=then,
                actual=LATE[number].item(),
            ),
        ]  # fmt: skip
    with opened(data_dir) as app:
        model_id = app.registry.register_model(model, "late", "1.0.0", {}, training_data=ROWS[:60])
        app.registry.promote_to_production(model_id)
        app.recorder.record(events)
        app.recorder.journal.seal()
        app.landing.land()


def learned(data_dir: Path) -> list[Any]:
    """Let a model learn all that is left, and return what came of all of it."""
    with opened(data_dir) as app:
        app.online_learning.advance("late", NOW)
        assert not app.online_learning.advance("late", NOW).steps
        versions = app.registry.list_models(model_name="late")
        return [
            [each.model_id for each in versions],
            [app.registry.load_model(each.model_id).coef_.tolist() for each in versions],
            app.registry.production(),
            [each.evidence for each in app.audit.entries("late", action="online")],
        ]


class Learner:
    """A look in a thread of its own, which stands before each write until it is let go on."""

    def __init__(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._data_dir = data_dir
        self._let, self._stands = threading.Semaphore(0), threading.Semaphore(0)
        self.before = ""  # which write
        self._thread = threading.Thread(target=self._look, args=(monkeypatch,))
        self._thread.start()
        assert self._stands.acquire(timeout=60)

    def _look(self, monkeypatch: pytest.MonkeyPatch) -> None:
        try:
            with opened(self._data_dir) as app:
                for part in ("registry.register_model", "registry.set_alias",
                             "registry.promote_to_production", "audit.note"):  # fmt: skip
                    owner, name = part.split(".")
                    self._stand_before(monkeypatch, getattr(app, owner), name)
                for name in ("_write", "drop"):
                    self._stand_before(monkeypatch, Taught, name)
                app.online_learning.advance("late", NOW)
        finally:
            self.before = ""
            self._stands.release()

    def _stand_before(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        def write(*given: Any, **named: Any) -> Any:
            if threading.current_thread() is self._thread:
                self.before = name
                self._stands.release()
                assert self._let.acquire(timeout=60)
            return real(*given, **named)

        monkeypatch.setattr(owner, name, write)

    def go_on(self, most: int) -> int:
        """Let it do writes, as many at most; return how many. It waits where others have the lock.

        Of the control database, that is: writes of files wait for nobody.
        """
        for number in range(most):
            if not self.before or (self.before not in {"_write", "drop"} and self._must_wait()):
                return number
            self._let.release()
            assert self._stands.acquire(timeout=60)
        return most

    def _must_wait(self) -> bool:
        path = self._data_dir / "registry" / "control.db"
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            database.execute("ROLLBACK")
            return False


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory from which two batches are to be learned."""
    data_dir = tmp_path_factory.mktemp("given")
    begun(data_dir)
    return data_dir


@pytest.fixture(scope="module")
def undisturbed(given: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    data_dir = tmp_path_factory.mktemp("undisturbed") / "data"
    shutil.copytree(given, data_dir)
    return learned(data_dir)


@pytest.fixture(scope="module")
def known() -> set[Any]:
    """Return the states of learning of which it was seen already what comes of them."""
    return set()


def state(data_dir: Path) -> Any:
    """Return where learning stands: its changes of the control database, and its files."""
    with closing(sqlite3.connect(data_dir / "registry" / "control.db")) as database:
        changes = database.execute("SELECT max(id) FROM audit").fetchone()
    folder = data_dir / "retraining" / "online" / "late"
    return changes, frozenset((path.name, path.read_bytes()) for path in folder.glob("*.arrow"))


@pytest.mark.parametrize("most", [1, 2, 4, 99])
@pytest.mark.parametrize("link", [None, 0, 1, 2])
def test_given_a_backup_in_the_middle_of_a_batch_when_gone_back_to_then_each_outcome_teaches_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: Path,
    undisturbed: list[Any],
    known: set[Any],
    link: int | None,
    most: int,
) -> None:
    """The learner goes on before what has taught is listed, or before some of it is linked."""
    data_dir = tmp_path / "data"
    shutil.copytree(given, data_dir)
    backups = BackupStore(data_dir, str(tmp_path / "target"))
    learner = Learner(data_dir, monkeypatch)
    places: list[int | None] = []
    did: list[int] = []
    visit, link_file = staging._visit, staging._link

    def at(place: int | None) -> None:
        if place not in places:
            places.append(place)
            if place == link:
                did.append(learner.go_on(most))

    def visiting(path: Path, *rest: Any) -> None:
        if path == data_dir / "retraining" / "online" / "late":
            at(None)
        visit(path, *rest)

    def linking(path: Path, to: Path) -> None:
        if path.parent == data_dir / "retraining" / "online" / "late":
            at(len(places) - 1)
        link_file(path, to)

    monkeypatch.setattr(staging, "_visit", visiting)
    monkeypatch.setattr(staging, "_link", linking)
    stood = []
    while learner.before:
        places, did = [], []
        stood.append((learner.before, backups.create(system_clock).name))
        if not any(did):
            learner.go_on(1)

    assert learned(data_dir) == undisturbed
    for number, (before, name) in enumerate(stood):
        restored = tmp_path / f"restored{number}"
        backups.restore(restored, name)
        found = state(restored)
        if found not in known:
            assert learned(restored) == undisturbed, f"{number}: before {before}"
            known.add(found)
