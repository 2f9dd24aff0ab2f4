"""Pages of incidents: what is wrong first, what can be done now, and what is learned from it."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from tests.dashboard.conftest import Site
from tests.dashboard.reader import HOSTILE, evidence, said, send

from watchkeeper.events import Prediction
from watchkeeper.identity import By
from watchkeeper.incidents import Incident
from watchkeeper.records import Finding
from watchkeeper.testing import FixedClock

NOW = datetime(2026, 3, 10, 6, tzinfo=UTC)
START = NOW - timedelta(hours=3)


@pytest.fixture
def site(start: Callable[..., Site]) -> Site:
    return start(clock=FixedClock(NOW))


def opened(site: Site, **changes: Any) -> Incident:
    given = {
        "model": "late", "title": f"late fails {HOSTILE}", "severity": "critical",
        "source": "alert:HighErrorRate", "evidence": {"rate": 0.2}, "at": START,
        "runbook": "http://here/runbook#higherrorrate",
    }  # fmt: skip
    return site.app.incidents.open(**{**given, **changes})


def over(site: Site, **changes: Any) -> Incident:
    name = opened(site, **changes).name
    for minutes, action in ((10, "acknowledge"), (60, "resolve")):
        site.app.clock.set(START + timedelta(minutes=minutes))  # type: ignore[attr-defined]
        getattr(site.app.incidents, action)(name, "mended", by=By("joe"))
    site.app.clock.set(NOW)  # type: ignore[attr-defined]
    return site.app.incidents.get(name)


def actions(site: Site, name: str) -> set[str]:
    return set(re.findall(r'name="do" value="([^"]+)"', site.client.get(f"/incidents/{name}").text))


def test_given_no_incident_when_looked_then_the_page_says_what_opens_one(site: Site) -> None:
    told = said(site.client, "/incidents")

    assert "No incident so far." in told
    assert "a check of quality (critical) or of drift (warning)" in told
    assert "watchkeeper telemetry test-alert" in told


def test_given_several_when_looked_then_the_most_urgent_is_first_and_all_have_since_when(
    site: Site,
) -> None:
    warned = opened(site, source="finding:drift", severity="warning", title="drift in 2")
    urgent = opened(site)
    past = over(site, model="other", title="all of other failed")

    told = said(site.client, "/incidents")

    assert told.index("late fails <script>") < told.index("drift in 2") < told.index("all of other")
    assert "unassigned" in told
    assert "2026-03-10 03:00 UTC 3 h" in told
    assert "mean time to acknowledge (MTTA), of 1 10 min" in told
    assert "mean time to resolve (MTTR), of 1 1 h" in told
    assert HOSTILE not in site.client.get("/incidents").text
    html = site.client.get("/incidents?severity=warning").text
    assert warned.name in html
    assert urgent.name not in html
    assert past.name in site.client.get("/incidents?model=other&state=resolved").text
    assert warned.name not in site.client.get("/incidents?state=resolved").text
    assert site.client.get("/incidents?state=lost").status_code == 400
    assert evidence(site.client, "/incidents")


def test_given_many_that_are_over_when_looked_then_they_come_a_page_at_a_time(site: Site) -> None:
    for number in range(51):
        over(site, model=f"m{number}", title=f"case {number:03}")

    assert "1 to 50 of 51" in said(site.client, "/incidents")
    last = said(site.client, "/incidents?page=2")
    assert ("case 000" in last, "case 001" in last) == (True, False)


def test_given_an_incident_when_acted_on_then_only_what_its_state_allows_is_offered_and_kept(
    site: Site,
) -> None:
    name = opened(site).name
    assert actions(site, name) == {"acknowledge", "assign", "resolve", "note"}
    told = said(site.client, f"/incidents/{name}")
    assert "Since 2026-03-10 03:00 UTC , for 3 h. No assignee." in told

    where = f"/incidents/{name}"
    assert send(site.client, where, do="acknowledge", text=f"a look {HOSTILE}").status_code == 303
    assert actions(site, name) == {"assign", "resolve", "note"}
    assert send(site.client, where, do="assign", text="the weather team").status_code == 303
    assert "Assignee: the weather team." in said(site.client, where)
    assert send(site.client, where, do="note", text="they send Celsius").status_code == 303
    assert send(site.client, where, do="resolve", text="").status_code == 400
    assert send(site.client, where, do="resolve", text="Fahrenheit again").status_code == 303
    assert actions(site, name) == {"note", "finish"}
    assert HOSTILE not in site.client.get(where).text
    entries = site.app.audit.entries(subject=f"late:incidents/{name}")
    assert [(each.action, each.actor) for each in entries[:4]] == [
        ("incident resolve", "maria"), ("incident note", "maria"), ("incident assign", "maria"),
        ("incident acknowledge", "maria"),
    ]  # fmt: skip
    assert entries[0].reason == "Fahrenheit again"
    assert evidence(site.client, where)


def test_given_one_that_is_over_when_its_draft_is_finished_then_that_is_the_post_mortem(
    site: Site,
) -> None:
    name = over(site).name
    where = f"/incidents/{name}"
    html = site.client.get(where).text
    (draft,) = re.findall(r'<textarea name="text" rows="24"[^>]*>(.*?)</textarea>', html, re.DOTALL)
    assert unescape(draft).startswith("# Post-mortem: late fails <script>")
    assert "## Cause" in unescape(draft)

    finished = "# What we learned\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n<script>x</script>"
    assert send(site.client, where, do="finish", text=finished).status_code == 303

    html = site.client.get(where).text
    assert "<h3>What we learned</h3>" in html
    assert "<script>x" not in html
    assert site.app.incidents.get(name).post_mortem == finished
    assert "Change the post-mortem" in said(site.client, where)


def test_given_predictions_meanwhile_when_looked_then_the_impact_and_the_cause_are_there(
    site: Site,
) -> None:
    kept = site.app.findings.add(
        Finding(
            model="late", kind="quality", bad=True, summary="accuracy 8 % worse", at=START,
            start=None, end=None, table_versions={"predictions": 3}, evidence={},
        )
    )  # fmt: skip
    name = opened(
        site, source="finding:quality", runbook="javascript:alert(1)",
        evidence={"finding": kept.number, "logs": "https://logs.example/q?a=1"},
    ).name  # fmt: skip
    assert "unknown: no prediction of these hours" in said(site.client, f"/incidents/{name}")
    site.app.recorder.record(
        [
            Prediction(
                prediction_id=f"{number}", model="late", model_version="1", features={},
                timestamp=START + timedelta(minutes=number), arrived_at=START, prediction=1,
                status="error" if number < 2 else "success", latency_ms=1.0,
            )
            for number in range(8)
        ]
    )  # fmt: skip
    site.app.timelines.refresh("late")

    told = said(site.client, f"/incidents/{name}")

    assert "8 predictions, 2 of them failed (25.0 %)" in told
    html = site.client.get(f"/incidents/{name}").text
    assert f'href="/models/late/history/finding:{kept.number}"' in html
    assert 'href="https://logs.example/q?a=1"' in html
    assert 'href="javascript' not in html
