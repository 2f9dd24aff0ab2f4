"""What a candidate learns from and is judged by: checked, in the order of time, never shuffled."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.clock import as_utc
from watchkeeper.errors import InvalidValueError
from watchkeeper.events import FEATURE
from watchkeeper.registry import Signature
from watchkeeper.stats import roc_auc

__all__ = ["Halves", "TrainingData", "TrainingDataError", "checked", "labelled", "split"]

_TARGETS = ("target", "actual", "label", "y")  # a column of such a name, where none is named
_TIMES = ("timestamp", "time", "date")
_FEWEST_TOLD = 20  # rows from which on a feature that equals the target is a leak
_FEWEST_RANKED = 100  # and one that tells it by rank or by value


class TrainingDataError(InvalidValueError):
    """A model cannot be trained on these data."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Labelled rows, the oldest first.

    A trainer is given one: `X` and `y` are what an estimator's ``fit`` takes.

    Attributes
    ----------
    table : pyarrow.Table
        Features and target, and the time where it is known.
    features : tuple of str
    target : str
    time : str or None
        Name of the column of the time; None where the rows are in its order and no more is known.
    framed : bool
        Whether `X` is a data frame with the names of the features, as the champion takes it.
    """

    table: pa.Table
    features: tuple[str, ...]
    target: str
    time: str | None = None
    framed: bool = True

    @property
    def first(self) -> datetime | None:
        """When the oldest row was; None where no time is known."""
        if self.time is None or not len(self):
            return None
        first: datetime = self.table[self.time][0].cast(pa.timestamp("us", "UTC")).as_py()
        return first

    @property
    def X(self) -> Any:  # noqa: N802 - the word users know
        """The features: a pandas data frame, or a matrix where `framed` is false."""
        chosen = self.table.select(list(self.features))
        if self.framed:
            return chosen.to_pandas()
        return np.column_stack([_floats(chosen[name]) for name in self.features])

    @property
    def y(self) -> npt.NDArray[Any]:
        """The target."""
        return _plain(self.table[self.target])

    def __len__(self) -> int:
        return int(self.table.num_rows)


@dataclass(frozen=True, slots=True)
class Halves:
    """Rows to learn from, and later ones to judge by.

    Attributes
    ----------
    learned, held_out : TrainingData
    boundary : datetime or None
        When the later rows begin; None where the time is not known.
    """

    learned: TrainingData
    held_out: TrainingData
    boundary: datetime | None


def checked(
    table: pa.Table,
    *,
    target: str = "",
    signature: Signature | None = None,
    task: str = "binary",
    ignore: Collection[str] = (),
    leak_check: bool = True,
    framed: bool = True,
) -> TrainingData:
    """Return labelled rows in the order of time, if a model can be trained on them.

    Parameters
    ----------
    table : pyarrow.Table
        Rows without a target are left out. They are sorted by a column ``timestamp``, ``time`` or
        ``date`` of times, and are otherwise taken to be in the order of time.
    target : str
        By default a column named ``target``, ``actual``, ``label`` or ``y``.
    signature : Signature, optional
        The features of the champion, all of which have to be there, and no others.
    task : {"binary", "multiclass", "regression"}
    ignore : collection of str
        Columns that are neither features nor target.
    leak_check : bool
        Whether a feature that tells the target on its own is refused.
    framed : bool
        Whether a trainer gets a data frame.

    Returns
    -------
    TrainingData

    Raises
    ------
    TrainingDataError
        If there are no labelled rows, a feature is missing or of another type, a column is new,
        only one class is there, or a feature tells the target.
    """
    names = table.column_names
    target = target or next((name for name in _TARGETS if name in names), "")
    if target not in names:
        raise TrainingDataError(
            "target", target or None, f"a column: one of {', '.join(names[:20])}", "Name it."
        )
    table = _by_place(table, signature, {target, *ignore})
    names = table.column_names
    known = () if signature is None else signature.names
    free = [name for name in names if name not in {target, *known, *ignore}]
    time = next((name for name in _TIMES if name in free and _is_time(table[name])), None)
    new = [name for name in free if name != time]
    if signature is None:
        features = tuple(new)
    else:
        features = signature.names
        _require_features(table, signature, new)
    if not features:
        raise TrainingDataError("the training data", names, "at least one column to learn from")
    kept = table.select([*features, target, *([] if time is None else [time])])
    kept = _decoded(kept.filter(_known(kept[target])))
    if not kept.num_rows:
        rows = f"{table.num_rows:,} rows, none of them with a {target}"
        raise TrainingDataError("the training data", rows, "rows whose outcome is known")
    if time is not None:
        kept = kept.take(pc.sort_indices(kept, [(time, "ascending")]))
    kept = _with_whole_classes(kept, target, task)
    data = TrainingData(kept, features, target, time, framed)
    _require_classes(data, task)
    if leak_check:
        _require_no_leak(data, task)
    return data


def labelled(rows: pa.Table, features: tuple[str, ...] | None) -> pa.Table:
    """Return the predictions of a window whose outcome is known, features by their own names.

    Parameters
    ----------
    rows : pyarrow.Table
        Predictions as `EventLog.read` returns them.
    features : tuple of str or None
        None for all.

    Returns
    -------
    pyarrow.Table
        The features, ``actual`` and ``timestamp``.
    """
    rows = rows.filter(rows["actual"].is_valid())
    features_found = [name for name in rows.column_names if name.startswith(FEATURE)]
    if features is not None:
        features_found = [name for name in features_found if name.removeprefix(FEATURE) in features]
    plain = [name.removeprefix(FEATURE) for name in features_found]
    chosen = rows.select([*features_found, "actual", "timestamp"])
    return chosen.rename_columns([*plain, "actual", "timestamp"])


def split(
    data: TrainingData,
    *,
    holdout: float,
    not_before: datetime | None = None,
    min_rows: int = 1,
    min_holdout: int = 1,
    task: str = "binary",
) -> Halves:
    """Part rows into earlier ones to learn from and later ones to judge by.

    Parameters
    ----------
    data : TrainingData
    holdout : float
        Share of the later ones.
    not_before : datetime, optional
        The rows to judge by begin here at the earliest: until then the champion has learned.
    min_rows, min_holdout : int
        Rows that either has to have.
    task : {"binary", "multiclass", "regression"}

    Returns
    -------
    Halves

    Raises
    ------
    TrainingDataError
        If either has too few rows, or those to learn from have one class only.
    """
    count = len(data)
    first = min(count - 1, round(count * (1 - holdout)))
    boundary = None
    if data.time is not None:
        times = _instants(data.table[data.time])
        start = times[first]
        if not_before is not None:
            start = max(start, np.datetime64(as_utc(not_before).replace(tzinfo=None), "us"))
        first = int(np.searchsorted(times, start, side="left"))
        if first < count:
            boundary = as_utc(times[first].astype(datetime))
    halves = Halves(_sliced(data, 0, first), _sliced(data, first, count), boundary)
    for side, part, least in (
        ("to learn from", halves.learned, min_rows),
        ("to judge by", halves.held_out, min_holdout),
    ):
        if len(part) < least:
            later = "" if not_before is None else (
                f"The champion was trained on data until {not_before:%Y-%m-%d %H:%M}, and is "
                "evaluated on later rows only."
            )  # fmt: skip
            raise TrainingDataError(
                f"rows {side}", len(part), f"at least {least:,}, of {count:,}", later
            )
    _require_classes(halves.learned, task)
    return halves


def _sliced(data: TrainingData, first: int, end: int) -> TrainingData:
    part = data.table.slice(first, end - first)
    return TrainingData(part, data.features, data.target, data.time, data.framed)


def _by_place(table: pa.Table, signature: Signature | None, excluded: Collection[str]) -> pa.Table:
    """Return the features by the names of a champion that has learned from a matrix: x0, x1, ….

    Such a champion knows places and no names, so that any names will do, if they are as many.
    """
    if signature is None:
        return table
    places = tuple(f"x{position}" for position in range(len(signature.names)))
    columns = [name for name in table.column_names if name not in excluded and name not in _TIMES]
    if signature.names != places or set(columns) & set(places) or len(columns) != len(places):
        return table
    called = dict(zip(columns, places, strict=True))
    return table.rename_columns([called.get(name, name) for name in table.column_names])


def _require_features(table: pa.Table, signature: Signature, new: Sequence[str]) -> None:
    missing = [name for name in signature.names if name not in table.column_names]
    if missing:
        raise TrainingDataError(
            "the training data",
            table.column_names,
            f"every feature of the champion, and {', '.join(missing)} is missing",
        )
    if new:
        raise TrainingDataError(
            "the training data",
            f"with the new column {', '.join(new)}",
            f"the features of the champion alone: {', '.join(signature.names)}",
            "Leave the column out, name it in ignore, or register a version that takes it first.",
        )
    for feature in signature.features:
        kind = table[feature.name].type
        number = feature.type in {"number", "integer"}
        fits = _is_number(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)
        if number and not fits:
            raise TrainingDataError(
                feature.name, str(kind), f"{feature.type}s, as the champion takes them"
            )


def _require_classes(data: TrainingData, task: str) -> None:
    if task == "regression":
        if not _is_number(data.table[data.target].type):
            kind = str(data.table[data.target].type)
            raise TrainingDataError(data.target, kind, "numbers, for a regression")
        return
    classes = pc.unique(data.table[data.target]).to_pylist()
    if len(classes) < 2:
        raise TrainingDataError(
            data.target,
            f"{classes[0]!r} in all {len(data):,} rows",
            "at least two classes",
            "A model needs two classes; take a longer window.",
        )


def _require_no_leak(data: TrainingData, task: str) -> None:
    actual = data.y
    for name in data.features:
        leak = _tells(data.table[name], actual, task)
        if leak:
            raise TrainingDataError(
                name,
                f"a feature that {leak} {data.target}",
                "features that are known before the outcome is",
                "The outcome has probably leaked into it, and such a model fails where the outcome "
                "is unknown. Leave it out; or, if it is legitimate, set leak_check to false.",
            )


def _tells(column: pa.ChunkedArray, actual: npt.NDArray[Any], task: str) -> str:
    """Return how a feature tells the target on its own; nothing if it does not."""
    values, count = _plain(column), len(actual)
    if count < _FEWEST_TOLD:
        return ""
    if _same(values, actual):
        return "equals"
    if count < _FEWEST_RANKED:
        return ""
    if task == "regression":
        numbers = _floats(column) if _is_number(column.type) else None
        if numbers is None or not np.isfinite(numbers).all() or np.ptp(numbers) == 0.0:
            return ""
        tied = abs(float(np.corrcoef(numbers, actual.astype(np.float64))[0, 1]))
        return "is a multiple of" if tied > 1 - 1e-12 else ""
    classes, codes = np.unique(actual.astype(str), return_inverse=True)
    if len(classes) == 2 and _is_number(column.type):
        numbers = _floats(column)
        finite = np.isfinite(numbers)
        area = roc_auc(numbers[finite], codes[finite] == 1) if finite.all() else None
        if area is not None and area.area in {0.0, 1.0}:
            return "perfectly predicts"
    _, groups = np.unique(values.astype(str), return_inverse=True)
    if groups.max() + 1 > count / 10:
        return ""  # each value is seen too seldom to say anything
    table = np.zeros((groups.max() + 1, len(classes)), dtype=np.int64)
    np.add.at(table, (groups, codes), 1)
    return "perfectly predicts" if ((table > 0).sum(axis=1) == 1).all() else ""


def _same(values: npt.NDArray[Any], actual: npt.NDArray[Any]) -> bool:
    try:
        return bool((values.astype(np.float64) == actual.astype(np.float64)).all())
    except (TypeError, ValueError):
        return bool((values.astype(str) == actual.astype(str)).all())


def _with_whole_classes(table: pa.Table, target: str, task: str) -> pa.Table:
    """Return classes that are whole numbers as integers, as the champion's training data."""
    column = table[target]
    if task == "regression" or not pa.types.is_floating(column.type):
        return table
    numbers = _floats(column)
    if not (numbers == np.rint(numbers)).all():
        return table
    position = table.schema.get_field_index(target)
    return table.set_column(
        position, target, pa.chunked_array([pa.array(numbers.astype(np.int64))])
    )


def _decoded(table: pa.Table) -> pa.Table:
    """Return words as words, also where they were dictionary-coded."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _known(column: pa.ChunkedArray) -> pa.ChunkedArray:
    valid = column.is_valid()
    if pa.types.is_floating(column.type):
        valid = pc.and_(valid, pc.invert(pc.fill_null(pc.is_nan(column), fill_value=True)))
    return valid


def _plain(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    if _is_number(column.type) or pa.types.is_boolean(column.type):
        return np.asarray(column.to_numpy())
    values = np.empty(len(column), dtype=object)
    values[:] = column.to_pylist()
    return values


def _floats(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)


def _instants(column: pa.ChunkedArray) -> npt.NDArray[np.datetime64]:
    plain = column.cast(pa.timestamp("us", getattr(column.type, "tz", None)))
    return np.asarray(plain.cast(pa.int64()).to_numpy()).astype("datetime64[us]")


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_time(column: pa.ChunkedArray) -> bool:
    kind = column.type
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind)) and not column.null_count
