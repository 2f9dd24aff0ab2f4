"""History of a model: records linked to their causes, and replays of decisions."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from watchkeeper.app import App
from watchkeeper.dashboard.page import Ask, Page
from watchkeeper.dashboard.rendering import shown
from watchkeeper.errors import InvalidValueError
from watchkeeper.monitoring.history import Record
from watchkeeper.monitoring.replay import Replayed
from watchkeeper.results import plain

__all__ = ["one", "page"]

_STEP, _MOST = 50, 500  # records that are shown at once
_EXCERPT, _WHOLE = 1_500, 100_000  # characters of evidence, in the list and of one record
_FIGURES = 300  # of a decision that was reproduced
_TONES = {"promote": "good", "rollback": "bad", "drift": "warn", "quality": "bad"}
_STEPS = ("decision", "training", "gate", "outcome")  # of a retraining
_PLACES = {
    **dict.fromkeys(_STEPS, "/retraining/"),
    "rollout": "/rollouts/",
    "shadow": "/shadows/",
}


def page(app: App, ask: Ask) -> Page:
    """Return what happened to a model, the newest first.

    Parameters
    ----------
    app : App
    ask : Ask

    Returns
    -------
    Page

    Raises
    ------
    InvalidValueError
        If the query asks for a kind of record or a number that does not exist.
    """
    model, kind = ask.names["model"], ask.query.get("kind") or None
    everything = ask.query.get("all") == "1"
    limit = _limit(ask.query.get("limit", ""))
    listing = app.history.listed(model, everything=everything, limit=limit, kind=kind)
    if kind is not None and kind not in listing.kinds:
        raise InvalidValueError("kind", kind, f"one of {', '.join(sorted(listing.kinds))}")
    count = sum(listing.kinds.values()) if kind is None else listing.kinds[kind]
    here = {record.id for record in listing.records}
    return Page(
        template="history.html",
        title=f"History of {model}",
        section="",
        model=model,
        context={
            "lines": [_RecordLine.of(model, record, here) for record in reversed(listing.records)],
            "kinds": listing.kinds,
            "kind": kind,
            "everything": everything,
            "count": count,
            "limit": limit,
            "more": min(limit + _STEP, _MOST) if count > limit and limit < _MOST else 0,
        },
    )


def one(app: App, ask: Ask) -> Page:
    """Return one record; if that is asked for, its decision is reproduced.

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
        If there is no such record.
    """
    model = ask.names["model"]
    record = app.history.get(model, ask.names["record"])
    again = None
    if ask.query.get("replay") == "1":
        again = app.replays.replay(record.id)
    return Page(
        template="record.html",
        title=f"Record {record.id}",
        section="",
        model=model,
        context={
            "line": _RecordLine.of(model, record, (), most=_WHOLE),
            "again": again,
            "figures": [] if again is None else _figures(again),
            "unshown": 0 if again is None else max(0, len(_names(again)) - _FIGURES),
        },
    )


@dataclass(frozen=True, slots=True)
class _RecordLine:
    """A record as pages show it.

    Attributes
    ----------
    record : Record
    follows : tuple of (str, str)
        What it came of, and where that is shown: further down, or on a page of its own.
    evidence : str
    cut : bool
        Whether there is more evidence.
    where : str
        The page of the retraining, the rollout or the shadow that it is of.
    called : str
        What that is.
    tone : str
    """

    record: Record
    follows: tuple[tuple[str, str], ...]
    evidence: str
    cut: bool
    where: str
    called: str
    tone: str

    @classmethod
    def of(
        cls, model: str, record: Record, here: Collection[str], *, most: int = _EXCERPT
    ) -> "_RecordLine":
        text, cut = _excerpt(record.evidence, most)
        kind, _, name = record.id.partition(":")
        prefix = _PLACES.get(kind, "")
        subject = name.rpartition("/")[0] if kind in {"rollout", "shadow"} else name
        return cls(
            record=record,
            follows=tuple((cause, _address(model, cause, here)) for cause in record.follows),
            evidence=text,
            cut=cut,
            where=f"{prefix}{quote(subject)}" if prefix else "",
            called="retraining" if kind in _STEPS else kind,
            tone=_tone(record),
        )


@dataclass(frozen=True, slots=True)
class _Figure:
    """A figure of a decision, as it was and as it is now."""

    name: str
    was: str
    now: str
    differs: bool


def _excerpt(evidence: Mapping[str, Any], most: int) -> tuple[str, bool]:
    """Return the beginning of evidence as indented JSON, and whether there is more."""
    written = json.JSONEncoder(indent=1, ensure_ascii=False, default=plain).iterencode
    text = ""
    for part in written(dict(evidence)) if evidence else ():
        text += part
        if len(text) > most:
            return text[:most], True
    return text, False


def _figures(again: Replayed) -> list[_Figure]:
    """Return what was compared, what differs first."""
    differing = set(again.differing)
    figures = [
        _Figure(name, shown(again.stored.get(name)), shown(again.now.get(name)), name in differing)
        for name in _names(again)
    ]
    return sorted(figures, key=lambda figure: not figure.differs)[:_FIGURES]


def _names(again: Replayed) -> list[str]:
    return list(dict.fromkeys([*again.stored, *again.now]))


def _address(model: str, record: str, here: Collection[str]) -> str:
    return (
        f"#{quote(record)}" if record in here else f"/models/{quote(model)}/history/{quote(record)}"
    )


def _tone(record: Record) -> str:
    if record.kind == "gate":
        return "good" if record.evidence.get("passed") else "warn"
    if record.kind in {"drift", "quality"} and record.evidence.get("drift_detected") is False:
        return ""
    return _TONES.get(record.kind, "busy")


def _limit(requested: str) -> int:
    if not requested:
        return _STEP
    if not (requested.isdecimal() and len(requested) < 6 and 1 <= int(requested) <= _MOST):
        raise InvalidValueError("limit", requested, f"between 1 and {_MOST}")
    return int(requested)
