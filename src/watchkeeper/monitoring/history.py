"""What happened to a model, as linked records: finding, decision, training, gate, rollout, end."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from watchkeeper.errors import InvalidValueError, NotFoundError
from watchkeeper.events import Window
from watchkeeper.monitoring.findings import keep_drift, keep_quality
from watchkeeper.monitoring.measurements import drift_of_window, quality_of_window
from watchkeeper.monitoring.repositories import KeptFindings, Trail
from watchkeeper.operations.retraining import Parts, Setup, new_labelled
from watchkeeper.records import Entry, Finding
from watchkeeper.results import Result, plain
from watchkeeper.retraining import Answered, Run, decide
from watchkeeper.retraining.candidate import judged, learned_until, training_data
from watchkeeper.retraining.data import split
from watchkeeper.retraining.training import Trained
from watchkeeper.rollouts import Event, Hold, Rollout, Seen, decided

__all__ = [
    "HistoryParts",
    "Listed",
    "Record",
    "Replayed",
    "history",
    "listed",
    "model_of",
    "record_of",
    "replay",
]

_CLOSE = 1e-9  # relative; figures are sums over rows in another order
_TRAIL = ("promote", "rollback", "retraining pass over", "online")
_OF_HISTORY = (
    "promote",
    "rollback",
    "retraining ",
    "rollout ",
    "shadow ",
    "online",
)  # so actions begin


class AllFindings(KeptFindings, Protocol):
    """Where findings are kept."""

    def get(self, number: int) -> Finding:
        """Return one."""
        ...


class HistoryParts(Parts, Protocol):
    """What a history is read from; an `watchkeeper.app.App` is one."""

    @property
    def findings(self) -> AllFindings: ...
    @property
    def audit(self) -> Trail: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(Result):
    """One thing that happened.

    Attributes
    ----------
    id : str
        Such as ``finding:12``, ``decision:RUN``, ``training:RUN``, ``gate:RUN``, ``outcome:RUN``,
        ``rollout:NAME/2``, ``audit:40``.
    at : datetime
    kind : str
        ``drift``, ``quality``, ``decision``, ``training``, ``gate``, ``outcome``, ``rollout``,
        ``promote``, ``rollback``, ….
    summary : str
    actor : str
    follows : tuple of str
        The records that it came of.
    table_versions : dict of str to int
        Of the event store, as it was computed from; empty where nothing was.
    evidence : mapping of str to Any
    replayable : bool
        Whether `replay` can make it again.
    """

    id: str
    at: datetime
    kind: str
    summary: str
    actor: str = ""
    follows: tuple[str, ...] = ()
    table_versions: dict[str, int] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    replayable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed(Result):
    """A decision that was made again.

    Attributes
    ----------
    id : str
    confirmed : bool
    summary : str
    differences : tuple of str
        What is another than it was, each with both figures; empty where it was confirmed.
    stored, now : dict
        What was compared.
    """

    id: str
    confirmed: bool
    summary: str
    differences: tuple[str, ...]
    stored: dict[str, Any]
    now: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listed(Result):
    """Records of a model.

    Attributes
    ----------
    records : tuple of Record
        The oldest first.
    kinds : dict of str to int
        How many records there are of each kind, those that were not asked for included.
    """

    records: tuple[Record, ...]
    kinds: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Line:
    """A record before it is made: what it says is read only of those that are asked for."""

    id: str
    at: datetime
    kind: str
    make: Callable[[], Record]


def history(
    parts: HistoryParts, model: str, *, everything: bool = False, limit: int = 200
) -> list[Record]:
    """Return what happened to a model, the oldest first; see `listed`."""
    return list(listed(parts, model, everything=everything, limit=limit).records)


def listed(
    parts: HistoryParts,
    model: str,
    *,
    everything: bool = False,
    limit: int = 200,
    kind: str | None = None,
) -> Listed:
    """Return what happened to a model, and how much of each kind there is.

    Parameters
    ----------
    everything : bool
        Also the measurements that found nothing and that nothing came of.
    limit : int
        At most so many, the newest.
    kind : str, optional
        Only of this kind.

    Raises
    ------
    NotFoundError
        If nothing is known of the model.
    """
    lines = _lines(parts, model, everything=everything)
    chosen = [each for each in lines if kind is None or each.kind == kind]
    return Listed(
        records=tuple(each.make() for each in chosen[-limit:]),
        kinds=dict(Counter(each.kind for each in lines)),
    )


def record_of(parts: HistoryParts, model: str, record: str) -> Record:
    """Return one record of a model by its id.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    kind, _, number = record.partition(":")
    if kind == "finding" and number.isdigit():
        finding = parts.findings.get(int(number))
        if finding.model == model:
            return _of_finding(finding)
    else:
        for each in _lines(parts, model, everything=False):
            if each.id == record:
                return each.make()
    raise NotFoundError("record", record, f"`watchkeeper history {model}` lists them.")


