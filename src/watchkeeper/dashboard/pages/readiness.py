"""Readiness of a model: the production checklist, point by point."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import groupby
from typing import Any
from urllib.parse import quote

from watchkeeper.app import App
from watchkeeper.dashboard.page import Ask, Page
from watchkeeper.errors import NotFoundError
from watchkeeper.readiness import ITEMS, Checklist, Point, PointState
from watchkeeper.readiness.checklist import Priority
from watchkeeper.results import plain, strict_json

__all__ = ["page"]

_USUALLY = timedelta(days=30)  # default duration of a waiver
_LONGEST = 300  # characters of a piece of evidence
_GOOD = (PointState.PASS, PointState.WAIVED)


def page(app: App, ask: Ask) -> Page:
    """Return the checklist; its measurements may be older than the rest.

    Parameters
    ----------
    app : App
    ask : Ask

    Returns
    -------
    Page

    Raises
    ------
    NotFoundError
        If the model is neither registered nor has events.
    """
    model = ask.names["model"]
    if not app.registry.list_models(model_name=model) and model not in app.events.models():
        raise NotFoundError("model", model, "`watchkeeper models list` has those that there are.")
    checklist, slow = app.checklists.latest(model, ask.now)
    return Page(
        template="readiness.html",
        title=f"Readiness of {model}",
        section="",
        model=model,
        context={
            "found": checklist,
            "slow": slow,
            "points": len(ITEMS),
            "missing": [] if checklist is None else list(_missing(checklist, Priority.REQUIRED)),
            "advised": [] if checklist is None else list(_missing(checklist, Priority.RECOMMENDED)),
            "waived": []
            if checklist is None
            else [point for point in checklist.points if point.waiver],
            "categories": [] if checklist is None else _by_category(checklist),
            "proofs": {}
            if checklist is None
            else {p.item.key: _proofs(model, p) for p in checklist.points},
            "asked_for": app.settings.policy(model).promotion_requires_checklist,
            "tomorrow": ask.now + timedelta(days=1),
            "usual": ask.now + _USUALLY,
        },
    )


def _missing(checklist: Checklist, priority: Priority) -> Iterator[Point]:
    for point in checklist.points:
        if point.item.priority is priority and point.state not in _GOOD:
            yield point


def _by_category(checklist: Checklist) -> list[tuple[str, list[Point]]]:
    return [
        (name, list(points))
        for name, points in groupby(checklist.points, lambda p: p.item.category)
    ]


def _proofs(model: str, point: Point) -> list[tuple[str, str, str]]:
    """Return the evidence of a point: names, what they say, and where that can be seen."""
    return [
        (name, _text(value)[:_LONGEST], _where(model, name, value))
        for name, value in point.evidence.items()
        if value not in (None, {}, [])
    ]


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, Mapping) and all(isinstance(item, int) for item in value.values()):
        return ", ".join(f"{name} {number}" for name, number in value.items())
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value if isinstance(value, str) else strict_json(plain(value))


def _where(model: str, name: str, value: Any) -> str:
    if name == "finding":
        return f"/models/{quote(model)}/history/finding:{value}"
    if name == "experiment":
        return f"/experiments/{quote(str(value))}"
    return f"/system?before={value + 1}#audit" if name == "audit" else ""
