"""The page of readiness: the verdict first, what is missing, and waivers with who and why."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from sklearn.dummy import DummyClassifier
from tests.dashboard.conftest import Site
from tests.dashboard.reader import HOSTILE, evidence, said, send

from watchkeeper.identity import By
from watchkeeper.monitoring.report_cache import Asked, Reports
from watchkeeper.testing import FixedClock

NOW = datetime(2026, 3, 10, 6, tzinfo=UTC)
PAGE = "/models/late/readiness"


@pytest.fixture
def site(start: Callable[..., Site]) -> Site:
    site = start(clock=FixedClock(NOW))
    made = DummyClassifier(strategy="constant", constant=1).fit([[0.0]], [1])
    site.app.registry.promote_to_production(site.app.registry.register_model(made, "late", "1", {}))
    return site


def missing(site: Site) -> int:
    return sum(
        each.item.priority == "required" and each.state not in {"pass", "waived"}
        for each in site.app.checklists.of("late").points
    )


def test_given_a_model_when_looked_then_the_verdict_is_first_and_each_point_says_what_to_do(
    site: Site,
) -> None:
    told, count = said(site.client, PAGE), missing(site)

    assert f"not ready {count} required points do not pass." in told
    assert told.index("required points do not") < told.index("Before deployment")
    assert "To make it pass: watchkeeper loadtest late ." in told
    assert "the runbook has a section for" in told
    assert site.client.get("/models/nobody/readiness").status_code == 404
    assert evidence(site.client, PAGE) == ["/v1/checklist/late"]


def test_given_a_waiver_when_sent_then_the_point_is_excused_until_its_day_and_not_longer(
    site: Site,
) -> None:
    count = missing(site)
    given = {"do": "waive", "item": "load-test", "reason": f"no traffic yet {HOSTILE}"}
    assert send(site.client, PAGE, **given, until="2026-03-01").status_code == 400
    assert send(site.client, PAGE, **given, until="2026-04-01").status_code == 303

    told = said(site.client, PAGE)
    assert f"{count - 1} required points do not pass." in told
    assert "1 is waived." in told
    assert "maria has waived it until 2026-04-01 00:00 UTC : no traffic yet <script>" in told
    assert HOSTILE not in site.client.get(PAGE).text
    (entry,) = site.app.audit.entries(subject="late:readiness/load-test")
    assert (entry.actor, entry.reason) == ("maria", given["reason"])
    site.app.clock.advance(timedelta(days=40))  # type: ignore[attr-defined]
    assert f"{count} required points do not pass." in said(site.client, PAGE)


def test_given_all_points_when_waived_then_it_is_ready(site: Site) -> None:
    for point in site.app.checklists.of("late").points:
        by = By("maria", "a rehearsal")
        site.app.checklists.waive("late", point.item.key, until=NOW + timedelta(days=1), by=by)

    assert "ready Every required point of 19 passes or is waived." in said(site.client, PAGE)


def test_given_events_that_take_long_to_read_when_looked_then_the_page_does_not_wait(
    site: Site,
) -> None:
    held = Event()
    site.app.reports = Reports(patience=0.01)
    for part in ("readiness", "checklists"):  # they hold the reports that they were built with
        vars(site.app).pop(part, None)
    site.app.reports.latest(Asked("other", "slow", of=1, at=NOW, make=held.wait))

    try:
        assert "being checked" in said(site.client, PAGE)
    finally:
        held.set()
