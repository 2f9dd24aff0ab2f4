"""What happened to a model, as linked records, and decisions that are made again."""

import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from typing import Any

import pyarrow as pa
import pytest
from tests.operations.test_retraining import (  # noqa: F401 - fixtures
    LATE,
    NOW,
    POLICY,
    START,
    app,
    found_worse,
    here,
    look,
    trainers,
    use,
)

from watchkeeper.app import App
from watchkeeper.errors import InvalidValueError, NotFoundError
from watchkeeper.events import Event as AnyEvent
from watchkeeper.events import EventKind, Outcome, Window
from watchkeeper.identity import CONTROLLER, By, RecordId
from watchkeeper.monitoring.findings import keep_drift, keep_quality
from watchkeeper.monitoring.history import Record
from watchkeeper.monitoring.measurements import drift_of_window, quality_of_window
from watchkeeper.policies.rollouts import RolloutPolicy
from watchkeeper.records import Finding
from watchkeeper.rollouts import Event, Plan, Rollout
from watchkeeper.serving.ingest import ingest


def measured(app: App) -> None:  # noqa: F811
    """Keep what a server measures of the last weeks."""
    window = Window(START, NOW)
    quality = quality_of_window(app.events, app.registry, "late", window, version="1.0.0")
    keep_quality(app.findings, quality, at=NOW)
    keep_drift(app.findings, drift_of_window(app.events, app.registry, "late", window), at=NOW)


def of_kind(found: list[Record], kind: str) -> Record:
    return next(each for each in found if each.kind == kind)


def test_given_a_loop_from_drop_to_promotion_when_read_then_each_record_names_what_it_came_of(
    app: App,  # noqa: F811
) -> None:
    measured(app)
    run = look(app).run
    assert run is not None

    found = app.history.records("late")
    kinds = [each.kind for each in found]
    assert [
        kinds.index(each) for each in ("quality", "decision", "training", "gate", "outcome")
    ] == (
        sorted(kinds.index(each) for each in ("quality", "decision", "training", "gate", "outcome"))
    )
    assert of_kind(found, "quality").id in of_kind(found, "decision").follows
    assert of_kind(found, "training").follows == (f"decision:{run.name}",)
    assert of_kind(found, "gate").follows == (f"training:{run.name}",)
    assert of_kind(found, "outcome").follows == (f"gate:{run.name}",)
    assert of_kind(found, "training").table_versions.keys() == {"predictions", "outcomes"}
    promoted = [each for each in found if each.kind == "promote"]
    assert promoted[-1].follows == (f"gate:{run.name}",)
    assert "late:1.0.1" in promoted[-1].summary
    assert len(app.history.records("late", limit=2)) == 2
    with pytest.raises(NotFoundError, match="nobody"):
        app.history.records("nobody")


def test_given_decisions_when_made_again_then_they_are_confirmed(app: App) -> None:  # noqa: F811
    measured(app)
    look(app)

    made_again = [
        app.replays.replay(each.id)
        for each in app.history.records("late", everything=True)
        if each.replayable
    ]
    assert {each.id.partition(":")[0] for each in made_again} == {"finding", "decision", "gate"}
    assert [(each.id, each.differences) for each in made_again if not each.confirmed] == []
    assert all(app.history.model_of(each.id) == "late" for each in made_again)


def test_given_outcomes_that_came_later_when_made_again_then_they_do_not_count(
    app: App,  # noqa: F811
) -> None:
    at = START + timedelta(days=10)
    window = Window(START, at)
    quality = quality_of_window(app.events, app.registry, "late", window, version="1.0.0")
    kept = keep_quality(app.findings, quality, at=NOW)
    late = NOW + timedelta(days=1)
    app.recorder.record(
        [
            Outcome(
                prediction_id=f"0301-{number}", model="late", timestamp=late, arrived_at=late,
                actual=int(1 - LATE[number]),
            )
            for number in range(0, 100, 2)
        ]
    )  # fmt: skip

    again = app.replays.replay(f"finding:{kept.number}")

    assert again.confirmed, again.differences


class Standing:
    """A recorder that stands before each write, when what it writes has arrived, until let go."""

    def __init__(self, app: App) -> None:  # noqa: F811
        self._app = app
        self._stands, self._let = threading.Semaphore(0), threading.Semaphore(0)

    def record(self, events: Sequence[AnyEvent], *, required: bool = True) -> bool:
        self._stands.release()
        assert self._let.acquire(timeout=60)
        return self._app.recorder.record(events, required=required)

    def record_table(self, event: EventKind, model: str, rows: pa.Table) -> None:
        raise NotImplementedError  # JSON comes as events

    @contextmanager
    def writing(self, body: bytes) -> Iterator[None]:
        """Ingest outcomes in another thread, which stands before its write within the context."""
        with ThreadPoolExecutor(1) as pool:
            ingested = pool.submit(
                ingest, BytesIO(body), "outcome", "late", self, self._app.arrivals
            )
            assert self._stands.acquire(timeout=60)
            try:
                yield
            finally:
                self._let.release()
            assert ingested.result(60).accepted > 0


