"""``watchkeeper quality``: are the answers still right? Exit code 1 when quality has dropped."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from watchkeeper.cli.command import BAD, Invocation, command, table
from watchkeeper.clock import parse_timestamp
from watchkeeper.errors import InvalidValueError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from watchkeeper.events import Window
    from watchkeeper.monitoring.measurements import WindowQuality
    from watchkeeper.quality import ErrorSegment, Estimate, EstimateScore, LossEstimate, Segment

__all__ = ["commands"]

commands = typer.Typer()

_MOST_SEGMENTS = 20  # that are printed

_REASONS = {
    "insufficient_data": "too few labelled predictions for a verdict",
    "no_baseline": "no baseline: register the version with metrics such as accuracy and auc",
}


_File = Annotated[
    Path | None,
    typer.Argument(help="File with predictions and outcomes: CSV, Parquet, Arrow, NDJSON."),
]
_Model = Annotated[
    str | None, typer.Option(help="Name of the model; with FILE, its baseline is used.")
]
_ModelVersion = Annotated[
    str | None, typer.Option(help="Use only predictions of this version, and its baseline.")
]
_Segments = Annotated[
    str | None,
    typer.Option(help="Features and tags (tag.NAME) to segment by, separated by commas."),
]
_Score = Annotated[
    str | None, typer.Option(help="Column of FILE with the probabilities, if there is one.")
]
_Task = Annotated[
    Literal["binary", "multiclass", "regression"] | None,
    typer.Option(help="Task of the model; overrides the settings."),
]
_Positive = Annotated[str | None, typer.Option(help="The positive class; overrides the settings.")]


@command(commands)
def quality(
    cli: Invocation,
    file: _File = None,
    *,
    model: _Model = None,
    start: Annotated[str | None, typer.Option(help="First event time of the window.")] = None,
    end: Annotated[str | None, typer.Option(help="Event time the window ends before.")] = None,
    model_version: _ModelVersion = None,
    segments: _Segments = None,
    prediction: Annotated[
        str, typer.Option(help="Column of FILE with the predictions.")
    ] = "prediction",
    actual: Annotated[str, typer.Option(help="Column of FILE with the outcomes.")] = "actual",
    score: _Score = None,
    task: _Task = None,
    positive: _Positive = None,
) -> int:
    """Measure predictions against outcomes and the baseline.

    The predictions are those in FILE, or the recorded ones of --model.
    """
    policy = cli.settings.policy(model or "")
    how: dict[str, Any] = {
        "task": task or policy.task,
        "positive": policy.positive if positive is None else positive,
        "alert_threshold": policy.quality.max_relative_drop,
        "min_samples": policy.quality.min_samples,
        "segments": segments.split(",") if segments else (),
    }
    if file is not None:
        if start or end or model_version:
            raise InvalidValueError("--start, --end and --model-version", str(file), "no FILE")
        columns = {"prediction": prediction, "actual": actual, "score": score}
        measured = _of_file(cli, file, model, columns, how)
    elif model is None:
        raise InvalidValueError("FILE", None, "a file, or --model NAME for recorded predictions")
    else:
        measured = _of_recorded(cli, model, _window(start, end), model_version, how)
    verdict = "no drop beyond the threshold"
    if measured.drop.drift_detected:
        verdict = "quality has dropped"
    cli.show(
        measured,
        f"{measured.model}: {measured.predictions:,} predictions, {measured.labelled:,} labelled "
        f"({measured.coverage:.1%})",
        table(["metric", "current", "worse than the baseline by %"], _rows(measured)),
        *_apart(measured.segments),
        *_promised(measured.estimate),
        *_kept(measured.estimate_scores),
        _REASONS[measured.drop.reason] if measured.drop.reason else verdict,
    )
    return BAD if measured.drop.drift_detected else 0


def _of_file(
    cli: Invocation,
    file: Path,
    model: str | None,
    columns: Mapping[str, Any],
    how: Mapping[str, Any],
) -> "WindowQuality":
    """Measure the predictions of a file."""
    from watchkeeper.cli.files import read_table
    from watchkeeper.events import EventWindow, Window
    from watchkeeper.monitoring.event_columns import rows_of
    from watchkeeper.monitoring.measurements import baseline_of, quality_of_rows

    rows = rows_of(read_table(file), **columns)
    baseline = {} if model is None else baseline_of(cli.app.registry, model)
    return quality_of_rows(EventWindow(model or file.name, Window(), rows, {}), baseline, **how)


def _of_recorded(
    cli: Invocation, model: str, window: "Window", version: str | None, how: Mapping[str, Any]
) -> "WindowQuality":
    """Measure recorded predictions, and store what came of it."""
    from watchkeeper.monitoring.findings import keep_quality
    from watchkeeper.monitoring.measurements import quality_of_window

    app = cli.app
    now = app.arrivals.settled()
    measured = quality_of_window(
        app.events.as_of(now), app.registry, model, window, version=version, **how
    )
    keep_quality(app.findings, measured, at=now)
    return measured


def _window(start: str | None, end: str | None) -> "Window":
    from watchkeeper.events import Window

    return Window(
        None if start is None else parse_timestamp(start, "--start"),
        None if end is None else parse_timestamp(end, "--end"),
    )


def _rows(measured: "WindowQuality") -> list[tuple[object, ...]]:
    """Return each metric with its drop: first those with a baseline, then the others."""
    compared = {name: drop for name, drop in measured.drop.drops.items() if drop is not None}
    rows: list[tuple[object, ...]] = [
        (name, measured.metrics.get(name), f"{100 * drop:.1f}") for name, drop in compared.items()
    ]
    rows += [
        (name, value, None)
        for name, value in measured.metrics.items()
        if name not in compared and (value is None or isinstance(value, int | float))
    ]
    return rows


def _apart(segments: "Sequence[Segment | ErrorSegment]") -> Iterator["RenderableType"]:
    from watchkeeper.quality import ErrorSegment

    if segments:
        figure = "mae" if isinstance(segments[0], ErrorSegment) else "accuracy"
        yield table(
            ["segment", "", "predictions", figure, "others", "adjusted p", ""],
            [
                (
                    segment.column,
                    segment.value,
                    segment.rows,
                    segment[figure],
                    segment.others,
                    segment.adjusted_p_value,
                    "worse" if segment.worse else "",
                )
                for segment in segments[:_MOST_SEGMENTS]
            ],
            title="\nSegments",
        )


def _promised(estimate: "Estimate | LossEstimate | None") -> Iterator[str]:
    from watchkeeper.quality import LossEstimate

    if isinstance(estimate, LossEstimate):
        promise = (
            f"inputs promise a mean absolute error of {_figure(estimate.mae, estimate.interval)}"
        )
    elif estimate is not None:
        promise = f"scores promise an accuracy of {_figure(estimate.accuracy, estimate.interval)}"
        if estimate.auc is not None and estimate.auc_interval is not None:
            promise += f" and an AUC of {_figure(estimate.auc, estimate.auc_interval)}"
    else:
        return
    yield (
        f"\nOf the {estimate.rows:,} without an outcome the {promise}: an estimate, which cannot "
        "see that the same inputs now lead to other outcomes."
    )


def _kept(scores: "Mapping[str, EstimateScore]") -> Iterator[str]:
    """Say how the same estimate fared where outcomes are known."""
    for name, estimate_score in scores.items():
        yield (
            f"Such an estimate of the {name} of the later half with outcomes: "
            f"{estimate_score.estimated:.3f}; it was {estimate_score.realised:.3f}, "
            f"{'within' if estimate_score.inside else 'outside'} the interval."
        )


def _figure(value: float, interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{value:.3f} ({low:.3f} to {high:.3f})"
