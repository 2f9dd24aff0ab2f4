"""``watchkeeper drift``: have the inputs moved? Exit code 0 if not, 1 if so."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from watchkeeper.cli.command import BAD, Invocation, command, table
from watchkeeper.clock import parse_timestamp
from watchkeeper.errors import InvalidValueError, NotFoundError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from watchkeeper.drift import ClassifierTest, DriftReport, FeatureDrift
    from watchkeeper.events import Window

__all__ = ["commands"]

commands = typer.Typer()

_FILE = "CSV, Parquet, Arrow or NDJSON, by its ending."


_Reference = Annotated[Path | None, typer.Argument(help=f"Reference: {_FILE}")]
_Current = Annotated[Path | None, typer.Argument(help=f"Current: {_FILE}")]
_ReferenceFile = Annotated[
    Path | None,
    typer.Option("--reference", help="File to compare with, in place of the training data."),
]
_ReferenceStart = Annotated[
    str | None,
    typer.Option(help="Compare with recorded inputs: first event time of the reference."),
]
_Alpha = Annotated[float | None, typer.Option(help="Significance level of the check (0 to 1).")]
_Method = Annotated[
    str, typer.Option(help="Method for all features, such as PSI; auto selects by type.")
]
_Checks = Annotated[
    int, typer.Option(min=1, help="Number of planned checks over which alpha holds.")
]
_Page = Annotated[
    Path | None, typer.Option("--html", help="Also write the report as an HTML page to this file.")
]
_Features = Annotated[str | None, typer.Option(help="Features to check, separated by commas.")]
_Engine = Annotated[
    Literal["memory", "duckdb"],
    typer.Option(help="Engine that reads CURRENT; with duckdb it need not fit in memory."),
]
_Multivariate = Annotated[
    bool, typer.Option("--multivariate", help="Also test all columns of two files together.")
]


@dataclass(frozen=True, slots=True)
class _Test:
    """How features are compared, by the options of a command."""

    alpha: float | None
    method: str
    checks: int
    features: str | None
    page: Path | None


@command(commands)
def drift(
    cli: Invocation,
    reference: _Reference = None,
    current: _Current = None,
    *,
    model: Annotated[str | None, typer.Option(help="Check recorded inputs of this model.")] = None,
    start: Annotated[str | None, typer.Option(help="First event time of the window.")] = None,
    end: Annotated[str | None, typer.Option(help="Event time the window ends before.")] = None,
    reference_file: _ReferenceFile = None,
    reference_start: _ReferenceStart = None,
    reference_end: Annotated[
        str | None, typer.Option(help="Event time the reference ends before.")
    ] = None,
    alpha: _Alpha = None,
    method: _Method = "auto",
    checks: _Checks = 1,
    page: _Page = None,
    features: _Features = None,
    engine: _Engine = "memory",
    multivariate: _Multivariate = False,
) -> int:
    """Compare current data with reference data (data drift).

    The data are two files, REFERENCE and CURRENT, or the recorded inputs and the training data of
    --model.
    """
    if multivariate and (engine != "memory" or model is not None):
        raise InvalidValueError("--multivariate", True, "two files, in memory")
    test = _Test(alpha, method, checks, features, page)
    if model is None:
        if reference is None or current is None:
            raise InvalidValueError(
                "REFERENCE and CURRENT", None, "two files, or --model NAME for recorded inputs"
            )
        return _of_files(cli, reference, current, test, engine=engine, multivariate=multivariate)
    if reference is not None:
        raise InvalidValueError("REFERENCE", str(reference), "--reference FILE beside --model")
    between = None
    if reference_start or reference_end:
        between = _window("--reference-", reference_start, reference_end)
    window = _window("--", start, end)
    return _of_recorded(cli, model, window, test, file=reference_file, between=between)


def _of_files(
    cli: Invocation, reference: Path, current: Path, test: _Test, *, engine: str, multivariate: bool
) -> int:
    """Compare two files; 1 if there is drift."""
    from watchkeeper.cli.files import read_table
    from watchkeeper.drift import DataDriftDetector, classifier_two_sample_test

    before = read_table(reference)
    if test.features is not None:
        before = before.select(_chosen(test.features, before.column_names))
    detector = DataDriftDetector(
        before,
        0.05 if test.alpha is None else test.alpha,
        methods=test.method,  # type: ignore[arg-type] # which checks it
        checks=test.checks,
    )
    with ExitStack() as stack:
        rows = read_table(current) if engine == "memory" else _queried(current, stack)
        report = detector.detect(rows)
    title = f"{current} against {reference}"
    _write(test.page, report, title)
    drawn = _drawn(report, title)
    if not multivariate:
        cli.show(report, *drawn)
        return BAD if report.drift_detected else 0
    joint = classifier_two_sample_test(before, rows, threshold=detector.threshold / test.checks)
    cli.show({**report, "multivariate": joint}, *drawn, _together(joint))
    return BAD if report.drift_detected or joint.drift_detected else 0


def _of_recorded(
    cli: Invocation,
    model: str,
    window: "Window",
    test: _Test,
    *,
    file: Path | None,
    between: "Window | None",
) -> int:
    """Compare recorded inputs with the training data, a file or earlier ones; 1 if they drifted."""
    from watchkeeper.cli.files import read_table
    from watchkeeper.monitoring.findings import keep_drift
    from watchkeeper.monitoring.measurements import drift_of_window
    from watchkeeper.monitoring.prediction_drift import LearnedAnswers, answers_to_training

    registry = cli.app.registry

    def learned() -> LearnedAnswers | None:
        if file is not None or between is not None:
            return None
        return answers_to_training(registry, registry.get_production_model(model))

    now = cli.app.arrivals.settled()
    alpha = cli.app.settings.policy(model).drift.alpha if test.alpha is None else test.alpha
    window_drift = drift_of_window(
        cli.app.events.as_of(now),
        registry,
        model,
        window,
        reference=None if file is None else read_table(file),
        reference_window=between,
        threshold=alpha,
        features=None if test.features is None else test.features.split(","),
        methods=test.method,
        checks=test.checks,
        answers=learned,
    )
    keep_drift(cli.app.findings, window_drift, at=now)
    title = f"{model} against {window_drift.reference}"
    _write(test.page, window_drift.report, title)
    cli.show(window_drift, *_drawn(window_drift.report, title), *_moved(window_drift.answers))
    return BAD if window_drift.report.drift_detected else 0


def _queried(path: Path, stack: ExitStack) -> object:
    """Return a file as a table of DuckDB, which spills to a folder that goes with the command."""
    from watchkeeper.profiles.engines import duckdb_table

    if not path.is_file():
        raise NotFoundError("file", str(path))
    scratch = stack.enter_context(TemporaryDirectory(prefix="watchkeeper-"))
    return duckdb_table(str(path), scratch=scratch)


def _moved(answers: "FeatureDrift | None") -> Iterator[str]:
    """Say whether what the model answers has moved."""
    if answers is not None and answers.error is not None:
        yield f"prediction drift is unknown: {answers.error}"
    elif answers is not None:
        verdict = "drifted" if answers.drift_detected else "did not drift"
        yield (
            f"the predictions {verdict}, against those to the training data: effect "
            f"{answers.effect_size:.3g}, p {answers.p_value:.3g}"
        )


def _together(joint: "ClassifierTest") -> str:
    verdict = "drift" if joint.drift_detected else "no drift"
    first = ", ".join(f"{name} {share:.0%}" for name, share in list(joint.ranking.items())[:5])
    seen = f", by {first}" if joint.drift_detected else ""
    return f"all columns together: {verdict}, AUC {joint.auc:.3f}, p {joint.p_value:.3g}{seen}"


def _write(page: Path | None, report: "DriftReport", title: str) -> None:
    if page is not None:
        text = report.to_html(title)  # before the file is touched
        page.write_text(text, encoding="utf-8")


def _window(prefix: str, start: str | None, end: str | None) -> "Window":
    from watchkeeper.events import Window

    return Window(
        None if start is None else parse_timestamp(start, f"{prefix}start"),
        None if end is None else parse_timestamp(end, f"{prefix}end"),
    )


def _chosen(features: str, columns: list[str]) -> list[str]:
    names = features.split(",")
    for name in names:
        if name not in columns:
            raise InvalidValueError("--features", name, f"among {', '.join(columns[:20])}")
    return names


def _drawn(report: "DriftReport", title: str) -> "list[RenderableType]":
    rows = [
        (
            name,
            {True: "DRIFT", False: "ok", None: "?"}[feature.drift_detected],
            feature.method,
            feature.effect_size,
            feature.p_value,
            feature.adjusted_p_value,
            feature.error or "",
        )
        for name, feature in sorted(
            report.features.items(), key=lambda item: -(item[1].effect_size or 0.0)
        )
    ]
    changes = report.schema_changes
    notes = [
        f"{label}: {', '.join(names)}"
        for label, names in (("missing columns", changes.missing), ("new columns", changes.new))
        if names
    ]
    drifted, total = len(report.drifted), len(report.features)
    verdict = f"drift in {drifted} of {total} features" if drifted else "no drift"
    return [
        table(
            ["feature", "", "method", "effect", "p", "adjusted p", "note"],
            rows,
            title=f"{title}: {report.reference_size:,} and {report.current_size:,} rows",
        ),
        *notes,
        verdict,
    ]
