"""Every change of an experiment, with its rules."""

from collections.abc import Mapping

from watchkeeper.clock import Clock
from watchkeeper.errors import ConflictError
from watchkeeper.experiments import Experiment, ExperimentState
from watchkeeper.experiments.report import ExperimentReport
from watchkeeper.experiments.repository import ExperimentRepository
from watchkeeper.identity import By
from watchkeeper.monitoring.experiments import ExperimentReports
from watchkeeper.operations.changes import Change, Changes
from watchkeeper.operations.rollouts import Rollouts
from watchkeeper.operations.service import DocumentService
from watchkeeper.registry import ModelRegistry

__all__ = ["Experiments"]


class Experiments(DocumentService[ExperimentRepository, Experiment]):
    """Every change of an experiment, with its rules.

    Parameters
    ----------
    repository : ExperimentRepository
    reports : ExperimentReports
    registry : ModelRegistry
    rollouts : Rollouts
        One that is under way has the traffic of its model.
    changes : Changes
    clock : Clock
    """

    def __init__(
        self,
        repository: ExperimentRepository,
        *,
        reports: ExperimentReports,
        registry: ModelRegistry,
        rollouts: Rollouts,
        changes: Changes,
        clock: Clock,
    ) -> None:
        super().__init__(repository)
        self._reports, self._registry, self._rollouts = reports, registry, rollouts
        self._changes, self._clock = changes, clock

    def create(self, draft: Experiment, *, by: By) -> Experiment:
        """Store a new experiment; it takes no traffic before it is started.

        Parameters
        ----------
        draft : Experiment
        by : By

        Returns
        -------
        Experiment

        Raises
        ------
        NotFoundError
            If a version is not registered, or archived.
        ConflictError
            If there is an experiment of this name.
        """

        def check() -> None:
            for arm in draft.allocation.arms:
                if arm.model_version is not None:  # otherwise what is in production, whichever
                    self._registry.usable(draft.model, arm.model_version)

        self.repository.add(draft, at=self._clock(), by=by, check=check)
        return draft

    def start(self, name: str, *, by: By) -> Experiment:
        """Let an experiment take traffic.

        Parameters
        ----------
        name : str
        by : By

        Returns
        -------
        Experiment

        Raises
        ------
        ConflictError
            If it is not a draft, or another experiment or a rollout takes the same traffic.
        NotFoundError
            If there is none of this name.
        """
        before, at = self.repository.get(name), self._clock()
        after, model = before.started(at), before.model

        def check() -> None:
            self._rollouts.require_none_under_way(model, "An experiment needs versions that stay.")
            for other in self.repository.find(model, ExperimentState.RUNNING):
                if not before.apart_from(other):
                    raise ConflictError(
                        f"the experiment {other.name} takes the traffic of {model} already",
                        "Stop it first, or give both a share of one namespace.",
                    )

        evidence = after.phases[-1]
        self.repository.save(
            before, after, action="start", at=at, by=by, evidence=evidence, check=check
        )
        self._publish(after)
        return after

    def change_weights(
        self,
        name: str,
        *,
        weights: Mapping[str, int] | None = None,
        included_bp: int | None = None,
        by: By,
    ) -> Experiment:
        """Begin another phase, with other weights; what was seen stays in its own phase.

        Parameters
        ----------
        name : str
        weights : mapping of str to int, optional
            Basis points of the experiment's units, by arm.
        included_bp : int, optional
            Basis points of all units that take part.
        by : By

        Returns
        -------
        Experiment
        """
        before, at = self.repository.get(name), self._clock()
        after = before.with_weights(at, weights, included_bp)
        evidence = after.phases[-1]
        self.repository.save(
            before, after, action="change weights", at=at, by=by, evidence=evidence
        )
        self._publish(after)
        return after

    def stop(self, name: str, *, by: By) -> ExperimentReport:
        """End an experiment: production answers again, and the verdict is stored with its evidence.

        Parameters
        ----------
        name : str
        by : By
            Without a reason it is that of the verdict.

        Returns
        -------
        ExperimentReport

        Raises
        ------
        ConflictError
            If it does not run.
        """
        before, at = self.repository.get(name), self._clock()
        report = self._reports.compute(before, at)
        after = before.stopped(at, report.decision.to_dict())
        by = by if by.reason else by.with_reason(report.decision.reason)
        self.repository.save(before, after, action="stop", at=at, by=by, evidence=report)
        self._publish(after)
        return report

    def _publish(self, experiment: Experiment) -> None:
        self._changes.publish(Change("experiment", experiment.model))
