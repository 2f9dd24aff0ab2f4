"""Replay: a stored decision computed again from its evidence, and compared with what it was.

Findings are measured again in their window, as far as events had arrived; decisions to retrain and
steps of rollouts are functions of the facts and counts that were stored with them, and the facts
are counted again; for a gate both versions predict the held-out rows again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from watchkeeper.errors import InvalidValueError, NotFoundError
from watchkeeper.events import EventLog, Window
from watchkeeper.labelling import Labelling
from watchkeeper.monitoring.findings import drift_finding, quality_finding
from watchkeeper.monitoring.measurements import drift_of_window, quality_of_window
from watchkeeper.monitoring.retraining import new_labelled
from watchkeeper.quality.labels import labels_of
from watchkeeper.records import AuditTrail, Entry, Finding, FindingRepository
from watchkeeper.registry import ModelRegistry
from watchkeeper.results import Result, plain
from watchkeeper.retraining import Answered, GateReport, Run, decide
from watchkeeper.retraining.data import split
from watchkeeper.retraining.material import judged, learned_until, training_data
from watchkeeper.retraining.repository import RetrainingRepository
from watchkeeper.retraining.training import TrainingResult
from watchkeeper.rollouts import Event, Hold, Rollout, Seen, decided
from watchkeeper.rollouts.repository import RolloutRepository
from watchkeeper.rollouts.rollout import when_ready

__all__ = ["QualityTerms", "Replayed", "Replays"]

_CLOSE = 1e-9  # relative; figures are sums over rows in another order
_OF_DRIFT = ("drift_detected", "drift_share", "current_size")
_OF_STEP = ("event", "hold", "reason")


@dataclass(frozen=True, slots=True)
class QualityTerms:
    """How the quality of a model is measured.

    Attributes
    ----------
    labelling : Labelling
    min_samples : int
        Labelled predictions below which its quality has no verdict.
    """

    labelling: Labelling
    min_samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed(Result):
    """A decision that was computed again.

    Attributes
    ----------
    id : str
    confirmed : bool
    summary : str
    differences : tuple of str
        What differs, each with both figures; empty where it was confirmed.
    differing : tuple of str
        The names of the figures that differ.
    table_changes : tuple of str
        Which tables have another version than when it was decided, where something differs.
    stored, now : dict
        What was compared.
    """

    id: str
    confirmed: bool
    summary: str
    differences: tuple[str, ...]
    differing: tuple[str, ...]
    table_changes: tuple[str, ...]
    stored: dict[str, Any]
    now: dict[str, Any]


class Replays:
    """Decisions of all models, computed again.

    Parameters
    ----------
    events : EventLog
    registry : ModelRegistry
    audit : AuditTrail
    findings : FindingRepository
    retraining : RetrainingRepository
    rollouts : RolloutRepository
    terms : callable
        Gives the terms of a model.
    """

    def __init__(
        self,
        *,
        events: EventLog,
        registry: ModelRegistry,
        audit: AuditTrail,
        findings: FindingRepository,
        retraining: RetrainingRepository,
        rollouts: RolloutRepository,
        terms: Callable[[str], QualityTerms],
    ) -> None:
        self._events, self._registry, self._terms = events, registry, terms
        self._audit, self._findings = audit, findings
        self._retraining, self._rollouts = retraining, rollouts

    def replay(self, record: str) -> Replayed:
        """Compute a decision again from what is stored, and compare.

        Parameters
        ----------
        record : str
            The id of a record of `watchkeeper.monitoring.history.History`.

        Returns
        -------
        Replayed

        Raises
        ------
        NotFoundError
            If there is no such record.
        InvalidValueError
            If the record is no decision.
        """
        kind, _, name = record.partition(":")
        if kind == "finding" and name.isdigit():
            finding = self._findings.get(int(name))
            return self._drift(finding) if finding.kind == "drift" else self._quality(finding)
        if kind == "decision":
            return self._decision(self._retraining.get(name))
        if kind == "gate":
            return self._gate(self._retraining.get(name))
        if kind == "rollout":
            return self._step(record, *name.rpartition("/")[::2])
        raise InvalidValueError(
            "record", record, "finding:N, decision:RUN, gate:RUN or rollout:NAME/N",
            "`watchkeeper history MODEL` lists them; what is no decision cannot be replayed.",
        )  # fmt: skip

    def _drift(self, finding: Finding) -> Replayed:
        evidence = finding.evidence
        version = evidence.get("reference_version")
        if version is None:
            raise InvalidValueError(
                f"finding:{finding.number}", evidence.get("reference"),
                "a comparison with the training data of a version",
            )  # fmt: skip
        drift = drift_of_window(
            self._events.as_of(finding.at),
            self._registry,
            finding.model,
            Window(finding.start, finding.end),
            version=version,
            threshold=float(evidence["threshold"]),
            checks=int(evidence["checks"]),
        )
        return _compared(
            f"finding:{finding.number}",
            _drift_figures(evidence),
            _drift_figures(plain(drift_finding(drift, at=finding.at).evidence)),
            finding.table_versions,
            drift.table_versions,
        )

    def _quality(self, finding: Finding) -> Replayed:
        evidence, terms = finding.evidence, self._terms(finding.model)
        quality = quality_of_window(
            self._events.as_of(finding.at),
            self._registry,
            finding.model,
            Window(finding.start, finding.end),
            version=evidence["model_version"],
            task=terms.labelling.task,
            positive=terms.labelling.positive,
            alert_threshold=evidence["drop"]["threshold_percentage"] / 100,
            min_samples=terms.min_samples,
        )
        return _compared(
            f"finding:{finding.number}",
            _quality_figures(evidence),
            _quality_figures(plain(quality_finding(quality, at=finding.at).evidence)),
            finding.table_versions,
            quality.table_versions,
        )

    def _decision(self, run: Run) -> Replayed:
        decision = decide(run.policy, run.facts, run.decided_at)
        stored = {"train": run.decision.train, "reason": run.decision.reason}
        now = {"train": decision.train, "reason": decision.reason}
        for trigger in run.decision.triggers:
            if trigger.finding is not None:
                finding = self._findings.get(trigger.finding)
                stored[f"finding:{trigger.finding}"] = True
                now[f"finding:{trigger.finding}"] = finding.bad and finding.model == run.model
        if run.facts.new_labelled is not None:
            stored["new_labelled"] = run.facts.new_labelled
            now["new_labelled"] = new_labelled(
                self._events.as_of(run.known_at), run.model, run.policy, run.facts.last_started,
                run.decided_at,
            )  # fmt: skip
        return _compared(f"decision:{run.name}", stored, now)

    def _gate(self, run: Run) -> Replayed:
        """Let both versions predict the held-out rows again; the cost is taken as it was."""
        record = f"gate:{run.name}"
        if run.gate is None or run.champion is None or run.model_id is None:
            raise InvalidValueError(
                record, run.state.value, "a gate with a candidate and a champion"
            )
        champion = self._registry.get(run.champion)
        data, versions = training_data(
            self._events.as_of(run.known_at), self._registry, run.model, run.policy,
            Window(run.start, run.end), champion, task=run.task,
        )  # fmt: skip
        halves = split(
            data, holdout=run.policy.holdout, not_before=learned_until(champion), task=run.task
        )
        rows = halves.held_out.table.select(list(data.features))
        candidate, former = (
            self._predictions(model_id, rows, run) for model_id in (run.model_id, run.champion)
        )
        cost = {"latency_ms": run.gate.cost.latency_ms, "size": run.gate.cost.size}
        columns = list(dict.fromkeys([data.target, *run.policy.segments]))
        now = judged(
            run.policy,
            halves.held_out.table.select(columns),
            TrainingResult(None, cost, candidate, former),
            task=run.task,
            positive=run.positive,
            boundary=halves.boundary,
            champion=champion,
        )
        return _compared(
            record, _gate_figures(run.gate), _gate_figures(now), run.table_versions, versions
        )

    def _predictions(self, model_id: str, rows: pa.Table, run: Run) -> Answered:
        from watchkeeper.retraining.worker import answers

        outputs, _ = answers(self._registry.open_runtime(model_id), rows)
        labels = pa.chunked_array([pa.array(outputs["predicted"])])
        scores = outputs.get("score") if run.task == "binary" else None
        return Answered(
            labels_of(labels, run.task, run.positive),
            None if scores is None or np.isnan(scores).all() else scores,
        )

    def _step(self, record: str, name: str, number: str) -> Replayed:
        """Decide again what a rollout did next, from the counts that were stored with it."""
        rollout = self._rollouts.get(name)
        entries = self._audit.entries(subject=f"{rollout.model}:rollouts/{name}")[::-1]
        if not number.isdigit() or not 1 <= int(number) <= len(entries):
            raise NotFoundError("record", record, f"The rollout {name} has {len(entries)}.")
        entry = entries[int(number) - 1]
        seen = entry.evidence.get("seen")
        if not seen:
            raise InvalidValueError(record, entry.action, "a step that was decided by counts")
        before = _rollout_after(entries[: int(number) - 1])
        decision, kept = decided(before, _seen(seen), entry.at), entry.evidence["decision"]
        if decision.promotes and kept["hold"] == Hold.READINESS:  # which the counts do not say
            decision = when_ready(before, decision, kept["reason"])
        stored = {figure: kept[figure] for figure in _OF_STEP}
        now = {figure: plain(decision[figure]) for figure in _OF_STEP}
        return _compared(record, stored, now)


def _drift_figures(evidence: Mapping[str, Any]) -> dict[str, Any]:
    figures = {name: evidence[name] for name in _OF_DRIFT}
    for feature, drift in evidence["features"].items():
        figures[f"{feature}: p-value"] = drift["p_value"]
        figures[f"{feature}: drifted"] = drift["drift_detected"]
    return figures


def _quality_figures(evidence: Mapping[str, Any]) -> dict[str, Any]:
    drop = evidence["drop"]
    return {
        "predictions": evidence["predictions"],
        "labelled": evidence["labelled"],
        "bad": drop["drift_detected"],
        **{f"drop of {name}": value for name, value in drop["drops"].items()},
    }


def _gate_figures(gate: GateReport) -> dict[str, Any]:
    return {
        "passed": gate.passed,
        "rows": gate.rows,
        "boundary": plain(gate.boundary),
        **{f"candidate's {name}": value for name, value in gate.candidate.items()},
        **{f"champion's {name}": value for name, value in gate.champion.items()},
        **{f"{check.check}: passed": check.passed for check in gate.checks},
        **{check.check: check.figure for check in gate.checks},
    }


def _rollout_after(entries: list[Entry]) -> Rollout:
    """Return a rollout as it was after some of its changes."""
    rollout = Rollout.from_dict(entries[0].evidence)
    for entry in entries[1:]:
        if "plan" in entry.evidence:
            rollout = Rollout.from_dict(entry.evidence)
            continue
        event = Event(entry.verb)
        hold = (entry.evidence.get("decision") or {}).get("hold")
        blind = Hold.ANALYSIS_ERROR if event is Event.HOLD and hold is None else None
        rollout = rollout.moved(event, entry.at, Hold(hold) if hold else blind)
    return rollout


def _seen(stored: Mapping[str, Any]) -> Seen:
    unknown = sorted(name for name in stored if name not in Seen.__slots__)
    if unknown:
        raise InvalidValueError("seen", unknown, "counts that this Watchkeeper knows")
    return Seen.from_dict(stored)


def _compared(
    record: str,
    stored: Mapping[str, Any],
    now: Mapping[str, Any],
    versions: Mapping[str, int] | None = None,
    versions_now: Mapping[str, int] | None = None,
) -> Replayed:
    differing = tuple(
        name
        for name in dict.fromkeys([*stored, *now])
        if not _same(stored.get(name), now.get(name))
    )
    current = versions_now or {}
    changes = tuple(
        f"{name} from version {version} to {current.get(name)}"
        for name, version in (versions or {}).items()
        if differing and current.get(name) != version
    )
    summary = f"{len(differing)} figures differ" if differing else "the same"
    if changes:
        summary += f"; the tables have newer versions: {', '.join(changes)}"
    return Replayed(
        id=record,
        confirmed=not differing,
        summary=summary,
        differences=tuple(
            f"{name} was {stored.get(name)!r} and is {now.get(name)!r}" for name in differing
        ),
        differing=differing,
        table_changes=changes,
        stored=dict(plain(stored)),
        now=dict(plain(now)),
    )


def _same(first: Any, second: Any) -> bool:
    numbers = isinstance(first, float) or isinstance(second, float)
    if numbers and None not in {first, second} and not isinstance(first, str | bool):
        return bool(np.isclose(float(first), float(second), rtol=_CLOSE, atol=1e-300))
    return bool(first == second)
