"""The experiment of the demo, on real flights, through a real server."""

import json
from datetime import datetime
from pathlib import Path

from watchkeeper.app import App
from watchkeeper.config import load_settings
from watchkeeper.demo import Plan, played, report
from watchkeeper.demo.trial import BEGINS, ENDS, NAME


class Silent:
    """A spectator who looks away."""

    def stage(self, told: str) -> None:
        """Do not look."""

    def total(self, flights: int) -> None:
        """Do not look."""

    def replayed(self, flights: int, at: datetime) -> None:
        """Do not look."""


def test_given_flights_until_september_when_replayed_then_the_experiment_ends_with_a_kept_verdict(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "demo"

    with played(folder, Plan(share=0.01, days=245), Silent()) as run:
        shown = report(run)

    assert shown.tried is not None
    assert shown.tried.verdict in {"ship", "undecided"}
    with App(load_settings(folder / "watchkeeper.toml")) as app:
        kept = app.experiments.get(NAME)
        rows = app.events.read("flights").rows
    assert kept.started_at is not None
    assert kept.ended_at is not None
    assert kept.started_at < ENDS
    assert kept.ended_at > BEGINS
    assert (kept.decision or {})["reason"] == shown.tried.reason
    in_trial = rows.filter(rows["experiment"].is_valid())
    assert set(in_trial["variant"].to_pylist()) == {"january", "summer"}
    assert set(in_trial["model_version"].to_pylist()) == {"1.0.0", "1.1.0"}
    assert json.loads(shown.to_json())["tried"]["experiment"] == NAME
