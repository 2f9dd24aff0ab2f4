"""Registry of a model: its versions, one version, and the differences of two."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from watchkeeper.app import App
from watchkeeper.dashboard.page import Ask, Page
from watchkeeper.dashboard.pages.lineage import BACK, NEWEST, descent
from watchkeeper.dashboard.paging import leaf_of
from watchkeeper.dashboard.rendering import duration
from watchkeeper.errors import IntegrityError, InvalidValueError, NotFoundError
from watchkeeper.events import check_name
from watchkeeper.experiments import ExperimentState
from watchkeeper.identity import RecordId
from watchkeeper.monitoring.rollouts import expected_duration
from watchkeeper.operations import models
from watchkeeper.registry import ModelRegistry, ModelVersion, Status
from watchkeeper.registry.diff import Difference
from watchkeeper.registry.signing import SIGNATURE
from watchkeeper.retraining.candidate import RETRAINING
from watchkeeper.rollouts import Plan, Rollout, RolloutState

__all__ = ["diff", "one", "page"]

_DAY = timedelta(days=1)
_PER_PAGE = 50
_TELLING = ("accuracy", "auc", "mae", "rmse", "f1", "f1_macro", "balanced_accuracy", "r2")
"""Metrics by which versions are told apart, the most telling first."""
_COLUMNS = 2
_MOVES = 8  # changes of production that are told
_PAGES = {"rollout": "rollouts", "retraining": "retraining"}
_SECTIONS = (
    ("metrics", "Metrics", "metrics."),
    ("inputs", "Inputs", "signature"),
    ("data", "Training data", "lineage.", "about."),
    ("parameters", "Parameters", "lineage.parameters."),
    ("packages", "Packages", "lineage.packages."),
    ("artifact", "Artifact", "format", "unsafe", "trusted", "size"),
    ("words", "Words", "tags.", "description"),
)


def page(app: App, ask: Ask) -> Page:
    """Return what is in production and why, where versions come from, and all of them.

    Parameters
    ----------
    app : App
    ask : Ask

    Returns
    -------
    Page

    Raises
    ------
    NotFoundError
        If the model is unknown.
    """
    model, registry = ask.names["model"], app.registry
    status = ask.query.get("status") or None
    count = registry.count_models(status, model)
    _require_known(app, model)
    leaf = leaf_of(ask.query, count, _PER_PAGE)
    shown = registry.list_models(status, model, limit=_PER_PAGE, offset=leaf.offset)
    champion = _champion(registry, model)
    metrics = _telling(champion, shown)
    charts = {"lineage": descent(registry, model, champion)}
    return Page(
        template="versions.html",
        title=f"Versions of {model}",
        section="Overview",
        model=model,
        charts=charts if charts["lineage"].nodes else {},
        context={
            "champion": champion,
            "moves": registry.moves(model, limit=_MOVES),
            "versions": shown,
            "leaf": leaf,
            "status": status or "",
            "statuses": list(Status),
            "metrics": metrics,
            "newest": NEWEST,
            "back": BACK,
            "rival": next((version.version for version in shown if version != champion), ""),
            "size_of": size_of,
            "signed": SIGNATURE,
            "checked": registry.public_key is not None,
            "origin": origin,
            "run_of": run_of,
            "total": count if status is None else registry.count_models(None, model),
        },
    )


def one(app: App, ask: Ask) -> Page:
    """Return what is known of a version, and what can be done with it now.

    Parameters
    ----------
    app : App
    ask : Ask

    Returns
    -------
    Page

    Raises
    ------
    NotFoundError
        If there is no such version.
    """
    model, registry = ask.names["model"], app.registry
    version = registry.get(f"{model}:{ask.names['version']}")
    champion = _champion(registry, model)
    entries = app.audit.entries(subject=version.model_id, limit=_PER_PAGE)
    return Page(
        template="version.html",
        title=version.model_id,
        section="Overview",
        model=model,
        context={
            "this": version,
            "champion": champion,
            "is_champion": champion is not None and champion.model_id == version.model_id,
            "entries": entries,
            "capped": len(entries) == _PER_PAGE,
            **_written(registry, version),
            "verified": _verified(registry, version) if "verify" in ask.query else None,
            "size": size_of(version),
            "signed": SIGNATURE in version.files,
            "checked": registry.public_key is not None,
            "parent": link_of(version.lineage.parent),
            "run": run_of(version),
            "origin": origin,
            **_possible(app, version, champion, ask.now),
        },
    )


def diff(app: App, ask: Ask) -> Page:
    """Return two versions side by side, and in what they differ.

    Parameters
    ----------
    app : App
    ask : Ask

    Returns
    -------
    Page

    Raises
    ------
    NotFoundError
        If the model, or one of the versions, is unknown.
    """
    model, registry = ask.names["model"], app.registry
    _require_known(app, model)
    newest = registry.list_models(None, model, limit=_PER_PAGE)
    champion = _champion(registry, model)
    first = ask.query.get("a") or (newest[-1] if champion is None else champion).version
    rest = [version.version for version in newest if version.version != first]
    second = ask.query.get("b") or next(iter(rest), first)
    a, b = (registry.get(models.named(model, number)) for number in (first, second))
    differences = registry.diff(a.model_id, b.model_id)
    return Page(
        template="diff.html",
        title=f"{a.model_id} and {b.model_id}",
        section="Overview",
        model=model,
        context={
            "a": a,
            "b": b,
            "sections": _sections(differences),
            "same": _same(a, b),
            "differences": len(differences),
            "champion": champion,
            "versions": newest,
            "rows_differ": a.lineage.evaluated_on != b.lineage.evaluated_on,
            "run": run_of(b) or run_of(a),
            "size_of": size_of,
        },
    )


@dataclass(frozen=True, slots=True)
class Section:
    """Differences of one kind; each without the name that they share."""

    id: str
    title: str
    rows: tuple[Difference, ...]


def size_of(version: ModelVersion) -> int:
    """Return how large all files of a version are together.

    Parameters
    ----------
    version : ModelVersion

    Returns
    -------
    int
        Bytes.
    """
    return sum(file["size"] for file in version.files.values())


def run_of(version: ModelVersion) -> str | None:
    """Return the name of the retraining that a version came of.

    Parameters
    ----------
    version : ModelVersion

    Returns
    -------
    str or None
    """
    name = version.tags.get(RETRAINING)
    return name if name and _is_name(name) else None


def link_of(model_id: str) -> str | None:
    """Return the page of a version; None for what cannot be one.

    Parameters
    ----------
    model_id : str

    Returns
    -------
    str or None
        Its path.
    """
    model, colon, version = model_id.partition(":")
    if colon and _is_name(model) and _is_name(version):
        return f"/models/{model}/versions/{version}"
    return None


def origin(cause: RecordId | str | None) -> str | None:
    """Return the page of the rollout or the retraining that led to a change.

    Parameters
    ----------
    cause : RecordId, str or None
        An id, or an id as text.

    Returns
    -------
    str or None
        Its path; None for other causes.
    """
    if isinstance(cause, str):
        cause = RecordId.parse(cause)
    if cause is None or cause.kind not in _PAGES:
        return None
    return f"/{_PAGES[cause.kind]}/{quote(cause.id)}"


def _is_name(text: str) -> bool:
    try:
        check_name(text, "name")
    except InvalidValueError:
        return False
    return True


def _require_known(app: App, model: str) -> None:
    """Refuse a model that is neither registered nor recorded."""
    if not app.registry.count_models(None, model) and model not in app.events.models():
        raise NotFoundError("model", model, "The overview has those there are.")


def _champion(registry: ModelRegistry, model: str) -> ModelVersion | None:
    champions = registry.list_models(Status.PRODUCTION, model, limit=1)
    return champions[0] if champions else None


def _telling(champion: ModelVersion | None, shown: Sequence[ModelVersion]) -> tuple[str, ...]:
    """Return the few metrics that are told of each version."""
    first = champion if champion is not None and champion.metrics else None
    measured = (first or next((version for version in shown if version.metrics), None)) or champion
    if measured is None:
        return ()
    names = [name for name in _TELLING if name in measured.metrics] or sorted(measured.metrics)
    return tuple(names[:_COLUMNS])


def _written(registry: ModelRegistry, version: ModelVersion) -> dict[str, str]:
    """Return the notes and the model card of a version, or why they cannot be read."""
    try:
        words, card = registry.words(version.model_id), registry.card(version.model_id)
    except IntegrityError as error:
        return {"words": "", "card": "", "unreadable": _integrity_message(registry, error)}
    return {"words": words, "card": card, "unreadable": ""}


def _integrity_message(registry: ModelRegistry, error: IntegrityError) -> str:
    """Return what an error says, without the folder where this host keeps its models."""
    return f"{error.message}. {error.hint}".replace(f"{registry.path}/", "")


def _verified(registry: ModelRegistry, version: ModelVersion) -> str:
    """Return what is wrong with the files of a version; nothing if they are as registered."""
    try:
        registry.verify(version.model_id)
    except IntegrityError as error:
        return _integrity_message(registry, error)
    return ""


def _possible(
    app: App, version: ModelVersion, champion: ModelVersion | None, now: datetime
) -> dict[str, Any]:
    """Return what a person can do with a version now, and what stands in the way."""
    model, back, no_way_back = version.model_name, None, ""
    try:
        back = app.registry.earlier(model).model_id
    except NotFoundError as error:
        no_way_back = f"{error.message}. {error.hint}"
    policy, under_way = app.settings.policy(model), _under_way(app, model)
    running = app.experiments.find(model, ExperimentState.RUNNING)
    obstacle = ""
    if champion is None:
        obstacle = "nothing is in production that it could be compared with: promote it"
    elif version.status is Status.ARCHIVED:
        obstacle = "it is archived"
    elif under_way is not None:
        obstacle = f"the rollout {under_way.name} has the traffic"
    elif running:
        obstacle = f"the experiment {running[0].name} has the traffic"
    return {
        "back": back,
        "no_way_back": no_way_back,
        "under_way": under_way,
        "obstacle": obstacle,
        **_plan(app, model, policy.rollout_plan(), now),
        "checklist": policy.promotion_requires_checklist,
    }


def _plan(app: App, model: str, plan: Plan, now: datetime) -> dict[str, str]:
    """Return the steps of a rollout in words, and how long it takes."""
    return {
        "steps": ", ".join(f"{step:g}" for step in plan.steps),
        "window": duration(plan.window),
        "least": duration(plan.window * len(plan.steps)),
        "expected": _expected(app, model, plan, now),
    }


def _expected(app: App, model: str, plan: Plan, now: datetime) -> str:
    """Return how long a rollout takes at the traffic of the last day, if that is known."""
    if app.timelines.known(model) is None:
        return ""  # reading everything for it would take too long
    try:
        line = app.timelines.timeline(model, now - _DAY, now, points=1).timeline
        requests = float(line.predictions.sum()) / 24
        return duration(expected_duration(plan, requests).seconds)
    except (InvalidValueError, NotFoundError):  # it had no requests
        return ""


def _under_way(app: App, model: str) -> Rollout | None:
    """Return the rollout that has the traffic of a model, if there is one."""
    moving = (
        RolloutState.RUNNING,
        RolloutState.HOLDING,
        RolloutState.PAUSED,
        RolloutState.PROMOTING,
        RolloutState.ROLLING_BACK,
    )
    rollouts = (state_ for state in moving for state_ in app.rollouts.find(model, state))
    return next(rollouts, None)


def _sections(differences: Iterable[Difference]) -> list[Section]:
    """Return differences by kind; what begins in two ways is of the longer one."""
    rows: dict[str, list[Difference]] = {section[0]: [] for section in _SECTIONS}
    begins = [(start, section[0]) for section in _SECTIONS for start in section[2:]]
    for difference in differences:
        start, name = max(pair for pair in begins if difference.what.startswith(pair[0]))
        label = difference.what.removeprefix(start) if start.endswith(".") else difference.what
        label = label.removeprefix("signature").lstrip(". ") if name == "inputs" else label
        rows[name].append(Difference(label, difference.before, difference.after, difference.change))
    return [Section(name, title, tuple(rows[name])) for name, title, *_ in _SECTIONS if rows[name]]


def _same(a: ModelVersion, b: ModelVersion) -> Mapping[str, int]:
    """Return how many metrics and inputs two versions have in common, unchanged."""
    metrics = sum(b.metrics.get(name) == value for name, value in a.metrics.items())
    both = (version.signature.features if version.signature else () for version in (a, b))
    inputs = len(set.intersection(*(set(names) for names in both)))
    return {"metrics": metrics, "inputs": inputs}
