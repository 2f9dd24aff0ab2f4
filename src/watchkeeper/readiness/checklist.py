"""The points of the checklist, and what is known of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from watchkeeper.clock import as_utc
from watchkeeper.errors import NotFoundError
from watchkeeper.results import Result

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
]  # fmt: skip


class PointState(StrEnum):
    """How a point stands."""

    PASS = "pass"  # noqa: S105 - no secret
    FAIL = "fail"
    UNKNOWN = "unknown"
    WAIVED = "waived"


class Priority(StrEnum):
    """Whether a model is ready without it."""

    REQUIRED = "required"
    RECOMMENDED = "recommended"


@dataclass(frozen=True, slots=True)
class Item(Result):
    """One point of the list.

    Attributes
    ----------
    key, category, told : str
    priority : Priority
    do : str
        What makes it pass.
    """

    key: str
    category: str
    told: str
    priority: Priority
    do: str


_MUST, _SHOULD = Priority.REQUIRED, Priority.RECOMMENDED

ITEMS = (
    Item("accuracy", "before deployment", "accuracy above the baseline", _MUST,
         "`watchkeeper quality --model MODEL --start TIME`, once outcomes are posted."),
    Item("ab-test", "before deployment", "significance confirmed in an A/B test", _MUST,
         "`watchkeeper experiments create` with the version in production as a variant."),
    Item("load-test", "before deployment", "load test meets the requirements", _MUST,
         "`watchkeeper loadtest MODEL`."),
    Item("rollback", "before deployment", "rollback documented and rehearsed", _MUST,
         "`watchkeeper models rollback MODEL --dry-run`."),
    Item("logs", "monitoring", "structured logs are written correctly", _MUST,
         "Set `log_file` and `log_format = \"json\"`, and start the server."),
    Item("metrics", "monitoring", "Prometheus metrics are scraped", _MUST,
         "Run Prometheus with what `watchkeeper telemetry export` writes."),
    Item("alerts", "monitoring", "a synthetic alert reaches its receiver", _MUST,
         "`watchkeeper telemetry test-alert`, with Alertmanager as `telemetry export` sets it up."),
    Item("grafana", "monitoring", "Grafana dashboard answers", _SHOULD,
         "Set `telemetry.grafana` to its address."),
    Item("drift", "monitoring", "drift detection ran", _SHOULD,
         "`watchkeeper drift --model MODEL --start TIME`, or let a server run."),
    Item("latency", "SLA", "p95 within its limit", _MUST, "`watchkeeper health --model MODEL`."),
    Item("error-rate", "SLA", "error rate within its limit", _MUST,
         "`watchkeeper health --model MODEL`."),
    Item("availability", "SLA", "availability above its limit", _MUST,
         "`watchkeeper health --model MODEL`."),
    Item("accuracy-kept", "SLA", "accuracy above 95 % of the baseline", _SHOULD,
         "`watchkeeper health --model MODEL`; retrain if it fell."),
    Item("on-call", "incident response", "on-call route configured and tested", _MUST,
         "Set `[notifications.receivers.NAME]`, then `watchkeeper notifications test`."),
    Item("procedures", "incident response", "incident procedures documented", _MUST,
         "The runbook has a section for each alert: `/runbook`."),
    Item("post-mortems", "incident response", "post-mortems of past critical incidents", _SHOULD,
         "`watchkeeper incidents post-mortem INCIDENT --finish FILE`."),
    Item("prediction-log", "data", "prediction logs are saved", _MUST,
         "Let callers ask through the server, or post predictions."),
    Item("outcomes", "data", "outcomes are collected", _MUST,
         "Post outcomes to `/v1/models/MODEL/outcomes`."),
    Item("backups", "data", "backups run and a restore was tested", _SHOULD,
         "`watchkeeper backup create`, then `watchkeeper backup test`."),
)  # fmt: skip
"""All points, in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Answer(Result):
    """What the evidence says of a point.

    Attributes
    ----------
    state : PointState
    told : str
        A sentence with the figures.
    at : datetime or None
        When that was so.
    evidence : dict
        Where it can be read again.
    """

    state: PointState
    told: str
    at: datetime | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Waiver(Result):
    """An actor's statement that a point need not pass, until a day."""

    item: str
    actor: str
    reason: str
    until: datetime

    def holds(self, at: datetime) -> bool:
        """Return whether it holds at a time.

        Parameters
        ----------
        at : datetime

        Returns
        -------
        bool
        """
        return as_utc(at) < as_utc(self.until)


@dataclass(frozen=True, slots=True)
class Point(Result):
    """A point, and how it stands."""

    item: Item
    state: PointState
    told: str
    at: datetime | None
    evidence: dict[str, Any]
    waiver: Waiver | None


@dataclass(frozen=True, slots=True)
class Checklist(Result):
    """All points of a model at one time.

    Attributes
    ----------
    model : str
    at : datetime
    ready : bool
        Whether every required point passes or is waived.
    points : tuple of Point
    """

    model: str
    at: datetime
    ready: bool
    points: tuple[Point, ...]


def checklist(
    model: str, answers: Mapping[str, Answer], waivers: Sequence[Waiver], *, at: datetime
) -> Checklist:
    """Return how all points stand; without an answer one is unknown.

    A waiver excuses what does not pass. What passes by itself needs none.

    Parameters
    ----------
    model : str
    answers : mapping of str to Answer
        By the keys of the points.
    waivers : sequence of Waiver
    at : datetime
        When it is made; a waiver holds until its own time.

    Returns
    -------
    Checklist

    Raises
    ------
    NotFoundError
        If there is an answer or a waiver of no point.
    """
    for key in (*answers, *(waiver.item for waiver in waivers)):
        item_of(key)
    held = {waiver.item: waiver for waiver in waivers if waiver.holds(at)}
    points = []
    for item in ITEMS:
        answer = answers.get(item.key, Answer(PointState.UNKNOWN, "there is no evidence"))
        waiver = None if answer.state is PointState.PASS else held.get(item.key)
        state = answer.state if waiver is None else PointState.WAIVED
        points.append(Point(item, state, answer.told, answer.at, answer.evidence, waiver))
    ready = all(
        point.state in {PointState.PASS, PointState.WAIVED}
        for point in points
        if point.item.priority is Priority.REQUIRED
    )
    return Checklist(model, as_utc(at), ready, tuple(points))


def item_of(key: str) -> Item:
    """Return a point by its key.

    Parameters
    ----------
    key : str

    Returns
    -------
    Item

    Raises
    ------
    NotFoundError
        If there is none.
    """
    for item in ITEMS:
        if item.key == key:
            return item
    raise NotFoundError("point of the checklist", key, f"One of {', '.join(i.key for i in ITEMS)}.")
