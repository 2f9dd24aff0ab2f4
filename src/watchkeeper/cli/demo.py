"""``watchkeeper demo``: a year of real flights through a real server."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watchkeeper.cli.command import Invocation, command, table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress

    from watchkeeper.demo.report import Report

__all__ = ["commands"]

commands = typer.Typer()

_MOST_INCIDENTS = 5

FOLDER = Path("watchkeeper-demo")

Full = Annotated[
    bool,
    typer.Option(
        "--full/--fast",
        help="Replay all 336,776 flights, or 50,000 of them in about two minutes.",
    ),
]
Days = Annotated[int | None, typer.Option(min=1, help="Number of days to replay, from January 1.")]
BadCandidate = Annotated[
    bool,
    typer.Option(
        "--bad-candidate", help="Roll out a bad version in September, and see it rolled back."
    ),
]
Serve = Annotated[bool, typer.Option("--serve", help="Keep the server running until Ctrl-C.")]
Folder = Annotated[Path | None, typer.Option("--dir", help=f"Where it happens: ./{FOLDER}.")]


@command(commands)
def demo(
    cli: Invocation,
    *,
    full: Full = False,
    days: Days = None,
    bad_candidate: BadCandidate = False,
    serve: Serve = False,
    folder: Folder = None,
) -> None:
    """Replay a year of real flights through a real server.

    At the end it shows, month by month, the drift and the quality of the model.
    """
    from watchkeeper.demo.report import report
    from watchkeeper.demo.run import FAST, ReplayPlan, played

    target = folder or cli.data_dir or FOLDER
    plan = ReplayPlan(share=1.0 if full else FAST, days=days, bad_candidate=bad_candidate)
    with _ending_on_sigterm(), _watching() as spectator, played(target, plan, spectator) as run:
        spectator.stage("Measuring, month by month, what was recorded")
        shown = report(run)
        spectator.close()
        url = run.server.url if serve else None
        where = _where_next(target, shown, url)
        # A demo that serves is meant to end by an interrupt, from where it says that it is up.
        with contextlib.suppress(*([KeyboardInterrupt] if serve else [])):
            cli.show(shown, *_told(shown), *where)
            sys.stdout.flush()
            if serve:
                run.server.process.wait()
                run.server.require_alive()


def _told(shown: "Report") -> Iterator["RenderableType"]:
    yield (
        f"\n{shown.predictions:,} predictions and {shown.outcomes:,} outcomes are recorded. The "
        "baseline,\nmeasured on the last days of January, which the model had not seen: "
        f"accuracy {shown.accuracy:.3f}, AUC {shown.auc:.3f}.\n"
    )
    yield table(
        ("month", "predictions", "labelled", "accuracy", "AUC", "quality", "drifted features"),
        [
            (
                f"{month.begins:%b %Y}",
                month.predictions,
                f"{month.labelled:.1%}",
                _figure(month.accuracy),
                _figure(month.auc),
                month.verdict,
                ", ".join(month.drifted) or "none",
            )
            for month in shown.months
        ],
    )
    yield from _drift_and_experiment(shown)
    yield from _releases(shown)
    yield from _incidents(shown)
    verdict = "ready" if shown.readiness.ready else "not ready"
    yield f"\nThe readiness checklist says that it is {verdict}:"
    yield table(
        ("point", "", "state", "evidence"),
        [
            (point.item.told, point.item.priority.value, point.state.value, point.told)
            for point in shown.readiness.points
        ],
    )
    yield f"\n{shown.health.status.to_text('Health at the end of it').rstrip()}"


def _drift_and_experiment(shown: "Report") -> Iterator[str]:
    if shown.story is not None:
        month = f"{shown.story.month:%B}"
        yield f"\nWhat drifted from January, on which the model was trained, to {month}:"
        yield from (f"  {feature}." for feature in shown.story.drifted)
        yield f"{shown.story.quality}\n{shown.story.predictions}"
    if shown.tried is not None:
        verdict = shown.tried.verdict.replace("_", " ")
        yield f"\nThe experiment {shown.tried.experiment} asked whether {shown.tried.hypothesis}."
        yield f"  {verdict}: {shown.tried.reason}."


def _releases(shown: "Report") -> Iterator["RenderableType"]:
    """Say what came of the retraining and of the rollout."""
    if shown.renewed is not None:
        yield f"\nThe retraining {shown.renewed.run}: {shown.renewed.outcome}."
        yield f"It was asked for by this: {shown.renewed.triggers}."
        yield table(("gate", "figure", "limit", "passed"), shown.renewed.gate)
        figures = ", ".join(
            f"{name} {shown.renewed.before[name]:.3f} before and {after:.3f} after"
            for name, after in shown.renewed.after.items()
            if name in shown.renewed.before
        )
        yield f"On the same {shown.renewed.rows:,} later flights: {figures}."
    if shown.released is not None:
        state = shown.released.state.replace("_", " ")
        yield f"\nThe rollout {shown.released.rollout} of {shown.released.version}: {state}."
        yield table(("when", "what", "why"), shown.released.history)


def _incidents(shown: "Report") -> Iterator["RenderableType"]:
    if shown.incidents:
        yield f"\n{len(shown.incidents)} incidents were opened; the last of them:"
        yield table(
            ("incident", "severity", "state", "opened", "ended", "what"),
            [
                (
                    incident.name,
                    incident.severity,
                    incident.state.value,
                    incident.opened_at,
                    incident.ended_at,
                    incident.title,
                )
                for incident in shown.incidents[:_MOST_INCIDENTS]
            ],
        )
        head, _, _ = shown.post_mortem.partition("## Evidence")
        yield f"\nThe draft of the first one's post-mortem begins so:\n\n{head.rstrip()}"


def _figure(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def _where_next(folder: Path, shown: "Report", url: str | None) -> Iterator[str]:
    begins = shown.months[-1].begins
    config = folder / "watchkeeper.toml"
    yield "\nAll data are stored. In the browser:"
    if url is None:
        yield f"  watchkeeper serve --config {config}    # it goes on; the address is printed"
    else:
        yield f"  {url}    # until Ctrl-C"
    yield "\nIn a terminal:"
    for line in (
        "events stats",
        f"quality --model flights --start {begins.isoformat()}",
        f"drift --model flights --start {begins.isoformat()}",
        "events export flights --out flights.parquet",
        *([] if shown.tried is None else [f"experiments report {shown.tried.experiment}"]),
        *([] if shown.released is None else [f"rollouts status {shown.released.rollout}"]),
        "incidents list",
        "checklist flights",
        *([] if shown.renewed is None else [f"retrain show {shown.renewed.run}"]),
        "history flights",
        *([] if shown.renewed is None else [f"history --replay gate:{shown.renewed.run}"]),
        "doctor",
    ):
        yield f"  watchkeeper {line} --data-dir {folder}"
    yield "\nIn Prometheus and Grafana:"
    exported = folder / "telemetry"
    yield f"  watchkeeper telemetry export {exported} --config {config}"
    yield f"  prometheus --config.file={exported}/prometheus.yml"
    yield f"  prometheus-alertmanager --config.file={exported}/alertmanager.yml"
    yield f"  Grafana: import {exported}/grafana/dashboards/*.json, or provision that folder"
    if url is not None:
        yield f"\nThe server is up at {url} until Ctrl-C: open it."


class _Screen:
    """Shows a person how far the demo is, on stderr."""

    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, date="", rate="")
        self._plain = not progress.console.is_terminal
        self._month = 0

    def stage(self, text: str) -> None:
        self._progress.update(self._task, description=text, date="", rate="")
        if self._plain:
            self._progress.console.print(text)

    def total(self, flights: int) -> None:
        self.stage(f"Replaying {flights:,} flights")
        self._progress.reset(self._task, total=flights, date="", rate="")

    def replayed(self, flights: int, at: datetime) -> None:
        elapsed = self._progress.tasks[self._task].elapsed or 0.0
        rate = f"{flights / elapsed:,.0f} flights/s" if elapsed else ""
        self._progress.update(self._task, completed=flights, date=f"{at:%d %b %Y}", rate=rate)
        if self._plain and at.month != self._month and flights > 1:
            self._month = at.month
            self._progress.console.print(f"{at:%d %b %Y}  {flights:,} flights  {rate}")

    def close(self) -> None:
        self._progress.stop()


@contextmanager
def _watching() -> Iterator[_Screen]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[date]}"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True, highlight=False)
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with progress:
        yield _Screen(progress)


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Let SIGTERM end the demo as Ctrl-C does, so that its server ends with it."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
