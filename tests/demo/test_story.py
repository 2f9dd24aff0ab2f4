"""The words of the demo, for months made up so that what they must say is known."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from watchkeeper.demo.story import Story, story_of
from watchkeeper.events import Outcome, Prediction, Window
from watchkeeper.monitoring.measurements import drift_of_window, quality_of_window
from watchkeeper.registry import ModelRegistry
from watchkeeper.testing import InMemoryEvents

JULY = datetime(2013, 7, 1, tzinfo=UTC)


def story(registry: ModelRegistry, *, right: float, warmer: float) -> Story:
    """Return the story of 1,000 flights, predicted by a model that was right 80 % of the time."""
    rng = np.random.default_rng(6)
    learned = pa.table({"temp": rng.normal(40.0, 5.0, 1_000), "origin": ["EWR", "JFK"] * 500})
    registry.register_model(len, "flights", "1", {"accuracy": 0.8}, training_data=learned,
                            allow_unsafe=True)  # fmt: skip
    registry.promote_to_production("flights:1")
    events = InMemoryEvents()
    for number in range(1_000):
        at = JULY + timedelta(minutes=number)
        late = number < 300
        features = {
            "temp": float(rng.normal(40.0 + warmer, 5.0)),
            "origin": "EWR" if number < 900 else "JFK",
        }
        events.record([
            Prediction(prediction_id=f"p{number}", model="flights", model_version="1", timestamp=at,
                       arrived_at=at, features=features,
                       prediction=int(late == (rng.random() < right))),
            Outcome(prediction_id=f"p{number}", model="flights", timestamp=at, arrived_at=at,
                    actual=int(late)),
        ])  # fmt: skip
    window = Window(JULY, JULY + timedelta(days=31))
    return story_of(
        JULY,
        learned,
        events.read("flights", window),
        drift_of_window(events, registry, "flights", window),
        quality_of_window(events, registry, "flights", window),
    )


@pytest.fixture
def registry(tmp_path):  # type: ignore[no-untyped-def]
    with ModelRegistry(tmp_path) as made:
        yield made


def test_given_a_month_that_drifted_and_hurt_when_described_then_the_words_have_its_figures(
    registry: ModelRegistry,
) -> None:
    found = story(registry, right=0.5, warmer=40.0)

    assert found.drifted[0].startswith("the temperature was 80")
    assert found.drifted[0].endswith("°F on average, and 39.94 °F before")
    assert found.drifted[1] in {
        "90.0% of the flights had the origin EWR, and 50.0% before",
        "10.0% of the flights had the origin JFK, and 50.0% before",
    }
    assert found.quality.startswith("It hurt: accuracy was 0.5")
    assert "and 0.800 before. Chance does not explain it" in found.quality
    assert found.predictions.endswith("of the flights late; 30.0% were.")


@pytest.mark.parametrize(
    ("right", "words"), [(0.8, "The effect on quality is not significant"), (0.95, "It did not")]
)
def test_given_a_month_that_did_not_hurt_when_described_then_it_is_said_so(
    registry: ModelRegistry, right: float, words: str
) -> None:
    found = story(registry, right=right, warmer=0.0)

    assert len(found.drifted) == 1  # the origin
    assert found.quality.startswith(words)
