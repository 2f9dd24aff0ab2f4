"""Kept drift checks as pages show them: where each leads, what it is of, how it is had again."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np

from watchkeeper.app import App
from watchkeeper.charts import Mark
from watchkeeper.dashboard.page import Ask
from watchkeeper.dashboard.time_range import Span
from watchkeeper.drift.checks import DRIFTED, STEADY, Checks
from watchkeeper.errors import InvalidValueError, NotFoundError
from watchkeeper.records import Finding

__all__ = ["Checked", "address", "asked_check", "evidence_of", "listed", "marks_of", "strongest"]

_NAMED = 3  # features that a line of the list names
_PROMOTIONS = 50
_PATHLESS = {"", ".", ".."}  # names that a browser takes for something else in a path


@dataclass(frozen=True, slots=True)
class Checked:
    """One check, as a line of a list.

    Attributes
    ----------
    number : int
    at : datetime
        The end of its window.
    bad : bool
    drifted, told : int
        Features that drifted, of those of which that could be told.
    strongest : tuple of str
        The first of them.
    distance : float or None
        The largest.
    """

    number: int
    at: datetime
    bad: bool
    drifted: int
    told: int
    strongest: tuple[str, ...]
    distance: float | None


def address(model: str, feature: str, **query: str) -> str:
    """Return the address of the page of a feature, whatever its name."""
    base = f"/models/{quote(model)}/drift/"
    if feature in _PATHLESS or "\n" in feature:
        return f"{base}?{urlencode({'feature': feature, **query})}"
    return base + quote(feature, safe="") + (f"?{urlencode(query)}" if query else "")


def asked_check(app: App, ask: Ask, model: str) -> Finding | None:
    """Return the check that ``?finding=N`` asks for; None where none is asked for.

    Raises
    ------
    InvalidValueError
        If it is no number.
    NotFoundError
        If there is no such check of this model.
    """
    told = ask.query.get("finding")
    if not told:
        return None
    if not (told.isascii() and told.isdecimal() and len(told) < 16):
        raise InvalidValueError("finding", told, "the number of a drift check")
    found = app.findings.get(int(told))
    if found.model != model or found.kind != "drift":
        raise NotFoundError(f"drift check of {model}", told, "The page of its drift lists them.")
    return found


def listed(checks: Checks, most: int) -> list[Checked]:
    """Return the newest checks that found drift, or where none did the newest."""
    rows = np.flatnonzero(checks.bad) if checks.bad.any() else np.arange(len(checks))
    return [_line(checks, row) for row in rows[: -most - 1 : -1].tolist()]


def _line(checks: Checks, row: int) -> Checked:
    states, effects = checks.states[row], np.nan_to_num(checks.effects[row], nan=-1.0)
    moved = [place for place in np.argsort(-effects).tolist() if states[place] == DRIFTED]
    return Checked(
        int(checks.numbers[row]),
        checks.moment(row),
        bool(checks.bad[row]),
        len(moved),
        int((states >= STEADY).sum()),
        tuple(checks.features[place] for place in moved[:_NAMED]),
        float(effects.max()) if len(effects) and effects.max() >= 0 else None,
    )


def evidence_of(found: Finding) -> dict[str, Any]:
    """Return how a check is had again: by the API, by the command line, and from what was known."""
    checks = int(found.evidence.get("checks", 1))
    window = {
        name: at.isoformat().replace("+00:00", "Z")
        for name, at in (("start", found.start), ("end", found.end))
        if at is not None
    }
    options = "".join(f" --{name} {at}" for name, at in window.items())
    query = urlencode({**window, "checks": checks})
    return {
        "api": f"/v1/models/{quote(found.model)}/drift?{query}",
        "command": f"watchkeeper drift --model {found.model}{options} --checks {checks}",
        "replay": f"watchkeeper history {found.model} --replay finding:{found.number}",
        "record": f"/models/{quote(found.model)}/history/finding:{found.number}",
        "versions": found.table_versions,
        "at": found.at,
    }


def marks_of(app: App, model: str, span: Span) -> list[Mark]:
    """Return the promotions in a span: with each the reference becomes another."""
    entries = app.audit.entries(
        model, action="promote", since=span.start, until=span.end, limit=_PROMOTIONS
    )
    return [
        Mark(each.at, each.subject, "promotion", _version_address(each.subject))
        for each in reversed(entries)
    ]


def _version_address(subject: str) -> str:
    model, _, version = subject.partition(":")
    return f"/models/{quote(model)}/versions/{quote(version)}"


def strongest(found: Finding) -> list[tuple[str, dict[str, Any]]]:
    """Return the features of a check, those that drifted first, the strongest of them before."""
    features: Iterable[tuple[str, dict[str, Any]]] = found.evidence.get("features", {}).items()
    return sorted(
        features,
        key=lambda each: (
            not each[1].get("drift_detected"),
            -(each[1].get("effect_size") or 0.0),
            each[0],
        ),
    )
