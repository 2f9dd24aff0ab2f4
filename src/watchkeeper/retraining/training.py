"""A training in a process of its own: started, watched, and ended as a group when it goes wrong."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather

from watchkeeper.errors import IntegrityError, WatchkeeperError
from watchkeeper.process_limits import LOOK, memory_of
from watchkeeper.quality.labels import labels_of, scores_of
from watchkeeper.registry import formats
from watchkeeper.results import Result
from watchkeeper.retraining import job as jobs
from watchkeeper.retraining.gate import Answered
from watchkeeper.retraining.job import TrainingJob

__all__ = [
    "Launch",
    "TrainingFailedError",
    "TrainingProgress",
    "TrainingResult",
    "cancellable",
    "launch",
    "read_trained",
]

_TAIL = 4096  # bytes of the log that are looked through for its last line
_CHECK = 1.0  # seconds between two checks whether a training was cancelled
_SHUT = 10.0  # seconds that a process which was killed has to be gone


class TrainingFailedError(WatchkeeperError):
    """A training ended without a model.

    Parameters
    ----------
    kind : str
        ``time``, ``memory``, ``killed``, ``ended``, ``cancelled``, or what the trainer failed of.
    reason : str
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason, "Production is unchanged; the log has details.")
        self.args = (kind, reason)
        self.kind, self.reason = kind, reason


@dataclass(frozen=True, slots=True)
class TrainingProgress(Result):
    """Where a training is.

    Attributes
    ----------
    seconds : float
        Since it began.
    memory : int
        Bytes that its processes hold; 0 where that cannot be told.
    said : str
        The last line of its log.
    """

    seconds: float
    memory: int
    said: str


Launch = Callable[[Path, TrainingJob, Callable[[TrainingProgress], None]], None]
"""Does the job of a folder; what it calls now and then ends it by raising."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training left, checked.

    Attributes
    ----------
    model : object
        Restored from a format that runs no code, unless that was allowed.
    outcome : dict
        ``format``, ``sha256``, ``size``, ``latency_ms``, ``parameters``, ``seconds``, ….
    candidate : Answered
    champion : Answered or None
    """

    model: Any
    outcome: dict[str, Any]
    candidate: Answered
    champion: Answered | None


def launch(folder: Path, job: TrainingJob, watch: Callable[[TrainingProgress], None]) -> None:
    """Do the job of a folder in a process of its own, within its limits.

    Its output is appended to ``log.txt``. The process, and what it starts, is killed when it takes
    too long or too much memory, when `watch` raises, and when this process dies.

    Parameters
    ----------
    folder : Path
    job : Job
    watch : callable
        Called with the `Progress` while it runs.

    Raises
    ------
    TrainingFailedError
        If it did not end by itself.
    """
    began = time.monotonic()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(folder for folder in sys.path if folder),
    }
    command = [sys.executable, "-m", "watchkeeper.retraining.worker", str(folder)]
    log = folder / jobs.LOG
    with (
        log.open("ab") as output,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True, env=environment,
        ) as process,
        _ended(process),
    ):  # fmt: skip
        while process.poll() is None:
            seconds, memory = time.monotonic() - began, memory_of(process.pid)
            if seconds > job.time_limit:
                raise TrainingFailedError("time", f"it took more than {job.time_limit:g} seconds")
            if memory > job.memory_limit:
                raise TrainingFailedError(
                    "memory", f"it held {memory:,} bytes; {job.memory_limit:,} are allowed"
                )
            watch(TrainingProgress(seconds, memory, last_line(log)))
            try:
                process.wait(LOOK)
            except subprocess.TimeoutExpired:
                continue
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        raise TrainingFailedError("killed", f"its process was killed by {name}")
    if not (folder / jobs.OUTCOME).exists():
        reason = f"its process ended with {process.returncode} before it was done"
        raise TrainingFailedError("ended", f"{reason}; the end of its output: {last_line(log)}")


def cancellable(
    cancelled: Callable[[], bool], watch: Callable[[TrainingProgress], None] | None
) -> Callable[[TrainingProgress], None]:
    """Return what `launch` calls to end a training that was cancelled.

    Parameters
    ----------
    cancelled : callable
        Called once a second at the most.
    watch : callable, optional
        Called as well.

    Returns
    -------
    callable
        It raises `TrainingFailedError` when the training was cancelled.
    """
    checked = 0.0

    def watching(progress: TrainingProgress) -> None:
        nonlocal checked
        if progress.seconds - checked >= _CHECK:
            checked = progress.seconds
            if cancelled():
                raise TrainingFailedError("cancelled", "it was cancelled")
        if watch is not None:
            watch(progress)

    return watching


def read_trained(folder: Path, job: TrainingJob, task: str, positive: object) -> TrainingResult:
    """Return what a training left in its folder.

    Parameters
    ----------
    folder : Path
    job : Job
    task : {"binary", "multiclass", "regression"}
    positive : object
        The label of the positive class, for a binary task.

    Returns
    -------
    TrainingResult

    Raises
    ------
    TrainingFailedError
        If it left no model, or one that is not what it says, cannot be restored, or has not
        answered every row.
    """
    try:
        outcome = json.loads((folder / jobs.OUTCOME).read_text(encoding="utf-8"))
        if not outcome["ok"]:
            raise TrainingFailedError(str(outcome["kind"]), str(outcome["reason"]))
        data = (folder / jobs.MODEL).read_bytes()
        if hashlib.sha256(data).hexdigest() != outcome["sha256"]:
            raise IntegrityError("the model is not the one that was written")
        model = formats.load(data, outcome["format"], trusted=job.trusted, unsafe=job.allow_unsafe)
        answers = pa.feather.read_table(folder / jobs.ANSWERS)
        if answers.num_rows != jobs.read_held_out(folder).num_rows:
            raise IntegrityError("there is not one prediction for each row")
        return TrainingResult(
            data if outcome["format"] == "onnx" else model,
            outcome,
            _answered(answers, "candidate", task, positive),
            None if job.champion is None else _answered(answers, "champion", task, positive),
        )
    except TrainingFailedError:
        raise
    except Exception as error:
        reason = f"what it left cannot be used: {type(error).__name__}: {error}"
        raise TrainingFailedError("not_loadable", reason) from error


def last_line(log: Path) -> str:
    """Return the last line of a log that says anything.

    Parameters
    ----------
    log : Path

    Returns
    -------
    str
        At most 300 characters; empty without a log.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")[:300]


def _answered(answers: pa.Table, who: str, task: str, positive: object) -> Answered:
    predicted = labels_of(answers[f"{who}.predicted"], task, positive)
    if task == "regression" and not np.isfinite(predicted).all():
        raise TrainingFailedError(
            "not_finite", f"the {who} returns a value that is not a finite number"
        )
    name = f"{who}.score"
    scored = task == "binary" and name in answers.column_names
    scores = scores_of(answers[name]) if scored else None
    return Answered(predicted, None if scores is None or np.isnan(scores).all() else scores)


@contextmanager
def _ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Leave nothing of a process, nor of what it has started, behind."""
    try:
        yield
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_SHUT)
