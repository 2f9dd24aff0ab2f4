import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from watchkeeper.app import App
from watchkeeper.config import ModelPolicy, Settings
from watchkeeper.errors import InvalidValueError, NotFoundError
from watchkeeper.events import DayKeys, EventCounts, EventLog, EventWindow, Window
from watchkeeper.identity import By
from watchkeeper.labelling import Labelling
from watchkeeper.monitoring.measurements import quality_of_window
from watchkeeper.monitoring.timelines import Timelines
from watchkeeper.testing import FixedClock, InMemoryEvents, a_prediction, an_outcome

START = datetime(2013, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 27, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ALL = Window()


@dataclass
class Watched:
    """An event log that notes which days were read of it."""

    events: InMemoryEvents
    read_days: list[date] = field(default_factory=list)

    def models(self) -> list[str]:
        return self.events.models()

    def counts(self, model: str) -> EventCounts:
        return self.events.counts(model)

    def read(
        self,
        model: str,
        window: Window = ALL,
        *,
        columns: Sequence[str] | None = None,
    ) -> EventWindow:
        return self.events.read(model, window, columns=columns)

    def days(
        self,
        model: str,
        window: Window = ALL,
        *,
        columns: Sequence[str] | None = None,
    ) -> Iterator[EventWindow]:
        for each in self.events.days(model, window, columns=columns):
            self.read_days.append(each.rows["timestamp"][0].as_py().date())
            yield each

    def day_keys(self, model: str) -> DayKeys:
        return self.events.day_keys(model)

    def as_of(self, at: datetime) -> EventLog:
        return self.events.as_of(at)


@dataclass
class Setup:
    folder: Path
    events: InMemoryEvents = field(default_factory=InMemoryEvents)
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOW))
    labellings: dict[str, Labelling] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.log = Watched(self.events)

    def timelines(self) -> Timelines:
        """Return those of a new process."""
        return Timelines(
            self.log,
            self.folder,
            labelling=lambda model: self.labellings.get(model, Labelling()),
            clock=self.clock,
        )

    def days_read(self) -> list[int]:
        """Return which days were read since this was asked last."""
        found = [day.day for day in self.log.read_days]
        self.log.read_days.clear()
        return found


@pytest.fixture
def given(tmp_path: Path) -> Setup:
    setup = Setup(tmp_path / "timelines")
    for day in range(12):
        for n in range(4):
            at = START + day * DAY + n * 3 * HOUR
            setup.events.record([made(f"{day}-{n}", at)])
    return setup


def made(own: str, at: datetime, **changes: Any) -> Any:
    return a_prediction(own, **{"timestamp": at, "arrived_at": at, "latency_ms": 20.0, **changes})


def whole(lines: Timelines, model: str = "flights", **how: Any) -> Any:
    return lines.timeline(model, points=1, **how).timeline


def test_given_events_when_a_time_line_is_asked_for_then_it_says_of_what_it_is(
    given: Setup,
) -> None:
    found = given.timelines().timeline("flights", START, START + 12 * DAY, points=12)

    assert found.timeline.bucket == "day"
    assert found.timeline.predictions.tolist() == [4] * 12
    assert (found.model, found.version, found.as_of.at) == ("flights", None, NOW)
    assert set(given.timelines().by_version("flights")) == {"1.0.0"}
    assert set(given.timelines().by_variant("flights")) == {"production"}
    with pytest.raises(NotFoundError, match="taxis"):
        given.timelines().timeline("taxis")


def test_given_what_is_known_when_events_come_then_only_their_days_are_read(given: Setup) -> None:
    lines = given.timelines()
    lines.refresh("flights")
    assert given.days_read() == list(range(1, 13))
    lines.refresh("flights")
    assert given.days_read() == []

    given.events.record([made("new", START + 11 * DAY), an_outcome("2-1", actual=0)])
    lines.refresh("flights")

    assert given.days_read() == [3, 12]
    found = whole(lines)
    assert (found.predictions[0], found.labelled[0], found.accuracy.value[0]) == (49, 1, 0.0)


def test_given_what_is_known_when_it_is_old_then_it_is_refreshed_only_if_that_matters(
    given: Setup,
) -> None:
    lines = given.timelines()
    lines.refresh("flights")
    given.events.record([made("new", START + 11 * DAY)])
    given.clock.advance(timedelta(seconds=10))

    assert whole(lines).predictions[0] == 48
    assert whole(lines, fresh=timedelta(seconds=10)).predictions[0] == 48
    assert whole(lines, fresh=timedelta(seconds=9)).predictions[0] == 49
    assert lines.known("flights") == lines.timeline("flights").as_of
    assert lines.timeline("flights").as_of.at == NOW + timedelta(seconds=10)


def test_given_another_process_when_it_starts_then_it_goes_on_from_what_was_kept(
    given: Setup,
) -> None:
    assert given.timelines().known("flights") is None
    before = whole(given.timelines()).to_json()
    given.days_read()
    given.clock.advance(HOUR)
    lines = given.timelines()

    assert lines.known("flights") is not None
    assert whole(lines).to_json() == before
    assert given.days_read() == []
    assert lines.timeline("flights").as_of.at == NOW
    given.events.record([made("new", START + 5 * DAY)])
    lines.refresh("flights")
    assert given.days_read() == [6]
    assert lines.timeline("flights").as_of.at == NOW + HOUR
    given.timelines().refresh("flights")
    assert given.days_read() == []


