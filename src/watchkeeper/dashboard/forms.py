"""Forms of the pages; each change has an actor and a reason."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool

from watchkeeper.app import App
from watchkeeper.clock import parse_timestamp
from watchkeeper.errors import InvalidValueError, NotFoundError
from watchkeeper.identity import By
from watchkeeper.incidents import Incident
from watchkeeper.rollouts import Event

__all__ = ["FORMS", "Actions", "Sent"]


class Actions(Protocol):
    """Actions of a running server; see `watchkeeper.api.actions.Acting`."""

    @property
    def app(self) -> App: ...
    async def start_rollout(
        self, name: str, model: str, version: str, *, actor: str, reason: str
    ) -> Any: ...
    async def rollout(self, name: str, event: Event, *, actor: str, reason: str) -> Any: ...
    async def start_experiment(self, name: str, *, actor: str, reason: str) -> Any: ...
    async def stop_experiment(self, name: str, *, actor: str, reason: str) -> Any: ...
    async def stop_shadow(self, name: str, *, actor: str, reason: str) -> Any: ...
    async def retrain(self, model: str, *, actor: str, reason: str) -> Any: ...
    async def cancel(self, name: str, *, actor: str, reason: str) -> Any: ...


@dataclass(frozen=True, slots=True)
class Sent:
    """A form that was sent.

    Attributes
    ----------
    names : mapping of str to str
        Parameters of the path of its page.
    fields : mapping of str to str
    actor : str
    now : datetime
    """

    names: Mapping[str, str]
    fields: Mapping[str, str]
    actor: str
    now: datetime

    @property
    def do(self) -> str:
        """Name of the action."""
        return self.fields.get("do", "")

    @property
    def why(self) -> dict[str, str]:
        """Actor and reason, as every action takes them.

        Raises
        ------
        InvalidValueError
            If no reason is given.
        """
        reason = self.fields.get("reason", "").strip()
        if not reason:
            raise InvalidValueError(
                "reason", reason, "the reason of the change: it is stored in the audit trail"
            )
        return {"actor": self.actor, "reason": reason}

    @property
    def by(self) -> By:
        """Actor and reason, as every service takes them.

        Raises
        ------
        InvalidValueError
            If no reason is given.
        """
        return By(self.actor, self.why["reason"])

    def unknown(self) -> NotFoundError:
        """Return the error of a form that no page has."""
        return NotFoundError("action", self.do, "Reload the page, and send its form.")


Form = Callable[[Actions, Sent], Awaitable[str]]
"""Applies the form, and returns the notice of the next page."""

_ROLLOUT = {
    "pause": (Event.PAUSE, "is paused"),
    "resume": (Event.RESUME, "is resumed"),
    "step": (Event.STEP, "is at its next step"),
    "promote": (Event.PROMOTE, "is promoted"),
    "abort": (Event.ABORT, "is aborted: all traffic goes to production"),
}
_INCIDENT = {
    "acknowledge": "is acknowledged",
    "assign": "has an assignee",
    "note": "has your note",
    "resolve": "is resolved",
    "finish": "has its post-mortem",
}


async def of_model(actions: Actions, sent: Sent) -> str:
    """Roll a model back, or start its retraining."""
    model = sent.names["model"]
    if sent.do == "rollback":
        version = await run_in_threadpool(actions.app.models.roll_back, model, by=sent.by)
        return f"{version.model_id} is in production again."
    if sent.do == "retrain":
        run = await actions.retrain(model, **sent.why)
        return f"The retraining run {run.name} starts within seconds."
    raise sent.unknown()


async def of_version(actions: Actions, sent: Sent) -> str:
    """Promote a version, or start its rollout."""
    model, version = sent.names["model"], sent.names["version"]
    if sent.do == "promote":
        await run_in_threadpool(actions.app.models.promote, f"{model}:{version}", by=sent.by)
        return f"{model}:{version} is in production."
    if sent.do == "roll-out":
        name = sent.fields.get("name") or f"{model}-{version}-{sent.now:%Y%m%d-%H%M%S}"
        await actions.start_rollout(name, model, version, **sent.why)
        return f"The rollout {name} has begun."
    raise sent.unknown()


async def of_rollout(actions: Actions, sent: Sent) -> str:
    """Act on a rollout."""
    if sent.do not in _ROLLOUT:
        raise sent.unknown()
    event, message = _ROLLOUT[sent.do]
    await actions.rollout(sent.names["name"], event, **sent.why)
    return f"{sent.names['name']} {message}."


async def of_shadow(actions: Actions, sent: Sent) -> str:
    """Stop a shadow."""
    if sent.do != "stop":
        raise sent.unknown()
    await actions.stop_shadow(sent.names["name"], **sent.why)
    return f"{sent.names['name']} is stopped; its report is stored."


async def of_experiment(actions: Actions, sent: Sent) -> str:
    """Start or stop an experiment."""
    name = sent.names["name"]
    if sent.do == "start":
        await actions.start_experiment(name, **sent.why)
        return f"{name} is running."
    if sent.do == "stop":
        await actions.stop_experiment(name, **sent.why)
        return f"{name} is stopped; its verdict is stored."
    raise sent.unknown()


async def of_run(actions: Actions, sent: Sent) -> str:
    """Cancel a retraining run."""
    if sent.do != "cancel":
        raise sent.unknown()
    await actions.cancel(sent.names["name"], **sent.why)
    return f"{sent.names['name']} is cancelled; the champion stays in production."


async def of_incident(actions: Actions, sent: Sent) -> str:
    """Acknowledge, assign, annotate or resolve an incident, or finish its post-mortem."""
    if sent.do not in _INCIDENT:
        raise sent.unknown()
    name = sent.names["name"]
    incidents = actions.app.incidents
    change: Callable[..., Incident] = {
        "acknowledge": incidents.acknowledge,
        "assign": incidents.assign,
        "note": incidents.note,
        "resolve": incidents.resolve,
        "finish": incidents.finish,
    }[sent.do]
    text = sent.fields.get("text", "").strip()
    await run_in_threadpool(change, name, text, by=By(sent.actor))
    return f"{name} {_INCIDENT[sent.do]}."


async def of_checklist(actions: Actions, sent: Sent) -> str:
    """Waive a point of the checklist until a day."""
    if sent.do != "waive":
        raise sent.unknown()
    until = parse_timestamp(sent.fields.get("until", ""), "until")
    if until <= sent.now:
        tomorrow = sent.now + timedelta(days=1)
        raise InvalidValueError("until", f"{until:%Y-%m-%d}", f"{tomorrow:%Y-%m-%d} or later")
    item = sent.fields.get("item", "")
    waive = actions.app.checklists.waive
    await run_in_threadpool(waive, sent.names["model"], item, until=until, by=sent.by)
    return f"The point {item} is waived until {until:%Y-%m-%d}."


FORMS: Mapping[str, Form] = {
    "/models/{model}": of_model,
    "/models/{model}/versions/{version}": of_version,
    "/models/{model}/readiness": of_checklist,
    "/rollouts/{name}": of_rollout,
    "/shadows/{name}": of_shadow,
    "/experiments/{name}": of_experiment,
    "/retraining/{name}": of_run,
    "/incidents/{name}": of_incident,
}
"""Forms by the path of their page."""
