"""Events: predictions, and the outcomes that carry their labels.

A *prediction* carries what went in, what came out, which version answered and when. An *outcome*
carries the label, minutes or weeks later, and names the prediction it belongs to. Both carry two
times: `timestamp`, when it happened (windows are by this one), and `arrived_at`, when Watchkeeper
learned of it.

Writers of events take a `Recorder`, readers an `EventLog`; the journal and the
event store of `watchkeeper.store`, and the in-memory ones of `watchkeeper.testing`, are both.

>>> from datetime import UTC, date, datetime
>>> noon = datetime(2013, 1, 31, 12, tzinfo=UTC)
>>> made = Prediction(
...     prediction_id=new_prediction_id(noon), model="flights", model_version="1.0.0",
...     timestamp=noon, arrived_at=noon, features={"distance": 733.0}, prediction=1, score=0.8)
>>> event_day(made.prediction_id) == date(2013, 1, 31)
True
>>> noon in Window(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 2, 1, tzinfo=UTC))
True
"""

import itertools
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from watchkeeper.clock import as_utc
from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "FEATURE",
    "METRIC",
    "METRIC_TIMESTAMP",
    "UNIT_HASH",
    "DayKeys",
    "Event",
    "EventCounts",
    "EventKind",
    "EventLog",
    "EventWindow",
    "Outcome",
    "Prediction",
    "Recorder",
    "Window",
    "check_name",
    "event_day",
    "new_prediction_id",
]

FEATURE = "feature."
"""Prefix of the columns that hold features, wherever events are a table."""

METRIC = "metric."
METRIC_TIMESTAMP = "metric_timestamp."
"""Prefixes of the columns that hold posted values, and when each was so, by their metric."""

UNIT_HASH = "unit_hash"
"""Column of the fingerprints of ``unit_id``, as `watchkeeper.fingerprints` makes them."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_made = itertools.count(secrets.randbits(31))  # somewhere, so that processes differ
_OWN_ID = re.compile(r"wk-([0-9a-f]{12})-[0-9a-f]{20}")


class Prediction(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="prediction", tag_field="event"
):
    """One answer of one model version.

    A `msgspec.Struct` and not a dataclass, because one is written on every request: it is made and
    encoded in a few microseconds. It refers to nothing that could refer to it, and is left out of
    garbage collections, which ten thousands of them would bring about when a segment is read.

    Attributes
    ----------
    prediction_id : str
        Unique within the model; the same id again is the same prediction.
    model, model_version, variant : str
        Which model, which of its versions, and in which part of the traffic it answered: with an
        `experiment`, the arm of it.
    experiment : str, optional
        The experiment whose arm answered, and its phase: ``NAME/PHASE``.
    timestamp, arrived_at : datetime
        Event time and arrival time, aware.
    features : dict of str to value
        What the model was given. NaN, ``None`` and an absent name are three different things.
    prediction : value
        What the model answered; ``None`` when it failed.
    score : float, optional
        Probability of the positive class, or of the class predicted when there are several.
    status : {"success", "error"}
    error : str, optional
        Why there is no answer.
    latency_ms : float, optional
    unit_id, request_id : str, optional
        Whom the prediction was for, and the request it came with.
    tags : dict of str to str, optional
        What the caller wants to slice by.
    """

    prediction_id: str
    model: str
    timestamp: datetime
    arrived_at: datetime
    features: dict[str, Any]
    model_version: str = ""
    variant: str = "production"
    experiment: str | None = None
    prediction: Any = None
    score: float | None = None
    status: Literal["success", "error"] = "success"
    error: str | None = None
    latency_ms: float | None = None
    unit_id: str | None = None
    request_id: str | None = None
    tags: dict[str, str] | None = None


class Outcome(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="outcome", tag_field="event"
):
    """What came of one prediction; of several, the one with the latest `timestamp` holds.

    Attributes
    ----------
    prediction_id, model : str
    timestamp, arrived_at : datetime
    actual : value
        The truth, or, of a `metric`, its value: a finite number.
    metric : str, optional
        What else came of it, ``revenue`` say, for experiments to compare; None for the truth that
        the model is measured by. Each has its own latest value.
    """

    prediction_id: str
    model: str
    timestamp: datetime
    arrived_at: datetime
    actual: Any
    metric: str | None = None


Event = Prediction | Outcome
EventKind = Literal["prediction", "outcome"]


def check_name(value: object, field: str) -> str:
    """Return `value` if it can name a model or a version, which also names folders and URLs.

    Parameters
    ----------
    value : object
    field : str
        What to call the value in an error.

    Returns
    -------
    str

    Raises
    ------
    InvalidValueError
        If it is not 1 to 100 letters, digits, ``.``, ``_``, ``-``, a letter or digit first.
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InvalidValueError(
            field, value, "1 to 100 of A-Z a-z 0-9 . _ - with a letter or digit first"
        )
    return value