def _lines(parts: HistoryParts, model: str, *, everything: bool) -> list[_Line]:
    """Return what happened to a model, the oldest first."""
    runs = parts.retraining.find(model)
    asked = {each.finding for run in runs for each in run.decision.triggers}
    found = parts.findings.find(model, bad=None if everything else True, limit=1000)
    older = {each for each in asked if each is not None} - {each.number for each in found}
    found += [parts.findings.get(each) for each in sorted(older, reverse=True)]
    lines = [
        _Line(f"finding:{each.number}", each.at, each.kind, partial(_of_finding, each))
        for each in reversed(found)
    ]
    trail = parts.audit.entries(model, beginning=_OF_HISTORY, limit=10_000)
    entries: dict[str, list[Entry]] = {}
    for entry in reversed(trail):
        entries.setdefault(entry.subject, []).append(entry)
    for run in runs:
        lines += [
            _Line(each.id, each.at, each.kind, partial(_as_it_is, each))
            for each in _of_run(run, entries.get(f"{model}:retrainings/{run.name}", []))
        ]
    came_of = {run.follows: f"gate:{run.name}" for run in runs if run.follows}
    ends: dict[str, str] = {f"retraining {run.name}": f"gate:{run.name}" for run in runs}
    for kind in ("rollout", "shadow"):
        for subject, own in entries.items():
            if subject.startswith(f"{model}:{kind}s/"):
                steps = list(_of_steps(kind, subject.partition("/")[2], own, came_of))
                lines += steps
                ends[f"{kind} {subject.partition('/')[2]}"] = steps[-1].id
    for entry in reversed(trail):
        if entry.action in _TRAIL:
            make = partial(_of_entry, entry, ends)
            lines.append(_Line(f"audit:{entry.number}", entry.at, _kind_of(entry), make))
    if not lines and not parts.registry.list_models(model_name=model):
        raise NotFoundError("model", model, "Nothing is registered or recorded of it.")
    return sorted(lines, key=lambda each: each.at)


def _as_it_is(record: Record) -> Record:
    return record


def replay(parts: HistoryParts, record: str, setup: Setup) -> Replayed:
    """Make a decision again from what is stored, and tell whether it is the same.

    Findings are measured again in their window, as far as events had arrived; decisions and looks
    at rollouts are functions of the facts and counts that were kept with them, and the facts are
    counted again; the gate lets both versions answer the later rows again.

    Parameters
    ----------
    record : str
        The id of a record.
    setup : Setup
        Of its model.

    Raises
    ------
    NotFoundError
        If there is no such record.
    InvalidValueError
        If it is no decision.
    """
    kind, _, name = record.partition(":")
    if kind == "finding" and name.isdigit():
        return _finding_again(parts, parts.findings.get(int(name)), setup)
    if kind == "decision":
        return _decision_again(parts, parts.retraining.get(name))
    if kind == "gate":
        return _gate_again(parts, parts.retraining.get(name))
    if kind == "rollout":
        return _look_again(parts, record, name)
    raise InvalidValueError(
        "record", record, "finding:N, decision:RUN, gate:RUN or rollout:NAME/N",
        "`watchkeeper history MODEL` lists them; what is no decision cannot be made again.",
    )  # fmt: skip