def test_given_outcomes_that_keep_coming_when_findings_are_made_again_then_they_are_confirmed(
    app: App,  # noqa: F811
) -> None:
    def measure() -> Finding:
        at = app.arrivals.settled()
        quality = quality_of_window(
            app.events.as_of(at), app.registry, "late", Window(START, NOW), version="1.0.0"
        )
        return keep_quality(app.findings, quality, at=at)

    standing = Standing(app)
    findings = [measure()]
    for first in range(0, 100, 25):
        outcomes = [
            {"prediction_id": f"0301-{number}", "actual": 1 - int(LATE[number])}
            for number in range(first, first + 25)
        ]
        with standing.writing(json.dumps(outcomes).encode()):
            findings.append(measure())  # they have arrived and are not written
        findings.append(measure())

    again = [app.replays.replay(f"finding:{finding.number}") for finding in findings]

    assert [
        (replayed.id, replayed.differences) for replayed in again if not replayed.confirmed
    ] == []
    metrics = [finding.evidence["metrics"] for finding in findings]
    for before, during, after in zip(metrics[::2], metrics[1::2], metrics[2::2], strict=False):
        assert before == during != after


def test_given_a_rollout_when_its_looks_are_made_again_then_they_are_confirmed(
    app: App,  # noqa: F811
) -> None:
    found_worse(app)
    rollout = RolloutPolicy(steps=(50.0, 100.0), window_minutes=10.0, min_samples=20)
    use(app, replace(POLICY, on_success="canary"), rollout=rollout)
    run = app.retraining.advance("late", NOW, launch=here).run
    assert run is not None
    later = NOW + timedelta(minutes=20)
    clock: Any = app.clock
    clock.set(later)
    assert app.rollouts.advance(run.follows).rollout.hold == "no_data"
    app.rollouts.abort(run.follows, by=By("ada"))

    found = app.history.records("late")
    steps = [each for each in found if each.kind == "rollout"]
    assert steps[0].follows == (f"gate:{run.name}",)
    assert steps[1].follows == (steps[0].id,)
    again = app.replays.replay(next(each.id for each in steps if each.replayable))
    assert again.confirmed, again.differences


def test_given_records_when_listed_then_kinds_are_counted_and_one_is_found_by_its_id(
    app: App,  # noqa: F811
) -> None:
    measured(app)
    look(app)

    everything = app.history.listed("late", everything=True)
    chosen = app.history.listed("late", kind="decision", limit=1)

    assert sum(everything.kinds.values()) == len(everything.records)
    assert [each.kind for each in chosen.records] == ["decision"]
    assert chosen.kinds["gate"] == 1
    for each in everything.records:
        assert app.history.get("late", each.id) == each
    for wrong in ("finding:999", "gate:nobody", "audit:999"):
        with pytest.raises(NotFoundError):
            app.history.get("late", wrong)
    with pytest.raises(NotFoundError):
        app.history.get("other", everything.records[0].id)


def test_given_a_reason_that_reads_like_a_cause_when_a_person_promotes_then_nothing_led_to_it(
    app: App,  # noqa: F811
) -> None:
    measured(app)
    run = look(app).run
    assert run is not None
    app.registry.promote_to_production("late:1.0.0", reason=f"retraining {run.name}", actor="maria")

    records = app.history.records("late")

    by_person = next(record for record in reversed(records) if record.actor == "maria")
    assert (by_person.kind, by_person.follows) == ("promote", ())


def test_given_a_rollout_that_goes_on_when_it_promotes_then_its_last_record_before_led_to_it(
    app: App,  # noqa: F811
) -> None:
    model_id = app.registry.register_model(
        app.registry.load_model("late:1.0.0"), "late", "2.0.0", {"accuracy": 0.9}
    )
    app.rollouts.repository.add(
        Rollout(name="june", model="late", version="2.0.0", plan=Plan(), stable="1.0.0"),
        at=NOW,
        by=By("maria", "better"),
    )
    cause = RecordId("rollout", "june")
    app.registry.promote_to_production(
        model_id, reason="its steps have passed", actor=CONTROLLER, cause=cause
    )
    later = NOW + timedelta(hours=1)
    june = app.rollouts.get("june")
    app.rollouts.repository.save(
        june, june.moved(Event.SCHEDULE, later), action="schedule", at=later, by=By("joe", "worse"),
        evidence={},
    )  # fmt: skip
    app.registry.rollback("late", actor=CONTROLLER, cause=cause)

    records = app.history.records("late")

    follows = {record.kind: record.follows for record in records}
    assert (follows["promote"], follows["rollback"]) == (("rollout:june/1",), ("rollout:june/2",))


@pytest.mark.parametrize(
    ("record", "error"),
    [
        ("finding:999", NotFoundError),
        ("decision:nobody", NotFoundError),
        ("audit:1", InvalidValueError),
        ("something", InvalidValueError),
    ],
)
def test_given_what_is_no_decision_when_made_again_then_the_error_says_so(
    app: App,  # noqa: F811
    record: str,
    error: Any,
) -> None:
    with pytest.raises(error):
        app.replays.replay(record)
