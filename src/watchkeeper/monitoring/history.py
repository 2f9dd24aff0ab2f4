"""History: the records of a model, each with the records that led to it.

Records are linked by stored ids alone: the cause of an audit entry or a finding, the findings that
triggered a retraining, and the rollout or shadow that a retraining started. No text is parsed.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from watchkeeper.errors import NotFoundError
from watchkeeper.identity import CONTROLLER, RecordId
from watchkeeper.records import AuditTrail, Entry, Finding, FindingRepository
from watchkeeper.registry import ModelRegistry
from watchkeeper.results import Result, plain
from watchkeeper.retraining import Run
from watchkeeper.retraining.repository import RetrainingRepository
from watchkeeper.rollouts.repository import RolloutRepository

__all__ = ["History", "Listed", "Record"]

_SINGLE = {
    "promote": "promote",
    "rollback": "rollback",
    "retraining pass over": "pass over",
    "online": "online",
}  # kinds of records by the actions that are a record of their own
_ACTIONS = ("promote", "rollback", "retraining ", "rollout ", "shadow ", "online")
_FINDINGS, _ENTRIES = 1_000, 10_000  # that are read at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(Result):
    """One thing that happened.

    Attributes
    ----------
    id : str
        Such as ``finding:12``, ``decision:RUN``, ``training:RUN``, ``gate:RUN``, ``outcome:RUN``,
        ``rollout:finding/2``, ``audit:40``.
    at : datetime
    kind : str
        ``drift``, ``quality``, ``decision``, ``training``, ``gate``, ``outcome``, ``rollout``,
        ``promote``, ``rollback``, ….
    summary : str
    actor : str
    follows : tuple of str
        The records that led to it.
    table_versions : dict of str to int
        Of the event store, as it was computed from; empty where nothing was.
    evidence : mapping of str to Any
    replayable : bool
        Whether its decision can be computed again.
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


@dataclass(frozen=True, slots=True)
class Listed(Result):
    """Records of a model.

    Attributes
    ----------
    records : tuple of Record
        The oldest first.
    kinds : dict of str to int
        How many records there are of each kind, those that were not selected included.
    """

    records: tuple[Record, ...]
    kinds: dict[str, int]


@dataclass(frozen=True, slots=True)
class _StoredRecord:
    """A record whose evidence is not decoded yet: most records of a history are never shown."""

    id: str
    at: datetime
    kind: str
    read: Callable[[], Record]


class History:
    """The records of all models.

    Parameters
    ----------
    audit : AuditTrail
    findings : FindingRepository
    retraining : RetrainingRepository
    rollouts : RolloutRepository
    registry : ModelRegistry
    """

    def __init__(
        self,
        *,
        audit: AuditTrail,
        findings: FindingRepository,
        retraining: RetrainingRepository,
        rollouts: RolloutRepository,
        registry: ModelRegistry,
    ) -> None:
        self._audit, self._findings = audit, findings
        self._retraining, self._rollouts, self._registry = retraining, rollouts, registry

    def records(self, model: str, *, everything: bool = False, limit: int = 200) -> list[Record]:
        """Return the records of a model, the oldest first; see `listed`.

        Parameters
        ----------
        model : str
        everything : bool
            Also the measurements that found nothing and led to nothing.
        limit : int
            At most so many, the newest.

        Returns
        -------
        list of Record
        """
        return list(self.listed(model, everything=everything, limit=limit).records)

    def listed(
        self, model: str, *, everything: bool = False, limit: int = 200, kind: str | None = None
    ) -> Listed:
        """Return the records of a model, and how many there are of each kind.

        Parameters
        ----------
        model : str
        everything : bool
            Also the measurements that found nothing and led to nothing.
        limit : int
            At most so many, the newest.
        kind : str, optional
            Only of this kind.

        Returns
        -------
        Listed

        Raises
        ------
        NotFoundError
            If nothing is registered or recorded of the model.
        """
        lines = self._lines(model, everything=everything)
        selected = [line for line in lines if kind is None or line.kind == kind]
        return Listed(
            records=tuple(line.read() for line in selected[-limit:]),
            kinds=dict(Counter(line.kind for line in lines)),
        )

    def get(self, model: str, record: str) -> Record:
        """Return one record of a model by its id.

        Parameters
        ----------
        model : str
        record : str
            Its id, as `records` has it.

        Returns
        -------
        Record

        Raises
        ------
        NotFoundError
            If the model has no such record.
        """
        number = _number_of_finding(record)
        if number is not None:
            finding = self._findings.get(number)
            if finding.model == model:
                return _of_finding(finding)
        else:
            for line in self._lines(model, everything=False):
                if line.id == record:
                    return line.read()
        raise NotFoundError("record", record, f"`watchkeeper history {model}` lists them.")

    def model_of(self, record: str) -> str:
        """Return the model that a record is of.

        Parameters
        ----------
        record : str
            Its id.

        Returns
        -------
        str

        Raises
        ------
        NotFoundError
            If there is no such finding, rollout or retraining.
        """
        number = _number_of_finding(record)
        if number is not None:
            return self._findings.get(number).model
        kind, _, name = record.partition(":")
        if kind == "rollout":
            return self._rollouts.get(name.partition("/")[0]).model
        return self._retraining.get(name).model

    def _lines(self, model: str, *, everything: bool) -> list[_StoredRecord]:
        runs = self._retraining.find(model)
        entries = self._audit.entries(model, beginning=_ACTIONS, limit=_ENTRIES)[::-1]
        by_subject: dict[str, list[Entry]] = {}
        for entry in entries:
            by_subject.setdefault(entry.subject, []).append(entry)
        links = _Links(model, runs, by_subject)
        lines = [
            _StoredRecord(
                f"finding:{finding.number}", finding.at, finding.kind, partial(_of_finding, finding)
            )
            for finding in self._findings_of(model, runs, everything=everything)
        ]
        for run in runs:
            of_run = by_subject.get(f"{model}:retrainings/{run.name}", [])
            lines += [
                _StoredRecord(record.id, record.at, record.kind, partial(_unchanged, record))
                for record in _of_run(run, of_run)
            ]
        for cause, steps in links.steps.items():
            lines += _of_steps(cause, steps, links)
        for entry in entries:
            if entry.action in _SINGLE:
                kind = _SINGLE[entry.action]
                read = partial(_of_entry, entry, kind, links)
                lines.append(_StoredRecord(f"audit:{entry.number}", entry.at, kind, read))
        if not lines and not self._registry.list_models(model_name=model):
            raise NotFoundError("model", model, "Nothing is registered or recorded of it.")
        return sorted(lines, key=lambda line: line.at)

    def _findings_of(self, model: str, runs: list[Run], *, everything: bool) -> list[Finding]:
        """Return the findings to list, the oldest first: those that led to a run are among them."""
        newest = self._findings.find(model, bad=None if everything else True, limit=_FINDINGS)
        listed = {finding.number for finding in newest}
        older = {
            trigger.finding
            for run in runs
            for trigger in run.decision.triggers
            if trigger.finding is not None and trigger.finding not in listed
        }
        return [*(self._findings.get(number) for number in sorted(older)), *reversed(newest)]


