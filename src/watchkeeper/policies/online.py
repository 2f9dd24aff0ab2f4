"""How a model learns online."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from watchkeeper.policies.quantities import Bytes, Count, NonNegative, Positive, check_fields
from watchkeeper.results import Result

__all__ = ["FEWEST_ROWS", "OnlinePolicy"]

FEWEST_ROWS = 30
"""Rows below which nothing is concluded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlinePolicy(Result):
    """How a model learns online.

    Attributes
    ----------
    enabled : bool
        Whether a server lets it learn.
    snapshot_every : int
        Outcomes after which what was learned becomes a version, or is thrown away.
    tolerance : float
        By how much its loss may be above that of the frozen champion, and of where it began: so
        much of a share of wrong answers; of a mean absolute error this share.
    then : {"keep", "direct"}
        A snapshot that is better than what is in production stays registered, or is promoted.
    window_days : float
        How old a prediction may be whose outcome still teaches.
    keep : int
        How many snapshots stay that were never in production.
    time_limit, memory_limit : float, int
        Seconds that a look of a server may take, and bytes that its process may hold.

    Raises
    ------
    InvalidValueError
        If a value is out of its range.
    """

    enabled: bool = False
    snapshot_every: Annotated[int, Ge(FEWEST_ROWS)] = 1000
    tolerance: NonNegative = 0.02
    then: Literal["keep", "direct"] = "keep"
    window_days: Positive = 30.0
    keep: Count = 20
    time_limit: Positive = 600.0
    memory_limit: Bytes = 4 << 30

    def __post_init__(self) -> None:
        check_fields(self)
