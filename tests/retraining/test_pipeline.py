"""`AutoRetrainingPipeline`, as somebody with a notebook uses it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression

import watchkeeper as wk
from watchkeeper.errors import InvalidValueError, NotFoundError
from watchkeeper.retraining import Policy, TrainingDataError, TrainingFailedError
from watchkeeper.retraining.worker import work
from watchkeeper.testing import FixedClock, InMemoryEvents, a_prediction, an_outcome

RNG = np.random.default_rng(3)
DATA = pd.DataFrame(RNG.normal(size=(1_000, 2)), columns=["distance", "wind"])
DATA["late"] = (DATA["wind"] + 0.5 * RNG.normal(size=1_000) > 0).astype(int)
CLOCK = FixedClock(datetime(2026, 6, 1, tzinfo=UTC))


def here(folder: Path, job: Any, watch: Any) -> None:
    work(folder)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[wk.ModelRegistry]:
    with wk.ModelRegistry(tmp_path / "registry", clock=CLOCK) as registry:
        poor = LogisticRegression().fit(DATA[["distance", "wind"]], 1 - DATA["late"])
        model_id = registry.register_model(poor, "late", "2.7.1", {"accuracy": 0.8})
        registry.promote_to_production(model_id)
        yield registry


def monitor(right: int = 50) -> wk.ModelPerformanceMonitor:
    made = wk.ModelPerformanceMonitor()
    made.set_baseline(accuracy=0.8)
    made.add_batch([1] * 100, [1] * right + [0] * (100 - right))
    return made


def pipeline(registry: wk.ModelRegistry, **given: Any) -> wk.AutoRetrainingPipeline:
    policy = given.pop("policy", Policy(on_success="direct", target="late"))
    given = {"clock": CLOCK, "launch": here, "policy": policy} | given
    return wk.AutoRetrainingPipeline(registry, given.pop("monitor", monitor()), **given)


@pytest.mark.parametrize(("right", "needed"), [(50, True), (77, False), (75, True)])
def test_given_a_drop_when_checked_then_it_is_needed_beyond_the_threshold_only(
    registry: wk.ModelRegistry, right: int, needed: bool
) -> None:
    assert pipeline(registry, monitor=monitor(right)).check_retrain_needed() is needed


def test_given_too_few_outcomes_when_checked_then_nothing_is_trained(
    registry: wk.ModelRegistry,
) -> None:
    few = wk.ModelPerformanceMonitor()
    few.set_baseline(accuracy=0.8)
    made = pipeline(registry, monitor=few)

    assert not made.check_retrain_needed()
    assert made.scheduled_check(DATA) is None
    assert made.last_retrain_time is None


def test_given_a_file_when_retrained_in_a_process_then_the_better_version_is_in_production(
    registry: wk.ModelRegistry, tmp_path: Path
) -> None:
    DATA.to_csv(tmp_path / "data.csv", index=False)
    seen: list[Any] = []
    made = wk.AutoRetrainingPipeline(
        registry, monitor(), policy=Policy(on_success="direct", target="late"), clock=CLOCK,
        progress=seen.append,
    )  # fmt: skip

    model_id = made.retrain_model(tmp_path / "data.csv")

    assert model_id == "late:2.7.2" == registry.get_production_model("late")
    assert made.last_retrain_time == CLOCK()
    assert made.last_report is not None
    assert made.last_report.passed
    assert made.last_log is not None
    assert "training on 800 rows" in made.last_log.read_text()
    assert seen


def test_given_a_function_of_this_file_when_retrained_in_a_process_then_it_is_run_there(
    registry: wk.ModelRegistry,
) -> None:
    strength = 0.25

    def trainer(data: Any) -> Any:
        print("in a process of its own")
        return LogisticRegression(C=strength).fit(data.X, data.y)

    made = wk.AutoRetrainingPipeline(
        registry, monitor(), trainer=trainer, policy=Policy(on_success="direct", target="late")
    )

    model = registry.load_model(made.retrain_model(DATA))

    assert model.C == 0.25
    assert made.last_log is not None
    assert "in a process of its own" in made.last_log.read_text()


def test_given_a_scheduler_when_it_calls_then_the_cool_down_holds(
    registry: wk.ModelRegistry,
) -> None:
    clock = FixedClock(CLOCK())
    made = pipeline(registry, clock=clock)

    assert made.scheduled_check(DATA) == "late:2.7.2"
    assert made.scheduled_check(DATA) is None
    clock.advance(timedelta(hours=12))
    assert made.scheduled_check(DATA) == "late:2.7.3"
    assert made.last_report is not None
    assert not made.last_report.passed  # the same data teach the same
    assert registry.get_production_model("late") == "late:2.7.2"


def test_given_a_trainer_that_fails_when_retrained_then_nothing_has_changed(
    registry: wk.ModelRegistry,
) -> None:
    made = pipeline(registry, trainer=lambda data: 7)

    with pytest.raises(TrainingFailedError, match="returned 7, which is no model"):
        made.retrain_model(DATA)

    assert [each.version for each in registry.list_models()] == ["2.7.1"]
    assert made.last_retrain_time is None


def test_given_an_estimator_and_no_version_when_retrained_then_the_first_is_in_production(
    tmp_path: Path,
) -> None:
    numbers = pd.DataFrame(RNG.normal(size=(500, 3)), columns=["a", "b", "delay"])
    numbers["delay"] += 3 * numbers["a"]
    task = wk.ModelPerformanceMonitor(task="regression")
    policy = Policy(on_success="direct", target="delay")
    with wk.ModelRegistry(tmp_path) as registry:
        made = pipeline(
            registry, monitor=task, policy=policy, trainer=LinearRegression(), model_name="delay"
        )
        assert made.retrain_model(numbers) == "delay:1.0.0" == registry.get_production_model()

        boosted = pipeline(
            registry, monitor=task, policy=policy, trainer=GradientBoostingRegressor(n_estimators=5)
        )
        assert boosted.retrain_model(numbers) == "delay:1.0.1"
        assert boosted.last_report is not None
        assert not boosted.last_report.passed
        assert registry.get_production_model() == "delay:1.0.0"


def test_given_a_champion_of_a_matrix_when_columns_have_names_then_places_count(
    tmp_path: Path,
) -> None:
    with wk.ModelRegistry(tmp_path) as registry:
        poor = LogisticRegression().fit(DATA[["distance", "wind"]].to_numpy(), 1 - DATA["late"])
        registry.promote_to_production(registry.register_model(poor, "late", "1", {}))

        assert pipeline(registry).retrain_model(DATA) == "late:1.0.1"
        assert registry.get_production_model() == "late:1.0.1"


def test_given_events_when_retrained_without_a_path_then_they_are_learned_from(
    registry: wk.ModelRegistry,
) -> None:
    events = InMemoryEvents()
    for number, row in enumerate(DATA.to_dict("records")):
        at = CLOCK() - timedelta(hours=number + 1)
        own = {"model": "late", "timestamp": at, "arrived_at": at}
        features = {"distance": row["distance"], "wind": row["wind"], "extra": 1.0}
        events.record(
            [
                a_prediction(str(number), features=features, **own),
                an_outcome(str(number), actual=int(row["late"]), **own),
            ]
        )

    made = pipeline(registry, events=events)

    assert made.retrain_model() == "late:2.7.2" == registry.get_production_model()
    assert made.last_report is not None
    assert made.last_report.boundary is not None


@pytest.mark.parametrize(
    ("data", "error", "told"),
    [
        (None, InvalidValueError, "given no events"),
        ("none.csv", NotFoundError, "none.csv"),
        (DATA.iloc[:0], TrainingDataError, "0 rows"),
        (DATA.assign(late=1), TrainingDataError, "two classes"),
        (DATA.assign(arrival=DATA["late"]), TrainingDataError, "new column arrival"),
        (DATA.drop(columns="wind"), TrainingDataError, "wind is missing"),
        (DATA.assign(wind=DATA["late"] * 2.0), TrainingDataError, "perfectly predicts"),
        (DATA.iloc[:150], TrainingDataError, "rows to judge by"),
    ],
)
def test_given_data_that_are_wrong_when_retrained_then_it_says_what_is(
    registry: wk.ModelRegistry, data: Any, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        pipeline(registry).retrain_model(data)
    assert registry.get_production_model() == "late:2.7.1"


def test_given_several_models_when_none_is_named_then_it_asks_which(
    registry: wk.ModelRegistry,
) -> None:
    registry.register_model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), "other", "1", {})

    with pytest.raises(InvalidValueError, match="one of late, other"):
        pipeline(registry).retrain_model(DATA)
