"""Incidents: opened by findings, alerts and jobs; acknowledged, resolved and learned from."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from watchkeeper.clock import Clock, system_clock
from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.identity import CONTROLLER, By, RecordId
from watchkeeper.incidents import (
    Alert,
    AlertRepository,
    Incident,
    IncidentRepository,
    IncidentState,
    IncidentStep,
    notification_of,
)
from watchkeeper.incidents.alerts import Received
from watchkeeper.incidents.incident import Severity
from watchkeeper.operations.service import DocumentService, name_for
from watchkeeper.records import Finding
from watchkeeper.rollouts import Hold, Rollout, RolloutState

__all__ = ["Incidents"]

_HOLD = "hold"
_LOADING = "loading"
_FOR_A_PERSON = {
    Hold.SRM, Hold.SIGNAL, Hold.ANALYSIS_ERROR, Hold.APPROVAL, Hold.READINESS,
}  # fmt: skip
_SEVERITIES: Mapping[str, Severity] = {"critical": "critical", "warning": "warning"}


class Incidents(DocumentService[IncidentRepository, Incident]):
    """Every change of an incident.

    Parameters
    ----------
    repository : IncidentRepository
    alerts : AlertRepository
    clock : Clock
    url : str
        Address of the server, for links to the runbook.
    """

    def __init__(
        self, repository: IncidentRepository, *, alerts: AlertRepository, clock: Clock, url: str
    ) -> None:
        super().__init__(repository)
        self._alerts, self._clock, self._url = alerts, clock, url

    def find(
        self,
        model: str | None = None,
        state: str | None = None,
        *,
        severity: str | None = None,
        active: bool | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Incident]:
        """Return incidents, the newest first; see `IncidentRepository.find`.

        Parameters
        ----------
        model, state, severity : str, optional
        active : bool, optional
        limit : int, optional
        offset : int

        Returns
        -------
        list of Incident
        """
        return self.repository.find(
            model, state, severity=severity, active=active, limit=limit, offset=offset
        )

    def count(
        self,
        model: str | None = None,
        state: str | None = None,
        *,
        severity: str | None = None,
        active: bool | None = None,
    ) -> int:
        """Return how many `find` would return without a limit.

        Parameters
        ----------
        model, state, severity : str, optional
        active : bool, optional

        Returns
        -------
        int
        """
        return self.repository.count(model, state, severity=severity, active=active)

    def models(self) -> list[str]:
        """Return the models that ever had an incident, sorted.

        Returns
        -------
        list of str
        """
        return self.repository.models()

    def runbook(self, section: str) -> str:
        """Return the address of a section of the runbook.

        Parameters
        ----------
        section : str
            Its anchor.

        Returns
        -------
        str
        """
        return f"{self._url}/runbook#{section}"

    def open(
        self,
        model: str,
        title: str,
        *,
        severity: Severity,
        source: str,
        evidence: Mapping[str, Any],
        runbook: str = "",
        cause: RecordId | None = None,
        actor: str = CONTROLLER,
        at: datetime | None = None,
    ) -> Incident:
        """Open an incident, or add to the one of the same source that is not over.

        The same title twice in a row is one moment.

        Parameters
        ----------
        model, title : str
        severity : {"critical", "warning"}
        source : str
            ``KIND:NAME`` or ``KIND`` of what it comes of; one incident of a source is active.
        evidence : mapping of str to Any
        runbook : str
            Where it says what to do.
        cause : RecordId, optional
            The record that opens it.
        actor : str
        at : datetime, optional
            By default now.

        Returns
        -------
        Incident
        """
        now, by = self._now(at), By(actor, title, cause)
        while True:
            active = self._active(model, source)
            if active is not None:
                if active.timeline[-1].what == title:
                    return active
                after = active.told(now, actor, title, evidence, step=IncidentStep.REPORTED)
                return self._save(active, after, "tell", by, now)
            incident = Incident(
                name=name_for(model, now, {incident.name for incident in self.find(model)}),
                model=model,
                title=title,
                severity=severity,
                source=source,
                opened_at=now,
                runbook=runbook,
                cause=cause,
            ).told(now, actor, title, evidence, step=IncidentStep.REPORTED)
            with suppress(ConflictError):  # another process was faster
                self.repository.add(incident, at=now, by=by)
                return incident

    def recover(
        self,
        model: str,
        source: str,
        text: str,
        *,
        cause: RecordId | None = None,
        at: datetime | None = None,
    ) -> Incident | None:
        """Resolve the incident of a source that is well again, unless a person has acknowledged it.

        An acknowledged one gets a moment, once, and stays with its owner.

        Parameters
        ----------
        model, source, text : str
            The text says what is well again.
        cause : RecordId, optional
            The record that shows it.
        at : datetime, optional
            By default now.

        Returns
        -------
        Incident or None
            None where no incident of the source is active.
        """
        active = self._active(model, source)
        if active is None or active.timeline[-1].step is IncidentStep.RECOVERED:
            return active
        now, by = self._now(at), By(CONTROLLER, text, cause)
        if active.state is IncidentState.ACKNOWLEDGED:
            after = active.told(now, CONTROLLER, text, step=IncidentStep.RECOVERED)
            return self._save(active, after, "tell", by, now)
        return self._save(active, active.resolved(now, CONTROLLER, text), "resolve", by, now)

    def acknowledge(self, name: str, text: str = "", *, by: By) -> Incident:
        """Acknowledge an incident.

        Parameters
        ----------
        name : str
        text : str
            A remark for the timeline.
        by : By

        Returns
        -------
        Incident

        Raises
        ------
        ConflictError
            If it is resolved.
        """
        before, now = self.get(name), self._clock()
        return self._save(
            before,
            before.acknowledged(now, by.actor, text),
            "acknowledge",
            by.with_reason(text),
            now,
        )

    def assign(self, name: str, text: str, *, by: By) -> Incident:
        """Give an incident to an owner.

        Parameters
        ----------
        name : str
        text : str
            Name of the owner.
        by : By

        Returns
        -------
        Incident

        Raises
        ------
        ConflictError
            If it is resolved.
        InvalidValueError
            If no owner is named.
        """
        before, now = self.get(name), self._clock()
        return self._save(
            before, before.assigned(now, by.actor, text), "assign", by.with_reason(text), now
        )

    def note(self, name: str, text: str, *, by: By) -> Incident:
        """Add to the timeline of an incident.

        Parameters
        ----------
        name, text : str
        by : By

        Returns
        -------
        Incident

        Raises
        ------
        InvalidValueError
            If the text is empty.
        """
        before, now = self.get(name), self._clock()
        return self._save(
            before, before.told(now, by.actor, text), "note", by.with_reason(text), now
        )

    def resolve(self, name: str, text: str, *, by: By) -> Incident:
        """Record that an incident is over, and why.

        Parameters
        ----------
        name : str
        text : str
            The reason.
        by : By

        Returns
        -------
        Incident

        Raises
        ------
        ConflictError
            If it is resolved already.
        InvalidValueError
            If the text, which is the reason, is empty.
        """
        before, now = self.get(name), self._clock()
        return self._save(
            before, before.resolved(now, by.actor, text), "resolve", by.with_reason(text), now
        )

    def finish(self, name: str, text: str, *, by: By) -> Incident:
        """Keep the post-mortem of an incident that is over.

        Parameters
        ----------
        name : str
        text : str
            The post-mortem, in Markdown.
        by : By

        Returns
        -------
        Incident

        Raises
        ------
        ConflictError
            If it is not over.
        """
        before, now = self.get(name), self._clock()
        return self._save(before, before.finished(now, by.actor, text), "finish", by, now)

    def follow_finding(self, finding: Finding) -> Incident | None:
        """Open an incident by a finding that is bad, or end it by one that is not.

        Parameters
        ----------
        finding : Finding

        Returns
        -------
        Incident or None
            None where the finding is not bad and no incident is active.
        """
        model, source = finding.model, f"finding:{finding.kind}"
        cause = None if finding.number is None else RecordId("finding", str(finding.number))
        if not finding.bad:
            text = f"the last check passed: {finding.summary}"
            return self.recover(model, source, text, cause=cause, at=finding.at)
        active = self._active(model, source)
        if active is not None and active.timeline[-1].step is not IncidentStep.RECOVERED:
            return active  # a check an hour would fill the timeline with the same
        quality = finding.kind == "quality"
        return self.open(
            model, f"{finding.kind}: {finding.summary}",
            severity="critical" if quality else "warning", source=source,
            evidence={"finding": finding.number, "table_versions": finding.table_versions},
            runbook=self.runbook("modelaccuracydrop" if quality else "modeldriftdetected"),
            cause=cause, at=finding.at,
        )  # fmt: skip

    def receive(self, notification: object) -> Received:
        """Open or end incidents by the alerts of a notification, and keep the alerts.

        Incidents come first: a process that dies in between has kept nothing, and does all of it
        when Alertmanager repeats itself. So what is kept as firing has its incident.

        Parameters
        ----------
        notification : object
            The body that Alertmanager posts, decoded.

        Returns
        -------
        Received

        Raises
        ------
        InvalidValueError
            If it is not a notification of Alertmanager.
        """
        posted = notification_of(notification)
        self.follow_alerts(self._alerts.news(posted.alerts))
        news = self._alerts.receive(posted.alerts, at=system_clock())
        if not posted.refused:
            return Received(news, None)
        first = posted.refused[0]
        counts = f"{len(posted.refused)} alerts were refused and {len(posted.alerts)} kept."
        hint = f"{first.hint} {counts}".strip()
        return Received(news, InvalidValueError(first.field, first.args[1], first.expected, hint))

    def follow_alerts(self, news: Sequence[Alert]) -> list[Incident]:
        """Open or end incidents by alerts that are new or have ended.

        Parameters
        ----------
        news : sequence of Alert

        Returns
        -------
        list of Incident
            Those that changed.
        """
        changed: list[Incident] = []
        for alert in news:
            severity = _SEVERITIES.get(alert.labels.get("severity", ""))
            if severity is None:
                continue
            model, source = alert.model, f"alert:{alert.name}"
            cause = RecordId("alert", alert.fingerprint)
            if alert.status == "resolved":
                ended = self.recover(model, source, "the alert has ended", cause=cause)
                changed += [] if ended is None else [ended]
                continue
            changed.append(
                self.open(
                    model, alert.annotations.get("summary", "").strip() or alert.name,
                    severity=severity, source=source, evidence=alert.to_dict(), cause=cause,
                    runbook=alert.annotations.get("runbook_url", ""),
                )
            )  # fmt: skip
        return changed

    def follow_holds(self, rollouts: Iterable[Rollout]) -> None:
        """Keep an incident for each rollout that waits for a person, and end those of the rest.

        One hold opens one incident: who resolves it has heard of the hold, and is not told again.

        Parameters
        ----------
        rollouts : iterable of Rollout
            All that are under way.
        """
        held = {
            f"{_HOLD}:{rollout.name}:{rollout.step}:{rollout.hold.value}": rollout
            for rollout in rollouts
            if rollout.state is RolloutState.HOLDING and rollout.hold in _FOR_A_PERSON
        }
        for incident in self.find(active=True):
            if incident.origin[0] == _HOLD and incident.source not in held:
                self.recover(
                    incident.model, incident.source, "the rollout does not wait any more",
                    cause=incident.cause,
                )  # fmt: skip
        for source, rollout in held.items():
            if all(incident.source != source for incident in self.find(rollout.model)):
                self.open(
                    rollout.model,
                    f"rollout {rollout.name} of version {rollout.version} held at "
                    f"{rollout.plan.steps[rollout.step]:g} % of the traffic ({rollout.hold}); "
                    "waiting for manual approval",
                    severity="warning", source=source,
                    evidence={"rollout": rollout.name, "step": rollout.step + 1},
                    runbook=f"{self._url}/rollouts", cause=RecordId("rollout", rollout.name),
                )  # fmt: skip

    def follow_loading(self, faults: Mapping[str, str]) -> None:
        """Keep an incident for each model whose version in production cannot be loaded.

        Parameters
        ----------
        faults : mapping of str to str
            Why, by model; the incidents of other models are over.
        """
        for incident in self.find(active=True):
            if incident.source == _LOADING and incident.model not in faults:
                self.recover(incident.model, _LOADING, "the version in production is loaded")
        for model, fault in faults.items():
            self.open(model, fault, severity="critical", source=_LOADING, evidence={})

    def _now(self, at: datetime | None) -> datetime:
        return self._clock() if at is None else at

    def _active(self, model: str, source: str) -> Incident | None:
        """Return the incident of a source that is not over."""
        active = self.find(model, active=True)
        return next((incident for incident in active if incident.source == source), None)

    def _save(
        self, before: Incident, after: Incident, action: str, by: By, at: datetime
    ) -> Incident:
        moment = after.timeline[-1]
        reason = by.with_reason(by.reason or moment.what)
        self.repository.save(
            before, after, action=action, at=at, by=reason, evidence=moment.to_dict()
        )
        return after
