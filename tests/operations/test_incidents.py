"""Incidents in a real database: opened once, taken in hand, resolved, learned from."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from watchkeeper.app import App
from watchkeeper.config import Settings
from watchkeeper.errors import ConflictError, InvalidValueError, NotFoundError
from watchkeeper.events import Prediction
from watchkeeper.identity import By, RecordId
from watchkeeper.incidents import Alert, Incident, IncidentState, IncidentStep
from watchkeeper.monitoring.incidents import Pace, draft, pace
from watchkeeper.records import Finding
from watchkeeper.rollouts import Event, Hold, Plan, Rollout
from watchkeeper.testing import FixedClock

START = datetime(2026, 3, 1, 3, tzinfo=UTC)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with App(Settings(data_dir=tmp_path), clock=FixedClock(START)) as app:
        yield app


def opened(app: App, source: str = "alert:HighErrorRate", **changes: Any) -> Incident:
    fields = {
        "model": "late", "title": "late fails", "severity": "critical", "source": source,
        "evidence": {"rate": 0.2}, "at": START,
    }  # fmt: skip
    return app.incidents.open(**{**fields, **changes})


def change(app: App, name: str, action: str, text: str = "", minutes: int = 5) -> Incident:
    app.clock.set(START + timedelta(minutes=minutes))  # type: ignore[attr-defined]
    changed: Incident = getattr(app.incidents, action)(name, text, by=By("maria"))
    return changed


def alert(status: Any = "firing", severity: str = "critical", model: str = "late") -> Alert:
    return Alert(
        fingerprint="f", name="HighErrorRate", status=status, starts_at=START,
        ends_at=None if status == "firing" else START + timedelta(minutes=9),
        labels={"alertname": "HighErrorRate", "severity": severity, "model": model},
        annotations={"summary": "late fails", "runbook_url": "http://x/runbook#higherrorrate"},
        receiver="page", generator_url="",
    )  # fmt: skip


def finding(kind: Any, *, bad: bool, hours: int = 0) -> Finding:
    return Finding(
        model="late", kind=kind, bad=bad, summary="accuracy 8 % worse" if bad else "well",
        at=START + timedelta(hours=hours), start=None, end=None, table_versions={"predictions": 7},
        evidence={}, number=3,
    )  # fmt: skip


def test_given_the_same_source_when_told_again_then_it_is_the_same_incident(app: App) -> None:
    first = opened(app)
    assert opened(app) == first
    louder = opened(app, title="late fails even more", at=START + timedelta(minutes=1))
    assert (louder.name, len(louder.timeline)) == (first.name, 2)
    other = opened(app, source="finding:drift", severity="warning")
    assert other.name != first.name
    assert [each.name for each in app.incidents.find("late")] == [other.name, first.name]

    change(app, first.name, "resolve", "mended")
    again = opened(app, at=START + timedelta(hours=1))
    assert again.name != first.name
    assert again.state is IncidentState.OPEN


def test_given_many_who_tell_at_once_when_opened_then_there_is_one(app: App) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: opened(app).name, range(8)))
    assert len(set(found)) == 1
    assert len(app.incidents.find("late")) == 1


def test_given_an_incident_when_people_act_then_each_step_is_kept_with_its_actor(app: App) -> None:
    name = opened(app).name
    assert change(app, name, "acknowledge", "looking").owner == "maria"
    assert change(app, name, "assign", "the weather team").owner == "the weather team"
    change(app, name, "note", "they send Celsius")
    with pytest.raises(ConflictError, match="not over"):
        change(app, name, "finish", "# Learned")
    done = change(app, name, "resolve", "Fahrenheit again", minutes=30)
    assert (done.state, done.ended_at) == (IncidentState.RESOLVED, START + timedelta(minutes=30))
    learned = change(app, name, "finish", "# Learned", minutes=60)
    assert learned.post_mortem == "# Learned"
    assert Incident.from_dict(learned.to_dict()) == app.incidents.get(name)
    assert [each.what for each in learned.timeline] == [
        "late fails", "acknowledged: looking", "assigned to the weather team", "they send Celsius",
        "resolved: Fahrenheit again", "post-mortem finished",
    ]  # fmt: skip
    trail = app.audit.entries(subject=f"late:incidents/{name}")
    assert [each.action for each in reversed(trail)] == [
        "incident create", "incident acknowledge", "incident assign", "incident note",
        "incident resolve", "incident finish",
    ]  # fmt: skip
    assert {each.actor for each in trail} == {"watchkeeper", "maria"}
    for action in ("acknowledge", "assign", "resolve"):
        with pytest.raises(ConflictError, match="is resolved"):
            change(app, name, action, "x")


@pytest.mark.parametrize(
    ("action", "text", "error"),
    [
        ("resolve", " ", "why it is resolved"),
        ("note", "", "what happened"),
        ("assign", "", "a person"),
    ],
)
def test_given_nothing_said_when_it_is_needed_then_nothing_changes(
    app: App, action: str, text: str, error: str
) -> None:
    before = opened(app)
    with pytest.raises(InvalidValueError, match=error):
        change(app, before.name, action, text)
    with pytest.raises(NotFoundError, match="nobody"):
        change(app, "nobody", action, "x")
    assert app.incidents.get(before.name) == before


def test_given_alerts_when_they_begin_and_end_then_incidents_follow(app: App) -> None:
    (found,) = app.incidents.follow_alerts([alert()])
    assert (found.severity, found.runbook) == ("critical", "http://x/runbook#higherrorrate")
    assert app.incidents.follow_alerts([alert(severity="none")]) == []
    (ended,) = app.incidents.follow_alerts([alert("resolved")])
    assert (ended.name, ended.state) == (found.name, IncidentState.RESOLVED)
    assert app.incidents.follow_alerts([alert("resolved")]) == []

    (second,) = app.incidents.follow_alerts([alert()])
    change(app, second.name, "acknowledge")
    (kept,) = app.incidents.follow_alerts([alert("resolved")])
    assert kept.state is IncidentState.ACKNOWLEDGED  # who has it in hand decides
    assert kept.timeline[-1].what == "the alert has ended"


def test_given_findings_when_bad_and_then_well_then_the_incident_opens_once_and_ends(
    app: App,
) -> None:
    for hours in range(3):
        found = app.incidents.follow_finding(finding("quality", bad=True, hours=hours))
        assert found is not None
        assert (found.severity, len(found.timeline)) == ("critical", 1)
    drifted = app.incidents.follow_finding(finding("drift", bad=True))
    assert drifted is not None
    assert drifted.severity == "warning"
    ended = app.incidents.follow_finding(finding("quality", bad=False))
    assert ended is not None
    assert ended.state is IncidentState.RESOLVED
    assert app.incidents.follow_finding(finding("quality", bad=False)) is None


def test_given_an_incident_when_drafted_then_it_has_impact_timeline_changes_and_evidence(
    app: App,
) -> None:
    for hours, action in ((-30, "promote"), (-2, "rollback")):
        app.audit.note(
            at=START + timedelta(hours=hours), action=action, subject="late:1.1.0",
            by=By("tom", "why | not"),
        )  # fmt: skip
    app.recorder.record(
        [
            Prediction(
                prediction_id=f"p{n}", model="late", model_version="1.1.0", features={},
                timestamp=START + timedelta(minutes=n), arrived_at=START, prediction=1,
                status="error" if n < 4 else "success", unit_id=f"u{n % 5}",
            )
            for n in range(-3, 12)
        ]
    )  # fmt: skip
    name = opened(app).name
    change(app, name, "resolve", "mended", minutes=10)

    text = draft(app.incidents.repository, app.events, app.audit, name, START)

    assert text.startswith("# Post-mortem: late fails\n")
    assert "It lasted 0:10:00" in text
    assert "10 predictions for 5 units were made meanwhile; 4 of them failed." in text
    assert "| 2026-03-01 03:10:00 | maria | resolved: mended |" in text
    assert "rollback of `late:1.1.0` by tom: why / not" in text
    assert "promote of" not in text  # more than a day before
    assert "- `rate`: 0.2" in text
    bare = opened(app, model="other").name
    empty = draft(app.incidents.repository, app.events, app.audit, bare, START)
    assert "Nothing is recorded of this model." in empty
    assert "None is recorded." in empty


def test_given_incidents_of_a_month_when_their_pace_is_asked_then_it_is_of_those_opened_in_it(
    app: App,
) -> None:
    assert pace(app.audit, since=START) == Pace(0, 0, 0, None, None)
    former = opened(app, model="former", at=START - timedelta(days=1))
    quick, slow, waiting = (opened(app, model=name) for name in ("quick", "slow", "waiting"))
    change(app, former.name, "resolve", "mended", minutes=1)
    change(app, quick.name, "acknowledge", minutes=4)
    change(app, slow.name, "acknowledge", minutes=8)
    change(app, slow.name, "acknowledge", minutes=30)
    change(app, quick.name, "resolve", "mended", minutes=60)

    found = pace(app.audit, since=START)

    assert (found.opened, found.acknowledged, found.resolved) == (3, 2, 1)
    assert found.to_acknowledge == timedelta(minutes=6)
    assert found.to_resolve == timedelta(hours=1)
    assert waiting.active


def test_given_several_when_asked_for_some_then_filters_and_counts_agree(app: App) -> None:
    first = opened(app)
    second = opened(app, model="other", severity="warning")
    change(app, first.name, "resolve", "mended")

    def names(**asked: Any) -> list[str]:
        found = app.incidents.find(**asked)
        assert app.incidents.count(**{k: v for k, v in asked.items() if k != "limit"}) >= len(found)
        return [each.name for each in found]

    assert names(active=True) == names(severity="warning") == [second.name]
    assert names(active=False) == names(severity="critical") == [first.name]
    assert names(active=True, severity="critical") == []
    assert names(limit=1) == [second.name]
    assert app.incidents.models() == ["late", "other"]


def held(hold: Hold | None = Hold.APPROVAL, name: str = "june") -> Rollout:
    plan = Plan(steps=(50.0, 100.0))
    rollout = Rollout(name=name, model="late", version="2", plan=plan).moved(Event.START, START)
    return rollout if hold is None else rollout.moved(Event.HOLD, START, hold)


def test_given_a_rollout_that_waits_for_a_person_when_seen_then_one_incident_tells_until_it_goes_on(
    app: App,
) -> None:
    for _ in range(2):
        app.incidents.follow_holds([held()])
    (incident,) = app.incidents.find("late")
    assert "june of version 2 held at 50 % of the traffic (approval)" in incident.title

    change(app, incident.name, "resolve", "ada decides tomorrow")
    app.incidents.follow_holds([held()])
    assert len(app.incidents.find("late")) == 1  # who resolved it has heard of it

    app.incidents.follow_holds([held(Hold.SRM), held(None, "other")])
    assert [each.active for each in app.incidents.find("late")] == [True, False]
    app.incidents.follow_holds([held(Hold.NO_DATA)])
    assert [each.active for each in app.incidents.find("late")] == [False, False]


def test_given_an_acknowledged_incident_when_it_is_well_again_and_again_then_told_once(
    app: App,
) -> None:
    incident = app.incidents.follow_finding(finding("quality", bad=True))
    assert incident is not None
    change(app, incident.name, "acknowledge", "mine")
    for hours in (1, 2, 3):
        well = replace(
            finding("quality", bad=False, hours=hours), summary=f"{97 + hours} % are right"
        )
        app.incidents.follow_finding(well)
    steps = [moment.step for moment in app.incidents.get(incident.name).timeline]
    assert steps == [IncidentStep.REPORTED, IncidentStep.ACKNOWLEDGED, IncidentStep.RECOVERED]

    app.incidents.follow_finding(finding("quality", bad=True, hours=4))
    assert app.incidents.get(incident.name).timeline[-1].step is IncidentStep.REPORTED


def test_given_what_opens_an_incident_when_it_is_stored_then_its_cause_is_the_record(
    app: App,
) -> None:
    (by_alert,) = app.incidents.follow_alerts([alert()])
    by_finding = app.incidents.follow_finding(finding("drift", bad=True))
    assert by_finding is not None

    for incident, cause in (
        (by_alert, RecordId("alert", "f")), (by_finding, RecordId("finding", "3")),
    ):  # fmt: skip
        assert app.incidents.get(incident.name).cause == cause
        (entry,) = app.audit.entries(subject=f"late:incidents/{incident.name}")
        assert entry.cause == cause
        assert (entry.kind, entry.name) == ("incident", incident.name)
