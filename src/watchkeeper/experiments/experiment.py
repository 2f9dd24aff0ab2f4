"""An experiment: its design, its life, and what was decided."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from watchkeeper.clock import as_utc
from watchkeeper.errors import ConflictError
from watchkeeper.experiments.cells import Observations
from watchkeeper.experiments.decision import ExperimentDecision
from watchkeeper.experiments.design import Design, Phase
from watchkeeper.experiments.report import analyse

__all__ = ["Experiment", "ExperimentState"]


class ExperimentState(StrEnum):
    """Where an experiment is in its life."""

    DRAFT = "draft"
    RUNNING = "running"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment(Design):
    """An experiment, which cannot exist in a wrong state.

    Attributes
    ----------
    state : ExperimentState
    started_at, ended_at : datetime or None
    decision : dict or None
        The last one, as plain values, once it has ended.

    Notes
    -----
    The other attributes are those of `watchkeeper.experiments.design.Design`.
    """

    state: ExperimentState = ExperimentState.DRAFT
    started_at: datetime | None = None
    ended_at: datetime | None = None
    decision: dict[str, Any] | None = None

    def apart_from(self, other: "Experiment") -> bool:
        """Return whether the two can never share a unit.

        Parameters
        ----------
        other : Experiment

        Returns
        -------
        bool
        """
        ours, theirs = self.allocation.namespace, other.allocation.namespace
        return ours is not None and theirs is not None and not ours.overlaps(theirs)

    def started(self, at: datetime) -> Self:
        """Return it running, in its first phase.

        Parameters
        ----------
        at : datetime

        Returns
        -------
        Experiment

        Raises
        ------
        ConflictError
            If it is not a draft.
        """
        if self.state is not ExperimentState.DRAFT:
            raise ConflictError(
                f"the experiment {self.name} is {self.state.value}; only a draft can be started",
                "Create another one: an experiment that has ended keeps its evidence.",
            )
        first = Phase.of(self.allocation, at)
        return replace(
            self, state=ExperimentState.RUNNING, phases=(first,), started_at=first.started_at
        )

    def with_weights(
        self, at: datetime, weights: Mapping[str, int] | None = None, included_bp: int | None = None
    ) -> Self:
        """Return it in a further phase, with as few units moved as can be.

        Parameters
        ----------
        at : datetime
        weights : mapping of str to int, optional
            In basis points, by arm.
        included_bp : int, optional
            Share of the units that are in it.

        Returns
        -------
        Experiment

        Raises
        ------
        ConflictError
            If it does not run.
        InvalidValueError
            If the weights are not of its arms, or above 100 % together.
        """
        self._require_running("get other weights")
        following = self.allocation.next_phase(weights=weights, included_bp=included_bp)
        phases = (*self.phases, Phase.of(following, at))
        return replace(self, allocation=following, phases=phases)

    def stopped(self, at: datetime, decision: Mapping[str, Any] | None = None) -> Self:
        """Return it ended, with what was decided.

        Parameters
        ----------
        at : datetime
        decision : mapping, optional
            The verdict, as plain data.

        Returns
        -------
        Experiment

        Raises
        ------
        ConflictError
            If it does not run.
        """
        self._require_running("be stopped")
        return replace(
            self,
            state=ExperimentState.STOPPED,
            ended_at=as_utc(at),
            decision=None if decision is None else dict(decision),
        )

    def decide(self, seen: Observations) -> ExperimentDecision:
        """Return what to do by what was seen so far: the verdict and its reason, with the figures.

        It may be asked as often as one likes; `analyse` returns the whole report.

        Parameters
        ----------
        seen : Observations
            From `observe`.

        Returns
        -------
        ExperimentDecision
        """
        return analyse(self, seen).decision

    def _require_running(self, action: str) -> None:
        if self.state is not ExperimentState.RUNNING:
            raise ConflictError(
                f"the experiment {self.name} is {self.state.value}; only one that runs can {action}"
            )