def new_prediction_id(at: datetime) -> str:
    """Return a new id that carries the event time `at` and sorts by it.

    Because the id tells the day of its prediction, an outcome that comes a month late is filed
    beside the prediction without looking anything up. Ids of one process and one event time sort in
    the order in which they were made, so that the rows of a request stay in order.

    Parameters
    ----------
    at : datetime

    Returns
    -------
    str
    """
    milliseconds = (at - _EPOCH) // timedelta(milliseconds=1)
    number = next(_made) & 0xFFFF_FFFF
    return f"wk-{milliseconds:012x}-{number:08x}{secrets.token_hex(6)}"


def event_day(prediction_id: str) -> date | None:
    """Return the UTC day of the prediction with this id, or None if the id is not one of ours.

    Parameters
    ----------
    prediction_id : str

    Returns
    -------
    date or None
    """
    own = _OWN_ID.fullmatch(prediction_id)
    if own is None:
        return None
    try:
        return (_EPOCH + timedelta(milliseconds=int(own[1], 16))).date()
    except OverflowError:
        return None


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of event time: `start` is in it, `end` is not; None leaves that side open.

    Raises
    ------
    InvalidValueError
        If it ends before it starts, or at the same time.
    """

    start: datetime | None = None
    end: datetime | None = None

    def __post_init__(self) -> None:
        if self.start is not None:
            object.__setattr__(self, "start", as_utc(self.start))
        if self.end is not None:
            object.__setattr__(self, "end", as_utc(self.end))
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise InvalidValueError(
                "end", self.end.isoformat(), f"a time after start, {self.start.isoformat()}"
            )

    def __contains__(self, at: datetime) -> bool:
        return (self.start is None or self.start <= at) and (self.end is None or at < self.end)


@dataclass(frozen=True, slots=True)
class EventCounts(Result):
    """What is kept of one model, in tables and journal together.

    Attributes
    ----------
    predictions, outcomes, labelled : int
        Distinct predictions, distinct predictions that outcomes name, and those of them that are
        known here.
    metric_values : int
        Distinct predictions and metrics of posted values.
    oldest, newest : datetime or None
        Event times of the first and the last prediction.
    kept_as_text : int
        Values that did not fit their column's type and are kept beside it as text.
    """

    predictions: int
    outcomes: int
    labelled: int
    oldest: datetime | None
    newest: datetime | None
    kept_as_text: int = 0
    metric_values: int = 0


@dataclass(frozen=True, slots=True)
class EventWindow:
    """The predictions of a window with their outcomes, one row a `prediction_id`.

    Attributes
    ----------
    model : str
    window : Window
    rows : pyarrow.Table
        Sorted by `timestamp`. Columns: ``prediction_id``, ``unit_id``, ``request_id``,
        ``model_version``, ``variant``, ``experiment``, ``timestamp``, ``arrived_at``, ``status``,
        ``error``, ``latency_ms``, ``prediction``, ``score``, ``tags``, ``as_text``, one
        ``feature.NAME`` a feature (numbers are float64, words are dictionary-coded), and
        ``actual``, ``actual_timestamp``, ``actual_arrived_at``, null where no outcome is known;
        ``metric.NAME`` and ``metric_timestamp.NAME`` for each metric that was posted.
        ``unit_hash`` only where it is asked for: ``unit_id`` as a number, which is quicker to read.
        ``as_text`` maps a column to the JSON text of a value that the column cannot hold; an
        explicit null is there as ``"null"``, so that it differs from an absent feature.
    versions : dict of str to int
        Version of each event-store table that was read, for the evidence.
    """

    model: str
    window: Window
    rows: "pa.Table"
    versions: dict[str, int]

    @property
    def features(self) -> list[str]:
        """Names of the features, without their prefix, in the order of the columns."""
        return [
            name.removeprefix(FEATURE)
            for name in self.rows.schema.names
            if name.startswith(FEATURE)
        ]


@dataclass(frozen=True, slots=True)
class DayKeys:
    """What the days of a model are made of, without reading them.

    Attributes
    ----------
    keys : dict of date to str
        By UTC day of the predictions. A day whose key is what it was has the rows that it had.
        Another key says nothing: a day that was stored anew has one.
    versions : dict of str to int
        Version of each event-store table, for the evidence.
    """

    keys: dict[date, str]
    versions: dict[str, int]


class Recorder(Protocol):
    """Where events are written; returning True means that they are kept."""

    def record(self, events: Sequence[Event], *, required: bool = True) -> bool:
        """Keep `events`.

        Parameters
        ----------
        events : sequence of Prediction and Outcome
        required : bool
            Whether the caller cannot go on without. If not, and the recorder was told to let
            predictions be answered unrecorded, it counts them as dropped and returns False.

        Returns
        -------
        bool
            Whether the events are kept.

        Raises
        ------
        UnavailableError
            If they cannot be kept now (the disk is full, say); none of them counts as kept.
        """
        ...

    def record_table(self, event: EventKind, model: str, rows: "pa.Table") -> None:
        """Keep many events of one model at once, all or none.

        Parameters
        ----------
        event : {"prediction", "outcome"}
        model : str
        rows : pyarrow.Table
            Columns are the fields of `Prediction` or `Outcome` without ``model``, with one
            ``feature.NAME`` column a feature in place of ``features``; absent columns take the
            field's default. ``prediction_id``, ``timestamp`` and ``arrived_at`` have no nulls.

        Raises
        ------
        UnavailableError
            As `record`.
        """
        ...


class EventLog(Protocol):
    """Where events are read: one row a prediction, the latest outcome, whatever wrote them."""

    def as_of(self, at: datetime) -> "EventLog":
        """Return the events as they were known at a moment, by their times of arrival.

        What arrived later is left out, so that what was computed then can be computed again. An
        outcome that a later one has replaced is known as long as it is not compacted away.

        Parameters
        ----------
        at : datetime

        Returns
        -------
        EventLog
        """
        ...

    def models(self) -> list[str]:
        """Return the names of the models with events, sorted.

        Returns
        -------
        list of str
        """
        ...

    def counts(self, model: str) -> EventCounts:
        """Return how much is kept of `model`.

        Parameters
        ----------
        model : str

        Returns
        -------
        EventCounts
        """
        ...

    def read(
        self, model: str, window: Window = ..., *, columns: Sequence[str] | None = None
    ) -> EventWindow:
        """Return the predictions of `window` with their outcomes.

        Parameters
        ----------
        model : str
        window : Window
            By default all time.
        columns : sequence of str, optional
            Columns of the rows that are read, by default all.

        Returns
        -------
        EventWindow

        Raises
        ------
        NotFoundError
            If nothing is kept of `model`.
        """
        ...

    def days(
        self, model: str, window: Window = ..., *, columns: Sequence[str] | None = None
    ) -> Iterator[EventWindow]:
        """Return the same a UTC day at a time, oldest first, in bounded memory.

        Parameters
        ----------
        model : str
        window : Window
            By default all time.
        columns : sequence of str, optional
            Columns of the rows that are read, by default all.

        Returns
        -------
        iterator of EventWindow
        """
        ...

    def day_keys(self, model: str) -> DayKeys:
        """Return by what to tell the days that have changed since they were last read.

        A key is made before the rows are read by it: what comes in between is then read, and read
        once more by the next key.

        Parameters
        ----------
        model : str

        Returns
        -------
        DayKeys

        Raises
        ------
        NotFoundError
            If nothing is kept of `model`.
        """
        ...
