"""`AutoRetrainingPipeline`: a registry, a monitor and training data; the rest is done."""

import inspect
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from watchkeeper.clock import Clock, system_clock
from watchkeeper.errors import InvalidValueError, NotFoundError
from watchkeeper.events import EventLog, Window
from watchkeeper.labelling import Labelling
from watchkeeper.policies.retraining import Policy
from watchkeeper.quality import ModelPerformanceMonitor
from watchkeeper.registry import ModelRegistry
from watchkeeper.retraining.candidate import CHALLENGER, Candidate, log_of
from watchkeeper.retraining.gate import GateReport
from watchkeeper.retraining.training import Launch, TrainingProgress, launch

__all__ = ["AutoRetrainingPipeline"]

_LOGS = ".retraining"  # no model can be called so


class AutoRetrainingPipeline:
    """Trains a model again when its quality has fallen, and promotes the result if it is better.

    Parameters
    ----------
    model_registry : ModelRegistry
    performance_monitor : ModelPerformanceMonitor
        Its task and positive class are those of the model.
    retrain_threshold : float
        Drop of a metric, relative to its baseline, beyond which a training is needed.
    trainer : function, class, estimator or str, optional
        A function of `TrainingData` that returns a fitted model; a class or an object with
        ``fit(data)``; an estimator, which is fitted to ``data.X`` and ``data.y``; or the import
        path ``package.module:name`` of one. By default the champion's estimator is fitted again.
    model_name : str, optional
        By default the only model of the registry.
    policy : Policy, optional
        What else is asked: see there. A better candidate is promoted at once; with ``then`` other
        than ``"direct"`` it stays registered, for a rollout or a shadow of your own.
    events : EventLog, optional
        Where labelled predictions are read when no training data are named.
    clock : callable
    progress : callable, optional
        Told now and then how a training goes.
    launch : Launch
        How a training is done: in a process of its own.

    Attributes
    ----------
    last_retrain_time : datetime or None
        When the last training ended with a model.
    last_report : GateReport or None
        What the gate said of it.
    last_log : Path or None
        What the last training has printed.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from watchkeeper.quality import ModelPerformanceMonitor
    >>> from watchkeeper.registry import ModelRegistry
    >>> monitor = ModelPerformanceMonitor(min_samples=4)
    >>> monitor.set_baseline(accuracy=0.9)
    >>> monitor.add_batch([1, 1, 0, 0], [1, 0, 0, 1])
    >>> with tempfile.TemporaryDirectory() as folder, ModelRegistry(folder) as registry:
    ...     AutoRetrainingPipeline(registry, monitor, model_name="late").check_retrain_needed()
    True
    """

    def __init__(
        self,
        model_registry: ModelRegistry,
        performance_monitor: ModelPerformanceMonitor,
        retrain_threshold: float = 0.05,
        *,
        trainer: Any = None,
        model_name: str | None = None,
        policy: Policy | None = None,
        events: EventLog | None = None,
        clock: Clock = system_clock,
        progress: Callable[[TrainingProgress], None] | None = None,
        launch: Launch = launch,
    ) -> None:
        chosen = Policy(on_success="direct") if policy is None else policy
        path = trainer if isinstance(trainer, str) else chosen.trainer
        self.policy = replace(chosen, max_relative_drop=retrain_threshold, trainer=path)
        self._registry, self._monitor = model_registry, performance_monitor
        self._trainer = None if isinstance(trainer, str) else trainer
        self._name, self._events, self._clock = model_name, events, clock
        self._progress, self._launch = progress, launch
        self.last_retrain_time: datetime | None = None
        self.last_report: GateReport | None = None
        self.last_log: Path | None = None

    def check_retrain_needed(self) -> bool:
        """Return whether a metric has dropped from its baseline by more than the threshold.

        Too few labelled predictions, or no baseline, say nothing: then it is not needed.

        Returns
        -------
        bool
        """
        drops = self._monitor.detect_performance_drift().drops.values()
        return any(drop is not None and drop > self.policy.max_relative_drop for drop in drops)

    def scheduled_check(self, training_data_path: object = None) -> str | None:
        """Train if that is needed and the cool-down is over; what a scheduler calls.

        Parameters
        ----------
        training_data_path : path, str or data frame, optional
            As in `retrain_model`.

        Returns
        -------
        str or None
            The id of the new version; None where none was trained.

        Raises
        ------
        NotFoundError
            Where `retrain_model` raises it.
        TrainingDataError, TrainingFailedError
            Where `retrain_model` raises them.
        """
        cooldown = timedelta(hours=self.policy.cooldown_hours)
        last = self.last_retrain_time
        if last is not None and self._clock() - last < cooldown:
            return None
        if not self.check_retrain_needed():
            return None
        return self.retrain_model(training_data_path)

    def retrain_model(self, training_data_path: object = None) -> str:
        """Train a candidate, judge it by later data, register it, and promote it if it is better.

        Parameters
        ----------
        training_data_path : path, str or data frame, optional
            A CSV, Parquet or Arrow file, a Delta table, or the address of one. Without it the query
            or the path of the policy, or the labelled events.

        Returns
        -------
        str
            The id of the new version. `last_report` says whether it is better than the champion.

        Raises
        ------
        TrainingDataError
            If nothing can be learned from the data.
        TrainingFailedError
            If the training did not end with a model. Nothing was registered, and what is in
            production stays there.
        NotFoundError
            If nothing is in production, and no trainer is given.
        InvalidValueError
            If the pipeline names no model and there is not exactly one, or the trainer cannot be
            handed to another process.
        """
        name = self._model_name()
        production = self._registry.get_production_model(name)
        if production is None and self._trainer is None and not self.policy.trainer:
            raise NotFoundError(
                "model in production", name, "Promote a version first, or give a trainer."
            )
        now = self._clock()
        window = Window(now - timedelta(days=self.policy.window_days), now)
        pickled = None if self._trainer is None else _pickled(self._trainer)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "candidate"
            candidate = Candidate(
                self._registry,
                folder,
                model=name,
                policy=self.policy,
                labelling=Labelling(self._monitor.task, self._monitor.positive),
                champion=production,
            )
            material = candidate.prepare(
                self._events, window, source=training_data_path, trainer=pickled
            )
            version = candidate.next_version()
            try:
                candidate.train(self._launch, self._progress or _unwatched)
            finally:
                self._keep_log(log_of(folder)[0], f"{name}-{version}")
            report = candidate.judge(material.boundary)
            model_id = candidate.register(
                version, report, material, source=training_data_path, run=f"{name}-{version}",
                reason="by the pipeline", actor="",
            )  # fmt: skip
        if report.passed:
            self._registry.set_alias(model_id, CHALLENGER, reason=report.reason)
        self.last_report, self.last_retrain_time = report, self._clock()
        unmoved = self._registry.get_production_model(name) == production
        if report.passed and unmoved and (production is None or self.policy.on_success == "direct"):
            self._registry.promote_to_production(model_id, reason=report.reason)
        return model_id

    def _model_name(self) -> str:
        if self._name is not None:
            return self._name
        names = {version.model_name for version in self._registry.list_models()}
        if len(names) != 1:
            expected = ", ".join(sorted(names)) or "a name, since no model is registered"
            raise InvalidValueError("model_name", None, f"one of {expected}")
        return names.pop()

    def _keep_log(self, log: Path, name: str) -> None:
        if log.exists():
            folder = self._registry.path / _LOGS
            folder.mkdir(exist_ok=True)
            self.last_log = folder / f"{name}.log"
            self.last_log.write_bytes(log.read_bytes())


def _unwatched(_: TrainingProgress) -> None:
    """Let a training go on."""


def _pickled(trainer: Any) -> bytes:
    """Return a trainer as bytes for the process that trains.

    What is not installed is pickled with its code: the process may not find where it was defined,
    in a notebook or a script.
    """
    import cloudpickle

    module = inspect.getmodule(trainer if callable(trainer) else type(trainer))
    file = str(getattr(module, "__file__", None) or "")
    installed = file.startswith(sys.prefix) or module is None or module.__name__ == "__main__"
    if not installed:
        cloudpickle.register_pickle_by_value(module)
    try:
        return bytes(cloudpickle.dumps(trainer))
    except Exception as error:
        raise InvalidValueError(
            "trainer",
            trainer,
            f"what can be handed to another process ({error})",
            "Put it into a module, and give its import path: 'package.module:name'.",
        ) from error
    finally:
        if not installed:
            cloudpickle.unregister_pickle_by_value(module)
