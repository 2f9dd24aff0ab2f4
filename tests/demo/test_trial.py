"""The experiment and a bad rollout of the demo, on real flights, through a real server.

The year of `dashboard/test_browser.py` has the experiment and a good rollout, for every change.
"""

import json
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from watchkeeper.app import App
from watchkeeper.config import load_settings
from watchkeeper.demo import ReplayPlan, played, report
from watchkeeper.demo.trial import BEGINS, ENDS, NAME


class Silent:
    """A spectator who looks away."""

    def stage(self, text: str) -> None:
        """Do not look."""

    def total(self, flights: int) -> None:
        """Do not look."""

    def replayed(self, flights: int, at: datetime) -> None:
        """Do not look."""


@pytest.mark.nightly
def test_given_flights_until_september_when_replayed_then_one_is_tried_and_a_bad_one_taken_back(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "demo"

    with played(folder, ReplayPlan(share=0.025, days=290, bad_candidate=True), Silent()) as run:
        shown = report(run)
        assert run.app.registry.get_production_model("flights") == "flights:1.0.0"

    assert shown.released is not None
    assert (shown.released.version, shown.released.state) == ("1.2.0", "rolled_back")
    whats = [what for _, what, _ in shown.released.history]
    assert (whats[0], whats[-2:]) == ("create", ["breach", "rolled_back"])
    assert "of production at the same time" in shown.released.history[-2][2]

    assert shown.tried is not None
    assert shown.tried.verdict in {"ship", "undecided"}
    with App(load_settings(folder / "watchkeeper.toml")) as app:
        kept = app.experiments.get(NAME)
        rows = app.events.read("flights").rows
        records = [
            each for each in app.history.records("flights", everything=True) if each.replayable
        ]
        again = [app.replays.replay(each.id) for each in records]
    assert {each.kind for each in records} == {"drift", "quality", "rollout"}
    assert [(each.id, each.differences) for each in again if not each.confirmed] == []
    assert kept.started_at is not None
    assert kept.ended_at is not None
    assert kept.started_at < ENDS
    assert kept.ended_at > BEGINS
    assert (kept.decision or {})["reason"] == shown.tried.reason
    labels = pc.starts_with(rows["experiment"].cast(pa.string()), f"{NAME}/")
    in_trial = rows.filter(labels)
    assert set(in_trial["variant"].to_pylist()) == {"january", "summer"}
    assert set(in_trial["model_version"].to_pylist()) == {"1.0.0", "1.1.0"}
    assert json.loads(shown.to_json())["tried"]["experiment"] == NAME
