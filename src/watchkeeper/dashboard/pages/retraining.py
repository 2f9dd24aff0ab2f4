"""Yet to be built."""

from watchkeeper.app import App
from watchkeeper.dashboard.page import Ask, Page

__all__ = ["one", "page"]


def page(app: App, ask: Ask) -> Page:
    """Return nothing yet."""
    return Page(template="retraining.html", title="retraining", section="")


def one(app: App, ask: Ask) -> Page:
    """Return nothing yet."""
    return Page(template="retraining.html", title="retraining", section="")
