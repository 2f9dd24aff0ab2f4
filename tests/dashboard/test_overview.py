"""The overview and the page of a model: state, since when, why, activity and actions."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from tests.dashboard.conftest import Site
from tests.dashboard.reader import HOSTILE, said, send

Start = Callable[..., Site]
NOW = datetime(2026, 7, 1, tzinfo=UTC)
DAY = timedelta(days=1)
X = np.array([[0.0], [1.0]] * 20)


def served(start: Start) -> Site:
    """Return a server with a model in production for ten days."""
    site = start(clock=lambda: NOW)
    add_version(site, "1", NOW - 10 * DAY)
    return site


def add_version(site: Site, version: str, at: datetime, accuracy: float = 0.9) -> None:
    registry = site.app.registry
    registry._clock = lambda: at
    model = LogisticRegression().fit(X, [0, 1] * 20)
    registry.register_model(model, "late", version, {"accuracy": accuracy}, training_data=X)
    registry.promote_to_production(f"late:{version}", reason=f"reason {version}", actor="mo")


def record(site: Site, day: datetime, right: float, version: str = "1", failed: int = 0) -> None:
    """Record two hundred predictions of a day, with what came true."""
    ids = [f"{version}-{day:%m%d}-{number}" for number in range(200)]
    made = [
        {"prediction_id": own, "prediction": None if number < failed else 1, "score": 0.8,
         "status": "error" if number < failed else "success", "latency_ms": 12.0,
         "model_version": version, "timestamp": (day + timedelta(minutes=number)).isoformat()}
        for number, own in enumerate(ids)
    ]  # fmt: skip
    true = [
        {"prediction_id": own, "actual": int(number % 100 < 100 * right),
         "timestamp": (day + timedelta(hours=6)).isoformat()}
        for number, own in enumerate(ids)
    ]  # fmt: skip
    for kind, rows in (("predictions", made), ("outcomes", true)):
        answer = site.client.post(f"/v1/models/late/{kind}", json=rows)
        assert answer.status_code == 200, answer.text


def test_given_a_model_that_became_unhealthy_when_looked_at_then_it_says_since_when_and_why(
    start: Start,
) -> None:
    site = served(start)
    for back, right in ((4, 0.9), (3, 0.9), (2, 0.6), (1, 0.6)):
        record(site, NOW - back * DAY, right)

    told = said(site.client, "/?range=7d")

    assert "Unhealthy: late" in told
    assert "model performance since 2026-06-30" in told
    assert "accuracy 60.00% of 200 labelled" in told
    assert "Unhealthy since 29 Jun, 00:00 (1): accuracy 0.6, 33% worse than the 0.9" in told
    assert "1 since 21 Jun 2026" in told


def test_given_a_version_that_helped_when_looked_at_then_it_says_what_was_before_and_after(
    start: Start,
) -> None:
    site = served(start)
    for back, right in ((6, 0.9), (5, 0.6), (4, 0.6)):
        record(site, NOW - back * DAY, right)
    add_version(site, "2", NOW - 3 * DAY)
    for back in (2, 1):
        record(site, NOW - back * DAY, 0.9, version="2")

    told = said(site.client, "/models/late?range=7d")

    assert "Unhealthy from 26 Jun, 00:00 to 27 Jun, 00:00 (1): accuracy 0.6" in told
    assert "2 promoted on 28 Jun 2026 , reason 2." in told
    assert (
        "In production, accuracy was 0.700 in the 7 days before and 0.900 in the 3 days after"
        in told
    )
    assert "Roll back to 1" in told


def test_given_a_healthy_model_when_looked_at_then_it_says_so(start: Start) -> None:
    site = served(start)
    for back in (3, 2, 1, 0.3):
        record(site, NOW - back * DAY, 0.92)

    told = said(site.client, "/?range=7d")

    assert "Unhealthy" not in told
    assert "▲ unhealthy" not in told
    assert "No period of this time range was unhealthy" in told
    assert "Unknown: data drift" in told  # unknown is not healthy


def test_given_a_model_without_events_when_looked_at_then_it_says_what_to_do(
    start: Start,
) -> None:
    told = said(served(start).client, "/models/late")

    assert "No prediction was recorded in this time range." in told
    assert "POST /v2/models/late/infer" in told
    assert "It cannot be rolled back" in told


def test_given_one_version_only_when_rolled_back_then_the_page_says_why_not(start: Start) -> None:
    site = served(start)

    answer = send(site.client, "/models/late", do="rollback")

    assert answer.status_code == 404
    assert site.app.registry.get_production_model("late") == "late:1"


def test_given_two_versions_when_rolled_back_by_the_form_then_it_is_done_with_who_and_why(
    start: Start,
) -> None:
    site = served(start)
    add_version(site, "2", NOW - DAY)

    answer = send(site.client, "/models/late", do="rollback", reason="worse at night")

    assert answer.status_code == 303
    assert site.app.registry.get_production_model("late") == "late:1"
    (entry,) = site.app.audit.entries("late", action="rollback")
    assert (entry.actor, entry.reason) == ("maria", "worse at night")
    assert "late:1 is in production again." in said(site.client, "/models/late")


def test_given_failures_and_an_incident_when_looked_at_then_both_stand_at_the_top(
    start: Start,
) -> None:
    site = served(start)
    record(site, NOW - 0.3 * DAY, 0.9, failed=50)
    site.app.incidents.open(
        model="late", title=HOSTILE, severity="critical", source="x",
        evidence={}, at=NOW,
    )  # fmt: skip

    told = said(site.client, "/")

    assert "error rate since" in told
    assert "25.00% (50 of 200) failed" in told
    assert "1 open incident , 1 without an owner" in told
    assert HOSTILE in told
    assert HOSTILE not in site.client.get("/").text


@pytest.mark.parametrize("chart", ["accuracy", "traffic", "errors", "latency", "coverage"])
def test_given_a_model_when_a_chart_is_taken_as_csv_then_it_has_the_recorded_figures(
    start: Start, chart: str
) -> None:
    site = served(start)
    record(site, NOW - 2 * DAY, 0.9, failed=20)

    answer = site.client.get(f"/models/late?range=30d&csv={chart}")

    expected = {
        "accuracy": "88.88",
        "traffic": "180",
        "errors": "10",
        "latency": "12",
        "coverage": "100",
    }
    assert expected[chart] in answer.text
    assert "2026-06-29" in answer.text
