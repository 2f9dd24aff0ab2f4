"""Time lines over HTTP."""

from datetime import timedelta

from fastapi import FastAPI
from starlette.responses import Response

from watchkeeper.api.console import Console
from watchkeeper.clock import parse_timestamp

__all__ = ["add_timelines"]

_FRESH = timedelta(seconds=60)  # older time lines are refreshed before they are returned


def add_timelines(api: FastAPI, console: Console) -> None:
    """Add what became of a model's predictions over time.

    Parameters
    ----------
    api : FastAPI
    console : Console
    """
    app = console.app

    @api.get("/v1/models/{model}/timeline", tags=["models"])
    def timeline(
        model: str,
        start: str | None = None,
        end: str | None = None,
        points: int = 120,
        version: str | None = None,
        variant: str | None = None,
    ) -> Response:
        """Tell traffic, failures, latency and quality of a model, by natural stretches of time."""
        found = app.timelines.timeline(
            model,
            None if start is None else parse_timestamp(start, "start"),
            None if end is None else parse_timestamp(end, "end"),
            points=points,
            version=version,
            variant=variant,
            fresh=_FRESH,
        )
        return Response(found.to_json(), media_type="application/json")
