"""Versions over HTTP: one of them with its trail, its card, and in what two differ."""

from typing import Any

from fastapi import FastAPI, Path, Query

from watchkeeper.api.console import Console
from watchkeeper.operations import models
from watchkeeper.results import plain

__all__ = ["HIDDEN", "add_versions"]

HIDDEN = frozenset({"file_path"})
"""What is not shown of a version: a path of this host."""


def add_versions(api: FastAPI, console: Console) -> None:
    """Add the ways to read single versions.

    Parameters
    ----------
    api : FastAPI
    console : Console
    """
    app = console.app

    @api.get("/v1/models/{model}/versions/{version}", tags=["models"])
    def one_version(model: str, version: str) -> dict[str, Any]:
        """Tell what is known of a version, and who did what with it, the oldest entry first."""
        found = app.registry.get(f"{model}:{version}")
        known = {name: value for name, value in found.to_dict().items() if name not in HIDDEN}
        return {**known, "history": plain(app.registry.history(model, version))}

    @api.get("/v1/models/{model}/versions/{version}/card", tags=["models"])
    def card(model: str, version: str) -> dict[str, str]:
        """Return the model card of a version, in Markdown."""
        model_id = f"{model}:{version}"
        return {"model_id": model_id, "card": app.registry.card(model_id)}

    @api.get("/v1/models/{model}/diff", tags=["models"])
    def diff(
        model: str = Path(description="Name of the model"),
        a: str = Query(description="A version, @ALIAS, or NAME:VERSION of another model"),
        b: str = Query(description="The other one"),
    ) -> dict[str, Any]:
        """Tell in what two versions differ: metrics, inputs, lineage, parameters, format, size."""
        first, second = (app.registry.get(models.named(model, each)) for each in (a, b))
        found = app.registry.diff(first.model_id, second.model_id)
        return {"from": first.model_id, "to": second.model_id, "differences": plain(found)}
