from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from watchkeeper.app import App
from watchkeeper.config import Settings
from watchkeeper.events import Event, Outcome, Prediction

NOON = datetime(2013, 1, 30, 12, tzinfo=UTC)


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data directory in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


@pytest.fixture
def record(data_dir: Path) -> Callable[[int], None]:
    """Return what records `n` predictions of ``flights``, one an hour, each second with outcome."""

    def record(n: int) -> None:
        events: list[Event] = []
        for i in range(n):
            at = NOON + timedelta(hours=i)
            events.append(
                Prediction(
                    prediction_id=f"p{i}",
                    model="flights",
                    model_version="1.0.0",
                    timestamp=at,
                    arrived_at=at,
                    features={"distance": float(i), "carrier": "UA"},
                    prediction=i % 2,
                    score=0.25,
                    unit_id=f"N{i}",
                    latency_ms=1.5,
                )
            )
            if i % 2:
                events.append(
                    Outcome(
                        prediction_id=f"p{i}",
                        model="flights",
                        timestamp=at,
                        arrived_at=at,
                        actual=1,
                    )
                )
        with App(Settings(data_dir=data_dir)) as app:
            app.recorder.record(events)

    return record
