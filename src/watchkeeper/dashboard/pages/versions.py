"""Yet to be built."""

from watchkeeper.app import App
from watchkeeper.dashboard.page import Ask, Page

__all__ = ["diff", "one", "page"]


def page(app: App, ask: Ask) -> Page:
    """Return nothing yet."""
    return Page(template="versions.html", title="versions", section="")


def one(app: App, ask: Ask) -> Page:
    """Return nothing yet."""
    return Page(template="versions.html", title="versions", section="")


def diff(app: App, ask: Ask) -> Page:
    """Return nothing yet."""
    return Page(template="versions.html", title="versions", section="")
