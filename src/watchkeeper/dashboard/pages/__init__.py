"""The pages: each a function of the app, and of what was asked, to what its template shows."""

from collections.abc import Callable, Mapping

from watchkeeper.app import App
from watchkeeper.dashboard.page import Ask, Page
from watchkeeper.dashboard.pages import (
    drift,
    experiments,
    history,
    incidents,
    model,
    overview,
    readiness,
    retraining,
    rollouts,
    system,
    versions,
)

__all__ = ["PAGES"]

PAGES: Mapping[str, Callable[[App, Ask], Page]] = {
    "/": overview.page,
    "/models/{model}": model.page,
    "/models/{model}/drift": drift.page,
    "/models/{model}/drift/{feature:path}": drift.feature,
    "/models/{model}/versions": versions.page,
    "/models/{model}/versions/{version}": versions.one,
    "/models/{model}/diff": versions.diff,
    "/models/{model}/history": history.page,
    "/models/{model}/history/{record:path}": history.one,
    "/models/{model}/readiness": readiness.page,
    "/experiments": experiments.page,
    "/experiments/{name}": experiments.one,
    "/rollouts": rollouts.page,
    "/rollouts/{name}": rollouts.one,
    "/shadows/{name}": rollouts.shadow,
    "/retraining": retraining.page,
    "/retraining/{name}": retraining.one,
    "/incidents": incidents.page,
    "/incidents/{name}": incidents.one,
    "/system": system.page,
}
"""By path; of two that fit, the first."""
