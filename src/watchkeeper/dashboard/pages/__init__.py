"""The pages: each a function of the app, and of what was asked, to what its template shows.

A page is loaded at its first request, so a server that only serves starts without them.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchkeeper.app import App
    from watchkeeper.dashboard.page import Ask, Page

__all__ = ["PAGES"]


def _of(module: str, name: str = "page") -> "Callable[[App, Ask], Page]":
    def page(app: "App", ask: "Ask") -> "Page":
        built: Page = getattr(import_module(f"{__name__}.{module}"), name)(app, ask)
        return built

    return page


PAGES: "Mapping[str, Callable[[App, Ask], Page]]" = {
    "/": _of("overview"),
    "/models/{model}": _of("model"),
    "/models/{model}/drift": _of("drift"),
    "/models/{model}/drift/{feature:path}": _of("drift", "feature"),
    "/models/{model}/versions": _of("versions"),
    "/models/{model}/versions/{version}": _of("versions", "one"),
    "/models/{model}/diff": _of("versions", "diff"),
    "/models/{model}/history": _of("history"),
    "/models/{model}/history/{record:path}": _of("history", "one"),
    "/models/{model}/readiness": _of("readiness"),
    "/experiments": _of("experiments"),
    "/experiments/{name}": _of("experiments", "one"),
    "/rollouts": _of("rollouts"),
    "/rollouts/{name}": _of("rollouts", "one"),
    "/shadows/{name}": _of("rollouts", "shadow"),
    "/retraining": _of("retraining"),
    "/retraining/{name}": _of("retraining", "one"),
    "/incidents": _of("incidents"),
    "/incidents/{name}": _of("incidents", "one"),
    "/system": _of("system"),
}
"""By path; of two that fit, the first."""
