"""Yet to be built."""

from watchkeeper.app import App
from watchkeeper.dashboard.page import Ask, Page

__all__ = ["feature", "page"]


def page(app: App, ask: Ask) -> Page:
    """Return nothing yet."""
    return Page(template="drift.html", title="drift", section="")


def feature(app: App, ask: Ask) -> Page:
    """Return nothing yet."""
    return Page(template="drift.html", title="drift", section="")
