"""Experiments over HTTP: created, started, given other weights, looked at, stopped."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, model_validator
from starlette.responses import Response

from watchkeeper.api.actor import Actor
from watchkeeper.api.console import Console
from watchkeeper.config.renames import EXPERIMENT, refuse_renamed, renamed
from watchkeeper.experiments import ExperimentState, Mode, basis_points
from watchkeeper.experiments.drafting import draft
from watchkeeper.identity import By
from watchkeeper.results import plain

__all__ = ["Body", "Why", "add_experiments"]


class Body(BaseModel):
    """The body of a request that changes something."""

    model_config = ConfigDict(extra="forbid")

    reason: str = ""


class Part(BaseModel):
    """The part of a namespace that an experiment has, in percent."""

    model_config = ConfigDict(extra="forbid")

    name: str
    start: float
    end: float


class _Renamed(Body):
    """A body of which some fields had another name before 0.2.0."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_renamed(cls, body: Any) -> Any:
        if isinstance(body, dict):
            refuse_renamed("the body", renamed(body, EXPERIMENT))
        return body


class NewExperiment(_Renamed):
    """What an experiment is; see the command ``watchkeeper experiments create``."""

    name: str
    model: str
    arms: dict[str, str]
    weights: dict[str, float] = {}
    coverage: float = 100.0
    metric: str = "accuracy"
    secondary: list[str] = []
    guardrails: dict[str, float] = {}
    conversion_window: float = 86_400.0
    hypothesis: str = ""
    mode: Mode = Mode.GROUP_SEQUENTIAL
    alpha: float = 0.05
    power: float = 0.8
    planned_units: int | None = None
    looks: int = 5
    namespace: Part | None = None
    holdout: float = 0.0
    targeting: list[dict[str, Any]] = []
    overrides: dict[str, str] = {}
    hashing: str = "sha256"
    salt: str = ""


class NewWeights(_Renamed):
    """Percent of the experiment's units by arm, and of all units that take part."""

    weights: dict[str, float] = {}
    coverage: float | None = None


class Why(Body):
    """Why, for the history."""


def add_experiments(api: FastAPI, console: Console) -> None:
    """Add the ways to act on experiments and to read them.

    Parameters
    ----------
    api : FastAPI
    console : Console
    """
    app = console.app

    @api.get("/v1/experiments", tags=["experiments"])
    def list_experiments(
        model: str | None = None, state: ExperimentState | None = None
    ) -> dict[str, Any]:
        """List experiments, the newest first."""
        return {"experiments": [each.to_dict() for each in app.experiments.find(model, state)]}

    @api.post("/v1/experiments", tags=["experiments"], status_code=201)
    def create_experiment(body: NewExperiment, actor: Actor) -> dict[str, Any]:
        """Create an experiment; it takes no traffic before it is started."""
        given = body.model_dump(exclude={"reason", "namespace"})
        part = body.namespace
        if part is not None:
            given["namespace"] = (part.name, part.start, part.end)
        return app.experiments.create(draft(**given), by=By(actor, body.reason)).to_dict()

    @api.get("/v1/experiments/{name}", tags=["experiments"])
    def one_experiment(name: str) -> dict[str, Any]:
        """Tell what an experiment is and how far it has come."""
        return app.experiments.get(name).to_dict()

    @api.get("/v1/experiments/{name}/report", tags=["experiments"])
    def report_experiment(name: str) -> Response:
        """Tell what the recorded events say so far, and the verdict."""
        report = app.experiment_reports.of(name)
        return Response(report.to_json(), media_type="application/json")

    @api.get("/v1/experiments/{name}/history", tags=["experiments"])
    def history(name: str) -> dict[str, Any]:
        """List what happened to an experiment, with who did it, why, and the evidence."""
        return {"history": plain(app.experiments.history(name))}

    @api.post("/v1/experiments/{name}/start", tags=["experiments"])
    def start_experiment(name: str, body: Why, actor: Actor) -> dict[str, Any]:
        """Let an experiment take traffic; this server follows before it answers."""
        return app.experiments.start(name, by=By(actor, body.reason)).to_dict()

    @api.post("/v1/experiments/{name}/weights", tags=["experiments"])
    def weigh_experiment(name: str, body: NewWeights, actor: Actor) -> dict[str, Any]:
        """Begin another phase, with other weights; this server follows before it answers."""
        experiment = app.experiments.change_weights(
            name,
            weights={arm: basis_points(percent) for arm, percent in body.weights.items()},
            included_bp=None if body.coverage is None else basis_points(body.coverage),
            by=By(actor, body.reason),
        )
        return experiment.to_dict()

    @api.post("/v1/experiments/{name}/stop", tags=["experiments"])
    def stop_experiment(name: str, body: Why, actor: Actor) -> Response:
        """End an experiment and keep its verdict with its evidence."""
        report = app.experiments.stop(name, by=By(actor, body.reason))
        return Response(report.to_json(), media_type="application/json")
