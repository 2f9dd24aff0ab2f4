"""Yet to be built."""

from watchkeeper.app import App
from watchkeeper.dashboard.page import Ask, Page

__all__ = ["one", "page"]


def page(app: App, ask: Ask) -> Page:
    """Return nothing yet."""
    return Page(template="history.html", title="history", section="")


def one(app: App, ask: Ask) -> Page:
    """Return nothing yet."""
    return Page(template="history.html", title="history", section="")
