"""The readiness of a model: whether it may answer people, point by point, and what is missing."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import groupby
from typing import Any
from urllib.parse import quote

from watchkeeper.app import App
from watchkeeper.dashboard.page import Ask, Page
from watchkeeper.errors import NotFoundError
from watchkeeper.readiness import ITEMS, Checklist, Point, State
from watchkeeper.readiness.checklist import Priority
from watchkeeper.results import plain, strict_json

__all__ = ["page"]

_USUALLY = timedelta(days=30)  # for which a waiver is asked, unless somebody says otherwise
_LONGEST = 300  # characters of a piece of evidence
_GOOD = (State.PASS, State.WAIVED)


def page(app: App, ask: Ask) -> Page:
    """Return the checklist; what is measured for it may be a little older than the rest."""
    model = ask.names["model"]
    if not app.registry.list_models(model_name=model) and model not in app.events.models():
        raise NotFoundError("model", model, "`watchkeeper models list` has those that there are.")
    found, slow = app.checklists.latest(model, ask.now)
    return Page(
        template="readiness.html",
        title=f"Readiness of {model}",
        section="",
        model=model,
        context={
            "found": found,
            "slow": slow,
            "points": len(ITEMS),
            "missing": [] if found is None else list(_missing(found, Priority.REQUIRED)),
            "advised": [] if found is None else list(_missing(found, Priority.RECOMMENDED)),
            "waived": [] if found is None else [each for each in found.points if each.waiver],
            "categories": [] if found is None else _by_category(found),
            "proofs": {}
            if found is None
            else {p.item.key: _proofs(model, p) for p in found.points},
            "asked_for": app.settings.policy(model).promotion_requires_checklist,
            "tomorrow": ask.now + timedelta(days=1),
            "usual": ask.now + _USUALLY,
        },
    )


def _missing(found: Checklist, priority: Priority) -> Iterator[Point]:
    for each in found.points:
        if each.item.priority is priority and each.state not in _GOOD:
            yield each


def _by_category(found: Checklist) -> list[tuple[str, list[Point]]]:
    return [
        (name, list(points)) for name, points in groupby(found.points, lambda p: p.item.category)
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
    if isinstance(value, Mapping) and all(isinstance(each, int) for each in value.values()):
        return ", ".join(f"{name} {number}" for name, number in value.items())
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return value if isinstance(value, str) else strict_json(plain(value))


def _where(model: str, name: str, value: Any) -> str:
    if name == "finding":
        return f"/models/{quote(model)}/history/finding:{value}"
    if name == "experiment":
        return f"/experiments/{quote(str(value))}"
    return f"/system?before={value + 1}#audit" if name == "audit" else ""