def model_of(parts: HistoryParts, record: str) -> str:
    """Return the model that a record is of."""
    kind, _, name = record.partition(":")
    if kind == "finding" and name.isdigit():
        return parts.findings.get(int(name)).model
    if kind == "rollout":
        return parts.rollouts.get(name.partition("/")[0]).model
    return parts.retraining.get(name).model


def _of_finding(found: Finding) -> Record:
    return Record(
        id=f"finding:{found.number}",
        at=found.at,
        kind=found.kind,
        summary=found.summary,
        actor="watchkeeper",
        table_versions=found.table_versions,
        evidence={"start": plain(found.start), "end": plain(found.end), **found.evidence},
        replayable=True,
    )


def _of_run(run: Run, entries: list[Entry]) -> Iterator[Record]:
    """Yield the steps of a retraining."""
    asked = tuple(
        f"finding:{each.finding}" for each in run.decision.triggers if each.finding is not None
    )
    last = decision = Record(
        id=f"decision:{run.name}",
        at=run.decided_at,
        kind="decision",
        summary=f"train again: {run.decision.reason}",
        actor=run.actor,
        follows=asked,
        evidence={"decision": run.decision.to_dict(), "facts": run.facts.to_dict()},
        replayable=True,
    )
    yield decision
    gating = [each for each in entries if each.action == "retraining gating"]
    if gating:
        last = Record(
            id=f"training:{run.name}",
            at=gating[0].at,
            kind="training",
            summary=gating[0].reason,
            actor=gating[0].actor,
            follows=(last.id,),
            table_versions=run.table_versions,
            evidence=gating[0].evidence,
        )
        yield last
    if run.gate is not None and len(gating) > 1:
        last = Record(
            id=f"gate:{run.name}",
            at=gating[1].at,
            kind="gate",
            summary=gating[1].reason,
            actor=gating[1].actor,
            follows=(last.id,),
            table_versions=run.table_versions,
            evidence=gating[1].evidence,
            replayable=run.champion is not None,
        )
        yield last
    if not run.active:
        yield Record(
            id=f"outcome:{run.name}",
            at=entries[-1].at if entries else run.ended_at or run.decided_at,
            kind="outcome",
            summary=f"{run.state.value.replace('_', ' ')}: {run.reason}",
            actor=entries[-1].actor if entries else "",
            follows=(last.id,),
            evidence=entries[-1].evidence if entries else {},
        )


def _of_steps(
    kind: str, name: str, entries: list[Entry], came_of: Mapping[str, str]
) -> Iterator[_Line]:
    former: tuple[str, ...] = (came_of[name],) if name in came_of else ()
    for number, entry in enumerate(entries, 1):
        own = f"{kind}:{name}/{number}"
        yield _Line(own, entry.at, kind, partial(_of_step, own, kind, name, entry, former))
        former = (own,)


def _of_step(own: str, kind: str, name: str, entry: Entry, former: tuple[str, ...]) -> Record:
    return Record(
        id=own,
        at=entry.at,
        kind=kind,
        summary=f"{entry.action.removeprefix(kind + ' ')}: {entry.reason or name}",
        actor=entry.actor,
        follows=former,
        evidence=entry.evidence,
        replayable=kind == "rollout" and bool(entry.evidence.get("seen")),
    )


def _of_entry(entry: Entry, ends: Mapping[str, str]) -> Record:
    before = ends.get(entry.reason)
    return Record(
        id=f"audit:{entry.number}",
        at=entry.at,
        kind=_kind_of(entry),
        summary=f"{entry.subject}: {entry.reason}" if entry.reason else entry.subject,
        actor=entry.actor,
        follows=() if before is None else (before,),
        evidence=entry.evidence,
    )


def _kind_of(entry: Entry) -> str:
    return entry.action.removeprefix("retraining ")


