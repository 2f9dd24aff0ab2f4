"""The overview: which model is ill, since when, why, and what is being done about it."""

from watchkeeper.app import App
from watchkeeper.dashboard.page import Ask, Page

__all__ = ["page"]


def page(app: App, ask: Ask) -> Page:
    """Return the overview of all models."""
    return Page(
        template="overview.html",
        title="Overview",
        section="Overview",
        span=ask.span(),
        context={"models": []},
    )
