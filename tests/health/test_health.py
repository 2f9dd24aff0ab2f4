"""Health by tables of predictions, and error budgets by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from watchkeeper.errors import InvalidValueError
from watchkeeper.health import (
    ComprehensiveMonitoringSystem,
    Condition,
    EarlierVerdict,
    HealthStatus,
    Measured,
    Slo,
    Thresholds,
    budget_of,
    traffic_of,
)

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
GOOD = EarlierVerdict(bad=False, summary="no drift", at=NOON)


def rows(
    count: int = 1_000,
    *,
    end: datetime = NOON,
    minutes: float = 60.0,
    failing: float = 0.0,
    latency: float = 20.0,
    slow: float = 0.0,
    right: float | None = 0.95,
) -> pa.Table:
    """Return predictions that are evenly spread; shares are exact, and lie evenly, too."""
    number = np.arange(count)

    def share(of: float) -> Any:
        return np.floor((number + 1) * of) > np.floor(number * of)

    spacing = minutes * 60_000_000 / count
    times = [end - timedelta(microseconds=round((count - n) * spacing)) for n in range(count)]
    table = {
        "timestamp": times,
        "status": np.where(share(failing), "error", "success"),
        "latency_ms": np.where(share(slow), 5_000.0, latency),
    }
    if right is not None:
        table["right"] = share(right).astype(float)
    return pa.table(table)


def checked(*tables: pa.Table, now: datetime = NOON, **known: Any) -> HealthStatus:
    measured = Measured(traffic_of(tables), **{"drift": GOOD, **known})
    return ComprehensiveMonitoringSystem(
        lambda _: measured, clock=lambda: now
    ).check_system_health()


def test_given_all_is_well_when_checked_then_it_is_healthy_with_every_figure() -> None:
    status = checked(rows(), baseline=0.96)

    assert status.is_healthy
    assert status.condition is Condition.HEALTHY
    assert status.alerts == []
    assert set(status.components) == {
        "model_performance", "latency", "error_rate", "availability", "data_drift",
        "prediction_log",
    }  # fmt: skip
    assert status.metrics["accuracy"] == pytest.approx(0.95)
    assert status.metrics["latency_p95_ms"] == 20.0
    assert status.timestamp == NOON


@pytest.mark.parametrize(
    ("given", "component", "told"),
    [
        ({"failing": 0.02}, "error_rate", "2.00% (20 of 1,000) failed; at most 1.00%"),
        ({"slow": 0.06}, "latency", "95th percentile 5,000 ms"),
        ({"slow": 0.02}, "latency", "99th 5,000; at most 500 and 1,000"),
        ({"right": 0.84}, "model_performance", "accuracy 84.00% of 1,000 labelled"),
        ({"failing": 0.6}, "availability", "in 0.000% of 60 minutes"),
    ],
)
def test_given_a_figure_beyond_its_limit_when_checked_then_it_is_named_with_since_when(
    given: dict[str, float], component: str, told: str
) -> None:
    before = rows(3_000, end=NOON - timedelta(hours=1), minutes=180.0)
    status = checked(before, rows(**given))  # type: ignore[arg-type]
    alone = checked(rows(**given))  # type: ignore[arg-type]

    found = alone.components[component]
    assert found.condition is Condition.UNHEALTHY
    assert all(
        part in found.reason for part in told.replace("99th 5,000;", "99th 5,000 ms;").split("; ")
    )
    assert found.since == NOON - timedelta(hours=1)
    assert not alone.is_healthy
    assert any(each.startswith(f"{component} is unhealthy") for each in alone.alerts)
    late = status.components[component]
    if late.condition is Condition.UNHEALTHY:  # three good hours were before
        assert late.since == NOON - timedelta(hours=1)


def test_given_figures_that_equal_their_limits_when_checked_then_they_are_well() -> None:
    status = checked(rows(failing=0.01, right=0.85, latency=500.0))
    assert status.is_healthy


def test_given_a_baseline_when_accuracy_is_below_its_share_then_it_is_not_well() -> None:
    assert checked(rows(right=0.93), baseline=0.99).components["model_performance"].condition == (
        Condition.UNHEALTHY
    )
    found = checked(rows(right=0.95), baseline=0.99).components["model_performance"]
    assert found.condition is Condition.HEALTHY
    assert found.limits["accuracy"] == pytest.approx(0.95 * 0.99)


def test_given_too_little_when_checked_then_it_is_unknown_and_not_healthy() -> None:
    few = checked(rows(99), drift=None)
    assert {each.condition for each in few.components.values()} == {
        Condition.UNKNOWN,
        Condition.HEALTHY,  # predictions are recorded
    }
    assert few.condition is Condition.UNKNOWN
    assert not few.is_healthy
    nothing = checked(drift=None)
    assert {each.condition for each in nothing.components.values()} == {Condition.UNKNOWN}

    unlabelled = checked(rows(right=None)).components["model_performance"]
    assert (unlabelled.condition, unlabelled.figures) == (Condition.UNKNOWN, {"accuracy": None})
    quiet = checked(rows(), now=NOON + timedelta(hours=2)).components["prediction_log"]
    assert quiet.condition is Condition.UNKNOWN
    old = checked(rows(), now=NOON + timedelta(days=3)).components["data_drift"]
    assert old.condition is Condition.UNKNOWN


def test_given_verdicts_and_alerts_when_checked_then_they_are_part_of_it() -> None:
    drift = EarlierVerdict(
        bad=True, summary="drift in 2 of 9", at=NOON, since=NOON - timedelta(days=1)
    )
    worse = EarlierVerdict(bad=True, summary="mae 20 % worse", at=NOON)
    status = checked(
        rows(right=None), drift=drift, quality=worse, alerts=("HighErrorRate: it fires",)
    )

    assert status.components["data_drift"].since == NOON - timedelta(days=1)
    assert status.components["model_performance"].reason == "mae 20 % worse"
    assert status.alerts[-1] == "HighErrorRate: it fires"


def test_given_a_report_when_asked_for_then_it_is_text_json_or_a_page() -> None:
    measured = Measured(traffic_of([rows(failing=0.5)]), drift=GOOD)
    system = ComprehensiveMonitoringSystem(lambda _: measured, clock=lambda: NOON)
    text = system.generate_health_report()
    assert text.startswith("Health: unhealthy, 2026-07-01 12:00 UTC")
    assert "unhealthy  error_rate: 50.00%" in text
    assert ", since 2026-07-01 11:00" in text
    assert '"condition":"unhealthy"' in system.generate_health_report("json")
    assert "<strong>Unhealthy</strong>" in system.generate_health_report("html")
    with pytest.raises(InvalidValueError, match="text, json or html"):
        system.generate_health_report("pdf")  # type: ignore[arg-type]


def test_given_wrong_limits_when_made_then_the_error_names_them() -> None:
    with pytest.raises(InvalidValueError, match="error_rate"):
        Thresholds(error_rate=1.5)
    with pytest.raises(InvalidValueError, match="latency_p95_ms"):
        Thresholds(latency_p95_ms=0.0)
    with pytest.raises(InvalidValueError, match="objective"):
        Slo(name="errors", objective=1.0)


def test_given_traffic_when_counted_then_sums_of_parts_are_those_of_the_whole() -> None:
    whole = traffic_of([rows(2_000, minutes=300.0, failing=0.1, slow=0.1)])
    table = rows(2_000, minutes=300.0, failing=0.1, slow=0.1)
    parts = traffic_of([table.slice(0, 700)]) + traffic_of([table.slice(700)])
    assert (parts.first, parts.newest) == (whole.first, whole.newest)
    np.testing.assert_array_equal(parts.counts, whole.counts)
    nothing = traffic_of([])
    np.testing.assert_array_equal((nothing + whole).counts, whole.counts)
    assert [int(hour.requests.sum()) for _, hour in whole.by_hour()] == [400] * 5


@pytest.mark.parametrize(
    ("failing", "minutes", "burning"),
    [
        (0.10, 60, ""),  # ten times as fast as allowed, for an hour: not yet 6 h at 6
        (0.10, 400, "critical"),
        (0.20, 60, "critical"),
        (0.04, 1_500, "warning"),
        (0.011, 4_400, "warning"),
        (0.009, 4_400, ""),
    ],
)
def test_given_errors_when_the_budget_is_reckoned_then_it_burns_as_the_workbook_says(
    failing: float, minutes: int, burning: str
) -> None:
    whole = 4_460
    well = rows(
        4 * (whole - minutes), end=NOON - timedelta(minutes=minutes), minutes=whole - minutes
    )
    ill = rows(4 * minutes, minutes=minutes, failing=failing)
    found = budget_of(Slo(name="errors", objective=0.99), traffic_of([well, ill]), NOON)

    assert found.burning == burning
    assert found.requests == 4 * whole
    assert found.left == pytest.approx(1 - found.bad / (0.01 * 4 * whole))
    assert budget_of(Slo(name="errors", objective=0.99), traffic_of([]), NOON).left is None
