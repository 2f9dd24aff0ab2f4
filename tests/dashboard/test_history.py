"""The history of a model: records that name what they came of, and decisions made again."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sklearn.dummy import DummyClassifier
from tests.dashboard.conftest import Site
from tests.dashboard.reader import HOSTILE, evidence, said

from watchkeeper.identity import By
from watchkeeper.records import Finding
from watchkeeper.rollouts import Plan
from watchkeeper.testing import FixedClock

NOW = datetime(2026, 3, 10, 6, tzinfo=UTC)
PAGE = "/models/late/history"


@pytest.fixture
def site(start: Callable[..., Site]) -> Site:
    """Return a model with a rollout that was looked at once, and two drift checks."""
    site = start(clock=FixedClock(NOW), server={"rollout_interval": 100_000})
    app = site.app
    for version in ("1", "2"):
        made = DummyClassifier(strategy="constant", constant=1).fit([[0.0]], [1])
        model_id = app.registry.register_model(made, "late", version, {})
        if version == "1":
            app.registry.promote_to_production(model_id, reason=f"first {HOSTILE}", actor="ada")
    plan = Plan(steps=(50.0, 100.0), window=600.0, min_samples=20)
    by = By("joe", "better in June")
    app.rollouts.start("june", model="late", version="2", plan=plan, by=by)
    later = NOW + timedelta(minutes=20)
    clock: Any = app.clock
    clock.set(later)
    app.rollouts.advance("june")
    clock.set(NOW)
    for number, bad in enumerate((True, False)):
        app.findings.add(drift(bad, later + timedelta(hours=1 + number)))
    return site


def drift(bad: bool, at: datetime, **evidence: Any) -> Finding:
    return Finding(
        model="late", kind="drift", bad=bad, summary=f"drift in {2 * bad} of 9 features", at=at,
        start=at - timedelta(days=1), end=at, table_versions={"predictions": 41},
        evidence={"drift_share": 0.2, **evidence},
    )  # fmt: skip


def test_given_records_when_read_then_the_newest_is_first_and_each_links_to_what_it_came_of(
    site: Site,
) -> None:
    told = said(site.client, PAGE)

    assert told.index("drift in 2 of 9") < told.index("rollout by") < told.index("promote by ada")
    assert "drift in 0 of 9" not in told
    assert "drift in 0 of 9" in said(site.client, f"{PAGE}?all=1")
    html = site.client.get(PAGE).text
    assert HOSTILE not in html
    assert 'href="#rollout%3Ajune/1"' in html
    assert 'id="rollout:june/1"' in html
    assert 'href="/rollouts/june"' in html
    assert "predictions at version 41" in told
    assert evidence(site.client, PAGE)


def test_given_a_kind_when_chosen_then_what_its_records_came_of_is_on_pages_of_their_own(
    site: Site,
) -> None:
    assert "promote by" not in said(site.client, f"{PAGE}?kind=rollout")
    html = site.client.get(f"{PAGE}?limit=1&kind=rollout").text
    assert 'href="/models/late/history/rollout%3Ajune/1"' in html
    assert "Show older records" in html
    assert site.client.get(f"{PAGE}?kind=nothing").status_code == 400
    assert site.client.get(f"{PAGE}?limit=501").status_code == 400


def test_given_a_look_at_a_rollout_when_made_again_then_the_page_says_that_it_is_confirmed(
    site: Site,
) -> None:
    (again,) = set(re.findall(r'href="(/models/late/history/rollout[^"]+replay=1)"',
                              site.client.get(PAGE).text))  # fmt: skip

    told = said(site.client, again)

    assert "confirmed Reproduced : all 3 figures are equal." in told
    assert "watchkeeper history --replay rollout:june/2" in told
    assert "Replay it from stored events" in said(site.client, again.partition("?")[0])
    assert evidence(site.client, again)


def test_given_a_record_when_shown_then_its_evidence_is_whole_and_those_of_others_are_not_found(
    site: Site,
) -> None:
    big = site.app.findings.add(drift(True, NOW, names=["x" * 900, "y" * 900], told=HOSTILE))

    listed = site.client.get(PAGE).text
    whole = site.client.get(f"{PAGE}/finding:{big.number}").text
    assert ("y" * 900 in listed, "y" * 900 in whole) == (False, True)
    assert HOSTILE not in whole
    assert site.client.get(f"/models/other/history/finding:{big.number}").status_code == 404
    assert site.client.get(f"{PAGE}/gate:nobody").status_code == 404


def test_given_a_model_with_nothing_but_a_version_when_read_then_the_page_says_how_it_begins(
    start: Callable[..., Site],
) -> None:
    site = start()
    made = DummyClassifier(strategy="constant", constant=1).fit([[0.0]], [1])
    site.app.registry.register_model(made, "late", "1", {})

    told = said(site.client, PAGE)

    assert "No record of late yet." in told
    assert "watchkeeper models promote late:VERSION" in told
    assert site.client.get("/models/nobody/history").status_code == 404
