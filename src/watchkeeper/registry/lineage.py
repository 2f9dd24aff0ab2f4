"""Where a version comes from: what it learned, from which data, with which code."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from watchkeeper.clock import as_utc
from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result

__all__ = ["Lineage"]


@dataclass(frozen=True, slots=True)
class Lineage(Result):
    """Where a version comes from; empty where it was not stated.

    Attributes
    ----------
    parent : str
        Model id of the version that it was made from, or is to follow.
    dataset : str
        What it learned from: a path, an address, a query or a name.
    training_start, training_end : datetime or None
        When what it learned from happened; the end is not part of it.
    table_versions : dict of str to int
        Versions of the event tables that were read.
    evaluated_on : str
        What its metrics were computed on.
    code_revision : str
        Of the code that trained it, such as a Git commit.
    parameters : dict
        What it was trained with; by default what the estimator says of itself.
    packages : dict of str to str
        Versions of packages; those of the estimator's own are noted by themselves.

    Raises
    ------
    InvalidValueError
        If the training data end before they start.
    """

    parent: str = ""
    dataset: str = ""
    training_start: datetime | None = None
    training_end: datetime | None = None
    table_versions: dict[str, int] = field(default_factory=dict)
    evaluated_on: str = ""
    code_revision: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("training_start", "training_end"):
            at = getattr(self, name)
            if at is not None:
                object.__setattr__(self, name, as_utc(at))
        start, end = self.training_start, self.training_end
        if start is not None and end is not None and start > end:
            raise InvalidValueError("training_end", end, f"a time after training_start, {start}")
