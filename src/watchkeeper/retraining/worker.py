"""What trains, in a process of its own: ``python -m watchkeeper.retraining.worker FOLDER``."""

import hashlib
import importlib
import inspect
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.feather

from watchkeeper.durable import write_whole
from watchkeeper.errors import InvalidValueError, WatchkeeperError
from watchkeeper.process_limits import limit_memory
from watchkeeper.registry import Lineage, ModelVersion, Runtime, Signature, Status, formats
from watchkeeper.registry.signature import of_estimator
from watchkeeper.retraining import job as jobs
from watchkeeper.retraining.job import TrainingJob

__all__ = ["answers", "main", "work"]

_AT_ONCE = 10_000  # rows that are answered together
_TIMED = 100  # rows that are answered one by one
_GRACE = 30.0  # seconds after which the kernel ends what the parent should have ended


class TrainerFailedError(WatchkeeperError):
    """The trainer raised, or what it returned is no model."""


def work(folder: Path) -> None:
    """Do the job of a folder, and leave how it went in ``outcome.json``; nothing is raised.

    Parameters
    ----------
    folder : Path
    """
    began = time.monotonic()
    try:
        done = _done(folder, TrainingJob.read(folder))
    except MemoryError:
        traceback.print_exc()
        reason = "the trainer needed more memory than it may have"
        outcome: dict[str, Any] = {"ok": False, "kind": "memory", "reason": reason}
    except Exception as error:  # noqa: BLE001 - whatever a user's trainer raises is a failed run
        traceback.print_exc()
        kind = error.code if isinstance(error, WatchkeeperError) else "trainer_failed"
        reason = str(error) if isinstance(error, WatchkeeperError) else (
            f"the trainer raised {type(error).__name__}: {error}"
        )  # fmt: skip
        outcome = {"ok": False, "kind": kind, "reason": reason[:2000]}
    else:
        outcome = {"ok": True, **done}
    outcome["seconds"] = time.monotonic() - began
    write_whole(folder / jobs.OUTCOME, json.dumps(outcome).encode())


def _done(folder: Path, job: TrainingJob) -> dict[str, Any]:
    champion = None
    if job.champion is not None:
        about = job.champion
        data = (folder / jobs.CHAMPION).read_bytes()
        champion = formats.load(
            data, about["format"], trusted=about["trusted"], unsafe=about["unsafe"]
        )
    learned = jobs.read_learned(folder, job)
    _say(f"training on {len(learned):,} rows of {len(job.features)} features")
    model = _fitted(_trainer(folder, job, champion), learned)
    _say("writing the model")
    kind = formats.natural_format(model)
    written = formats.dump(model, kind, trusted=job.trusted, allow_unsafe=job.allow_unsafe)
    restored = formats.load(written, kind, trusted=job.trusted, unsafe=job.allow_unsafe)
    write_whole(folder / jobs.MODEL, written)
    rows = jobs.read_held_out(folder)
    _say(f"answering {rows.num_rows:,} later rows")
    columns, latency = answers(_runtime(job, "candidate", restored, kind), rows)
    table = {f"candidate.{name}": values for name, values in columns.items()}
    champion_latency = None
    if champion is not None and job.champion is not None:
        champion_of_job = job.champion
        champion_runtime = _runtime(
            job,
            champion_of_job["model_id"],
            champion,
            champion_of_job["format"],
            champion_of_job["signature"],
        )
        columns, champion_latency = answers(champion_runtime, rows)
        table |= {f"champion.{name}": values for name, values in columns.items()}
    pa.feather.write_feather(pa.table(table), folder / jobs.ANSWERS, compression="uncompressed")
    _say("done")
    return {
        "format": kind,
        "sha256": hashlib.sha256(written).hexdigest(),
        "size": len(written),
        "latency_ms": latency,
        "champion_latency_ms": champion_latency,
        "parameters": dict(jobs.parameters_of(model)),
        "trainer": job.trainer or "the champion's estimator",
    }


def _trainer(folder: Path, job: TrainingJob, champion: Any) -> Any:
    if job.trainer:
        module, _, name = job.trainer.partition(":")
        try:
            trainer = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            expected = "package.module:name of a function, or of a class with fit"
            raise InvalidValueError("trainer", job.trainer, f"{expected} ({error})") from None
        return trainer
    if (folder / jobs.TRAINER).exists():
        import cloudpickle

        return cloudpickle.loads((folder / jobs.TRAINER).read_bytes())  # which we wrote
    if champion is None or not hasattr(champion, "get_params"):
        raise InvalidValueError(
            "trainer",
            None,
            "one: there is no estimator in production that could be fitted again",
            "Name a function that takes the training data and returns a model.",
        )
    from sklearn.base import clone

    return clone(champion)


