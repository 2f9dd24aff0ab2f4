"""Backups: taken under load, killed half way, without room, changed, and gone back to."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression

from watchkeeper.app import App
from watchkeeper.cli import main
from watchkeeper.clock import system_clock
from watchkeeper.config import Settings
from watchkeeper.errors import (
    ConflictError,
    IntegrityError,
    InvalidValueError,
    NotFoundError,
    UnavailableError,
)
from watchkeeper.events import Prediction
from watchkeeper.identity import By
from watchkeeper.readiness.evidence import BACKUP_CHECK
from watchkeeper.store import backup, staging
from watchkeeper.store.backup import BackupStore

START = datetime(2026, 6, 1, tzinfo=UTC)
MODEL = LogisticRegression().fit([[0.0], [1.0]], [0, 1])


def event(name: str, n: int = 0) -> Prediction:
    at = START + timedelta(minutes=n)
    return Prediction(
        prediction_id=name, model="late", model_version="1", timestamp=at, arrived_at=at,
        features={"a": 1.0}, prediction=1,
    )  # fmt: skip


def opened(data_dir: Path) -> App:
    return App(Settings(data_dir=data_dir))


def ids(data_dir: Path) -> list[str]:
    """Return the ids of all predictions in a data directory, after all of it has landed."""
    with opened(data_dir) as app:
        app.landing.land()
        return sorted(app.events.read("late").rows["prediction_id"].to_pylist())


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Return a data directory with landed events, others in the journal, and versions."""
    data_dir = tmp_path / "data"
    with opened(data_dir) as app:
        for version in ("1", "2"):
            app.registry.register_model(MODEL, "late", version, {"auc": 0.5})
        app.registry.promote_to_production("late:1")
        app.recorder.record([event(f"a{n}", n) for n in range(50)])
        app.recorder.journal.seal()
        app.landing.land()
        app.compactions.run(by=By())
        app.recorder.record([event(f"b{n}", n) for n in range(10)])
    return data_dir


@pytest.fixture
def backups(data_dir: Path, tmp_path: Path) -> BackupStore:
    return BackupStore(data_dir, str(tmp_path / "target"))


def test_given_cells_of_time_lines_when_backed_up_then_they_are_left_out(
    data_dir: Path, backups: BackupStore, tmp_path: Path
) -> None:
    with opened(data_dir) as app:
        app.timelines.refresh("late")
    assert (data_dir / "timelines" / "late.arrow").exists()

    backups.create(system_clock)
    backups.restore(tmp_path / "restored")

    assert not (tmp_path / "restored" / "timelines").exists()
    with opened(tmp_path / "restored") as app:
        found = app.timelines.timeline("late", points=1)
    assert found.timeline.predictions.tolist() == [60]


def test_given_a_backup_when_restored_then_all_is_there_and_goes_on_once(
    backups: BackupStore, data_dir: Path, tmp_path: Path
) -> None:
    before = system_clock()
    made = backups.create(system_clock)
    assert before <= made.point <= system_clock()
    with opened(data_dir) as app:  # what comes later is not in it
        app.recorder.record([event("later")])
        app.registry.promote_to_production("late:2")

    assert backups.find() == [made] == [backups.verify()]
    there = tmp_path / "there"
    assert backups.restore(there) == made
    with opened(there) as app:
        assert app.registry.get_production_model("late") == "late:1"
        for each in app.registry.list_models():
            app.registry.verify(each.model_id)
        app.recorder.record([event("new")])
        app.recorder.journal.seal()
        app.landing.land()
    expected = sorted([*(f"a{n}" for n in range(50)), *(f"b{n}" for n in range(10)), "new"])
    assert ids(there) == expected
    assert ids(there) == expected  # nothing lands twice
    assert not (data_dir / ".backup" / "files").exists()


def test_given_writers_when_a_backup_is_taken_then_it_has_what_was_acknowledged_before(
    backups: BackupStore, data_dir: Path, tmp_path: Path
) -> None:
    acknowledged: list[tuple[datetime, str]] = []
    half_way, done = threading.Barrier(3), threading.Event()

    def write(writer: str) -> None:
        with opened(data_dir) as app:
            for number in range(40):
                names = [f"{writer}{number}-{i}" for i in range(20)]
                app.recorder.record([event(name, number) for name in names])
                now = system_clock()
                acknowledged.extend((now, name) for name in names)
                if number % 10 == 9:
                    app.recorder.journal.seal()
                if number == 20:
                    half_way.wait(60)

    def land() -> None:
        with opened(data_dir) as app:
            while not done.is_set():
                app.landing.land()

    threads = [
        threading.Thread(target=write, args=("v",)),
        threading.Thread(target=write, args=("w",)),
        threading.Thread(target=land),
    ]
    for thread in threads:
        thread.start()
    try:
        half_way.wait(60)
        taken = [backups.create(system_clock) for _ in range(2)]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    for number, taken_backup in enumerate(taken):
        there = tmp_path / f"there{number}"
        backups.restore(there, taken_backup.name)
        restored = ids(there)
        assert len(restored) == len(set(restored))
        assert {name for at, name in acknowledged if at < taken_backup.point} <= set(restored)


