"""Evidently's own report, for those who read it already.

Evidently keeps its methods and its verdicts: the drift of a dataset is its share of columns, and is
not what `DataDriftDetector` says of the same rows. Nothing leaves the machine.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from typing import Any, Literal

import narwhals as nw

from watchkeeper.errors import InvalidValueError, MissingExtraError
from watchkeeper.profiles.columns import frame_of
from watchkeeper.results import Result, plain

__all__ = ["EvidentlyReport", "EvidentlyTests", "Preset", "evidently_report"]

Preset = Literal["drift", "summary"]

_PRESETS: dict[str, str] = {"drift": "DataDriftPreset", "summary": "DataSummaryPreset"}


@dataclass(frozen=True, slots=True)
class EvidentlyTests(Result):
    """How Evidently's tests went.

    Attributes
    ----------
    success : bool
        Whether none failed.
    total, failed : int
        How many ran, and how many of them did not succeed.
    """

    success: bool
    total: int
    failed: int


@dataclass(frozen=True, slots=True)
class EvidentlyReport(Result):
    """What Evidently found.

    Attributes
    ----------
    results : dict
        Evidently's own: ``metrics`` and ``tests``, as plain values.
    tests : EvidentlyTests
    """

    results: dict[str, Any]
    tests: EvidentlyTests


def evidently_report(
    reference: object,
    current: object,
    presets: Sequence[Preset] = ("drift", "summary"),
    *,
    html: str | PathLike[str],
) -> EvidentlyReport:
    """Save Evidently's report as a page, and return its results.

    Parameters
    ----------
    reference, current : data frame or dict of sequences
        Anything Narwhals takes. The columns that both have are compared.
    presets : sequence of {"drift", "summary"}
        ``DataDriftPreset`` and ``DataSummaryPreset``, each with its tests.
    html : path
        Where the page goes.

    Returns
    -------
    EvidentlyReport

    Raises
    ------
    InvalidValueError
        If a preset is unknown or none is given, the samples have no rows or share no column, or
        Evidently refuses a column, such as one of numbers without any value.
    MissingExtraError
        If Evidently is not installed, or not with the pandas that it works with.
    """
    if not presets:
        raise InvalidValueError("presets", presets, f"at least one of {', '.join(_PRESETS)}")
    for preset in presets:
        if preset not in _PRESETS:
            raise InvalidValueError("presets", preset, f"among {', '.join(_PRESETS)}")
    before, now = _shared(frame_of(reference, "reference"), frame_of(current, "current"))
    with _own_warnings_ignored():
        try:
            import evidently
            from evidently import presets as known
        except ImportError as error:  # says which package, or which name of pandas, is not there
            raise MissingExtraError("Evidently's report", "evidently") from error
        report = evidently.Report(
            [getattr(known, _PRESETS[preset])() for preset in presets], include_tests=True
        )
        try:
            snapshot = report.run(_dataset(now), _dataset(before))  # current first
        except ValueError as error:  # such as of a column without any value
            raise InvalidValueError(
                "reference or current", str(error), "columns that Evidently can compare"
            ) from error
        results = plain(snapshot.dict())
        snapshot.save_html(str(html))
        statuses = [test.status.name for test in snapshot.tests_results]
    failed = sum(status != "SUCCESS" for status in statuses)
    return EvidentlyReport(results, EvidentlyTests(failed == 0, len(statuses), failed))


def _shared(
    before: nw.DataFrame[Any], now: nw.DataFrame[Any]
) -> tuple[nw.DataFrame[Any], nw.DataFrame[Any]]:
    names = [name for name in before.columns if name in now.columns]
    for field, frame in (("reference", before), ("current", now)):
        if not len(frame) or not names:
            raise InvalidValueError(
                field,
                f"{len(frame)} rows, columns {frame.columns[:20]}",
                "rows and a shared column",
            )
    return before.select(names), now.select(names)


def _dataset(frame: nw.DataFrame[Any]) -> Any:
    from evidently import DataDefinition, Dataset

    return Dataset.from_pandas(frame.to_pandas(), data_definition=DataDefinition())


@contextmanager
def _own_warnings_ignored() -> Iterator[None]:
    """Ignore what Evidently tells its developers, and what its arithmetic tells of odd columns."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning, RuntimeWarning):
            warnings.simplefilter("ignore", category)
        warnings.filterwarnings("ignore", "Converting to Period", UserWarning)  # drops time zones
        yield
