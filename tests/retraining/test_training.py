"""Trainings in processes of their own, and every way in which one goes wrong."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from watchkeeper.registry import formats
from watchkeeper.retraining import TrainingFailedError
from watchkeeper.retraining.data import checked, split
from watchkeeper.retraining.job import LOG, MODEL, OUTCOME, TrainingJob, write_job
from watchkeeper.retraining.training import (
    TrainingProgress,
    TrainingResult,
    last_line,
    launch,
    read_trained,
)
from watchkeeper.retraining.worker import work

RNG = np.random.default_rng(1)
X = RNG.normal(size=(400, 2))
Y = (X.sum(axis=1) + RNG.normal(size=400) > 0).astype(int)
TABLE = pa.table({"x0": X[:, 0], "x1": X[:, 1], "actual": Y})


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return tmp_path


def prepared(folder: Path, trainer: str, **changes: Any) -> TrainingJob:
    data = checked(TABLE, framed=False)
    champion = formats.dump(
        LogisticRegression(C=0.5).fit(X[:100], Y[:100]), "skops", trusted=(), allow_unsafe=False
    )
    about = {
        "model_id": "late:1.0.0", "format": "skops", "trusted": [], "unsafe": False,
        "signature": None,
    }  # fmt: skip
    fields: dict[str, Any] = {
        "features": data.features, "target": data.target, "time": None, "framed": False,
        "trainer": trainer and f"trainers:{trainer}", "champion": about, "trusted": (),
        "allow_unsafe": False, "time_limit": 60.0, "memory_limit": 1 << 30,
    }  # fmt: skip
    job = TrainingJob(**{**fields, **changes})
    write_job(folder, job, split(data, holdout=0.2), champion, None)
    return job


def trained(folder: Path, job: TrainingJob) -> TrainingResult:
    launch(folder, job, lambda _: None)
    return read_trained(folder, job, "binary", 1)


def test_given_no_trainer_when_trained_then_the_champion_is_fitted_again(tmp_path: Path) -> None:
    job = prepared(tmp_path / "job", "")
    seen: list[TrainingProgress] = []

    launch(tmp_path / "job", job, seen.append)
    done = read_trained(tmp_path / "job", job, "binary", 1)

    assert done.model.C == 0.5
    assert np.mean(done.candidate.predicted == (Y[320:] == 1)) > 0.7
    assert done.champion is not None
    assert len(done.champion.predicted) == 80
    assert done.candidate.scores == pytest.approx(done.model.predict_proba(X[320:])[:, 1])
    assert done.outcome["latency_ms"] > 0
    assert max(each.memory for each in seen) > 1 << 20
    log = (tmp_path / "job" / LOG).read_text()
    assert "training on 320 rows of 2 features" in log
    assert not (tmp_path / "job" / "held_out.arrow").read_bytes().count(b"actual")


@pytest.mark.parametrize("trainer", ["good", "WithFit"])
def test_given_a_trainer_when_trained_then_its_model_comes_back(
    tmp_path: Path, trainer: str
) -> None:
    job = prepared(tmp_path / "job", trainer)

    work(tmp_path / "job")

    assert read_trained(tmp_path / "job", job, "binary", 1).model.C == 1.0


@pytest.mark.parametrize(
    ("trainer", "limits", "kind", "told"),
    [
        ("is_killed", {}, "killed", "SIGKILL"),
        (
            "leaves",
            {},
            "ended",
            "ended with 7 before it was done; the end of its output: that is it",
        ),
        ("eats_memory", {"memory_limit": 400 << 20}, "memory", "memory|bytes"),
    ],
)
def test_given_a_process_that_goes_wrong_when_trained_then_nothing_of_it_is_left(
    tmp_path: Path, trainer: str, limits: dict[str, Any], kind: str, told: str
) -> None:
    job = prepared(tmp_path / "job", trainer, **limits)

    with pytest.raises(TrainingFailedError, match=told) as failed:
        trained(tmp_path / "job", job)

    assert failed.value.kind == kind


class SinceItHangs:
    """A clock that stands until a training says that it hangs, however long that takes."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def monotonic(self) -> float:
        return 61.0 if last_line(self.log) == "it hangs" else 0.0


def test_given_a_training_that_hangs_when_it_took_too_long_then_what_it_started_is_gone_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = prepared(tmp_path / "job", "hangs", time_limit=60.0)
    clock = SinceItHangs(tmp_path / "job" / LOG)
    monkeypatch.setattr("watchkeeper.retraining.training.time", clock)

    with pytest.raises(TrainingFailedError, match="more than 60 seconds") as failed:
        trained(tmp_path / "job", job)

    assert failed.value.kind == "time"
    assert _is_gone(tmp_path)


def _is_gone(folder: Path) -> bool:
    child = int((folder / "child.pid").read_text())
    return not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie"


@pytest.mark.parametrize(
    ("trainer", "kind", "told"),
    [
        ("raises", "trainer_failed", "RuntimeError: no such luck"),
        ("garbage", "trainer_failed", "which is no model"),
        ("untrusted", "untrusted_types", "Own"),
        ("unfitted", "trainer_failed", "NotFittedError"),
        ("two_answers", "trainer_failed", "ValueError"),
        ("nothing", "invalid_value", "trainers:nothing"),
    ],
)
def test_given_a_trainer_that_makes_no_model_when_trained_then_the_reason_is_clear(
    tmp_path: Path, trainer: str, kind: str, told: str
) -> None:
    job = prepared(tmp_path / "job", trainer)

    work(tmp_path / "job")

    with pytest.raises(TrainingFailedError, match=told) as failed:
        read_trained(tmp_path / "job", job, "binary", 1)
    assert failed.value.kind == kind


@pytest.mark.parametrize("file", [MODEL, OUTCOME, "answers.arrow"])
@pytest.mark.parametrize("damage", [b"", b"cos\nsystem\n(S'true'\ntR."])
def test_given_files_that_were_damaged_when_read_then_nothing_is_loaded(
    tmp_path: Path, file: str, damage: bytes
) -> None:
    job = prepared(tmp_path / "job", "good")
    work(tmp_path / "job")
    (tmp_path / "job" / file).write_bytes(damage)

    with pytest.raises(TrainingFailedError, match="cannot be used"):
        read_trained(tmp_path / "job", job, "binary", 1)


def test_given_whoever_watches_when_it_raises_then_the_training_ends(tmp_path: Path) -> None:
    job = prepared(tmp_path / "job", "hangs")

    def watch(progress: TrainingProgress) -> None:
        if "it hangs" in progress.said:
            raise TrainingFailedError("cancelled", "it was cancelled")

    with pytest.raises(TrainingFailedError, match="cancelled"):
        launch(tmp_path / "job", job, watch)

    assert _is_gone(tmp_path)


def test_given_a_parent_that_dies_when_training_then_the_child_ends(tmp_path: Path) -> None:
    prepared(tmp_path / "job", "hangs")
    read, write = os.pipe()
    process = psutil.Popen(
        [sys.executable, "-m", "watchkeeper.retraining.worker", str(tmp_path / "job")],
        stdin=read,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
        start_new_session=True,
    )
    os.close(read)

    os.close(write)  # what the death of the parent does

    assert process.wait(60) == -9
