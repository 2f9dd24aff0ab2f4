from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from watchkeeper.errors import NotFoundError
from watchkeeper.events import Window
from watchkeeper.monitoring import feature_drift as drift_looks
from watchkeeper.monitoring.feature_drift import DriftLooks
from watchkeeper.monitoring.findings import drift_finding
from watchkeeper.monitoring.measurements import drift_of_window
from watchkeeper.records import Finding
from watchkeeper.registry import ModelRegistry
from watchkeeper.testing import InMemoryEvents, a_prediction

START = datetime(2013, 7, 1, tzinfo=UTC)
END = START + timedelta(days=2)
RNG = np.random.default_rng(5)
TRAINED_ON = {
    "distance": RNG.normal(700, 100, 600),
    "carrier": RNG.choice(["AA", "UA"], 600),
    "gate": RNG.integers(0, 3, 600),
}
MODEL = DummyClassifier(strategy="constant", constant=1).fit([[0.0] * 3], [1])


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[ModelRegistry]:
    with ModelRegistry(tmp_path) as own:
        model_id = own.register_model(MODEL, "flights", "1", {}, training_data=TRAINED_ON)
        own.promote_to_production(model_id)
        yield own


@pytest.fixture
def events() -> InMemoryEvents:
    """Return two days of a hundred predictions: further away, and with an unseen carrier."""
    found, rng = InMemoryEvents(), np.random.default_rng(6)
    for number in range(200):
        at = START + timedelta(minutes=14 * number)
        gate = number % 3
        features: dict[str, Any] = {
            "distance": None if number % 10 == 0 else float(rng.normal(700 + 150 * gate, 100)),
            "carrier": "WN" if number % 4 == 0 else "UA",
            "gate": gate,
        }
        found.record([a_prediction(str(number), timestamp=at, arrived_at=at, features=features)])
    return found


def checked(events: InMemoryEvents, registry: ModelRegistry, **changes: Any) -> Finding:
    found = drift_of_window(events, registry, "flights", Window(START, END), **changes)
    return replace(drift_finding(found, at=END), number=1)


def test_given_numbers_when_looked_at_then_both_sides_have_their_figures_and_bars(
    registry: ModelRegistry, events: InMemoryEvents
) -> None:
    look = DriftLooks(events, registry).look(checked(events, registry), "distance")

    assert (look.kind, look.model_id, look.own_reference) == ("number", "flights:1", True)
    assert look.before.mean == pytest.approx(700, abs=20)
    assert look.now.mean == pytest.approx(850, abs=30)
    assert look.before.missing == 0.0
    assert look.now.missing == pytest.approx(0.1)
    assert look.distribution is not None
    assert sum(look.distribution.current) == look.now.size == 180
    assert (look.rows, look.checked) == (200, 200)


def test_given_categories_when_looked_at_then_what_moved_most_is_first_and_the_unseen_are_told(
    registry: ModelRegistry, events: InMemoryEvents
) -> None:
    look = DriftLooks(events, registry).look(checked(events, registry), "carrier")

    assert look.kind == "category"
    assert look.shares[0].label == "AA"
    assert [each.label for each in look.shares if not each.before] == ["WN"]
    assert look.unseen == pytest.approx(0.25)


def test_given_what_arrived_after_the_check_when_looked_at_then_it_is_left_out(
    registry: ModelRegistry, events: InMemoryEvents
) -> None:
    finding = checked(events, registry)
    late = END + timedelta(hours=1)
    events.record(
        [a_prediction("late", timestamp=START, arrived_at=late, features={"distance": 1e9})]
    )

    assert DriftLooks(events, registry).look(finding, "distance").rows == 200


def test_given_a_look_when_asked_for_again_then_no_event_is_read(
    registry: ModelRegistry, events: InMemoryEvents
) -> None:
    finding = checked(events, registry)
    looks = DriftLooks(events, registry)
    first = looks.look(finding, "distance")
    first_segments = looks.segments(finding, "distance", threshold=0.05)
    events.__init__()  # type: ignore[misc] # all are gone

    assert looks.look(finding, "distance") is first
    assert looks.segments(finding, "distance", threshold=0.05) is first_segments
    with pytest.raises(NotFoundError, match="model with events"):
        looks.look(finding, "carrier")


def test_given_a_window_too_large_when_looked_at_then_some_of_its_days_are_read(
    registry: ModelRegistry, events: InMemoryEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift_looks, "MOST_VALUES", 100)

    look = DriftLooks(events, registry).look(checked(events, registry), "distance")

    assert (look.days_read, look.days, look.checked) == (1, 2, 200)
    assert 90 < look.rows < 110


def test_given_a_check_against_something_else_when_looked_at_then_it_says_so(
    registry: ModelRegistry, events: InMemoryEvents
) -> None:
    finding = checked(events, registry, reference=TRAINED_ON)

    look = DriftLooks(events, registry).look(finding, "distance")

    assert (look.model_id, look.own_reference) == ("flights:1", False)


def test_given_what_cannot_be_looked_at_when_asked_then_it_says_why(
    registry: ModelRegistry, events: InMemoryEvents
) -> None:
    finding = checked(events, registry)
    looks = DriftLooks(events, registry)

    with pytest.raises(NotFoundError, match="feature in the training data of flights:1"):
        looks.look(finding, "speed")
    model_id = registry.register_model(MODEL, "flights", "2", {})
    registry.promote_to_production(model_id)
    other = checked(events, registry, reference=TRAINED_ON)
    with pytest.raises(NotFoundError, match="profile of the training data of"):
        DriftLooks(events, registry).look(other, "distance")


def test_given_drift_in_one_segment_when_segments_are_asked_for_then_it_is_first(
    registry: ModelRegistry, events: InMemoryEvents
) -> None:
    found = DriftLooks(events, registry).segments(
        checked(events, registry), "distance", threshold=0.05
    )

    assert found.columns == ("carrier", "gate")
    assert (found.segments[0].by, found.segments[0].found.segment) == ("gate", 2)
    assert found.segments[0].found.drift_detected
    of_gate = {each.found.segment: each.found for each in found.segments if each.by == "gate"}
    assert not of_gate[0].drift_detected
