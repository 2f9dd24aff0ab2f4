"""What the forms of the pages do; each change has its reason, and the name of who sent it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool

from watchkeeper.app import App
from watchkeeper.clock import parse_timestamp
from watchkeeper.errors import InvalidValueError, NotFoundError
from watchkeeper.identity import By
from watchkeeper.operations.rollouts import Rollouts

__all__ = ["FORMS", "Actions", "Sent"]


class Actions(Protocol):
    """What people can do through a server; see `watchkeeper.api.actions.Acting`."""

    @property
    def app(self) -> App: ...
    async def incident(self, name: str, action: str, text: str, *, actor: str) -> Any: ...


@dataclass(frozen=True, slots=True)
class Sent:
    """A form that somebody has sent.

    Attributes
    ----------
    names : mapping of str to str
        What stands in the path of its page.
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
        """Which of the actions of the page it is."""
        return self.fields.get("do", "")

    @property
    def why(self) -> dict[str, str]:
        """Who and why, as every action takes it.

        Raises
        ------
        InvalidValueError
            If no reason is given.
        """
        reason = self.fields.get("reason", "").strip()
        if not reason:
            raise InvalidValueError("reason", reason, "why, in words: it is kept in the history")
        return {"actor": self.actor, "reason": reason}

    @property
    def by(self) -> By:
        """Who and why, as every service takes it.

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
"""Does what was sent, and tells what was done."""

_ROLLOUT = {
    "pause": (Rollouts.pause, "is paused"),
    "resume": (Rollouts.resume, "goes on"),
    "step": (Rollouts.step, "is at its next step"),
    "promote": (Rollouts.promote, "is promoted"),
    "abort": (Rollouts.abort, "is taken back: production answers everything again"),
}
_INCIDENT = {
    "acknowledge": "is yours",
    "assign": "has an owner",
    "note": "has your note",
    "resolve": "is resolved",
    "finish": "has its post-mortem",
}


async def of_model(actions: Actions, sent: Sent) -> str:
    """Roll a model back, or have it trained again."""
    model = sent.names["model"]
    if sent.do == "rollback":
        version = await run_in_threadpool(actions.app.models.roll_back, model, by=sent.by)
        return f"{version.model_id} is in production again."
    if sent.do == "retrain":
        run = await asyncio.to_thread(actions.app.retraining.request, model, by=sent.by)
        return f"The retraining {run.name} begins within seconds."
    raise sent.unknown()


async def of_version(actions: Actions, sent: Sent) -> str:
    """Promote a version, or begin to roll it out."""
    model, version = sent.names["model"], sent.names["version"]
    if sent.do == "promote":
        await run_in_threadpool(actions.app.models.promote, f"{model}:{version}", by=sent.by)
        return f"{model}:{version} is in production."
    if sent.do == "roll-out":
        name = sent.fields.get("name") or f"{model}-{version}-{sent.now:%Y%m%d-%H%M%S}"
        await asyncio.to_thread(
            actions.app.rollouts.start, name, model=model, version=version, by=sent.by
        )
        return f"The rollout {name} has begun."
    raise sent.unknown()


async def of_rollout(actions: Actions, sent: Sent) -> str:
    """Act on a rollout."""
    if sent.do not in _ROLLOUT:
        raise sent.unknown()
    change, told = _ROLLOUT[sent.do]
    await asyncio.to_thread(change, actions.app.rollouts, sent.names["name"], by=sent.by)
    return f"{sent.names['name']} {told}."


async def of_shadow(actions: Actions, sent: Sent) -> str:
    """End a shadow."""
    if sent.do != "stop":
        raise sent.unknown()
    await asyncio.to_thread(actions.app.shadows.stop, sent.names["name"], by=sent.by)
    return f"{sent.names['name']} is asked no more; what it was compared by is kept."


async def of_experiment(actions: Actions, sent: Sent) -> str:
    """Begin or end an experiment."""
    name = sent.names["name"]
    if sent.do == "start":
        await asyncio.to_thread(actions.app.experiments.start, name, by=sent.by)
        return f"{name} takes traffic."
    if sent.do == "stop":
        await asyncio.to_thread(actions.app.experiments.stop, name, by=sent.by)
        return f"{name} has ended, and its verdict is kept."
    raise sent.unknown()


async def of_run(actions: Actions, sent: Sent) -> str:
    """Give a retraining up."""
    if sent.do != "cancel":
        raise sent.unknown()
    await asyncio.to_thread(actions.app.retraining.cancel, sent.names["name"], by=sent.by)
    return f"{sent.names['name']} is given up; what is in production stays."


async def of_incident(actions: Actions, sent: Sent) -> str:
    """Take an incident in hand, and so on until it is learned from."""
    if sent.do not in _INCIDENT:
        raise sent.unknown()
    name = sent.names["name"]
    await actions.incident(name, sent.do, sent.fields.get("text", "").strip(), actor=sent.actor)
    return f"{name} {_INCIDENT[sent.do]}."


async def of_checklist(actions: Actions, sent: Sent) -> str:
    """Excuse a point of the checklist until a day."""
    if sent.do != "waive":
        raise sent.unknown()
    until = parse_timestamp(sent.fields.get("until", ""), "until")
    if until <= sent.now:
        tomorrow = sent.now + timedelta(days=1)
        raise InvalidValueError("until", f"{until:%Y-%m-%d}", f"{tomorrow:%Y-%m-%d} or later")
    item = sent.fields.get("item", "")
    waive = actions.app.checklists.waive
    await run_in_threadpool(waive, sent.names["model"], item, until=until, by=sent.by)
    return f"The point {item} need not pass until {until:%Y-%m-%d}."


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
"""What is done with a form, by the page that it is sent to."""