def _fitted(trainer: Any, learned: Any) -> Any:
    """Return the model that a trainer makes: an estimator, an object with fit(data), a function."""
    if inspect.isclass(trainer):
        trainer = trainer()
    if hasattr(trainer, "get_params") and hasattr(trainer, "fit"):
        model = trainer.fit(learned.X, learned.y)
    elif callable(getattr(trainer, "fit", None)):
        model = trainer.fit(learned)
    elif callable(trainer):
        model = trainer(learned)
    else:
        raise InvalidValueError(
            "trainer", type(trainer).__name__, "a function, or an object or class with fit"
        )
    if not (callable(getattr(model, "predict", None)) or formats.natural_format(model) == "onnx"):
        shown = repr(model)[:120]
        raise TrainerFailedError(
            f"the trainer returned {shown}, which is no model",
            "Let it return a fitted estimator, an ONNX model, or an object with predict.",
        )
    return model


def _runtime(
    job: TrainingJob, model_id: str, model: Any, kind: str, signature: dict[str, Any] | None = None
) -> Runtime:
    parsed = None if signature is None else Signature.from_dict(signature)
    if parsed is None and getattr(model, "feature_names_in_", None) is not None:
        parsed = of_estimator(model)
    name, _, version = model_id.partition(":")
    now = datetime.now(UTC)
    return Runtime(
        ModelVersion(
            model_id=model_id, model_name=name, version=version, status=Status.REGISTERED,
            file_path="", file_hash="", metrics={}, description="", tags={}, registered_at=now,
            promoted_at=None, demoted_at=None, format=kind, unsafe=job.allow_unsafe, trusted=(),
            signature=parsed, files={}, about={}, lineage=Lineage(), aliases=(),
        ),
        model,
    )  # fmt: skip


def answers(runtime: Runtime, rows: pa.Table) -> tuple[dict[str, npt.NDArray[Any]], float]:
    """Return the answers to `rows`, and how long one of them takes.

    Parameters
    ----------
    runtime : Runtime
    rows : pyarrow.Table

    Returns
    -------
    columns : dict of str to numpy.ndarray of shape (n,)
        ``predicted``, and ``score`` where the model has scores.
    latency : float
        95th percentile of the milliseconds that one row takes.

    Raises
    ------
    TrainerFailedError
        If a row is answered with several values.
    """
    predict = _predicting(runtime)
    parts = [predict(rows.slice(first, _AT_ONCE)) for first in range(0, rows.num_rows, _AT_ONCE)]
    predictions = np.concatenate([part.predictions for part in parts])
    if predictions.ndim != 1:
        raise TrainerFailedError(
            f"{runtime.model_id} returns several values for a row",
            "One prediction for each row is compared.",
        )
    columns: dict[str, npt.NDArray[Any]] = {"predicted": predictions}
    if all(part.scores is not None for part in parts):
        scores = np.concatenate([np.asarray(part.scores) for part in parts])
        two = parts[0].classes is not None and len(parts[0].classes) == 2
        columns["score"] = scores if two else np.full(len(scores), np.nan)
    took = []
    for index in np.linspace(0, rows.num_rows - 1, min(_TIMED, rows.num_rows)).astype(int):
        one = rows.slice(int(index), 1)
        began = time.perf_counter()
        predict(one)
        took.append(1e3 * (time.perf_counter() - began))
    return columns, float(np.quantile(took, 0.95))


def _predicting(runtime: Runtime) -> Callable[[pa.Table], Any]:
    if runtime.wants_matrix:
        return lambda part: runtime.predict(
            np.column_stack(
                [np.asarray(part[name].cast(pa.float64())) for name in part.column_names]
            )
        )
    return lambda part: runtime.predict(
        MappingProxyType({name: part[name].to_pylist() for name in part.column_names})
    )


def _say(line: str) -> None:
    print(f"watchkeeper: {line}", flush=True)


def _limit(job: TrainingJob) -> None:
    """Let the kernel hold the limits too: the parent may be dead, or look too late."""
    signal.setitimer(signal.ITIMER_REAL, job.time_limit + _GRACE)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    limit_memory(job.memory_limit)


def _end_with_parent() -> None:
    """End this process and what it started when its parent is gone."""

    def wait() -> None:
        os.read(0, 1)  # nothing is ever written: it returns when the other end is closed
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def main(arguments: list[str]) -> int:
    """Train in this process, which `watchkeeper.retraining.training` has started.

    Parameters
    ----------
    arguments : list of str
        The folder of the job.

    Returns
    -------
    int
        0; how the training went is in its folder.
    """
    folder = Path(arguments[0])
    _end_with_parent()
    _limit(TrainingJob.read(folder))
    work(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
