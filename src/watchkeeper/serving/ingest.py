"""Ingest: predictions made elsewhere, and outcomes, as JSON, NDJSON or an Arrow IPC stream.

A body is checked whole before any of it is kept, and then kept whole. Records that carry an id are
counted once however often they are sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import IO, Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.clock import Arrivals, parse_timestamp
from watchkeeper.errors import InvalidValueError
from watchkeeper.events import (
    FEATURE,
    Event,
    EventKind,
    Outcome,
    Prediction,
    Recorder,
    check_name,
    event_day,
    new_prediction_id,
)
from watchkeeper.serving.bodies import decode_json
from watchkeeper.serving.responses import TooLargeError

__all__ = ["Ingested", "ingest"]

_ARROW_STREAM = b"\xff\xff\xff\xff"
_MOST_JSON = 64 << 20  # bytes of one JSON array, which is decoded as a whole
_LINES_AT_ONCE = 10_000
_ROWS_AT_ONCE = 50_000  # of an Arrow stream
_TIME = pa.timestamp("us", "UTC")
_FIELDS: dict[EventKind, frozenset[str]] = {
    "prediction": frozenset(Prediction.__struct_fields__) - {"model", "arrived_at"},
    "outcome": frozenset(Outcome.__struct_fields__) - {"model", "arrived_at"},
}
_TEXTS = ("model_version", "variant", "experiment", "unit_id", "request_id", "error")


class Ingested(NamedTuple):
    """How many records were kept, and the newest event time among them."""

    accepted: int
    newest: datetime | None


def ingest(
    body: IO[bytes], event: EventKind, model: str, recorder: Recorder, arrivals: Arrivals
) -> Ingested:
    """Check the records in `body`, keep them, and return how many there were.

    Parameters
    ----------
    body : file
        A JSON array, one JSON object a line, or an Arrow IPC stream; told apart by its beginning.
    event : {"prediction", "outcome"}
    model : str
    recorder : Recorder
    arrivals : Arrivals
        Where arrival times come from. Records that carry no event time get that of its clock.

    Returns
    -------
    Ingested

    Raises
    ------
    InvalidValueError
        If a record is wrong, with its number and field; none of the body is kept then.
    UnavailableError
        If it cannot be kept now.
    TooLargeError
        If a JSON array is larger than is held in memory.
    """
    now, keeper = arrivals.clock(), _Stamping(recorder, arrivals)
    beginning = body.read(16)
    body.seek(0)
    if beginning.startswith(_ARROW_STREAM):
        return _ingest_arrow(body, event, model, keeper, now)
    if beginning.lstrip()[:1] == b"[":
        return _ingest_array(body, event, model, keeper, now)
    return _ingest_lines(body, event, model, keeper, now)


class _Stamping:
    """A `Recorder` whose events arrive when they are written, not when their body was read."""

    def __init__(self, recorder: Recorder, arrivals: Arrivals) -> None:
        self._recorder, self._arrivals = recorder, arrivals

    def record(self, events: Sequence[Event], *, required: bool = True) -> bool:
        with self._arrivals.writing() as at:
            stamped = [msgspec.structs.replace(event, arrived_at=at) for event in events]
            return self._recorder.record(stamped, required=required)

    def record_table(self, event: EventKind, model: str, rows: pa.Table) -> None:
        with self._arrivals.writing() as at:
            times = pa.repeat(pa.scalar(at, _TIME), rows.num_rows)
            self._recorder.record_table(event, model, rows.append_column("arrived_at", times))


def _ingest_array(
    body: IO[bytes], event: EventKind, model: str, recorder: Recorder, now: datetime
) -> Ingested:
    data = body.read(_MOST_JSON + 1)
    if len(data) > _MOST_JSON:
        raise TooLargeError(
            f"the JSON array is larger than {_MOST_JSON} bytes",
            "Send one JSON object a line (NDJSON) or an Arrow IPC stream: they may be larger.",
        )
    records = decode_json(data)
    events = [_event(record, i, event, model, now) for i, record in enumerate(records)]
    if events:
        recorder.record(events)
    return Ingested(len(events), _newest(events))


def _ingest_lines(
    body: IO[bytes], event: EventKind, model: str, recorder: Recorder, now: datetime
) -> Ingested:
    """Keep one record a line: read twice, so that nothing is kept before all of it is checked."""
    total = 0
    newest: datetime | None = None
    for events in _events_of_lines(body, event, model, now):
        total += len(events)
        last = _newest(events)
        newest = last if newest is None or (last is not None and last > newest) else newest
        if total == len(events) < _LINES_AT_ONCE:
            recorder.record(events)  # the whole body
            return Ingested(total, newest)
    body.seek(0)
    for events in _events_of_lines(body, event, model, now):
        recorder.record(events)
    return Ingested(total, newest)


def _events_of_lines(
    body: IO[bytes], event: EventKind, model: str, now: datetime
) -> Iterator[list[Event]]:
    events: list[Event] = []
    number = 0
    for line in body:
        if not line.strip():
            continue
        events.append(_event(decode_json(line), number, event, model, now))
        number += 1
        if len(events) == _LINES_AT_ONCE:
            yield events
            events = []
    if events:
        yield events


def _event(record: Any, number: int, event: EventKind, model: str, now: datetime) -> Event:
    if not isinstance(record, Mapping):
        raise InvalidValueError(f"records[{number}]", record, "an object")
    unknown = sorted(record.keys() - _FIELDS[event])
    if unknown and event == "prediction" and all(name.startswith(FEATURE) for name in unknown):
        features = {name.removeprefix(FEATURE): record[name] for name in unknown}
        record = {k: v for k, v in record.items() if k not in unknown} | {"features": features}
    elif unknown:
        raise InvalidValueError(
            f"records[{number}].{unknown[0]}",
            record[unknown[0]],
            f"no fields beyond {', '.join(sorted(_FIELDS[event]))}",
        )
    at = record.get("timestamp")
    moment = None if at is None else parse_timestamp(at, f"records[{number}].timestamp")
    prediction_id = record.get("prediction_id")
    if prediction_id is None and event == "prediction":
        prediction_id = new_prediction_id(moment or now)
    if not isinstance(prediction_id, str) or not prediction_id:
        raise InvalidValueError(
            f"records[{number}].prediction_id", prediction_id, "a string, not empty"
        )
    if event == "outcome":
        if record.get("actual") is None:
            raise InvalidValueError(f"records[{number}].actual", None, "the label (ground truth)")
        return Outcome(
            prediction_id=prediction_id,
            model=model,
            timestamp=moment or now,
            arrived_at=now,
            actual=record["actual"],
            metric=_metric(record, number),
        )
    return _prediction(
        record, number, prediction_id, model, _agreed(prediction_id, moment, number) or now, now
    )


def _metric(record: Mapping[str, Any], number: int) -> str | None:
    metric = record.get("metric")
    if metric is None:
        return None
    value = record["actual"]
    if not isinstance(value, bool | int | float) or not isfinite(value):
        raise InvalidValueError(
            f"records[{number}].actual", value, "a finite number, since it is the value of a metric"
        )
    return check_name(metric, f"records[{number}].metric")


def _prediction(
    record: Mapping[str, Any],
    number: int,
    prediction_id: str,
    model: str,
    at: datetime,
    now: datetime,
) -> Prediction:
    fields: dict[str, Any] = {}
    for name in _TEXTS:
        value = record.get(name)
        if value is not None:
            if not isinstance(value, str):
                raise InvalidValueError(f"records[{number}].{name}", value, "a string")
            fields[name] = value
    for name in ("score", "latency_ms"):
        value = record.get(name)
        if value is not None:
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise InvalidValueError(f"records[{number}].{name}", value, "a number")
            fields[name] = float(value)
    features = record.get("features", {})
    if not isinstance(features, dict):
        raise InvalidValueError(f"records[{number}].features", features, "an object")
    tags = record.get("tags")
    if tags is not None and not (
        isinstance(tags, dict) and all(isinstance(value, str) for value in tags.values())
    ):
        raise InvalidValueError(f"records[{number}].tags", tags, "an object of strings")
    status = record.get("status") or "success"
    if status not in {"success", "error"}:
        raise InvalidValueError(f"records[{number}].status", status, "success or error")
    return Prediction(
        prediction_id=prediction_id,
        model=model,
        timestamp=at,
        arrived_at=now,
        features=features,
        prediction=record.get("prediction"),
        status="error" if status == "error" else "success",
        tags=tags,
        **fields,
    )


def _agreed(prediction_id: str, at: datetime | None, number: int) -> datetime | None:
    """Return the event time of a prediction; an id of ours tells it and must not contradict it."""
    day = event_day(prediction_id)
    if day is None:
        return at
    id_time = datetime.fromtimestamp(int(prediction_id[3:15], 16) / 1000, UTC)
    if at is not None and abs(at - id_time) >= timedelta(milliseconds=1) and at.date() != day:
        raise InvalidValueError(
            f"records[{number}].timestamp",
            at.isoformat(),
            f"{id_time.isoformat()}, which the prediction_id carries",
            "Ids that begin with wk- are made by Watchkeeper; use an id of your own.",
        )
    return at or id_time


def _newest(events: list[Event]) -> datetime | None:
    return max((event.timestamp for event in events), default=None)


def _ingest_arrow(
    body: IO[bytes], event: EventKind, model: str, recorder: Recorder, now: datetime
) -> Ingested:
    try:
        total, newest = 0, None
        for rows in _tables(body, event, now):  # all of it is checked before any of it is kept
            total += rows.num_rows
            last = pc.max(rows["timestamp"]).as_py()
            newest = last if newest is None else max(newest, last)
        for rows in _tables(body, event, now):
            recorder.record_table(event, model, rows)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OSError) as error:
        message = " ".join(str(error).split())[:200]
        raise InvalidValueError("body", "bytes", f"an Arrow IPC stream ({message})") from None
    return Ingested(total, newest)


def _tables(body: IO[bytes], event: EventKind, now: datetime) -> Iterator[pa.Table]:
    """Yield the records of a stream, checked, some ten thousands at a time."""
    body.seek(0)
    with pa.ipc.open_stream(body) as stream:
        _require_columns(stream.schema, event)
        gathered: list[pa.RecordBatch] = []
        count = before = 0
        for batch in stream:
            if not batch.num_rows:
                continue
            gathered.append(batch)
            count += batch.num_rows
            if count >= _ROWS_AT_ONCE:
                yield _checked(pa.Table.from_batches(gathered), event, now, before)
                before, count, gathered = before + count, 0, []
        if gathered:
            yield _checked(pa.Table.from_batches(gathered), event, now, before)


def _require_columns(schema: pa.Schema, event: EventKind) -> None:
    allowed = _FIELDS[event] - {"features", "tags"}
    for name in schema.names:
        if name not in allowed and not (event == "prediction" and name.startswith(FEATURE)):
            raise InvalidValueError(
                name,
                str(schema.field(name).type),
                f"no columns beyond {', '.join(sorted(allowed))}"
                + (f" and {FEATURE}NAME" if event == "prediction" else ""),
            )
    needed = {"prediction_id", "actual"} if event == "outcome" else set()
    missing = sorted(needed - set(schema.names))
    if missing:
        raise InvalidValueError("body", schema.names, f"also the columns {', '.join(missing)}")


def _checked(rows: pa.Table, event: EventKind, now: datetime, before: int) -> pa.Table:
    """Return a batch with its event times and ids filled in."""
    columns = {name: rows[name] for name in rows.schema.names}
    count = rows.num_rows
    moment = pa.scalar(now, _TIME)
    times = columns.get("timestamp")
    if times is None:
        columns["timestamp"] = pa.chunked_array([pa.array([now] * count, _TIME)])
    else:
        columns["timestamp"] = pc.fill_null(_as_times(times), moment)
    ids = columns.get("prediction_id")
    if ids is None:
        new_ids = [new_prediction_id(at) for at in columns["timestamp"].to_pylist()]
        columns["prediction_id"] = pa.chunked_array([pa.array(new_ids, pa.string())])
    else:
        columns["prediction_id"] = ids.cast(pa.string())
        empty = pc.fill_null(pc.equal(pc.utf8_length(columns["prediction_id"]), 0), True)
        if pc.any(empty).as_py():
            at = pc.index(empty, True).as_py()
            raise InvalidValueError(
                f"records[{before + at}].prediction_id", ids[at].as_py(), "a string, not empty"
            )
        if event == "prediction":
            _require_agreement(columns["prediction_id"], columns["timestamp"], before)
    if event == "outcome" and columns["actual"].null_count:
        at = pc.index(columns["actual"].is_null(), True).as_py()
        raise InvalidValueError(f"records[{before + at}].actual", None, "the label (ground truth)")
    for name in ("score", "latency_ms"):
        if name in columns:
            columns[name] = columns[name].cast(pa.float64())
    for name in (*_TEXTS, "status", "metric"):
        if name in columns:
            columns[name] = columns[name].cast(pa.string())
    if "metric" in columns:
        _require_values(columns["metric"], columns["actual"], before)
    return pa.table(columns)


def _require_values(metrics: pa.ChunkedArray, values: pa.ChunkedArray, before: int) -> None:
    """Require that each posted value is a finite number of a metric that can be named."""
    posted = metrics.is_valid()
    for name in pc.drop_null(metrics.unique()).to_pylist():
        at = pc.index(metrics, name).as_py()
        check_name(name, f"records[{before + at}].metric")
    kind = values.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return
    wrong = posted
    if pa.types.is_floating(kind):
        wrong = pc.and_(posted, pc.invert(pc.is_finite(values)))
    if pc.any(wrong).as_py():
        at = pc.index(wrong, True).as_py()
        raise InvalidValueError(
            f"records[{before + at}].actual",
            values[at].as_py(),
            "a finite number, since it is the value of a metric",
        )


def _as_times(times: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(times.type):
        return times.cast(_TIME) if times.type.tz else times.cast(pa.timestamp("us")).cast(_TIME)
    moments = [
        None if value is None else parse_timestamp(value, f"records[{row}].timestamp")
        for row, value in enumerate(times.to_pylist())
    ]
    return pa.chunked_array([pa.array(moments, _TIME)])


def _require_agreement(ids: pa.ChunkedArray, times: pa.ChunkedArray, before: int) -> None:
    ours = pc.starts_with(ids, "wk-")
    if pc.any(ours).as_py():
        for row, (prediction_id, at) in enumerate(
            zip(ids.to_pylist(), times.to_pylist(), strict=True)
        ):
            _agreed(prediction_id, at, before + row)
