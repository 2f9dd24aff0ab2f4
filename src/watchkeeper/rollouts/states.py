"""The states of a rollout, and what leads from one to another: a table, and nothing beside it."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from watchkeeper.errors import ConflictError

__all__ = ["MOVES", "TERMINAL", "Event", "Hold", "RolloutState", "after"]


class RolloutState(StrEnum):
    """Where a rollout is.

    The production version answers all requests in all but `RUNNING`, `HOLDING`, `PAUSED`,
    `PROMOTING` and `COMPLETED`.
    """

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    HOLDING = "holding"
    PAUSED = "paused"
    PROMOTING = "promoting"
    COMPLETED = "completed"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"


class Hold(StrEnum):
    """Why a rollout does not go on."""

    NO_DATA = "no_data"
    INCONCLUSIVE = "inconclusive"
    SRM = "srm"
    """Sample ratio mismatch between the two versions."""
    SIGNAL = "signal"
    """A limit that holds the rollout is broken, or the prediction distributions differ."""
    ANALYSIS_ERROR = "analysis_error"
    """What was recorded cannot be read."""
    APPROVAL = "approval"
    READINESS = "readiness"
    """The last step is passed, and required checks of the readiness checklist are not."""


class Event(StrEnum):
    """What happens to a rollout."""

    SCHEDULE = "schedule"
    START = "start"
    STEP = "step"
    HOLD = "hold"
    RESUME = "resume"
    PAUSE = "pause"
    PROMOTE = "promote"
    PROMOTED = "promoted"
    BREACH = "breach"
    EXPIRE = "expire"
    ABORT = "abort"
    ROLLED_BACK = "rolled_back"


def _moves() -> dict[tuple[RolloutState, Event], RolloutState]:
    at = RolloutState
    moves = {
        (at.DRAFT, Event.SCHEDULE): at.SCHEDULED,
        (at.DRAFT, Event.START): at.RUNNING,
        (at.SCHEDULED, Event.START): at.RUNNING,
        (at.DRAFT, Event.ABORT): at.CANCELLED,
        (at.SCHEDULED, Event.ABORT): at.CANCELLED,
        (at.RUNNING, Event.STEP): at.RUNNING,
        (at.HOLDING, Event.STEP): at.RUNNING,
        (at.RUNNING, Event.HOLD): at.HOLDING,
        (at.HOLDING, Event.HOLD): at.HOLDING,
        (at.HOLDING, Event.RESUME): at.RUNNING,
        (at.PAUSED, Event.RESUME): at.RUNNING,
        (at.PROMOTING, Event.PROMOTED): at.COMPLETED,
        (at.ROLLING_BACK, Event.ROLLED_BACK): at.ROLLED_BACK,
        # While the version is watched after its promotion:
        (at.COMPLETED, Event.BREACH): at.ROLLING_BACK,
        (at.COMPLETED, Event.ABORT): at.ROLLING_BACK,
    }
    for state in (at.RUNNING, at.HOLDING):
        moves[state, Event.PAUSE] = at.PAUSED
        moves[state, Event.EXPIRE] = at.ROLLING_BACK
    for state in (at.RUNNING, at.HOLDING, at.PAUSED):
        moves[state, Event.PROMOTE] = at.PROMOTING
    for state in (at.RUNNING, at.HOLDING, at.PAUSED, at.PROMOTING):
        moves[state, Event.BREACH] = at.ROLLING_BACK
        moves[state, Event.ABORT] = at.ROLLING_BACK
    return moves


MOVES: Mapping[tuple[RolloutState, Event], RolloutState] = MappingProxyType(_moves())
"""The state that follows, by state and event; what is not here is refused."""

TERMINAL = frozenset({RolloutState.ROLLED_BACK, RolloutState.CANCELLED})
"""States that nothing leads out of; so is `RolloutState.COMPLETED` once it is watched no more."""


def after(state: RolloutState, event: Event) -> RolloutState:
    """Return the state that follows.

    Parameters
    ----------
    state : State
    event : Event

    Returns
    -------
    RolloutState

    Raises
    ------
    ConflictError
        If the event cannot happen in this state.

    Examples
    --------
    >>> after(RolloutState.PAUSED, Event.ABORT)
    <RolloutState.ROLLING_BACK: 'rolling_back'>
    """
    try:
        return MOVES[state, event]
    except KeyError:
        possible = sorted(event.value for before, event in MOVES if before is state)
        hint = f"Possible now: {', '.join(possible)}." if possible else "Begin another one."
        raise ConflictError(
            f"a rollout that is {state.value.replace('_', ' ')} cannot {event.value}", hint
        ) from None