def _finding_again(parts: HistoryParts, found: Finding, setup: Setup) -> Replayed:
    events, window = parts.events.as_of(found.at), Window(found.start, found.end)
    evidence = found.evidence
    if found.kind == "drift":
        told = str(evidence.get("reference", ""))
        version = told.rpartition(":")[2] if told.startswith("the training data of ") else None
        if version is None:
            raise InvalidValueError(
                f"finding:{found.number}", told, "a comparison with what a version learned from"
            )
        drift = drift_of_window(
            events,
            parts.registry,
            found.model,
            window,
            version=version,
            threshold=float(evidence["threshold"]),
            checks=int(evidence["checks"]),
        )
        again = keep_drift(_Unkept(), drift, at=found.at)
        names = ("drift_detected", "drift_share", "current_size")
        stored = {name: evidence[name] for name in names}
        now = {name: again.evidence[name] for name in names}
        for side, figures in ((evidence, stored), (again.evidence, now)):
            for feature, each in side["features"].items():
                figures[f"{feature}: p-value"] = each["p_value"]
                figures[f"{feature}: drifted"] = each["drift_detected"]
        versions = drift.table_versions
    else:
        drop = evidence["drop"]
        quality = quality_of_window(
            events,
            parts.registry,
            found.model,
            window,
            version=evidence["model_version"],
            task=setup.task,
            positive=setup.positive,
            alert_threshold=drop["threshold_percentage"] / 100,
            min_samples=setup.min_samples,
        )
        again = keep_quality(_Unkept(), quality, at=found.at)
        stored, now = (
            {
                "predictions": each["predictions"],
                "labelled": each["labelled"],
                "bad": each["drop"]["drift_detected"],
                **{f"drop of {name}": value for name, value in each["drop"]["drops"].items()},
            }
            for each in (evidence, plain(again.evidence))
        )
        versions = quality.table_versions
    return _compared(f"finding:{found.number}", stored, now, found.table_versions, versions)


def _decision_again(parts: HistoryParts, run: Run) -> Replayed:
    again = decide(run.policy, run.facts, run.decided_at)
    stored = {"train": run.decision.train, "reason": run.decision.reason}
    now = {"train": again.train, "reason": again.reason}
    for each in run.decision.triggers:
        if each.finding is not None:
            kept = parts.findings.get(each.finding)
            stored[f"finding:{each.finding}"] = True
            now[f"finding:{each.finding}"] = kept.bad and kept.model == run.model
    if run.facts.new_labelled is not None:
        stored["new_labelled"] = run.facts.new_labelled
        now["new_labelled"] = new_labelled(
            parts.events.as_of(run.known_at), run.model, run.policy, run.facts.last_started,
            run.decided_at,
        )  # fmt: skip
    return _compared(f"decision:{run.name}", stored, now)


def _gate_again(parts: HistoryParts, run: Run) -> Replayed:
    """Let candidate and champion answer the later rows again; their cost is taken as it was."""
    record = f"gate:{run.name}"
    if run.gate is None or run.champion is None or run.model_id is None:
        raise InvalidValueError(record, run.state.value, "a gate with a candidate and a champion")
    champion = parts.registry.get(run.champion)
    events = parts.events.as_of(run.known_at)
    data, versions = training_data(
        events, parts.registry, run.model, run.policy, Window(run.start, run.end), champion,
        task=run.task,
    )  # fmt: skip
    halves = split(
        data, holdout=run.policy.holdout, not_before=learned_until(champion), task=run.task
    )
    rows = halves.held_out.table.select(list(data.features))
    answered = [_answered(parts, each, rows, run) for each in (run.model_id, run.champion)]
    cost = {"latency_ms": run.gate.cost.latency_ms, "size": run.gate.cost.size}
    kept = list(dict.fromkeys([data.target, *run.policy.segments]))
    again = judged(
        run.policy,
        halves.held_out.table.select(kept),
        Trained(None, cost, answered[0], answered[1]),
        task=run.task,
        positive=run.positive,
        boundary=halves.boundary,
        champion=champion,
    )
    stored, now = (
        {
            "passed": each.passed,
            "rows": each.rows,
            "boundary": plain(each.boundary),
            **{f"candidate's {name}": value for name, value in each.candidate.items()},
            **{f"champion's {name}": value for name, value in each.champion.items()},
            **{f"{row.check}: passed": row.passed for row in each.checks},
            **{row.check: row.figure for row in each.checks},
        }
        for each in (run.gate, again)
    )
    return _compared(record, stored, now, run.table_versions, versions)