class _Links:
    """The records that a stored cause stands for."""

    def __init__(self, model: str, runs: list[Run], by_subject: Mapping[str, list[Entry]]) -> None:
        self._judged = {run.name: run.gate is not None for run in runs}
        self._started = {
            RecordId(
                "shadow" if run.policy.on_success == "shadow" else "rollout", run.follows
            ): run.name
            for run in runs
            if run.follows
        }
        self.steps: dict[RecordId, list[Entry]] = {}
        for kind in ("rollout", "shadow"):
            prefix = f"{model}:{kind}s/"
            for subject, entries in by_subject.items():
                if subject.startswith(prefix):
                    self.steps[RecordId(kind, subject.removeprefix(prefix))] = entries

    def of(self, entry: Entry) -> tuple[str, ...]:
        """Return the record that led to an audit entry, if history has it."""
        cause = entry.cause
        if cause is None:
            return ()
        if cause.kind in {"finding", "audit"}:
            return (str(cause),)
        if cause.kind == "retraining" and cause.id in self._judged:
            return (f"{'gate' if self._judged[cause.id] else 'decision'}:{cause.id}",)
        if cause in self.steps:
            numbers = [step.number or 0 for step in self.steps[cause]]
            before = sum(number < (entry.number or 0) for number in numbers)
            return (f"{cause}/{max(1, before)}",)
        return ()

    def of_first(self, cause: RecordId, entry: Entry) -> tuple[str, ...]:
        """Return the record that led to a rollout or a shadow."""
        run = self._started.get(cause)
        return self.of(entry) or (() if run is None else (f"gate:{run}",))


def _number_of_finding(record: str) -> int | None:
    kind, _, number = record.partition(":")
    return int(number) if kind == "finding" and number.isdigit() else None


def _unchanged(record: Record) -> Record:
    return record


def _of_finding(finding: Finding) -> Record:
    return Record(
        id=f"finding:{finding.number}",
        at=finding.at,
        kind=finding.kind,
        summary=finding.summary,
        actor=CONTROLLER,
        follows=() if finding.cause is None else (str(finding.cause),),
        table_versions=finding.table_versions,
        evidence={"start": plain(finding.start), "end": plain(finding.end), **finding.evidence},
        replayable=finding.kind != "drift" or finding.evidence.get("reference_version") is not None,
    )


def _of_run(run: Run, entries: list[Entry]) -> Iterator[Record]:
    """Yield the steps of a retraining."""
    last = decision = Record(
        id=f"decision:{run.name}",
        at=run.decided_at,
        kind="decision",
        summary=f"train again: {run.decision.reason}",
        actor=run.actor,
        follows=tuple(
            f"finding:{trigger.finding}"
            for trigger in run.decision.triggers
            if trigger.finding is not None
        ),
        evidence={"decision": run.decision.to_dict(), "facts": run.facts.to_dict()},
        replayable=True,
    )
    yield decision
    gating = [entry for entry in entries if entry.action == "retraining gating"]
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


def _of_steps(cause: RecordId, entries: list[Entry], links: _Links) -> Iterator[_StoredRecord]:
    """Yield the changes of a rollout or a shadow."""
    for number, entry in enumerate(entries, 1):
        record = f"{cause}/{number}"
        if number == 1:
            follows = links.of_first(cause, entry)
        else:
            follows = (f"{cause}/{number - 1}", *links.of(entry))
        yield _StoredRecord(
            record, entry.at, cause.kind, partial(_of_step, record, cause, entry, follows)
        )


def _of_step(record: str, cause: RecordId, entry: Entry, follows: tuple[str, ...]) -> Record:
    event = entry.action.removeprefix(f"{cause.kind} ")
    return Record(
        id=record,
        at=entry.at,
        kind=cause.kind,
        summary=f"{event}: {entry.reason or cause.id}",
        actor=entry.actor,
        follows=follows,
        evidence=entry.evidence,
        replayable=cause.kind == "rollout" and bool(entry.evidence.get("seen")),
    )


def _of_entry(entry: Entry, kind: str, links: _Links) -> Record:
    return Record(
        id=f"audit:{entry.number}",
        at=entry.at,
        kind=kind,
        summary=f"{entry.subject}: {entry.reason}" if entry.reason else entry.subject,
        actor=entry.actor,
        follows=links.of(entry),
        evidence=entry.evidence,
    )
