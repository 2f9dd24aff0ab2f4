"""Stored drift checks as pages show them: addresses, windows and evidence."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np

from watchkeeper.app import App
from watchkeeper.charts import Mark
from watchkeeper.dashboard.page import Ask
from watchkeeper.dashboard.time_range import TimeRange
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
    drifted, compared : int
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
    compared: int
    strongest: tuple[str, ...]
    distance: float | None


def address(model: str, feature: str, **query: str) -> str:
    """Return the address of the page of a feature, whatever its name.

    Parameters
    ----------
    model, feature : str
    **query : str
        Values of the query by name.

    Returns
    -------
    str
    """
    base = f"/models/{quote(model)}/drift/"
    if feature in _PATHLESS or "\n" in feature:
        return f"{base}?{urlencode({'feature': feature, **query})}"
    return base + quote(feature, safe="") + (f"?{urlencode(query)}" if query else "")


def asked_check(app: App, ask: Ask, model: str) -> Finding | None:
    """Return the check that ``?finding=N`` asks for; None where none is asked for.

    Parameters
    ----------
    app : App
    ask : Ask
    model : str

    Returns
    -------
    Finding or None

    Raises
    ------
    InvalidValueError
        If it is no number.
    NotFoundError
        If there is no such check of this model.
    """
    number = ask.query.get("finding")
    if not number:
        return None
    if not (number.isascii() and number.isdecimal() and len(number) < 16):
        raise InvalidValueError("finding", number, "the number of a drift check")
    finding = app.findings.get(int(number))
    if finding.model != model or finding.kind != "drift":
        raise NotFoundError(f"drift check of {model}", number, "The page of its drift lists them.")
    return finding


def listed(checks: Checks, most: int) -> list[Checked]:
    """Return the newest checks that found drift, or where none did the newest.

    Parameters
    ----------
    checks : Checks
    most : int
        At most so many.

    Returns
    -------
    list of Checked
        The newest first.
    """
    rows = np.flatnonzero(checks.bad) if checks.bad.any() else np.arange(len(checks))
    return [_line(checks, row) for row in rows[: -most - 1 : -1].tolist()]


def _line(checks: Checks, row: int) -> Checked:
    states, effects = checks.states[row], np.nan_to_num(checks.effects[row], nan=-1.0)
    moved = [column for column in np.argsort(-effects).tolist() if states[column] == DRIFTED]
    return Checked(
        int(checks.numbers[row]),
        checks.moment(row),
        bool(checks.bad[row]),
        len(moved),
        int((states >= STEADY).sum()),
        tuple(checks.features[column] for column in moved[:_NAMED]),
        float(effects.max()) if len(effects) and effects.max() >= 0 else None,
    )


def evidence_of(finding: Finding) -> dict[str, Any]:
    """Return how to reproduce a check: by the API, by the command line, and by replay.

    Parameters
    ----------
    finding : Finding

    Returns
    -------
    dict of str to object
    """
    checks = int(finding.evidence.get("checks", 1))
    window = {
        name: at.isoformat().replace("+00:00", "Z")
        for name, at in (("start", finding.start), ("end", finding.end))
        if at is not None
    }
    options = "".join(f" --{name} {at}" for name, at in window.items())
    query = urlencode({**window, "checks": checks})
    return {
        "api": f"/v1/models/{quote(finding.model)}/drift?{query}",
        "command": f"watchkeeper drift --model {finding.model}{options} --checks {checks}",
        "replay": f"watchkeeper history {finding.model} --replay finding:{finding.number}",
        "record": f"/models/{quote(finding.model)}/history/finding:{finding.number}",
        "versions": finding.table_versions,
        "at": finding.at,
    }


def marks_of(app: App, model: str, span: TimeRange) -> list[Mark]:
    """Return the promotions in a span: each changes the reference.

    Parameters
    ----------
    app : App
    model : str
    span : TimeRange

    Returns
    -------
    list of Mark
    """
    entries = app.audit.entries(
        model, action="promote", since=span.start, until=span.end, limit=_PROMOTIONS
    )
    return [
        Mark(entry.at, entry.subject, "promotion", _version_address(entry.subject))
        for entry in reversed(entries)
    ]


def _version_address(subject: str) -> str:
    model, _, version = subject.partition(":")
    return f"/models/{quote(model)}/versions/{quote(version)}"


def strongest(finding: Finding) -> list[tuple[str, dict[str, Any]]]:
    """Return the features of a check, drifted ones first, by drift score.

    Parameters
    ----------
    finding : Finding

    Returns
    -------
    list of (str, dict of str to object)
    """
    features: Iterable[tuple[str, dict[str, Any]]] = finding.evidence.get("features", {}).items()
    return sorted(
        features,
        key=lambda item: (
            not item[1].get("drift_detected"),
            -(item[1].get("effect_size") or 0.0),
            item[0],
        ),
    )