def _answered(parts: HistoryParts, model_id: str, rows: pa.Table, run: Run) -> Answered:
    from watchkeeper.quality.labels import labels_of
    from watchkeeper.retraining.worker import answers

    found, _ = answers(parts.registry.open_runtime(model_id), rows)
    predicted = labels_of(pa.chunked_array([pa.array(found["predicted"])]), run.task, run.positive)
    scores = found.get("score") if run.task == "binary" else None
    return Answered(predicted, None if scores is None or np.isnan(scores).all() else scores)


def _look_again(parts: HistoryParts, record: str, name: str) -> Replayed:
    """Decide again what a rollout did next, from the counts that were kept with it."""
    own, _, number = name.rpartition("/")
    rollout = parts.rollouts.get(own)
    entries = parts.audit.entries(subject=f"{rollout.model}:rollouts/{own}")[::-1]
    if not number.isdigit() or not 1 <= int(number) <= len(entries):
        raise NotFoundError("record", record, f"The rollout {own} has {len(entries)}.")
    entry = entries[int(number) - 1]
    seen = entry.evidence.get("seen")
    if not seen:
        raise InvalidValueError(record, entry.action, "a look that has counted something")
    before = _as_before(entries[: int(number) - 1])
    again = decided(before, _seen(seen), entry.at)
    kept = entry.evidence["decision"]
    stored = {name: kept[name] for name in ("event", "hold", "reason")}
    now = {name: plain(again[name]) for name in stored}
    return _compared(record, stored, now)


def _as_before(entries: list[Entry]) -> Rollout:
    """Return a rollout as it was after some of its changes."""
    rollout = Rollout.from_dict(entries[0].evidence)
    for entry in entries[1:]:
        if "plan" in entry.evidence:
            rollout = Rollout.from_dict(entry.evidence)
            continue
        event = Event(entry.action.removeprefix("rollout "))
        hold = (entry.evidence.get("decision") or {}).get("hold")
        blind = Hold.ANALYSIS_ERROR if event is Event.HOLD and hold is None else None
        rollout = rollout.moved(event, entry.at, Hold(hold) if hold else blind)
    return rollout


def _seen(stored: Mapping[str, Any]) -> Seen:
    rest = {name: value for name, value in stored.items() if name not in Seen.__slots__}
    if rest:
        raise InvalidValueError("seen", sorted(rest), "counts that this Watchkeeper knows")
    return Seen.from_dict(stored)


def _compared(
    record: str,
    stored: Mapping[str, Any],
    now: Mapping[str, Any],
    versions: Mapping[str, int] | None = None,
    versions_now: Mapping[str, int] | None = None,
) -> Replayed:
    differences = [
        f"{name} was {stored.get(name)!r} and is {now.get(name)!r}"
        for name in dict.fromkeys([*stored, *now])
        if not _same(stored.get(name), now.get(name))
    ]
    told = "the same"
    if differences:
        told = f"{len(differences)} figures differ"
        moved = {
            name: (version, (versions_now or {}).get(name))
            for name, version in (versions or {}).items()
            if (versions_now or {}).get(name) != version
        }
        if moved:
            told += "; the tables have moved on: " + ", ".join(
                f"{name} from version {was} to {by}" for name, (was, by) in moved.items()
            )
    return Replayed(
        id=record,
        confirmed=not differences,
        summary=told,
        differences=tuple(differences),
        stored=dict(plain(stored)),
        now=dict(plain(now)),
    )


def _same(first: Any, second: Any) -> bool:
    numbers = isinstance(first, float) or isinstance(second, float)
    if numbers and None not in {first, second} and not isinstance(first, str | bool):
        return bool(np.isclose(float(first), float(second), rtol=_CLOSE, atol=1e-300))
    return bool(first == second)


class _Unkept:
    """Where nothing is kept."""

    def add(self, finding: Finding) -> Finding:
        return replace(finding, evidence=dict(plain(finding.evidence)))
