"""``watchkeeper quality``: are the answers still right? Exit code 1 when quality has dropped."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from watchkeeper.cli.command import BAD, Invocation, command, table
from watchkeeper.clock import parse_timestamp
from watchkeeper.events import Window
from watchkeeper.quality import ErrorSegment, Estimate, EstimateScore, LossEstimate, Segment

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["commands"]

commands = typer.Typer()

_MOST_SEGMENTS = 20  # that are printed

_REASONS = {
    "insufficient_data": "too few labelled predictions for a verdict",
    "no_baseline": "no baseline: register the version with metrics such as accuracy and auc",
}


@command(commands)
def quality(
    cli: Invocation,
    *,
    model: Annotated[str, typer.Option(help="Name of the model.")],
    start: Annotated[str | None, typer.Option(help="First event time of the window.")] = None,
    end: Annotated[str | None, typer.Option(help="Event time the window ends before.")] = None,
    model_version: Annotated[
        str | None, typer.Option(help="Only predictions of this version, and its baseline.")
    ] = None,
    segments: Annotated[
        str | None, typer.Option(help="Features, and tags as tag.NAME, to look at apart: A,B.")
    ] = None,
) -> int:
    """Compare the predictions of a model with what came true, and with its baseline."""
    from watchkeeper.control.findings import keep_quality
    from watchkeeper.control.measurements import quality_of_window

    policy = cli.app.settings.policy(model)
    found = quality_of_window(
        cli.app.events,
        cli.app.registry,
        model,
        Window(
            None if start is None else parse_timestamp(start, "--start"),
            None if end is None else parse_timestamp(end, "--end"),
        ),
        version=model_version,
        task=policy.task,
        positive=policy.positive,
        alert_threshold=policy.quality.alert_threshold,
        min_samples=policy.quality.min_samples,
        segments=segments.split(",") if segments else (),
    )
    keep_quality(cli.app.findings, found, at=cli.app.clock())
    drop = found.drop
    held = {name: each for name, each in drop.drops.items() if each is not None}
    rows: list[tuple[object, ...]] = [
        (name, found.metrics.get(name), f"{100 * worse:.1f}") for name, worse in held.items()
    ]
    rows += [
        (name, value, None)
        for name, value in found.metrics.items()
        if name not in held and (value is None or isinstance(value, int | float))
    ]
    verdict = "quality has dropped" if drop.drift_detected else "no drop beyond the threshold"
    cli.show(
        found,
        f"{model}: {found.predictions:,} predictions, {found.labelled:,} labelled "
        f"({found.coverage:.1%})",
        table(["metric", "current", "worse than the baseline by %"], rows),
        *_apart(found.segments),
        *_promised(found.estimate),
        *_kept(found.estimate_scores),
        _REASONS[drop.reason] if drop.reason else verdict,
    )
    return BAD if drop.drift_detected else 0


def _apart(segments: Sequence[Segment | ErrorSegment]) -> Iterator["RenderableType"]:
    if segments:
        figure = "mae" if isinstance(segments[0], ErrorSegment) else "accuracy"
        yield table(
            ["segment", "", "predictions", figure, "others", "adjusted p", ""],
            [
                (
                    each.column,
                    each.value,
                    each.rows,
                    each[figure],
                    each.others,
                    each.adjusted_p_value,
                    "worse" if each.worse else "",
                )
                for each in segments[:_MOST_SEGMENTS]
            ],
            title="\nSegments",
        )


def _promised(estimate: Estimate | LossEstimate | None) -> Iterator[str]:
    if isinstance(estimate, LossEstimate):
        what = f"inputs promise a mean absolute error of {_figure(estimate.mae, estimate.interval)}"
    elif estimate is not None:
        what = f"scores promise an accuracy of {_figure(estimate.accuracy, estimate.interval)}"
        if estimate.auc is not None and estimate.auc_interval is not None:
            what += f" and an AUC of {_figure(estimate.auc, estimate.auc_interval)}"
    else:
        return
    yield (
        f"\nOf the {estimate.rows:,} without an outcome the {what}: an estimate, which cannot see "
        "that the same inputs now lead to other outcomes."
    )


def _kept(scores: Mapping[str, EstimateScore]) -> Iterator[str]:
    """Say how the same estimate fared where outcomes are known."""
    for name, each in scores.items():
        yield (
            f"Such an estimate of the {name} of the later half with outcomes: "
            f"{each.estimated:.3f}; it was {each.realised:.3f}, "
            f"{'within' if each.inside else 'outside'} the interval."
        )


def _figure(value: float, interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{value:.3f} ({low:.3f} to {high:.3f})"
