"""Candidates: the workflow of a retraining, written once.

Training data, training, judgement and registration are steps of `Candidate`. Each step reads from
the folder of the candidate what the former one left there, so that a process that dies is followed
by another that goes on. The caller decides when which step is done, and what becomes of the
result.
"""

import shutil
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from pathlib import Path

import pyarrow.feather

from watchkeeper.events import EventLog, Window
from watchkeeper.labelling import Labelling
from watchkeeper.policies.retraining import Policy
from watchkeeper.registry import Lineage, ModelRegistry, ModelVersion
from watchkeeper.retraining.data import TrainingData, split
from watchkeeper.retraining.gate import GateReport
from watchkeeper.retraining.job import LOG, TrainingJob, read_learned, write_job
from watchkeeper.retraining.material import Material, judged, learned_until, training_data
from watchkeeper.retraining.training import (
    Launch,
    TrainingFailedError,
    TrainingProgress,
    TrainingResult,
    read_trained,
)
from watchkeeper.retraining.versions import next_version

__all__ = [
    "CHALLENGER",
    "RETRAINING",
    "Candidate",
    "log_of",
    "tidy",
]

CHALLENGER = "challenger"
"""The alias of a candidate that has passed its gate."""

RETRAINING = "retraining"
"""The tag of a candidate: the name of its retraining."""

_WORK, _HELD_OUT = "work", "held_out.arrow"  # in the folder of a candidate