@pytest.mark.parametrize("step", ["list_segments", "_link"])
def test_given_a_segment_when_sealed_between_two_steps_of_a_backup_then_it_is_in_it_once(
    backups: BackupStore, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with opened(data_dir) as app:
        app.recorder.record([event("last")])
        whole = getattr(staging, step)

        def then_sealed(*arguments: Any) -> Any:
            result = whole(*arguments)
            if step == "list_segments" or arguments[0].suffix == ".open":
                app.recorder.journal.seal()
            return result

        monkeypatch.setattr(staging, step, then_sealed)
        backups.create(system_clock)
    assert not [path for path in (data_dir / "journal").glob("*/*.open") if path.stat().st_size]
    backups.restore(tmp_path / "there")
    assert ids(tmp_path / "there") == ids(data_dir)
    assert "last" in ids(data_dir)


def test_given_files_that_are_renamed_when_visited_then_each_is_visited_by_the_name_it_has(
    tmp_path: Path,
) -> None:
    for name in ("a", "b", "inner/c", "inner/d", "joined/e"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    visited: list[str] = []

    def visit(path: Path) -> None:
        if not visited:
            (tmp_path / "b").rename(tmp_path / "z")
            (tmp_path / "inner").rename(tmp_path / "later")
        path.stat()
        visited.append(path.relative_to(tmp_path).as_posix())

    staging._visit(tmp_path, visit)
    assert sorted(visited) == ["a", "later/c", "later/d", "z"]


def test_given_a_rate_when_a_backup_is_taken_then_it_rests_as_long_as_its_bytes_ask(
    data_dir: Path, tmp_path: Path
) -> None:
    now = 100.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    backups = BackupStore(
        data_dir, str(tmp_path / "target"), rate=500, monotonic=lambda: now, sleep=sleep
    )
    made = backups.create(system_clock)
    assert now - 100 == pytest.approx(made.size / 500)
    assert backups.verify() == made


@pytest.mark.parametrize("rate", [1, 5_000, 1 << 30])
def test_given_any_rate_when_a_backup_is_taken_then_each_file_is_durable_before_the_manifest(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: int
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(backup, "sync", synced.append)
    target = tmp_path / "target"
    made = BackupStore(data_dir, str(target), rate=rate, sleep=lambda _: None).create(system_clock)

    manifest = target / made.name / "manifest.json"
    before = synced[: synced.index(manifest)]
    written = [path for path in manifest.parent.rglob("*") if path.is_file() and path != manifest]
    assert sorted(before) == sorted(written)


DIES = """
import os, signal, sys
from pathlib import Path
from watchkeeper.store import backup, staging
from watchkeeper.clock import system_clock

data, target, name, number, into = sys.argv[1:]
owner = next(o for o in (staging, backup, staging.Staging, backup.BackupStore) if name in vars(o))
whole, left = getattr(owner, name), int(number)

def dying(*args, **named):
    global left
    left -= 1
    found = whole(*args, **named) if left else None
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return found

setattr(owner, name, dying)
backups = backup.BackupStore(Path(data), target)
if into:
    backups.restore(Path(into))
else:
    backups.create(system_clock)
"""


def dies(data_dir: Path, backups: BackupStore, step: str, number: int, into: str = "") -> None:
    command = [sys.executable, "-c", DIES, data_dir, backups._root, step, str(number), into]
    killed = subprocess.run(command, check=False, env=os.environ)
    assert killed.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("step", "number"),
    [
        ("_link", 1), ("_link", 4), ("_copy_database", 1), ("_link_journals", 1), ("_copied", 1),
        ("_write", 1), ("_write", 5), ("_write_manifest", 1),
    ],
)  # fmt: skip
def test_given_a_death_in_any_step_when_taken_again_then_nothing_of_it_is_left(
    backups: BackupStore, data_dir: Path, tmp_path: Path, step: str, number: int
) -> None:
    dies(data_dir, backups, step, number)
    assert backups.find() == []
    with pytest.raises(NotFoundError, match="Take one"):
        backups.restore(tmp_path / "there")
    assert len(ids(data_dir)) == 60

    made = backups.create(system_clock)
    assert backups.find() == [made]
    backups.prune(7)
    assert [path.name for path in Path(backups._root).iterdir()] == [made.name]
    assert sorted(path.name for path in (data_dir / ".backup").iterdir()) == ["lock"]
    backups.restore(tmp_path / "there")
    assert len(ids(tmp_path / "there")) == 60


@pytest.mark.parametrize(
    ("step", "number"), [("_read", 1), ("_read", 2), ("_read", 7), ("sync", 1)]
)
def test_given_a_death_in_a_restore_when_done_again_then_it_is_whole(
    backups: BackupStore, data_dir: Path, tmp_path: Path, step: str, number: int
) -> None:
    backups.create(system_clock)
    there = tmp_path / "there"
    dies(data_dir, backups, step, number, str(there))
    assert not there.exists()
    backups.restore(there)
    assert len(ids(there)) == 60
    assert not (tmp_path / ".there.restoring").exists()


def test_given_no_room_when_a_backup_is_taken_then_it_is_told_and_nothing_is_left(
    data_dir: Path, tmp_path: Path
) -> None:
    limited = f"""
import resource, signal
from watchkeeper.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
from watchkeeper.store.backup import BackupStore
whole = BackupStore._copied
def copied(self, *args):
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        whole(self, *args)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
BackupStore._copied = copied
raise SystemExit(main(["backup", "create", "--target", {str(tmp_path / "target")!r},
                       "--data-dir", {str(data_dir)!r}]))
"""
    told = subprocess.run(
        [sys.executable, "-c", limited], check=False, capture_output=True, text=True
    )
    assert told.returncode != 0
    assert "could not be written" in told.stderr
    assert "Make room there" in told.stderr
    assert list((tmp_path / "target").iterdir()) == []
    assert not (data_dir / ".backup" / "files").exists()
    assert len(ids(data_dir)) == 60


def changed(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def removed(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("how", [changed, removed])
@pytest.mark.parametrize("what", ["*.parquet", "model.skops", "control.db", "*.jsonl"])
def test_given_a_backup_that_was_changed_when_used_then_it_is_refused_and_nothing_is_written(
    backups: BackupStore, tmp_path: Path, what: str, how: Any
) -> None:
    made = backups.create(system_clock)
    path = next(Path(backups._root, made.name).rglob(what))
    how(path)

    uses: list[Callable[[], object]] = [
        backups.verify, lambda: backups.restore(tmp_path / "there"),
    ]  # fmt: skip
    for use in uses:
        with pytest.raises(IntegrityError, match=re.escape(path.name)):
            use()
    assert not (tmp_path / "there").exists()


def test_given_a_manifest_that_was_changed_when_read_then_it_is_refused(
    backups: BackupStore,
) -> None:
    made = backups.create(system_clock)
    manifest = Path(backups._root, made.name, "manifest.json")
    manifest.write_text(manifest.read_text().replace('"size": ', '"size": 1'))
    with pytest.raises(IntegrityError, match="manifest"):
        backups.verify()


def test_given_several_backups_when_pruned_then_the_newest_stay(backups: BackupStore) -> None:
    made = [backups.create(system_clock) for _ in range(4)]
    assert backups.prune(2) == [made[1].name, made[0].name]
    assert backups.find() == [made[3], made[2]]
    assert backups.get(made[2].name) == made[2]
    with pytest.raises(NotFoundError, match="backup list"):
        backups.get(made[0].name)


def test_given_bad_input_when_used_then_the_error_says_what_is_expected(
    backups: BackupStore, data_dir: Path, tmp_path: Path
) -> None:
    backups.create(system_clock)
    with pytest.raises(ConflictError, match="nothing is written over"):
        backups.restore(data_dir)
    for target in (str(data_dir / "backups"), "nowhere://x"):
        with pytest.raises(InvalidValueError, match=r"backup\.target"):
            BackupStore(data_dir, target)
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match="could not be written"):
        BackupStore(data_dir, str(tmp_path / "file")).create(system_clock)


def test_given_the_commands_when_used_then_a_restore_that_was_tried_is_evidence(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--data-dir", str(data_dir), "--target", str(tmp_path / "target")]

    def told(*arguments: str, code: int = 0) -> str:
        assert main(["backup", *arguments]) == code
        out, error = capsys.readouterr()
        return out + error

    assert "backup.target" in told("create", "--data-dir", str(data_dir), code=2)
    assert "no backups yet" in told("list", *common)
    assert "has all that was acknowledged before" in told("create", *common)
    assert "files" in told("list", *common)
    assert "is whole" in told("verify", *common)
    assert "60 predictions, 0 outcomes, 2 versions" in told("test", *common)
    assert main(["checklist", "late", "--data-dir", str(data_dir)]) == 1
    assert "can be restored" in " ".join(capsys.readouterr().out.split())
    there = tmp_path / "there"
    assert "serve it with" in told("restore", str(there), *common)
    assert len(ids(there)) == 60
    with opened(data_dir) as app:
        actions = [each.action for each in app.audit.entries(subject="system:backup")]
    assert sorted(actions) == ["backup", "backup check", "restore test"]
    changed(next((tmp_path / "target").rglob("model.skops")))
    assert "is not what was written" in told("test", *common, code=1)
    assert "is not what was written" in told("verify", *common, code=2)
    with opened(data_dir) as app:
        checks = app.audit.entries(action=BACKUP_CHECK)
    assert [each.evidence["passed"] for each in checks] == [False, True]
