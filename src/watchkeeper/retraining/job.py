"""A training as files: what a process is given to do, and what it leaves.

The process that trains gets a folder and nothing else. It learns from ``learned.arrow``, answers
``held_out.arrow``, which has no outcomes, and leaves ``model``, ``answers.arrow`` and, last,
``outcome.json``; what it prints is in ``log.txt``.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.feather

from watchkeeper.durable import write_whole
from watchkeeper.retraining.data import Halves, TrainingData

__all__ = [
    "ANSWERS",
    "CHAMPION",
    "LOG",
    "MODEL",
    "OUTCOME",
    "TRAINER",
    "TrainingJob",
    "read_learned",
    "write_job",
]

LOG, OUTCOME, MODEL, ANSWERS = "log.txt", "outcome.json", "model", "answers.arrow"
CHAMPION, TRAINER = "champion", "trainer.pickle"
_JOB, _LEARNED, _HELD_OUT = "job.json", "learned.arrow", "held_out.arrow"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """What is to be done.

    Attributes
    ----------
    features : tuple of str
    target : str
    time : str or None
    framed : bool
        As in `TrainingData`.
    trainer : str
        ``package.module:name``; empty for the object in ``trainer.pickle``, if it is there, or for
        the champion's estimator.
    champion : dict or None
        ``model_id``, ``format``, ``trusted``, ``unsafe`` and ``signature`` of the version whose
        file is ``champion``.
    trusted : tuple of str
    allow_unsafe : bool
        As of `ModelRegistry.register_model`.
    time_limit, memory_limit : float, int
        Seconds and bytes.
    """

    features: tuple[str, ...]
    target: str
    time: str | None
    framed: bool
    trainer: str
    champion: dict[str, Any] | None
    trusted: tuple[str, ...]
    allow_unsafe: bool
    time_limit: float
    memory_limit: int

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the job of a folder.

        Parameters
        ----------
        folder : Path

        Returns
        -------
        TrainingJob
        """
        stored = json.loads((folder / _JOB).read_text(encoding="utf-8"))
        return cls(
            **{
                **stored,
                "features": tuple(stored["features"]),
                "trusted": tuple(stored["trusted"]),
            }
        )


def write_job(
    folder: Path, job: TrainingJob, halves: Halves, champion: bytes | None, trainer: bytes | None
) -> None:
    """Write a job to an empty folder; ``job.json`` is its last file.

    Parameters
    ----------
    folder : Path
        Of the job; it must not hold another one.
    job : TrainingJob
    halves : Halves
    champion : bytes or None
        What the version in production is stored as.
    trainer : bytes or None
        The pickled trainer, where it is not one of the settings.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(folder / _LEARNED, halves.learned.table)
    _write(folder / _HELD_OUT, halves.held_out.table.select(list(job.features)))
    if champion is not None:
        (folder / CHAMPION).write_bytes(champion)
    if trainer is not None:
        (folder / TRAINER).write_bytes(trainer)
    write_whole(folder / _JOB, json.dumps(asdict(job)).encode())


def read_learned(folder: Path, job: TrainingJob) -> TrainingData:
    """Return what is to be learned from.

    Parameters
    ----------
    folder : Path
    job : TrainingJob

    Returns
    -------
    TrainingData
    """
    table = pa.feather.read_table(folder / _LEARNED)
    return TrainingData(table, job.features, job.target, job.time, job.framed)


def read_held_out(folder: Path) -> pa.Table:
    """Return the features that are to be answered.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    pyarrow.Table
        Without their target.
    """
    return pa.feather.read_table(folder / _HELD_OUT)


def parameters_of(model: object) -> Mapping[str, str]:
    """Return the parameters of an estimator, as text; none of what is no estimator.

    Parameters
    ----------
    model : object

    Returns
    -------
    mapping of str to str
        Values are cut after 200 characters.
    """
    if not hasattr(model, "get_params"):
        return {}
    return {name: repr(value)[:200] for name, value in model.get_params().items()}


def _write(path: Path, table: pa.Table) -> None:
    pa.feather.write_feather(table, path, compression="uncompressed")
