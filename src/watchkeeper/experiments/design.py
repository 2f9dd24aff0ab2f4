"""The design of an experiment: what is compared, on whom, and by which figure.

Weights are never edited in place: other weights are another phase, and no comparison crosses two.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from watchkeeper.clock import as_utc
from watchkeeper.errors import InvalidValueError
from watchkeeper.events import check_name
from watchkeeper.experiments.assignment import Allocation
from watchkeeper.experiments.metrics import Guardrail, Metric
from watchkeeper.results import Result

__all__ = ["Design", "Mode", "Phase"]


class Mode(StrEnum):
    """When a verdict may be given.

    ``GROUP_SEQUENTIAL`` at planned looks, ``ANYTIME`` at any time and without a horizon, ``FIXED``
    once, at the planned sample.
    """

    FIXED = "fixed"
    GROUP_SEQUENTIAL = "group_sequential"
    ANYTIME = "anytime"


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
        """Return the phase in which an allocation places units.

        Parameters
        ----------
        allocation : Allocation
        at : datetime

        Returns
        -------
        Phase
        """
        return cls(
            number=allocation.phase,
            weights=allocation.weights,
            included_bp=allocation.included_bp,
            started_at=as_utc(at),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Design(Result):
    """What an analysis has to know of an experiment; it cannot exist in a wrong state.

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
    phases : tuple of Phase
        Those that have begun.

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
    phases: tuple[Phase, ...] = ()

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
                f"the sample of all variants together, which the mode {self.mode.value} needs",
                "Plan it, or choose the mode anytime.",
            )
        if self.planned_units is not None and self.planned_units < 2:
            raise InvalidValueError("planned_units", self.planned_units, "at least 2")
        if not 1 <= self.looks <= 100:
            raise InvalidValueError("looks", self.looks, "a whole number from 1 to 100")
        names = [metric.name for metric in self.metrics]
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
        return (self.metric, *self.secondary, *(guardrail.metric for guardrail in self.guardrails))
