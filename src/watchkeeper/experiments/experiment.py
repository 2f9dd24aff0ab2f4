"""An experiment: what is compared, on whom, by which figure, and what was decided.

Weights are never edited in place: other weights are another phase, and no comparison crosses two.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from watchkeeper.clock import as_utc
from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.events import check_name
from watchkeeper.experiments.assignment import Allocation
from watchkeeper.experiments.metrics import Guardrail, Metric
from watchkeeper.results import Result

if TYPE_CHECKING:
    from watchkeeper.experiments.cells import Observations
    from watchkeeper.experiments.decision import Decision

__all__ = ["Experiment", "Mode", "Phase", "State"]


class Mode(StrEnum):
    """When a verdict may be given.

    ``GROUP_SEQUENTIAL`` at planned looks, ``ANYTIME`` at any time and without a horizon, ``FIXED``
    once, at the planned sample.
    """

    FIXED = "fixed"
    GROUP_SEQUENTIAL = "group_sequential"
    ANYTIME = "anytime"


class State(StrEnum):
    """Where an experiment is in its life."""

    DRAFT = "draft"
    RUNNING = "running"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase(Result):
    """A stretch of an experiment with the same weights.

    Attributes
    ----------
    number : int
        From 1.
    weights : dict of str to int
        Basis points of the included units, by arm.
    included_bp : int
    started_at : datetime
    """

    number: int
    weights: dict[str, int]
    included_bp: int
    started_at: datetime

    @classmethod
    def of(cls, allocation: Allocation, at: datetime) -> Self:
        """Return the phase in which an allocation places units."""
        return cls(
            number=allocation.phase,
            weights=allocation.weights,
            included_bp=allocation.included_bp,
            started_at=as_utc(at),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment(Result):
    """An experiment, which cannot exist in a wrong state.

    Attributes
    ----------
    model : str
    allocation : Allocation
        Who is in which arm, in the phase that runs or comes next. Its first arm is the control.
    metric : Metric
        The one that decides.
    secondary : tuple of Metric
        Reported, corrected for being several.
    guardrails : tuple of Guardrail
        What must not become worse.
    hypothesis : str
    mode : Mode
    alpha, power : float
    planned_units : int or None
        Of all arms together; may be None where the mode is `Mode.ANYTIME`.
    looks : int
        Planned looks of a group-sequential test.
    state : State
    phases : tuple of Phase
    started_at, ended_at : datetime or None
    decision : dict or None
        The last one, as plain values, once it has ended.

    Raises
    ------
    InvalidValueError
        If anything of it is not what it has to be.
    """

    model: str
    allocation: Allocation
    metric: Metric
    secondary: tuple[Metric, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    hypothesis: str = ""
    mode: Mode = Mode.GROUP_SEQUENTIAL
    alpha: float = 0.05
    power: float = 0.8
    planned_units: int | None = None
    looks: int = 5
    state: State = State.DRAFT
    phases: tuple[Phase, ...] = ()
    started_at: datetime | None = None
    ended_at: datetime | None = None
    decision: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        check_name(self.model, "model")
        if len(self.arms) < 2 or not all(self.allocation.weights.values()):
            raise InvalidValueError(
                "arms", self.allocation.weights, "a control and another, each with a share"
            )
        for field in ("alpha", "power"):
            value = getattr(self, field)
            if not 0.0 < value < 1.0:
                raise InvalidValueError(field, value, "a number strictly between 0 and 1")
        if self.planned_units is None and self.mode is not Mode.ANYTIME:
            raise InvalidValueError(
                "planned_units",
                None,
                f"the sample of all arms together, which the mode {self.mode.value} needs",
                "Plan it, or choose the mode anytime.",
            )
        if self.planned_units is not None and self.planned_units < 2:
            raise InvalidValueError("planned_units", self.planned_units, "at least 2")
        if not 1 <= self.looks <= 100:
            raise InvalidValueError("looks", self.looks, "a whole number from 1 to 100")
        names = [each.name for each in self.metrics]
        if len(set(names)) != len(names):
            raise InvalidValueError("metrics", names, "each name once")

    @property
    def name(self) -> str:
        """Its name, which is the allocation's."""
        return self.allocation.experiment

    @property
    def arms(self) -> tuple[str, ...]:
        """All arms, the control first."""
        return tuple(arm.key for arm in self.allocation.arms)

    @property
    def control(self) -> str:
        """The arm that the others are held against."""
        return self.arms[0]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All that is measured, the one that decides first."""
        return (self.metric, *self.secondary, *(each.metric for each in self.guardrails))

    def apart_from(self, other: "Experiment") -> bool:
        """Return whether the two can never share a unit."""
        ours, theirs = self.allocation.namespace, other.allocation.namespace
        return ours is not None and theirs is not None and not ours.overlaps(theirs)

    def started(self, at: datetime) -> Self:
        """Return it running, in its first phase.

        Raises
        ------
        ConflictError
            If it is not a draft.
        """
        if self.state is not State.DRAFT:
            raise ConflictError(
                f"the experiment {self.name} is {self.state.value}; only a draft can be started",
                "Create another one: an experiment that has ended keeps its evidence.",
            )
        first = Phase.of(self.allocation, at)
        return replace(self, state=State.RUNNING, phases=(first,), started_at=first.started_at)

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

        Raises
        ------
        ConflictError
            If it does not run.
        """
        self._require_running("be stopped")
        return replace(
            self,
            state=State.STOPPED,
            ended_at=as_utc(at),
            decision=None if decision is None else dict(decision),
        )

    def decide(self, seen: "Observations") -> "Decision":
        """Return what to do by what was seen so far: the verdict and its reason, with the figures.

        It may be asked as often as one likes; `analyse` returns the whole report.

        Parameters
        ----------
        seen : Observations
            From `observe`.
        """
        from watchkeeper.experiments.report import analyse  # which knows experiments

        return analyse(self, seen).decision

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, which `from_dict` takes."""
        allocation = {"allocation": self.allocation.to_dict()}
        return {**super(Experiment, self).to_dict(), **allocation}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Return the experiment that `to_dict` described."""
        return cls(
            **{
                **stored,
                "allocation": Allocation.from_dict(stored["allocation"]),
                "metric": Metric(**stored["metric"]),
                "secondary": tuple(Metric(**each) for each in stored["secondary"]),
                "guardrails": tuple(
                    Guardrail(metric=Metric(**each["metric"]), margin=each["margin"])
                    for each in stored["guardrails"]
                ),
                "mode": Mode(stored["mode"]),
                "state": State(stored["state"]),
                "phases": tuple(
                    Phase(**{**each, "started_at": datetime.fromisoformat(each["started_at"])})
                    for each in stored["phases"]
                ),
                "started_at": _moment(stored["started_at"]),
                "ended_at": _moment(stored["ended_at"]),
            }
        )

    def _require_running(self, what: str) -> None:
        if self.state is not State.RUNNING:
            raise ConflictError(
                f"the experiment {self.name} is {self.state.value}; only one that runs can {what}"
            )


def _moment(stored: str | None) -> datetime | None:
    return None if stored is None else datetime.fromisoformat(stored)
