"""Readiness: what has to be in order before a model serves traffic, each point by evidence.

Nothing is ticked by hand. A point passes, fails, is unknown, or is waived by an actor, for a reason
and until a day.

>>> from datetime import UTC, datetime
>>> at = datetime(2026, 7, 1, tzinfo=UTC)
>>> found = checklist("late", {"error-rate": Answer(PointState.PASS, "0.1 % failed")}, [], at=at)
>>> [each.state.value for each in found.points if each.item.key == "error-rate"], found.ready
(['pass'], False)
"""

from watchkeeper.readiness.checklist import (
    ITEMS,
    Answer,
    Checklist,
    Item,
    Point,
    PointState,
    Priority,
    Waiver,
    checklist,
)

__all__ = [
    "ITEMS",
    "Answer",
    "Checklist",
    "Item",
    "Point",
    "PointState",
    "Priority",
    "Waiver",
    "checklist",
]
