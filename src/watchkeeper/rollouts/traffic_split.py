"""Who is answered by the canary: a part of the units that only grows."""

from dataclasses import dataclass
from datetime import datetime

from watchkeeper.experiments.hashing import hash_of, prefix_of
from watchkeeper.results import Result
from watchkeeper.rollouts.rollout import Rollout
from watchkeeper.rollouts.states import RolloutState

__all__ = ["CANARY", "Split", "split_of"]

CANARY = "canary"
"""The variant of predictions by the new version; those by the other one are of production."""


@dataclass(frozen=True, slots=True)
class Split(Result):
    """How the requests of a model are shared while a rollout has them.

    Attributes
    ----------
    model, canary, stable : str
        The model, and the two versions.
    percent : float
        Of the units that the canary answers. A unit keeps its side while this grows.
    label : str
        What the predictions of both are recorded with.
    prefix : bytes
        What is hashed before a unit.
    until : datetime or None
        When the weight expires unless the rollout is analysed; None where it does not expire.
    failover : bool
        Whether the other version answers what the canary cannot.
    stands_on : tuple of str
        Versions of which one is in production, as long as no other version is promoted.

    Examples
    --------
    >>> from watchkeeper.rollouts import Event, Plan
    >>> from datetime import UTC, datetime
    >>> at = datetime(2026, 3, 1, tzinfo=UTC)
    >>> rollout = Rollout(name="june", model="late", version="2", stable="1", plan=Plan())
    >>> split = split_of(rollout.moved(Event.START, at), None)
    >>> split.label, sum(split.takes(f"user-{n}") for n in range(10_000))
    ('rollout:june/1', 510)
    """

    model: str
    canary: str
    stable: str
    percent: float
    label: str
    prefix: bytes
    until: datetime | None
    failover: bool
    stands_on: tuple[str, ...]

    def takes(self, unit: str) -> bool:
        """Return whether the canary answers a unit.

        Parameters
        ----------
        unit : str
            What is kept on one side, such as a user.

        Returns
        -------
        bool
        """
        return hash_of(self.prefix, unit) < self.percent / 100 * 2**64

    def holds(self, at: datetime) -> bool:
        """Return whether the share holds at a time.

        Parameters
        ----------
        at : datetime

        Returns
        -------
        bool
        """
        return self.until is None or at < self.until


def split_of(rollout: Rollout, until: datetime | None) -> Split | None:
    """Return how a rollout shares the requests of its model; None where it has none of them.

    Parameters
    ----------
    rollout : Rollout
    until : datetime or None
        When the next analysis is due; None before the first, as when the process that began it
        died in that instant: its weight then holds as long as after an analysis.

    Returns
    -------
    Split or None
    """
    sharing = {
        RolloutState.RUNNING,
        RolloutState.HOLDING,
        RolloutState.PAUSED,
        RolloutState.PROMOTING,
        RolloutState.COMPLETED,
    }
    ending = {RolloutState.ROLLING_BACK, RolloutState.ROLLED_BACK}
    if rollout.stable is None or rollout.state not in sharing | ending:
        return None
    promoted = {
        RolloutState.PROMOTING: (rollout.stable, rollout.version),
        RolloutState.COMPLETED: (rollout.version,),
        RolloutState.ROLLING_BACK: (rollout.stable, rollout.version),
    }
    waits = (
        rollout.state in {RolloutState.RUNNING, RolloutState.HOLDING, RolloutState.PAUSED}
        and not rollout.plan.keep
    )
    if until is None and rollout.started_at is not None:
        until = rollout.started_at + rollout.plan.lease
    return Split(
        model=rollout.model,
        canary=rollout.version,
        stable=rollout.stable,
        percent=rollout.weight,
        label=rollout.label,
        prefix=prefix_of(rollout.name, "rollout"),
        until=until if waits else None,
        failover=rollout.plan.failover,
        stands_on=promoted.get(rollout.state, (rollout.stable,)),
    )