class Candidate:
    """A new version of a model, from its training data to its registration.

    Parameters
    ----------
    registry : ModelRegistry
    folder : Path
        Where the files of its training lie.
    model : str
    policy : Policy
    labelling : Labelling
    champion : str or None
        The id of the version that it is to be better than.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        folder: Path,
        *,
        model: str,
        policy: Policy,
        labelling: Labelling,
        champion: str | None,
    ) -> None:
        self._registry, self._folder, self._model = registry, folder, model
        self._policy, self._labelling = policy, labelling
        self._champion = None if champion is None else registry.get(champion)
        self._trained: TrainingResult | None = None

    def prepare(
        self,
        events: EventLog | None,
        window: Window,
        *,
        source: object = None,
        trainer: bytes | None = None,
    ) -> Material:
        """Read the training data and write them, split by time, as the job of a training.

        Parameters
        ----------
        events : EventLog or None
        window : Window
            Of the events.
        source : path, str or data frame, optional
            In place of the data that the policy names.
        trainer : bytes, optional
            A pickled trainer, in place of that of the policy.

        Returns
        -------
        Material

        Raises
        ------
        InvalidValueError
            If there is nowhere to read from.
        IntegrityError
            If the files of the champion are not what was registered.
        TrainingDataError
            If nothing can be learned from the data.
        """
        policy, champion = self._policy, self._champion
        self._trained = None
        vars(self).pop("_job", None)
        if champion is not None:
            self._registry.verify(champion.model_id)
        data, versions = training_data(
            events, self._registry, self._model, policy, window, champion,
            task=self._labelling.task, source=source,
        )  # fmt: skip
        halves = split(
            data,
            holdout=policy.holdout,
            not_before=learned_until(champion),
            min_rows=policy.min_rows,
            min_holdout=policy.min_holdout,
            task=self._labelling.task,
        )
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True, mode=0o700)
        columns = list(dict.fromkeys([data.target, *policy.segments]))
        pyarrow.feather.write_feather(
            halves.held_out.table.select(columns),
            self._folder / _HELD_OUT,
            compression="uncompressed",
        )
        file = None if champion is None else Path(champion.file_path).read_bytes()
        write_job(self._folder / _WORK, _job(policy, data, champion), halves, file, trainer)
        return Material(
            rows=len(halves.learned),
            held_out=len(halves.held_out),
            learned_from=halves.learned.first,
            boundary=halves.boundary,
            table_versions=versions,
        )

    def train(self, launch: Launch, watch: Callable[[TrainingProgress], None]) -> TrainingResult:
        """Train by what `prepare` has written.

        Parameters
        ----------
        launch : Launch
        watch : callable
            Called now and then; it ends the training by raising.

        Returns
        -------
        TrainingResult

        Raises
        ------
        TrainingFailedError
            If the training did not end with a model.
        """
        launch(self._folder / _WORK, self._job, watch)
        return self.trained()

    def trained(self) -> TrainingResult:
        """Return what the training left.

        Returns
        -------
        TrainingResult

        Raises
        ------
        TrainingFailedError
            If it left no model that can be used, or its files are gone.
        """
        if self._trained is None:
            self._trained = read_trained(
                self._folder / _WORK, self._job, self._labelling.task, self._labelling.positive
            )
        return self._trained

    def judge(self, boundary: datetime | None) -> GateReport:
        """Compare the candidate with the champion on the held-out rows, which begin at `boundary`.

        Parameters
        ----------
        boundary : datetime or None
            None where the rows have no times.

        Returns
        -------
        GateReport

        Raises
        ------
        TrainingFailedError
            As `trained`.
        """
        trained = self.trained()
        return judged(
            self._policy,
            pyarrow.feather.read_table(self._folder / _HELD_OUT),
            trained,
            task=self._labelling.task,
            positive=self._labelling.positive,
            boundary=boundary,
            champion=self._champion,
        )

    def next_version(self) -> str:
        """Return the version that it gets: one that no version of the model ever had.

        Returns
        -------
        str
        """
        former = None if self._champion is None else self._champion.version
        return next_version(former, self._registry.taken_versions(self._model))

    def register(
        self,
        version: str,
        gate: GateReport,
        material: Material,
        *,
        source: object = None,
        run: str,
        reason: str,
        actor: str,
    ) -> str:
        """Register it with its gate report and its lineage.

        Parameters
        ----------
        version : str
        gate : GateReport
        material : Material
        source : path, str or data frame, optional
            As of `prepare`.
        run : str
            The name of the retraining.
        reason, actor : str

        Returns
        -------
        str
            Its model id.

        Raises
        ------
        ConflictError
            If there is such a version.
        TrainingFailedError
            As `trained`.
        """
        trained, job, champion = self.trained(), self._job, self._champion
        learned = read_learned(self._folder / _WORK, job).table
        return self._registry.register_model(
            trained.model,
            self._model,
            version,
            gate.candidate,
            f"trained again: {reason}"[:1000],
            {RETRAINING: run},
            training_data=learned.select(list(job.features)),
            signature=None if champion is None else champion.signature,
            lineage=Lineage(
                parent="" if champion is None else champion.model_id,
                dataset=_dataset(self._policy, source),
                training_start=material.learned_from,
                training_end=material.boundary,
                table_versions=material.table_versions,
                evaluated_on=f"{material.held_out:,} later rows",
            ),
            format=trained.outcome["format"],
            trusted=job.trusted,
            allow_unsafe=job.allow_unsafe,
            actor=actor,
        )

    @cached_property
    def _job(self) -> TrainingJob:
        try:
            return TrainingJob.read(self._folder / _WORK)
        except OSError:
            raise TrainingFailedError("gone", "the files of its training are gone") from None


def log_of(folder: Path) -> tuple[Path, Path]:
    """Return where the log of a candidate is: while it trains, and when that is over.

    Parameters
    ----------
    folder : Path
        Of the candidate.

    Returns
    -------
    unfinished, finished : Path
    """
    return folder / _WORK / LOG, folder / LOG


def tidy(folder: Path) -> None:
    """Keep the log of a candidate, and none of its other files.

    Parameters
    ----------
    folder : Path
        Of the candidate.
    """
    unfinished, log = log_of(folder)
    if unfinished.exists():
        unfinished.replace(log)
    shutil.rmtree(folder / _WORK, ignore_errors=True)
    (folder / _HELD_OUT).unlink(missing_ok=True)


def _dataset(policy: Policy, source: object) -> str:
    """Return what is said of the data that `training_data` reads."""
    if source is not None:
        return str(source) if isinstance(source, str | Path) else "a data frame"
    return policy.data or policy.query or "labelled events"


def _job(policy: Policy, data: TrainingData, champion: ModelVersion | None) -> TrainingJob:
    """Return what a training has to do."""
    about = None
    if champion is not None:
        signature = champion.signature
        about = {
            "model_id": champion.model_id,
            "format": champion.format,
            "trusted": list(champion.trusted),
            "unsafe": champion.unsafe,
            "signature": None if signature is None else signature.to_dict(),
        }
    return TrainingJob(
        features=data.features,
        target=data.target,
        time=data.time,
        framed=data.framed,
        trainer=policy.trainer,
        champion=about,
        trusted=() if champion is None else champion.trusted,
        allow_unsafe=policy.allow_unsafe or (champion is not None and champion.unsafe),
        time_limit=policy.time_limit,
        memory_limit=policy.memory_limit,
    )
