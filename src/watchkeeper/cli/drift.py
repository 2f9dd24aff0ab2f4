"""``watchkeeper drift``: have the inputs moved? Exit code 0 if not, 1 if so."""

from collections.abc import Iterator
from contextlib import ExitStack
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


@command(commands)
def drift(
    cli: Invocation,
    reference: Annotated[Path | None, typer.Argument(help=f"Reference: {_FILE}")] = None,
    current: Annotated[Path | None, typer.Argument(help=f"Current: {_FILE}")] = None,
    *,
    model: Annotated[str | None, typer.Option(help="Check recorded inputs of this model.")] = None,
    start: Annotated[str | None, typer.Option(help="First event time of the window.")] = None,
    end: Annotated[str | None, typer.Option(help="Event time the window ends before.")] = None,
    reference_file: Annotated[
        Path | None, typer.Option("--reference", help="In place of the training data.")
    ] = None,
    reference_start: Annotated[
        str | None, typer.Option(help="Compare with recorded inputs from this time on.")
    ] = None,
    reference_end: Annotated[str | None, typer.Option(help="And before this time.")] = None,
    alpha: Annotated[
        float | None, typer.Option(help="Significance level of the check (0 to 1).")
    ] = None,
    method: Annotated[
        str, typer.Option(help="For all features, such as PSI; auto chooses by type.")
    ] = "auto",
    checks: Annotated[
        int, typer.Option(min=1, help="How many checks the level is to hold for together.")
    ] = 1,
    page: Annotated[
        Path | None, typer.Option("--html", help="Also write a self-contained page there.")
    ] = None,
    features: Annotated[str | None, typer.Option(help="Only these, with commas between.")] = None,
    engine: Annotated[
        Literal["memory", "duckdb"],
        typer.Option(help="Where CURRENT is compared: with duckdb it need not fit in memory."),
    ] = "memory",
    multivariate: Annotated[
        bool, typer.Option("--multivariate", help="Of two files, also test all columns together.")
    ] = False,
) -> int:
    """Compare current data with reference data (data drift).

    The data are two files, REFERENCE and CURRENT, or the recorded inputs and the training data of
    --model.
    """
    from watchkeeper.cli.files import read_table

    if multivariate and (engine != "memory" or model is not None):
        raise InvalidValueError("--multivariate", True, "two files, in memory")
    if model is None:
        if reference is None or current is None:
            raise InvalidValueError(
                "REFERENCE and CURRENT", None, "two files, or --model NAME for recorded inputs"
            )
        from watchkeeper.drift import DataDriftDetector, classifier_two_sample_test

        reference_table = read_table(reference)
        chosen = (
            reference_table
            if features is None
            else reference_table.select(_chosen(features, reference_table.column_names))
        )
        detector = DataDriftDetector(
            chosen,
            0.05 if alpha is None else alpha,
            methods=method,  # type: ignore[arg-type] # which checks it
            checks=checks,
        )
        with ExitStack() as stack:
            rows = read_table(current) if engine == "memory" else _queried(current, stack)
            report = detector.detect(rows)
        _write(page, report, f"{current} against {reference}")
        drawn = _drawn(report, f"{current} against {reference}")
        if not multivariate:
            cli.show(report, *drawn)
            return BAD if report.drift_detected else 0
        joint = classifier_two_sample_test(chosen, rows, threshold=detector.threshold / checks)
        cli.show({**report, "multivariate": joint}, *drawn, _together(joint))
        return BAD if report.drift_detected or joint.drift_detected else 0
    if reference is not None:
        raise InvalidValueError("REFERENCE", str(reference), "--reference FILE beside --model")
    from watchkeeper.monitoring.findings import keep_drift
    from watchkeeper.monitoring.measurements import drift_of_window
    from watchkeeper.monitoring.prediction_drift import LearnedAnswers, answers_to_training

    between = None
    if reference_start or reference_end:
        between = _window("--reference-", reference_start, reference_end)
    registry = cli.app.registry

    def learned() -> LearnedAnswers | None:
        if reference_file is not None or between is not None:
            return None
        return answers_to_training(registry, registry.get_production_model(model))

    now = cli.app.arrivals.settled()
    window_drift = drift_of_window(
        cli.app.events.as_of(now),
        registry,
        model,
        _window("--", start, end),
        reference=None if reference_file is None else read_table(reference_file),
        reference_window=between,
        threshold=cli.app.settings.policy(model).drift.alpha if alpha is None else alpha,
        features=None if features is None else features.split(","),
        methods=method,
        checks=checks,
        answers=learned,
    )
    keep_drift(cli.app.findings, window_drift, at=now)
    _write(page, window_drift.report, f"{model} against {window_drift.reference}")
    drawn = _drawn(window_drift.report, f"{model} against {window_drift.reference}")
    cli.show(window_drift, *drawn, *_moved(window_drift.answers))
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
