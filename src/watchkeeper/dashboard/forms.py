"""Forms of the pages; each change has an actor and a reason."""

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
    def by(self) -> By:
        """Actor and reason, as every service takes them.

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
        return By(self.actor, reason)

    def unknown(self) -> NotFoundError:
        """Return the error of a form that no page has.

        Returns
        -------
        NotFoundError
        """
        return NotFoundError("action", self.do, "Reload the page, and send its form.")


Form = Callable[[App, Sent], str]
"""Applies the form, and returns the notice of the next page."""

_ROLLOUT = {
    "pause": (Rollouts.pause, "is paused"),
    "resume": (Rollouts.resume, "is resumed"),
    "step": (Rollouts.step, "is at its next step"),
    "promote": (Rollouts.promote, "is promoted"),
    "abort": (Rollouts.abort, "is aborted: all traffic goes to production"),
}
_INCIDENT = {
    "acknowledge": "is acknowledged",
    "assign": "has an assignee",
    "note": "has your note",
    "resolve": "is resolved",
    "finish": "has its post-mortem",
}


def of_model(app: App, sent: Sent) -> str:
    """Roll a model back, or start its retraining; return what was done, as a sentence.

    Parameters
    ----------
    app : App
    sent : Sent

    Returns
    -------
    str

    Raises
    ------
    NotFoundError
        If the form has another action.
    """
    model = sent.names["model"]
    if sent.do == "rollback":
        version = app.models.roll_back(model, by=sent.by)
        return f"{version.model_id} is in production again."
    if sent.do == "retrain":
        run = app.retraining.request(model, by=sent.by)
        return f"The retraining run {run.name} starts within seconds."
    raise sent.unknown()


def of_version(app: App, sent: Sent) -> str:
    """Promote a version, or start its rollout; return what was done, as a sentence.

    Parameters
    ----------
    app : App
    sent : Sent

    Returns
    -------
    str

    Raises
    ------
    NotFoundError
        If the form has another action.
    """
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
    """Act on a rollout; return what was done, as a sentence.

    Parameters
    ----------
    app : App
    sent : Sent

    Returns
    -------
    str

    Raises
    ------
    NotFoundError
        If the form has another action.
    """
    if sent.do not in _ROLLOUT:
        raise sent.unknown()
    change, message = _ROLLOUT[sent.do]
    change(app.rollouts, sent.names["name"], by=sent.by)
    return f"{sent.names['name']} {message}."


def of_shadow(app: App, sent: Sent) -> str:
    """Stop a shadow; return what was done, as a sentence.

    Parameters
    ----------
    app : App
    sent : Sent

    Returns
    -------
    str

    Raises
    ------
    NotFoundError
        If the form has another action.
    """
    if sent.do != "stop":
        raise sent.unknown()
    app.shadows.stop(sent.names["name"], by=sent.by)
    return f"{sent.names['name']} is stopped; its report is stored."


def of_experiment(app: App, sent: Sent) -> str:
    """Start or stop an experiment; return what was done, as a sentence.

    Parameters
    ----------
    app : App
    sent : Sent

    Returns
    -------
    str

    Raises
    ------
    NotFoundError
        If the form has another action.
    """
    name = sent.names["name"]
    if sent.do == "start":
        app.experiments.start(name, by=sent.by)
        return f"{name} is running."
    if sent.do == "stop":
        app.experiments.stop(name, by=sent.by)
        return f"{name} is stopped; its verdict is stored."
    raise sent.unknown()


def of_run(app: App, sent: Sent) -> str:
    """Abort a retraining run; return what was done, as a sentence.

    Parameters
    ----------
    app : App
    sent : Sent

    Returns
    -------
    str

    Raises
    ------
    NotFoundError
        If the form has another action.
    """
    if sent.do != "abort":
        raise sent.unknown()
    app.retraining.abort(sent.names["name"], by=sent.by)
    return f"{sent.names['name']} is aborted; the champion stays in production."


def of_incident(app: App, sent: Sent) -> str:
    """Act on an incident, or finish its post-mortem; return what was done, as a sentence.

    Parameters
    ----------
    app : App
    sent : Sent

    Returns
    -------
    str

    Raises
    ------
    NotFoundError
        If the form has another action.
    """
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
    """Waive a point of the checklist until a day; return what was done, as a sentence.

    Parameters
    ----------
    app : App
    sent : Sent

    Returns
    -------
    str

    Raises
    ------
    NotFoundError
        If the form has another action.
    InvalidValueError
        If the day is no day, or has begun.
    """
    if sent.do != "waive":
        raise sent.unknown()
    until = parse_timestamp(sent.fields.get("until", ""), "until")
    if until <= sent.now:
        tomorrow = sent.now + timedelta(days=1)
        raise InvalidValueError("until", f"{until:%Y-%m-%d}", f"{tomorrow:%Y-%m-%d} or later")
    item = sent.fields.get("item", "")
    app.checklists.waive(sent.names["model"], item, until=until, by=sent.by)
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