def test_given_another_labelling_when_a_process_starts_then_everything_is_counted_anew(
    given: Setup,
) -> None:
    given.events.record([an_outcome("2-1", actual=0)])
    assert whole(given.timelines()).accuracy.value.tolist() == [0.0]
    given.days_read()

    given.labellings["flights"] = Labelling(positive=0)
    assert whole(given.timelines()).predicted_share.value.tolist() == [0.0]
    assert len(given.days_read()) == 12
    given.labellings["flights"] = Labelling("regression")
    assert whole(given.timelines()).mae.value.tolist() == [1.0]
    assert len(given.days_read()) == 12


@pytest.mark.parametrize("cut", [0.0, 0.3, 0.9, 0.999])
def test_given_a_torn_file_when_a_process_starts_then_everything_is_counted_anew(
    given: Setup, cut: float
) -> None:
    given.timelines().refresh("flights")
    given.days_read()
    path = given.folder / "flights.arrow"
    data = path.read_bytes()
    path.write_bytes(data[: int(cut * len(data))])

    assert whole(given.timelines()).predictions.tolist() == [48]
    assert len(given.days_read()) == 12
    assert len(path.read_bytes()) == len(data)


def test_given_the_file_of_another_model_when_a_process_starts_then_it_is_not_taken(
    given: Setup,
) -> None:
    given.events.record([made("a", START, model="taxis")])
    given.timelines().refresh("flights")
    (given.folder / "flights.arrow").rename(given.folder / "taxis.arrow")

    assert whole(given.timelines(), "taxis").predictions.tolist() == [1]


def test_given_a_folder_that_cannot_be_written_when_refreshed_then_answers_are_there(
    given: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    given.folder.write_text("a file is in the way")

    assert whole(given.timelines()).predictions.tolist() == [48]
    assert "cannot be stored" in caplog.text


def test_given_days_and_models_that_go_when_refreshed_then_nothing_is_left_of_them(
    given: Setup,
) -> None:
    lines = given.timelines()
    lines.refresh("flights")
    given.events.recorded[:] = given.events.recorded[20:]
    lines.refresh("flights")
    assert whole(lines).predictions.tolist() == [28]
    assert lines.timeline("flights").timeline.first == START + 5 * DAY

    given.events.recorded[:] = []
    with pytest.raises(NotFoundError):
        lines.refresh("flights")

    assert list(given.folder.iterdir()) == []
    with pytest.raises(NotFoundError):
        lines.timeline("flights")


def test_given_many_who_ask_at_once_when_nothing_is_known_then_it_is_counted_once(
    given: Setup,
) -> None:
    lines = given.timelines()
    found: list[int] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait(60)
        found.append(int(whole(lines, fresh=timedelta(hours=1)).predictions[0]))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert found == [48] * 8
    assert given.days_read() == list(range(1, 13))


def test_given_a_shadow_when_drawn_then_it_is_measured_by_the_outcomes_of_the_original(
    given: Setup,
) -> None:
    given.labellings["flights"] = Labelling(positive=0)
    stream = {"model": "flights.shadow", "model_version": "2.0.0", "prediction": 0}
    late = START + DAY - timedelta(seconds=1)
    given.events.record([
        made("0-1", START + 3 * HOUR, **stream), made("0-2", START + 6 * HOUR, **stream),
        made("late", late), made("late", late + timedelta(seconds=2), **stream),
        an_outcome("0-1", actual=0), an_outcome("0-2", actual=1),
    ])  # fmt: skip
    lines = given.timelines()

    found = whole(lines, "flights.shadow")
    assert (found.predictions[0], found.labelled[0]) == (3, 2)
    assert found.accuracy.value[0] == 0.5
    assert found.predicted_share.value[0] == 1.0  # by the positive class of the model
    given.events.record([an_outcome("late", actual=0)])
    lines.refresh("flights.shadow")
    assert whole(lines, "flights.shadow").labelled[0] == 3


def test_given_the_real_store_when_it_lands_and_compacts_then_figures_stay_those_of_a_measurement(
    tmp_path: Path,
) -> None:
    settings = Settings(data_dir=tmp_path, models={"flights": ModelPolicy()})
    with App(settings) as app:
        rng = np.random.default_rng(3)
        for n in range(300):
            at = START + float(rng.uniform(0, 60)) * HOUR
            own = f"{n}"
            app.recorder.record([made(own, at, score=float(rng.random()), prediction=n % 2)])
            if n % 3:
                later = at + 30 * HOUR
                truth = an_outcome(own, actual=n % 5 % 2, timestamp=later, arrived_at=later)
                app.recorder.record([truth])
        expected = quality_of_window(app.events, app.registry, "flights", Window())
        for step in ("waiting", "landed", "compacted"):
            if step == "landed":
                app.recorder.journal.seal()
                app.landing.land()
            if step == "compacted":
                app.compactions.run(by=By())
            app.timelines.refresh("flights")
            found = whole(app.timelines)
            assert found.predictions.tolist() == [300]
            assert found.labelled.tolist() == [expected.labelled]
            assert found.accuracy.value[0] == pytest.approx(expected.metrics["accuracy"])
            assert found.brier.value[0] == pytest.approx(expected.metrics["brier"])
            assert abs(found.auc.value[0] - expected.metrics["auc"]) <= found.auc_off_by[0]
            assert found.label_delay_mean[0] == pytest.approx(30 * 3_600.0)
        assert app.timelines.timeline("flights").as_of.table_versions["predictions"] >= 0
    with App(settings) as again:
        assert whole(again.timelines).predictions.tolist() == [300]
        assert "flights" in again.events.models()


def test_given_no_name_of_a_model_when_asked_then_no_file_is_looked_for(given: Setup) -> None:
    for name in ("../flights", "", ".hidden"):
        with pytest.raises(InvalidValueError, match="model"):
            given.timelines().timeline(name)
