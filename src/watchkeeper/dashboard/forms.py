"""What the forms of the pages do; each change has its reason, and the name of who sent it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchkeeper.app import App
from watchkeeper.clock import parse_timestamp
from watchkeeper.errors import InvalidValueError, NotFoundError
from watchkeeper.identity import By
from watchkeeper.incidents import Incident
from watchkeeper.operations.rollouts import Rollouts

__all__ = ["FORMS", "Sent"]


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
    def by(self) -> By:
        """Who and why, as every service takes it.

        Raises
        ------
        InvalidValueError
            If no reason is given.
        """
        reason = self.fields.get("reason", "").strip()
        if not reason:
            raise InvalidValueError("reason", reason, "why, in words: it is kept in the history")
        return By(self.actor, reason)

    def unknown(self) -> NotFoundError:
        """Return the error of a form that no page has."""
        return NotFoundError("action", self.do, "Reload the page, and send its form.")


Form = Callable[[App, Sent], str]
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


def of_model(app: App, sent: Sent) -> str:
    """Roll a model back, or have it trained again."""
    model = sent.names["model"]
    if sent.do == "rollback":
        version = app.models.roll_back(model, by=sent.by)
        return f"{version.model_id} is in production again."
    if sent.do == "retrain":
        run = app.retraining.request(model, by=sent.by)
        return f"The retraining {run.name} begins within seconds."
    raise sent.unknown()


def of_version(app: App, sent: Sent) -> str:
    """Promote a version, or begin to roll it out."""
    model, version = sent.names["model"], sent.names["version"]
    if sent.do == "promote":
        app.models.promote(f"{model}:{version}", by=sent.by)
        return f"{model}:{version} is in production."
    if sent.do == "roll-out":
        name = sent.fields.get("name") or f"{model}-{version}-{sent.now:%Y%m%d-%H%M%S}"
        app.rollouts.start(name, model=model, version=version, by=sent.by)
        return f"The rollout {name} has begun."
    raise sent.unknown()


def of_rollout(app: App, sent: Sent) -> str:
    """Act on a rollout."""
    if sent.do not in _ROLLOUT:
        raise sent.unknown()
    change, told = _ROLLOUT[sent.do]
    change(app.rollouts, sent.names["name"], by=sent.by)
    return f"{sent.names['name']} {told}."


def of_shadow(app: App, sent: Sent) -> str:
    """End a shadow."""
    if sent.do != "stop":
        raise sent.unknown()
    app.shadows.stop(sent.names["name"], by=sent.by)
    return f"{sent.names['name']} is asked no more; what it was compared by is kept."


def of_experiment(app: App, sent: Sent) -> str:
    """Begin or end an experiment."""
    name = sent.names["name"]
    if sent.do == "start":
        app.experiments.start(name, by=sent.by)
        return f"{name} takes traffic."
    if sent.do == "stop":
        app.experiments.stop(name, by=sent.by)
        return f"{name} has ended, and its verdict is kept."
    raise sent.unknown()


def of_run(app: App, sent: Sent) -> str:
    """Give a retraining up."""
    if sent.do != "cancel":
        raise sent.unknown()
    app.retraining.cancel(sent.names["name"], by=sent.by)
    return f"{sent.names['name']} is given up; what is in production stays."


def of_incident(app: App, sent: Sent) -> str:
    """Take an incident in hand, and so on until it is learned from."""
    if sent.do not in _INCIDENT:
        raise sent.unknown()
    name = sent.names["name"]
    incidents = app.incidents
    change: Callable[..., Incident] = {
        "acknowledge": incidents.acknowledge,
        "assign": incidents.assign,
        "note": incidents.note,
        "resolve": incidents.resolve,
        "finish": incidents.finish,
    }[sent.do]
    text = sent.fields.get("text", "").strip()
    change(name, text, by=By(sent.actor))
    return f"{name} {_INCIDENT[sent.do]}."


def of_checklist(app: App, sent: Sent) -> str:
    """Excuse a point of the checklist until a day."""
    if sent.do != "waive":
        raise sent.unknown()
    until = parse_timestamp(sent.fields.get("until", ""), "until")
    if until <= sent.now:
        tomorrow = sent.now + timedelta(days=1)
        raise InvalidValueError("until", f"{until:%Y-%m-%d}", f"{tomorrow:%Y-%m-%d} or later")
    item = sent.fields.get("item", "")
    app.checklists.waive(sent.names["model"], item, until=until, by=sent.by)
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
