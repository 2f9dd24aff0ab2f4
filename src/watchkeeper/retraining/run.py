"""One retraining, as it is stored: why it was decided, what was trained, what the gate said."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from watchkeeper.clock import as_utc
from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.events import check_name
from watchkeeper.labelling import Labelling
from watchkeeper.policies.retraining import Policy
from watchkeeper.results import Result
from watchkeeper.retraining.decision import Facts, RetrainingDecision
from watchkeeper.retraining.gate import GateReport
from watchkeeper.retraining.material import Material

__all__ = ["ACTIVE", "MOVES", "Run", "RunState"]


class RunState(StrEnum):
    """Where a retraining is."""

    DECIDED = "decided"
    TRAINING = "training"
    GATING = "gating"
    PROMOTED = "promoted"
    ROLLING_OUT = "rolling_out"
    SHADOWING = "shadowing"
    KEPT = "kept"
    """The candidate stays registered, the champion in production."""
    FAILED = "failed"
    CANCELLED = "cancelled"


_AT = RunState
ACTIVE = frozenset({_AT.DECIDED, _AT.TRAINING, _AT.GATING})
"""States in which there is something to do; a model has at most one run in them."""

MOVES: Mapping[RunState, frozenset[RunState]] = {
    _AT.DECIDED: frozenset({_AT.TRAINING, _AT.FAILED, _AT.CANCELLED}),
    _AT.TRAINING: frozenset({_AT.TRAINING, _AT.GATING, _AT.FAILED, _AT.CANCELLED}),
    _AT.GATING: frozenset(
        {_AT.GATING, _AT.PROMOTED, _AT.ROLLING_OUT, _AT.SHADOWING, _AT.KEPT, _AT.FAILED}
        | {_AT.CANCELLED}
    ),
    _AT.ROLLING_OUT: frozenset({_AT.PROMOTED, _AT.KEPT}),
    _AT.SHADOWING: frozenset({_AT.PROMOTED, _AT.KEPT}),
}

_TIMES = (
    "decided_at", "start", "end", "boundary", "learned_from", "learned_until", "ended_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Result):
    """A retraining of one model.

    Attributes
    ----------
    name, model : str
    policy : Policy
    facts : Facts
        What it was decided by, and
    decision : RetrainingDecision
        what was decided.
    decided_at : datetime
    state : RunState
    reason : str
        Why it is in this state.
    champion : str or None
        The id of the version that it is to be better than.
    task, positive : str, object
        What the model predicts, and the label of the positive class.
    start, end : datetime or None
        The window of events that is learned from; None for data from elsewhere.
    source : str
        The path or address of such data; empty for the event store.
    table_versions : dict of str to int
        Of the event store, as the training data were read.
    rows, held_out : int
        To learn from, and to judge by.
    boundary : datetime or None
        When the latter begin; what the candidate learned from lies before.
    learned_from, learned_until : datetime or None
        The times of the first and the last row that the candidate learned from.
    attempts : int
        Trainings that were begun: one that a dead process left is begun again once.
    version : str or None
        Of the candidate.
    trained : dict
        Seconds, parameters, digest and so on.
    gate : GateReport or None
    follows : str
        Name of the rollout or shadow that came of it.
    ended_at : datetime or None
    actor : str
    number : int
        Grows with every change.

    Raises
    ------
    InvalidValueError
        If a name is none, or the decision is not to train.
    """

    name: str
    model: str
    policy: Policy
    facts: Facts
    decision: RetrainingDecision
    decided_at: datetime
    state: RunState = RunState.DECIDED
    reason: str = ""
    champion: str | None = None
    task: str = "binary"
    positive: Any = 1
    start: datetime | None = None
    end: datetime | None = None
    source: str = ""
    table_versions: dict[str, int]
    rows: int = 0
    held_out: int = 0
    boundary: datetime | None = None
    learned_from: datetime | None = None
    learned_until: datetime | None = None
    attempts: int = 0
    version: str | None = None
    trained: dict[str, Any]
    gate: GateReport | None = None
    follows: str = ""
    ended_at: datetime | None = None
    actor: str = ""
    number: int = 0

    def __post_init__(self) -> None:
        check_name(self.name, "name")
        check_name(self.model, "model")
        if not self.decision.train:
            raise InvalidValueError("decision", self.decision.reason, "a decision to train")

    @classmethod
    def begun(
        cls,
        name: str,
        model: str,
        policy: Policy,
        facts: Facts,
        decision: RetrainingDecision,
        labelling: Labelling,
        *,
        at: datetime,
        actor: str,
    ) -> Self:
        """Return a run that was just decided.

        Parameters
        ----------
        name, model : str
        policy : Policy
            Says what it learns from: the data that it names, or the events of its window.
        facts : Facts
        decision : RetrainingDecision
        labelling : Labelling
        at : datetime
            When it was decided.
        actor : str

        Returns
        -------
        Run

        Raises
        ------
        InvalidValueError
            If the decision is not to train.
        """
        return cls(
            name=name,
            model=model,
            policy=policy,
            facts=facts,
            decision=decision,
            decided_at=at,
            reason=decision.reason,
            champion=facts.champion,
            task=labelling.task,
            positive=labelling.positive,
            start=None if policy.data else at - timedelta(days=policy.window_days),
            end=None if policy.data else at,
            source=policy.data,
            table_versions={},
            trained={},
            actor=actor,
        )

    @property
    def active(self) -> bool:
        """Whether there is something to do."""
        return self.state in ACTIVE

    @property
    def known_at(self) -> datetime:
        """What had arrived by then is what it was decided by, and what its training reads."""
        return self.facts.known_at or self.decided_at

    @property
    def labelling(self) -> Labelling:
        """What the labels of the model mean."""
        return Labelling(self.task, self.positive)

    @property
    def material(self) -> Material:
        """What the candidate learned from, once it is trained."""
        return Material(
            rows=self.rows,
            held_out=self.held_out,
            learned_from=self.learned_from,
            boundary=self.boundary,
            table_versions=self.table_versions,
        )

    @property
    def model_id(self) -> str | None:
        """The id of the candidate, once it has a version."""
        return None if self.version is None else f"{self.model}:{self.version}"

    def moved(self, state: RunState, at: datetime, reason: str, **changes: Any) -> Self:
        """Return it in another state.

        Parameters
        ----------
        state : RunState
        at : datetime
        reason : str
        **changes : object
            To other fields.

        Returns
        -------
        Run

        Raises
        ------
        ConflictError
            If that state cannot follow.
        """
        if state not in MOVES.get(self.state, frozenset()):
            raise ConflictError(
                f"the retraining {self.name} is {self.state.value.replace('_', ' ')}, and cannot "
                f"become {state.value.replace('_', ' ')}",
                "Begin another one.",
            )
        ended = None if state in ACTIVE else as_utc(at)
        return replace(
            self, state=state, reason=reason, ended_at=ended, number=self.number + 1, **changes
        )
